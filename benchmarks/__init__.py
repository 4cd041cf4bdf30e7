"""Davylamp's figures: `python -m benchmarks NAME [--json]` prints a table for people and, last, one JSON object."""
