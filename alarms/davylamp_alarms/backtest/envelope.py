"""The course of tags for a picture: lowest and highest value of each stretch of time, however long the whole is.

How long the records are is known only at their end: stretches begin narrow, and each time they run out two become one.
"""

import numpy as np

from davylamp_alarms.batch import Batch, Bools, Floats, Ints

STRETCHES = 2_048
"""Twice as many as a picture has columns: after two became one there are still enough."""

FIRST_MS = 1_000


class Envelope:
    """Lowest and highest finite values of some tags, by stretch of source time; NaN where there was none.

    Args:
        tags: Indices of the tags, as batches have them; their rows are in this order.
        begin_ms: Where the first stretch begins; the first reading, if not given.
    """

    def __init__(self, tags: Ints, begin_ms: int | None = None) -> None:
        self.begin_ms, self.width_ms = begin_ms, FIRST_MS
        self.lows: Floats = np.full((len(tags), STRETCHES), np.nan)
        self.highs: Floats = np.full((len(tags), STRETCHES), np.nan)
        self._row = np.full(int(tags.max(initial=-1)) + 1, -1, np.int64)
        self._row[tags] = np.arange(len(tags))

    def take(self, batch: Batch) -> None:
        """Take readings; those before the beginning, or of other tags, are none."""
        wanted = self._wanted(batch)
        rows, time_ms, value = self._row[batch.tag[wanted]], batch.time_ms[wanted], batch.value[wanted]
        if not rows.size:
            return
        if self.begin_ms is None:
            self.begin_ms = int(time_ms.min())
        after_ms = time_ms - self.begin_ms
        rows, value, after_ms = rows[after_ms >= 0], value[after_ms >= 0], after_ms[after_ms >= 0]
        while int(after_ms.max(initial=0)) >= STRETCHES * self.width_ms:
            self._widen()
        places = after_ms // self.width_ms
        np.fmin.at(self.lows, (rows, places), value)
        np.fmax.at(self.highs, (rows, places), value)

    def times_ms(self) -> Ints:
        """Return the middle of each stretch."""
        middles: Ints = (self.begin_ms or 0) + self.width_ms // 2 + np.arange(STRETCHES) * self.width_ms
        return middles

    def _wanted(self, batch: Batch) -> Bools:
        known = batch.tag < len(self._row)
        wanted: Bools = known & np.isfinite(batch.value)
        wanted[known] &= self._row[batch.tag[known]] >= 0
        return wanted

    def _widen(self) -> None:
        self.width_ms *= 2
        half = STRETCHES // 2
        for values, least in ((self.lows, np.fmin), (self.highs, np.fmax)):
            pairs = values.reshape(len(values), half, 2)
            values[:, :half] = least(pairs[:, :, 0], pairs[:, :, 1])
            values[:, half:] = np.nan
