"""Thinning: a rule that looks at minutes gets the mean of each stretch of readings instead of every reading."""

from typing import ClassVar

import numpy as np
from davylamp_wire.quality import Level
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.columns import NEVER, Columns, Fields
from davylamp_alarms.warning.rule import Levels, Places, Samples, Settings, Verdict


class Thinned(Settings):
    """Settings of a rule over one tag that may be thinned.

    Args:
        every_s: Readings of such a stretch count as one sample, their mean at their mean time; 0: each is a sample.
    """

    every_s: float = Field(0.0, ge=0)


class Stretches(Columns):
    """The stretch under way of each row, and what the rule said of the last one."""

    FIELDS: ClassVar[Fields] = {
        "from_ms": (np.int64, NEVER),
        "sum": (np.float64, 0.0),
        "sum_ms": (np.int64, 0),
        "count": (np.int32, 0),
        "level": (np.uint8, Level.GOOD),
        "wrong": (np.bool_, False),
        "met": (np.bool_, False),
        "back": (np.bool_, False),
    }
    from_ms: Ints
    sum: Floats
    sum_ms: Ints
    count: NDArray[np.int32]
    level: Levels
    wrong: Bools
    met: Bools
    back: Bools

    def take(self, every_s: float, places: Places, samples: Samples) -> tuple[Bools, Samples]:
        """Add usable samples to their stretches; return which stretches a sample ended, and those stretches' means.

        A stretch is as doubtful as its most doubtful reading.
        """
        over = samples.time_ms - self.from_ms[places] >= int(every_s * 1000)
        ended = over & (self.count[places] > 0)
        means = self._means(places, ended)
        for column in (self.sum, self.sum_ms, self.count, self.level, self.wrong):
            column[places] = np.where(over, 0, column[places])
        self.from_ms[places] = np.where(over, samples.time_ms, self.from_ms[places])
        self.sum[places] += samples.value
        self.sum_ms[places] += samples.time_ms - self.from_ms[places]
        self.count[places] += 1
        self.level[places] = np.maximum(self.level[places], samples.level)
        if samples.wrong is not None:
            self.wrong[places] |= samples.wrong
        return ended, means

    def _means(self, places: Places, ended: Bools) -> Samples:
        count = self.count[places][ended]
        time_ms = self.from_ms[places][ended] + self.sum_ms[places][ended] // np.maximum(count, 1)
        value = self.sum[places][ended] / count
        return Samples(time_ms, value, self.level[places][ended], self.wrong[places][ended])

    def said(self, places: Places) -> Verdict:
        """Return what the rule said of the last stretch."""
        return Verdict(self.met[places].copy(), self.back[places].copy())
