"""Training: what statistical rules learn from a window of stored history or of a CSV, left in a file."""
