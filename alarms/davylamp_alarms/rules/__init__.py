"""Rule kinds: one file with one vectorised function each, named in one registry."""
