"""The alarm engine: pure NumPy, no I/O, no clock, so that cloud and edge can both run it."""
