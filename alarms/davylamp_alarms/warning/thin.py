"""Thinning: a rule that looks at minutes gets the mean of each stretch of readings instead of every reading."""

from typing import ClassVar

import numpy as np
from davylamp_wire.quality import Level
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.columns import NEVER, Columns, Fields
from davylamp_alarms.warning.ring import fold
from davylamp_alarms.warning.rule import Levels, Places, Samples, Settings, among


class Thinned(Settings):
    """Settings of a rule over one tag that may be thinned.

    Args:
        every_s: Readings of such a stretch count as one sample, their mean at their mean time; 0: each is a sample.
    """

    every_s: float = Field(0.0, ge=0)


class Stretches(Columns):
    """The stretch under way of each row."""

    FIELDS: ClassVar[Fields] = {
        "from_ms": (np.float64, NEVER),
        "sum": (np.float64, 0.0),
        "sum_ms": (np.float64, 0.0),
        "count": (np.float64, 0.0),
        "level": (np.uint8, Level.GOOD),
        "wrong": (np.bool_, False),
    }
    from_ms: Floats
    sum: Floats
    sum_ms: Floats
    count: Floats
    level: Levels
    wrong: Bools

    def take(self, every_s: float, places: Places, samples: Samples) -> tuple[Bools, Samples | None]:
        """Add usable samples to their stretches; return which stretches a sample ended, and those stretches' means.

        A stretch is as doubtful as its most doubtful reading.
        """
        since_ms = samples.clock_ms - self.from_ms[places]
        over = since_ms >= every_s * 1000
        ended, means = over, None
        if over.any():
            ended = over & (self.count[places] > 0)
            means = self._means(among(places, ended)) if ended.any() else None
            self._begin(among(places, over), samples.clock_ms[over])
            since_ms[over] = 0.0
        fold(np.add, self.sum, places, samples.value)
        fold(np.add, self.sum_ms, places, since_ms)
        fold(np.add, self.count, places, 1.0)
        if not samples.plain:
            self.level[places] = np.maximum(self.level[places], samples.level)
        if samples.wrong is not None:
            self.wrong[places] |= samples.wrong
        return ended, means

    def _means(self, places: Places) -> Samples:
        count = self.count[places]
        time_ms = self.from_ms[places] + np.floor(self.sum_ms[places] / count)
        value = self.sum[places] / count
        return Samples(time_ms.astype(np.int64), value, self.level[places].copy(), self.wrong[places].copy())

    def _begin(self, places: Places, clock_ms: Floats) -> None:
        self.from_ms[places] = clock_ms
        self.sum[places] = self.sum_ms[places] = self.count[places] = 0.0
        self.level[places], self.wrong[places] = Level.GOOD, False


class Said(Columns):
    """What a thinned rule found in the last stretch of each row."""

    FIELDS: ClassVar[Fields] = {"met": (np.bool_, False), "back": (np.bool_, False)}
    met: Bools
    back: Bools
