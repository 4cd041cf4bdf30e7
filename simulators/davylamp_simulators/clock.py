"""The machine's clock, for the shells that serve and receive; the processes never see it."""

import time


def now_ms() -> int:
    """Return UTC milliseconds."""
    return time.time_ns() // 1_000_000
