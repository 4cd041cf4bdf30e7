"""Rules whose memory began anew under a standing alarm: they show nothing gone until they have looked for long enough.

A mean that begins at what is usual, or a sum that begins at 0, is inside its limit whatever the value does. An edit, a
failure or a restart would so clear what stands (SAFETY S4).
"""

from collections.abc import Iterable

import numpy as np

from davylamp_alarms.batch import Bools, Indices, Ints

UNSEEN = -1


class Untried:
    """By tag how long its row has to look, and from when on it did (`UNSEEN`: nothing was fed yet)."""

    def __init__(self, rows: Iterable[tuple[int, int, int]] = ()) -> None:
        self._rows = {tag: (span_ms, from_ms) for tag, span_ms, from_ms in rows}

    def begin(self, tag: int, span_ms: int) -> None:
        """Let a tag's row begin to look."""
        if span_ms:
            self._rows[tag] = (span_ms, UNSEEN)

    def forget(self, tag: int) -> None:
        """Take a tag out."""
        self._rows.pop(tag, None)

    def trusted(self, tags: Indices, time_ms: Ints) -> Bools:
        """Return which rows have looked for long enough, the samples at hand included."""
        if not self._rows:
            return np.ones(len(tags), np.bool_)
        pairs = zip(tags.tolist(), time_ms.tolist(), strict=True)
        return np.array([self._trusted(tag, at_ms) for tag, at_ms in pairs], np.bool_)

    def _trusted(self, tag: int, at_ms: int) -> bool:
        if tag not in self._rows:
            return True
        span_ms, from_ms = self._rows[tag]
        if from_ms == UNSEEN:
            self._rows[tag] = (span_ms, at_ms)
        elif at_ms - from_ms >= span_ms:
            del self._rows[tag]
            return True
        return False

    def dump(self) -> list[list[int]]:
        """Return the rows as JSON types, always in one order."""
        return [[tag, *self._rows[tag]] for tag in sorted(self._rows)]
