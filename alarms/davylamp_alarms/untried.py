"""Rules whose memory is none to go by under a standing alarm: they show nothing gone until they have looked again.

A mean that begins at what is usual, or a sum that begins at 0, is inside its limit whatever the value does. An edit, a
failure or a restart would so clear what stands (SAFETY S4). So would uncertain values, by what a rule remembers of
them: the first good one after them counts for little, and may be as unusual as ever. Only good values are a look;
silence is none.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass

import numpy as np

from davylamp_alarms.batch import Bools, Indices, Ints

UNSEEN = -1


@dataclass(slots=True)
class _Look:
    """How long a row has to look and how long it did; `most_ms` is what one sample counts for at most."""

    span_ms: int
    most_ms: int
    looked_ms: int = 0
    last_ms: int = UNSEEN

    def is_over(self, at_ms: int) -> bool:
        """Take a good sample; return whether it was long enough now."""
        if self.last_ms != UNSEEN:
            self.looked_ms += min(at_ms - self.last_ms, self.most_ms)
        self.last_ms = at_ms
        return self.looked_ms >= self.span_ms


class Untried:
    """By tag how long its row has to look, and how long it did."""

    def __init__(self, rows: Iterable[tuple[int, int, int, int, int]] = ()) -> None:
        self._rows = {tag: _Look(*look) for tag, *look in rows}

    def __bool__(self) -> bool:
        """Whether any row has to look yet."""
        return bool(self._rows)

    def begin(self, tag: int, span_ms: int, most_ms: int) -> None:
        """Let a tag's row begin to look."""
        if span_ms:
            self._rows[tag] = _Look(span_ms, most_ms)

    def again(self, tag: int) -> bool:
        """Let a row that looks begin anew to look; return whether there is one."""
        look = self._rows.get(tag)
        if look is not None:
            look.looked_ms, look.last_ms = 0, UNSEEN
        return look is not None

    def forget(self, tag: int) -> None:
        """Take a tag out."""
        self._rows.pop(tag, None)

    def trusted(self, tags: Indices, time_ms: Ints, good: Bools) -> Bools:
        """Return which rows have looked for long enough, the samples at hand included."""
        if not self._rows:
            return np.ones(len(tags), np.bool_)
        samples = zip(tags.tolist(), time_ms.tolist(), good.tolist(), strict=True)
        return np.array([self._trusted(*sample) for sample in samples], np.bool_)

    def _trusted(self, tag: int, at_ms: int, good: bool) -> bool:
        look = self._rows.get(tag)
        if look is None:
            return True
        if not good or not look.is_over(at_ms):
            return False
        del self._rows[tag]
        return True

    def dump(self) -> list[list[int]]:
        """Return the rows as JSON types, always in one order."""
        return [[tag, *astuple(self._rows[tag])] for tag in sorted(self._rows)]
