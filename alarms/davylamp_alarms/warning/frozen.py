"""Frozen: a value that does not move at all. A live instrument shows at least its own noise."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from davylamp_alarms.batch import Floats, Ints
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.rule import (
    Evidence,
    Places,
    Samples,
    Settings,
    State,
    StatisticalRule,
    Verdict,
    judge_usable,
)


class FrozenSettings(Settings):
    """All values within `band` units for `still_s`. A silence longer than `gap_s` proves nothing and starts anew."""

    still_s: float = Field(gt=0)
    band: float = Field(0.0, ge=0)
    gap_s: float = Field(600.0, gt=0)


class FrozenState(State):
    """`band` may differ by row. `low` and `high` are what was seen since `since_ms`."""

    FIELDS: ClassVar[Fields] = {
        "band": (np.float64, 0.0),
        "low": (np.float64, np.inf),
        "high": (np.float64, -np.inf),
        "since_ms": (np.int64, NEVER),
        "last_ms": (np.int64, NEVER),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("band",)
    band: Floats
    low: Floats
    high: Floats
    since_ms: Ints
    last_ms: Ints


def step(settings: FrozenSettings, state: FrozenState, places: Places, samples: Samples) -> Verdict:
    """Judge whether all values since some time lie within the band, and that time is long enough ago.

    Any value outside ends it at once. Bad values are passed over: they neither move nor stand still.

    Source: facts/domain.md 8.1, flat-line; a value held by hand is how monitoring data have been falsified.
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: FrozenSettings, state: FrozenState, places: Places, samples: Samples) -> Verdict:
    value, time_ms = samples.value, samples.time_ms
    low, high = np.minimum(state.low[places], value), np.maximum(state.high[places], value)
    anew = high - low > state.band[places]
    anew |= time_ms - state.last_ms[places] > settings.gap_s * 1000
    since_ms = state.since_ms[places]
    if anew.any():
        since_ms = np.where(anew, time_ms, since_ms)
        low, high = np.where(anew, value, low), np.where(anew, value, high)
        state.since_ms[places] = since_ms
    state.low[places], state.high[places], state.last_ms[places] = low, high, time_ms
    met = time_ms - since_ms >= settings.still_s * 1000
    return Verdict(met, ~met)


def evidence(settings: FrozenSettings, state: FrozenState, places: Places) -> Evidence:
    """Return for how long the value has stood still, and between what it moved in that time."""
    return {
        "still_s": (state.last_ms[places] - state.since_ms[places]) / 1000,
        "low": state.low[places],
        "high": state.high[places],
        "band": state.band[places],
    }


FROZEN = StatisticalRule(FrozenSettings, FrozenState, step, evidence)
