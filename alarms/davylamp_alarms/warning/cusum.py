"""CUSUM: adds up how unusual values were, less an allowance. Finds the smallest shifts that last, and since when."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.baseline import BASELINE, BaselineSettings, BaselineState, follow
from davylamp_alarms.warning.rule import (
    Direction,
    Evidence,
    Places,
    Samples,
    StatisticalRule,
    Verdict,
    judge_usable,
)
from davylamp_alarms.warning.thin import Thinned


class CusumSettings(BaselineSettings, Thinned):
    """A sum over `limit`; back below `leave` of that.

    Args:
        period_s: Between two samples as a rule: a sample that comes sooner counts for less.
        allowance: What a value may be off for ever, in deviations: half the shift that should be found.
        limit: Take it from calibrate.py: textbook limits suppose samples that know nothing of each other.
        most: The sum grows no further than this many limits, so that it comes back in reasonable time.
    """

    period_s: float = Field(gt=0)
    allowance: float = Field(0.5, ge=0)
    limit: float = Field(gt=0)
    most: float = Field(2.0, gt=1)
    direction: Direction = "both"
    leave: float = Field(0.5, ge=0, le=1)


class CusumState(BaselineState):
    """`limit` may differ by row. `above` and `below` are the two sums, each with when it last began to grow from 0."""

    FIELDS: ClassVar[Fields] = {
        **BASELINE,
        "limit": (np.float64, np.inf),
        "above": (np.float64, 0.0),
        "below": (np.float64, 0.0),
        "last_ms": (np.int64, NEVER),
        "above_ms": (np.int64, NEVER),
        "below_ms": (np.int64, NEVER),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("limit",)
    limit: Floats
    above: Floats
    below: Floats
    last_ms: Ints
    above_ms: Ints
    below_ms: Ints


def step(settings: CusumSettings, state: CusumState, places: Places, samples: Samples) -> Verdict:
    """Judge the larger of the two sums, or the one that counts.

    ``z = (x - mean) / deviation``, ``above = max(0, above + w·(z - allowance))``, ``below`` alike with ``-z``, where
    ``w = min(dt / period, 1)``: silence adds nothing. Bad values are passed over; untrained rows say nothing.

    Source: E. S. Page, Biometrika 41 (1954) 100; NIST/SEMATECH e-Handbook 6.3.2.3.
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: CusumSettings, state: CusumState, places: Places, samples: Samples) -> Verdict:
    dt_s = (samples.time_ms - state.last_ms[places]) / 1000
    weight = np.minimum(dt_s / settings.period_s, 1.0)
    z = (samples.value - state.mean[places]) / state.deviation[places]
    limit, trained = state.limit[places], ~np.isnan(z)
    z = np.where(trained, z, 0.0)
    above = _sum(settings, state.above[places], z, weight, limit)
    below = _sum(settings, state.below[places], -z, weight, limit)
    _note_beginnings(state, places, samples.time_ms, above, below)
    state.above[places], state.below[places], state.last_ms[places] = above, below, samples.time_ms
    larger = _larger(settings.direction, above, below)
    verdict = Verdict(trained & (larger >= limit), trained & (larger <= limit * settings.leave))
    follow(settings, state, places, samples.value, dt_s, verdict.back & samples.sound())
    return verdict


def _sum(settings: CusumSettings, so_far: Floats, z: Floats, weight: Floats, limit: Floats) -> Floats:
    return np.clip(so_far + weight * (z - settings.allowance), 0.0, settings.most * limit)


def _note_beginnings(state: CusumState, places: Places, time_ms: Ints, above: Floats, below: Floats) -> None:
    """Note where a sum leaves zero: that is about when the shift began."""
    for began_ms, before, now in ((state.above_ms, state.above, above), (state.below_ms, state.below, below)):
        begins: Bools = (before[places] == 0) & (now > 0)
        if begins.any():
            began_ms[places] = np.where(begins, time_ms, began_ms[places])


def _larger(direction: Direction, above: Floats, below: Floats) -> Floats:
    if direction == "both":
        return np.maximum(above, below)
    return above if direction == "rise" else below


def evidence(settings: CusumSettings, state: CusumState, places: Places) -> Evidence:
    """Return both sums, the limit, what is usual, and since when the larger sum has grown."""
    above, below = state.above[places], state.below[places]
    began_ms = np.where(above >= below, state.above_ms[places], state.below_ms[places])
    return {
        "above": above,
        "below": below,
        "limit": state.limit[places],
        "usual": state.mean[places],
        "began_ms": began_ms,
    }


CUSUM = StatisticalRule(CusumSettings, CusumState, step, evidence)
