"""Other rules over what was recorded, from a CSV or from this cloud's own history: what would have been different."""
