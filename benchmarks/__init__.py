"""Davylamp's figures: `python -m benchmarks NAME [--json]` prints a table for people and, last, one JSON object."""

import sys
from pathlib import Path

# Benchmarks start the same real services as the tests do (tests/support/services.py).
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
