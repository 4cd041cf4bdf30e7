"""The newest records of the log, in memory: whoever keeps up need not ask the file for what was just written to it."""

import threading
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Tail(Generic[T]):
    """Consecutive records up to the newest, as many as `most` bytes hold. One thread adds, any thread reads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._first = 1
        self._records: list[T] = []
        self._bytes = 0

    def add(self, first: int, records: Sequence[T], size: int) -> None:
        """Take on records numbered from `first`, `size` bytes together."""
        with self._lock:
            if first != self._first + len(self._records):
                self._first, self._records, self._bytes = first, [], 0
            self._records.extend(records)
            self._bytes += size
            if self._bytes > self._most:
                self._drop((len(self._records) + 1) // 2)  # half at once: rarely, and not one by one

    def read(self, after: int, limit: int) -> list[T] | None:
        """Return the records after a number, as they were added; None where not all of them are here."""
        with self._lock:
            start = after + 1 - self._first
            return self._records[start : start + limit] if 0 <= start < len(self._records) else None

    def forget(self, below: int) -> None:
        """Let go of what the file no longer has."""
        with self._lock:
            self._drop(max(0, min(below - self._first, len(self._records))))

    def _drop(self, gone: int) -> None:
        """Let the oldest go; what the others weigh is as good as known."""
        self._bytes = self._bytes * (len(self._records) - gone) // max(1, len(self._records))
        self._records, self._first = self._records[gone:], self._first + gone
