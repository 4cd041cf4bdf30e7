"""Rate of change over a window: the value against what it was at least a window ago."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Floats
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.ring import after, get, put
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
    size,
)
from davylamp_alarms.warning.thin import Thinned

PARTS = 8
"""Into how many parts a window is cut. The past kept is one sample a part at most, so the span that a rate is taken
over is the window and at most a part (or the time between two samples) more."""


class RateSettings(Thinned):
    """Change of `limit` units per `per_s` seconds, over `window_s`; back below `leave` of the limit."""

    window_s: float = Field(gt=0)
    limit: float = Field(gt=0)
    per_s: float = Field(60.0, gt=0)
    direction: Direction = "both"
    leave: float = Field(0.8, gt=0, le=1)


class RateState(State):
    """`limit` may differ by row. The rest is the past: the sample compared with, and a ring to take the next from."""

    FIELDS: ClassVar[Fields] = {
        "limit": (np.float64, np.inf),
        "past": (np.float64, np.nan),
        "past_ms": (np.float64, NEVER),
        "kept_ms": (np.float64, NEVER),
        "rate": (np.float64, np.nan),
        "next": (np.uint8, 0),
        "values": (np.float64, np.nan),
        "times_ms": (np.float64, NEVER),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("limit",)
    limit: Floats
    past: Floats
    past_ms: Floats
    kept_ms: Floats
    rate: Floats
    next: NDArray[np.uint8]
    values: Floats
    times_ms: Floats

    def leading(self, name: str) -> tuple[int, ...]:
        return (PARTS + 1,) if name in ("values", "times_ms") else ()


def step(settings: RateSettings, state: RateState, places: Places, samples: Samples) -> Verdict:
    """Judge the change since the newest sample kept that is at least a window old.

    ``rate = (x(t) - x(t - w)) / w``. Until there is a sample so old the row says nothing. Bad values are passed over;
    after a silence the rate is the mean one over the silence.

    Source: own proposal; EN 54-5 tests heat detectors by their rate of rise (unverified).
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: RateSettings, state: RateState, places: Places, samples: Samples) -> Verdict:
    _keep(settings, state, places, samples)
    rate = samples.value - state.past[places]
    rate *= 1000.0 * settings.per_s
    rate /= samples.clock_ms - state.past_ms[places]
    state.rate[places] = rate
    change, limit = size(rate, settings.direction), state.limit[places]
    return Verdict(change >= limit, change < limit * settings.leave)


def _keep(settings: RateSettings, state: RateState, places: Places, samples: Samples) -> None:
    """Keep the sample where the last one kept is a part of a window old, and see anew which to compare with."""
    due = samples.clock_ms - state.kept_ms[places] >= settings.window_s * 1000 / PARTS
    if not due.any():
        return
    places = among(places, due)
    time_ms = samples.clock_ms[due]
    cursor = state.next[places]
    put(state.values, cursor, places, samples.value[due])
    put(state.times_ms, cursor, places, time_ms)
    state.next[places], state.kept_ms[places] = after(cursor, PARTS + 1), time_ms
    _compare_with(settings, state, places, time_ms)


def _compare_with(settings: RateSettings, state: RateState, places: Places, time_ms: Floats) -> None:
    """Choose the newest sample kept that is a window old.

    The ring is in the order of time from `next` on, places not written yet first: as many as are old enough lead to it.
    """
    old_enough = state.times_ms[:, places] <= time_ms - settings.window_s * 1000
    count = np.add.reduce(old_enough, axis=0, dtype=np.uint8)
    slot = (state.next[places] + count + np.uint8(PARTS)) % np.uint8(PARTS + 1)
    there = count > 0
    state.past_ms[places] = np.where(there, get(state.times_ms, slot, places), NEVER)
    state.past[places] = np.where(there, get(state.values, slot, places), np.nan)


def evidence(settings: RateSettings, state: RateState, places: Places) -> Evidence:
    """Return the rate, in units per ``per_s``, its limit, and the value and time it was taken from."""
    return {
        "rate": state.rate[places],
        "limit": state.limit[places],
        "from": state.past[places],
        "from_ms": state.past_ms[places],
    }


RATE = StatisticalRule(RateSettings, RateState, step, evidence)
