"""Frozen: a value that does not move at all. A live instrument shows at least its own noise."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.masks import chosen_of, some
from davylamp_alarms.warning.ring import fold
from davylamp_alarms.warning.rule import (
    BACK,
    MET,
    UNKNOWN,
    Evidence,
    Places,
    Samples,
    Settings,
    State,
    StatisticalRule,
    Verdict,
    among,
    judge_usable,
)

CHECKS = 8
"""How often in `still_s` a row is checked; in between only its lowest and highest value are kept up."""


class FrozenSettings(Settings):
    """All values within `band` units for `still_s`. A silence of more than about `gap_s` proves nothing."""

    still_s: float = Field(gt=0)
    band: float = Field(0.0, ge=0)
    gap_s: float = Field(600.0, gt=0)


class FrozenState(State):
    """`band` may differ by row. `low` and `high` are what was seen since `since_ms`, until they were further apart than
    the band: then the row has `moved`, and is not looked at until its next check."""

    FIELDS: ClassVar[Fields] = {
        "band": (np.float64, 0.0),
        "low": (np.float64, np.inf),
        "high": (np.float64, -np.inf),
        "since_ms": (np.float64, NEVER),
        "checked_ms": (np.float64, NEVER),
        "moved": (np.bool_, False),
        "said": (np.uint8, UNKNOWN),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("band",)
    band: Floats
    low: Floats
    high: Floats
    since_ms: Floats
    checked_ms: Floats
    moved: Bools
    said: NDArray[np.uint8]

    @classmethod
    def counts_s(cls, settings: Any) -> float:
        """Return what a value counts for at most: the time between two checks."""
        return float(settings.still_s) / CHECKS

    @classmethod
    def doubts_s(cls, settings: Any) -> float:
        """Return how long it takes until good values alone would be called frozen."""
        return float(settings.still_s) * (1 + 2 / CHECKS)


def step(settings: FrozenSettings, state: FrozenState, places: Places, samples: Samples) -> Verdict:
    """Judge, eight times in `still_s`, whether the values since some check lie within the band, for long enough.

    A check that finds movement says that the value lives and begins anew; one after a silence begins anew and says
    nothing: a value that was frozen before may be so still. Bad values are passed over: they neither move nor stand.

    Source: own proposal; a value held by hand is how monitoring data have been falsified.
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: FrozenSettings, state: FrozenState, places: Places, samples: Samples) -> Verdict:
    still = ~state.moved[places]
    if some(still):
        _stretch(state, among(places, still), chosen_of(samples.value, still))
    due = state.due("checked_ms", settings.still_s * 1000 / CHECKS, places, samples.clock_ms, samples.latest_ms)
    if due is not None:
        _check(settings, state, among(places, due), chosen_of(samples.clock_ms, due), chosen_of(samples.value, due))
    said = state.said[places]
    return Verdict(said == MET, said == BACK)


def _stretch(state: FrozenState, places: Places, value: Floats) -> None:
    """Take values into lowest and highest, and see which rows that shows to move."""
    fold(np.minimum, state.low, places, value)
    fold(np.maximum, state.high, places, value)
    state.moved[places] = state.high[places] - state.low[places] > state.band[places]


def _check(settings: FrozenSettings, state: FrozenState, places: Places, now_ms: Floats, value: Floats) -> None:
    still_ms = settings.still_s * 1000
    silent: Bools = now_ms - state.checked_ms[places] > still_ms / CHECKS + settings.gap_s * 1000
    moved = state.moved[places]
    anew = moved | silent
    since_ms = np.where(anew, now_ms, state.since_ms[places])
    state.low[places] = np.where(anew, value, state.low[places])
    state.high[places] = np.where(anew, value, state.high[places])
    said = np.where(silent, UNKNOWN, np.where(moved, BACK, state.said[places]))
    state.said[places] = np.where(now_ms - since_ms >= still_ms, MET, said)
    state.since_ms[places], state.checked_ms[places], state.moved[places] = since_ms, now_ms, False


def evidence(settings: FrozenSettings, state: FrozenState, places: Places) -> Evidence:
    """Return for how long the value had stood still at the last check, and between what it moved in that time."""
    return {
        "still_s": (state.checked_ms[places] - state.since_ms[places]) / 1000,
        "low": state.low[places],
        "high": state.high[places],
        "band": state.band[places],
    }


FROZEN = StatisticalRule(FrozenSettings, FrozenState, step, evidence)
