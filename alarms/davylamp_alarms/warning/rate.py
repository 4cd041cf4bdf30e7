"""Rate of change over a window: the value against what it was at least a window ago."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.masks import chosen_of, every, some
from davylamp_alarms.warning.ring import after, before, get, put
from davylamp_alarms.warning.rule import (
    Direction,
    Evidence,
    Places,
    Samples,
    State,
    StatisticalRule,
    Verdict,
    among,
    indices,
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
    """`limit` may differ by row. The rest is the past: the sample compared with, a ring to take the next from, and the
    last `rate` that was looked at closely, at `rate_ms`."""

    FIELDS: ClassVar[Fields] = {
        "limit": (np.float64, np.inf),
        "past": (np.float64, np.nan),
        "past_ms": (np.float64, NEVER),
        "kept_ms": (np.float64, NEVER),
        "rate": (np.float64, np.nan),
        "rate_ms": (np.float64, NEVER),
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
    rate_ms: Floats
    next: NDArray[np.uint8]
    values: Floats
    times_ms: Floats

    def leading(self, name: str) -> tuple[int, ...]:
        return (PARTS + 1,) if name in ("values", "times_ms") else ()

    @classmethod
    def counts_s(cls, settings: Any) -> float:
        """Return what a value counts for at most: behind a window of silence it is compared with what was before."""
        return float(settings.window_s) + float(settings.every_s)

    @classmethod
    def doubts_s(cls, settings: Any) -> float:
        """Return how long it takes until a value is compared with a good one."""
        return float(settings.window_s) * (1 + 1 / PARTS) + 2 * float(settings.every_s)


def step(settings: RateSettings, state: RateState, places: Places, samples: Samples) -> Verdict:
    """Judge the change since the newest sample kept that is at least a window old.

    ``rate = (x(t) - x(t - w)) / w``. Until there is a sample so old the row says nothing. Bad values are passed over;
    after a silence the rate is the mean one over the silence.

    Source: own proposal; EN 54-5 tests heat detectors by their rate of rise (unverified).
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


CALM = 1 - 1e-9
"""Rounding must call no row calm that is not."""


def _judge(settings: RateSettings, state: RateState, places: Places, samples: Samples) -> Verdict:
    """Judge the changes. One that would be too small within the window alone needs no closer look."""
    _keep(settings, state, places, samples)
    change = samples.value - state.past[places]
    if settings.direction != "rise":
        (np.abs if settings.direction == "both" else np.negative)(change, out=change)
    calm: Bools = change < state.given("limit", places) * (settings.window_s * settings.leave * CALM / settings.per_s)
    if every(calm):
        return Verdict(np.zeros(len(calm), np.bool_), calm)
    return _judge_closely(settings, state, places, samples, calm)


def _judge_closely(settings: RateSettings, state: RateState, places: Places, samples: Samples, calm: Bools) -> Verdict:
    """Judge the rates of rows that may be too fast, or have no past to compare with."""
    where = np.flatnonzero(~calm)
    at, now_ms = indices(places)[where], samples.clock_ms[where]
    span_ms = now_ms - state.past_ms[at]
    rate = (samples.value[where] - state.past[at]) * (1000.0 * settings.per_s) / span_ms
    state.rate[at], state.rate_ms[at] = rate, now_ms
    change, limit, met = size(rate, settings.direction), state.limit[at], np.zeros(len(calm), np.bool_)
    met[where], calm[where] = change >= limit, change < limit * settings.leave
    return Verdict(met, calm)


def _keep(settings: RateSettings, state: RateState, places: Places, samples: Samples) -> None:
    """Keep the sample where the last one kept is a part of a window old, and see anew which to compare with."""
    due = state.due("kept_ms", settings.window_s * 1000 / PARTS, places, samples.clock_ms, samples.latest_ms)
    if due is None:
        return
    places = among(places, due)
    time_ms = chosen_of(samples.clock_ms, due)
    cursor = state.next[places]
    put(state.values, cursor, places, chosen_of(samples.value, due))
    put(state.times_ms, cursor, places, time_ms)
    state.next[places], state.kept_ms[places] = after(cursor, PARTS + 1), time_ms
    _compare_with(settings, state, places, time_ms)


def _compare_with(settings: RateSettings, state: RateState, places: Places, time_ms: Floats) -> None:
    """Choose the newest sample kept that is a window old.

    The ring is in the order of time from `next` on, places not written yet first, and what was put last is never old
    enough: from the oldest one on, step to the next while that is old enough, too. As a rule the oldest it is.
    """
    bound_ms, slot = time_ms - settings.window_s * 1000, state.next[places]
    for _ in range(PARTS):
        later = after(slot, PARTS + 1)
        old = get(state.times_ms, later, places) <= bound_ms
        if not some(old):
            break
        slot = np.where(old, later, slot)
    past_ms, past = get(state.times_ms, slot, places), get(state.values, slot, places)
    there = past_ms <= bound_ms
    if not every(there):
        past_ms, past = np.where(there, past_ms, NEVER), np.where(there, past, np.nan)
    state.past_ms[places], state.past[places] = past_ms, past


def evidence(settings: RateSettings, state: RateState, places: Places) -> Evidence:
    """Return the rate, in units per ``per_s``, its limit, and the value and time it was taken from.

    The rate of a row that was too calm for a closer look is that of the last sample kept.
    """
    last = before(state.next[places], PARTS + 1)
    past, past_ms, kept_ms = state.past[places], state.past_ms[places], state.kept_ms[places]
    kept = (get(state.values, last, places) - past) * (1000.0 * settings.per_s) / (kept_ms - past_ms)
    rate = np.where(state.rate_ms[places] >= kept_ms, state.rate[places], kept)
    return {"rate": rate, "limit": state.limit[places], "from": past, "from_ms": past_ms}


RATE = StatisticalRule(RateSettings, RateState, step, evidence)
