"""CUSUM: adds up how unusual values were, less an allowance. Finds the smallest shifts that last."""

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from davylamp_alarms.batch import Floats
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.baseline import BASELINE, BaselineSettings, BaselineState, follow
from davylamp_alarms.warning.rule import (
    Direction,
    Evidence,
    Places,
    Samples,
    StatisticalRule,
    Verdict,
    bounded,
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
    leave: float = Field(0.5, gt=0, le=1)


LEAST_ALLOWANCE = 0.25
"""Smallest allowance that a new sum is waited for by: without any it would be for ever."""


class CusumState(BaselineState):
    """`limit` may differ by row. `above` and `below` are the two sums."""

    FIELDS: ClassVar[Fields] = {
        **BASELINE,
        "limit": (np.float64, np.inf),
        "above": (np.float64, 0.0),
        "below": (np.float64, 0.0),
        "last_ms": (np.float64, NEVER),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("limit",)
    limit: Floats
    above: Floats
    below: Floats
    last_ms: Floats

    @classmethod
    def settles_s(cls, settings: Any) -> float:
        """Return how long a sum, which begins at 0, takes to its limit by the shift that should be found."""
        steps = settings.limit / max(settings.allowance, LEAST_ALLOWANCE)
        return float(steps * cls.counts_s(settings))

    @classmethod
    def counts_s(cls, settings: Any) -> float:
        """Return what a value counts for at most: silence adds nothing."""
        return float(max(settings.period_s, settings.every_s))

    def train(self, places: Places, mean: Floats, deviation: Floats) -> None:
        """Set what is usual, and begin both sums at 0."""
        super().train(places, mean, deviation)
        self.above[places] = self.below[places] = 0.0


def step(settings: CusumSettings, state: CusumState, places: Places, samples: Samples) -> Verdict:
    """Judge the larger of the two sums, or the one that counts.

    ``z = (x - mean) / deviation``, ``above = max(0, above + w·(z - allowance))``, ``below`` alike with ``-z``, where
    ``w = min(dt / period, 1)``: silence adds nothing. Bad values are passed over; untrained rows say nothing.

    Source: E. S. Page, Biometrika 41 (1954) 100; NIST/SEMATECH e-Handbook 6.3.2.3.
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: CusumSettings, state: CusumState, places: Places, samples: Samples) -> Verdict:
    weight = samples.clock_ms - state.last_ms[places]
    weight *= 1 / (settings.period_s * 1000)
    np.minimum(weight, 1.0, out=weight)
    z = samples.value - state.mean[places]
    z /= state.deviation[places]
    z = bounded(z)
    z *= weight
    weight *= settings.allowance
    limit = state.limit[places]
    most = limit * settings.most
    above = _within(state.above[places] + (z - weight), most)
    below = _within(state.below[places] - (z + weight), most)
    state.above[places], state.below[places], state.last_ms[places] = above, below, samples.clock_ms
    larger = _larger(settings.direction, above, below)
    verdict = Verdict(larger >= limit, larger < limit * settings.leave)
    follow(settings, state, places, samples, verdict.back)
    return verdict


def _within(total: Floats, most: Floats) -> Floats:
    """Keep a sum between 0 and the most it may be."""
    np.maximum(total, 0.0, out=total)
    return np.minimum(total, most, out=total)


def _larger(direction: Direction, above: Floats, below: Floats) -> Floats:
    if direction == "both":
        return np.maximum(above, below)
    return above if direction == "rise" else below


def evidence(settings: CusumSettings, state: CusumState, places: Places) -> Evidence:
    """Return both sums, their limit, and what is usual."""
    sums = {"above": state.above[places], "below": state.below[places]}
    return {**sums, "limit": state.limit[places], "usual": state.mean[places]}


CUSUM = StatisticalRule(CusumSettings, CusumState, step, evidence)
