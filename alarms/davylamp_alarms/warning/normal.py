"""Baseline-relative: so many percent above what was normal in the last 30 days."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.baseline import SETTLED, lag
from davylamp_alarms.warning.masks import some
from davylamp_alarms.warning.ring import after, put
from davylamp_alarms.warning.rule import (
    Direction,
    Evidence,
    Places,
    Samples,
    State,
    StatisticalRule,
    Verdict,
    among,
    judge_usable,
    learnt_numbers,
    size,
)
from davylamp_alarms.warning.thin import Thinned


class NormalSettings(Thinned):
    """`percent` above (or below) normal; back below `leave` of that.

    Args:
        days: Over how many days normal is taken; the days are UTC days of `day_s`.
        least_days: With fewer days seen the row says nothing.
        tau_s: The value counts as its mean over about this long; 0: as it is.

    Source: own proposal, after a mine that warns of inflow 30 % above its 30-day normal (unverified).
    """

    percent: float = Field(gt=0)
    days: int = Field(30, ge=1, le=90)
    least_days: int = Field(7, ge=1)
    day_s: float = Field(86_400.0, gt=0)
    tau_s: float = Field(0.0, ge=0)
    direction: Direction = "rise"
    leave: float = Field(0.7, gt=0, le=1)


class NormalState(State):
    """`percent` may differ by row. `means` are the days', the newest not before `next`."""

    FIELDS: ClassVar[Fields] = {
        "percent": (np.float64, np.inf),
        "normal": (np.float64, np.nan),
        "level": (np.float64, np.nan),
        "last_ms": (np.int64, NEVER),
        "day": (np.int64, NEVER),
        "sum": (np.float64, 0.0),
        "count": (np.int64, 0),
        "seen": (np.uint8, 0),
        "next": (np.uint8, 0),
        "means": (np.float64, np.nan),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("percent",)
    LEARNT: ClassVar[tuple[str, ...]] = ("normal",)
    percent: Floats
    normal: Floats
    level: Floats
    last_ms: Ints
    day: Ints
    sum: Floats
    count: Ints
    seen: NDArray[np.uint8]
    next: NDArray[np.uint8]
    means: Floats

    def leading(self, name: str) -> tuple[int, ...]:
        return (self.settings.days,) if name == "means" else ()

    @classmethod
    def settles_s(cls, settings: Any) -> float:
        """Return how long the row's first value may weigh."""
        return SETTLED * float(settings.tau_s)

    @classmethod
    def counts_s(cls, settings: Any) -> float:
        """Return what a value counts for at most: after a longer silence it weighs no more."""
        return float(settings.tau_s)

    @classmethod
    def lesson(cls, settings: Any, said: Mapping[str, Any]) -> Any:
        """Return what is normal; without it the row learns by itself."""
        return learnt_numbers(cls.LEARNT, said)

    def learn(self, places: NDArray[np.intp], lesson: Any) -> None:
        """Set what is normal."""
        self.train(places, np.full(len(places), lesson[0]))

    def train(self, places: Places, normal: Floats) -> None:
        """Set what is normal, as if every day had been so."""
        self.means[:, places], self.normal[places] = normal, normal
        self.seen[places] = self.settings.days


def step(settings: NormalSettings, state: NormalState, places: Places, samples: Samples) -> Verdict:
    """Judge the value against the median of the days' means.

    A day counts by its calm readings only: good ones, while nothing is known to be wrong and the rule itself finds
    nothing; so a rise that is warned of never becomes normal. A day without any leaves no mean. The median does not
    move for a few odd days. Where normal is not above 0, percent mean nothing: the row says nothing and learns on.
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: NormalSettings, state: NormalState, places: Places, samples: Samples) -> Verdict:
    _turn(settings, state, places, samples.time_ms)
    dt_s = (samples.time_ms - state.last_ms[places]) / 1000
    before = state.level[places]
    level = lag(np.where(np.isnan(before), samples.value, before), samples.value, dt_s, settings.tau_s)
    state.level[places], state.last_ms[places] = level, samples.time_ms
    normal, limit = state.normal[places], state.percent[places]
    known = normal > 0
    off = size((level / np.where(known, normal, np.nan) - 1) * 100, settings.direction)
    met, back = off >= limit, off < limit * settings.leave
    calm = samples.sound(back | ~known)
    state.sum[places] += np.where(calm, samples.value, 0.0)
    state.count[places] += calm
    return Verdict(met, back)


def _turn(settings: NormalSettings, state: NormalState, places: Places, time_ms: Ints) -> None:
    """Where a new day has begun, keep the old one's mean and see anew what is normal."""
    day = time_ms // int(settings.day_s * 1000)
    turned = day != state.day[places]
    if not some(turned):
        return
    at = among(places, turned)
    _keep(settings, state, at)
    state.day[at], state.sum[at], state.count[at] = day[turned], 0.0, 0


def _keep(settings: NormalSettings, state: NormalState, places: Places) -> None:
    there: Bools = state.count[places] > 0
    if not some(there):
        return
    at = among(places, there)
    cursor = state.next[at]
    put(state.means, cursor, at, state.sum[at] / state.count[at])
    state.next[at] = after(cursor, settings.days)
    seen = np.minimum(state.seen[at].astype(np.int64) + 1, settings.days)
    state.seen[at] = seen
    ordered, column = np.sort(state.means[:, at], axis=0), np.arange(len(seen))  # days not seen yet come last
    middle = (ordered[(seen - 1) // 2, column] + ordered[seen // 2, column]) / 2
    state.normal[at] = np.where(seen >= settings.least_days, middle, np.nan)


def evidence(settings: NormalSettings, state: NormalState, places: Places) -> Evidence:
    """Return the value, what is normal, by how many percent it is off, and the limit in percent."""
    normal, level = state.normal[places], state.level[places]
    off = (level / np.where(normal > 0, normal, np.nan) - 1) * 100
    return {"level": level, "normal": normal, "percent": off, "limit": state.percent[places]}


NORMAL = StatisticalRule(NormalSettings, NormalState, step, evidence)
