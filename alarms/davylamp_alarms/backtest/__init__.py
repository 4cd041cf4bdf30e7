"""Other rules over recorded readings: the live engine led through them, and what would have been different."""
