"""Readings the monitor has decoded and history has not stored yet: what both need is decoded once.

The historian's feed takes them slice by slice, in the order of the log. It waits for nothing here: what is not kept
(the monitor is behind, or too much waits) it reads from the log itself.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from davylamp_cloud.readings import Slice

MOST_READINGS = 2_000_000
"""Most that is kept, about 80 MB: two seconds of a million readings each."""

SLICE, TEXT = 50, 40
"""A slice takes as much memory as so many readings, so many characters of text as one."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The readings of all records from `first` to `last`."""

    first: int
    last: int
    slices: Sequence[Slice]
    readings: int
    weight: int


class Recent:
    """What the monitor leaves for the feed. Safe between the two threads."""

    def __init__(self, most: int = MOST_READINGS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: deque[Kept] = deque()
        self._weight = 0

    def keep(self, first: int, last: int, slices: Sequence[Slice]) -> None:
        """Leave the readings of records; where nobody takes them, none are kept."""
        count = sum(len(found.batch) for found in slices)
        weight = count + SLICE * (1 + len(slices)) + sum(map(_texts, slices))
        with self._lock:
            if self._weight + weight > self._most or (self._kept and self._kept[-1].last >= first):
                self._kept.clear()
                self._weight = 0
            self._kept.append(Kept(first, last, slices, count, weight))
            self._weight += weight

    def take(self, position: int, most: int) -> list[Kept]:
        """Return what follows a place of the log without a gap, until it is `most` readings; it is kept no longer."""
        found: list[Kept] = []
        readings = 0
        with self._lock:
            self._forget(position)
            while self._kept and self._kept[0].first == position + 1 and readings < most:
                found.append(self._kept.popleft())
                position, readings = found[-1].last, readings + found[-1].readings
            self._weight -= sum(kept.weight for kept in found)
        return found

    def next_after(self, position: int) -> int | None:
        """Return the first record that is kept after a place."""
        with self._lock:
            self._forget(position)
            return self._kept[0].first if self._kept else None

    def _forget(self, position: int) -> None:
        """Drop what begins before a place that somebody came to without it."""
        while self._kept and self._kept[0].first <= position:
            self._weight -= self._kept.popleft().weight


def _texts(found: Slice) -> int:
    """Return as how many readings the texts of a slice count."""
    return sum(map(len, found.texts.values())) // TEXT
