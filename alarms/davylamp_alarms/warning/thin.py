"""Thinning: a rule that looks at minutes gets the mean of each stretch of readings instead of every reading."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from davylamp_wire.quality import Level
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.columns import NEVER, Columns, Fields
from davylamp_alarms.warning.masks import chosen_of, some
from davylamp_alarms.warning.ring import fold
from davylamp_alarms.warning.rule import Levels, Places, Samples, Settings, among
from davylamp_alarms.warning.timed import Timed


class Thinned(Settings):
    """Settings of a rule over one tag that may be thinned.

    Args:
        every_s: Readings of such a stretch count as one sample, their mean at their mean time; 0: each is a sample.
    """

    every_s: float = Field(0.0, ge=0)


@dataclass(frozen=True, slots=True)
class Ended:
    """Stretches that are over: at which of the places, and the mean of each."""

    at: Bools
    means: Samples


class Stretches(Timed):
    """The stretch under way of each row."""

    FIELDS: ClassVar[Fields] = {
        "from_ms": (np.float64, NEVER),
        "sum": (np.float64, 0.0),
        "sum_ms": (np.float64, 0.0),
        "count": (np.uint32, 0),
        "level": (np.uint8, Level.GOOD),
        "wrong": (np.bool_, False),
    }
    from_ms: Floats
    sum: Floats
    sum_ms: Floats
    count: NDArray[np.uint32]
    level: Levels
    wrong: Bools

    def take(self, every_s: float, places: Places, samples: Samples) -> Ended | None:
        """Add usable samples to their stretches; return which stretches a sample ended, and those stretches' means.

        A stretch is as doubtful as its most doubtful reading.
        """
        over = self.due("from_ms", every_s * 1000, places, samples.clock_ms, samples.latest_ms)
        ended = None if over is None else self._end(places, over, samples)
        fold(np.add, self.sum, places, samples.value)
        fold(np.add, self.sum_ms, places, samples.clock_ms)
        self.count[places] += np.uint32(1)
        if not samples.plain:
            self.level[places] = np.maximum(self.level[places], samples.level)
        if samples.wrong is not None:
            self.wrong[places] |= samples.wrong
        return ended

    def _end(self, places: Places, over: Bools, samples: Samples) -> Ended | None:
        """Begin anew where a stretch is over, or none began yet."""
        at = over & (self.count[places] > 0)
        ended = Ended(at, self._means(among(places, at))) if some(at) else None
        self._begin(among(places, over), chosen_of(samples.clock_ms, over))
        return ended

    def _means(self, places: Places) -> Samples:
        count = self.count[places].astype(np.float64)
        time_ms = np.floor(self.sum_ms[places] / count).astype(np.int64)
        return Samples(time_ms, self.sum[places] / count, self.level[places].copy(), self.wrong[places].copy())

    def _begin(self, places: Places, clock_ms: Floats) -> None:
        self.from_ms[places] = clock_ms
        self.sum[places], self.sum_ms[places], self.count[places] = 0.0, 0.0, 0
        self.level[places], self.wrong[places] = Level.GOOD, False


class Said(Columns):
    """What a thinned rule found in the last stretch of each row."""

    FIELDS: ClassVar[Fields] = {"met": (np.bool_, False), "back": (np.bool_, False)}
    met: Bools
    back: Bools
