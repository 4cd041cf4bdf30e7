"""How a judge works: it looks through a recording, fails with what it found, and says how much it saw.

A judge that saw nothing has proved nothing; the test fails it.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from support.sparkplug.recording import Recording

T = TypeVar("T")
Judge = Callable[[Recording], int]

JUDGES: dict[str, Judge] = {}


def judges(*assertions: str) -> Callable[[Judge], Judge]:
    """Register a judge for some assertions, by their ids without ``tck-id-``."""

    def register(judge: Judge) -> Judge:
        for assertion in assertions:
            assert f"tck-id-{assertion}" not in JUDGES, f"{assertion} has two judges"
            JUDGES[f"tck-id-{assertion}"] = judge
        return judge

    return register


def every(found: Iterable[T], holds: Callable[[T], object]) -> int:
    """Return how many there are. Raises: AssertionError with the first for which it does not hold."""
    count = 0
    for count, each in enumerate(found, 1):
        assert holds(each), f"number {count} does not hold: {each}"
    return count
