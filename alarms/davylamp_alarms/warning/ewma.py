"""EWMA: an exponentially weighted mean of how unusual a value is. Finds small shifts that last."""

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from davylamp_alarms.batch import Floats
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.baseline import BASELINE, SETTLED, BaselineSettings, BaselineState, follow, lag
from davylamp_alarms.warning.rule import (
    Direction,
    Evidence,
    Places,
    Samples,
    StatisticalRule,
    Verdict,
    bounded,
    judge_usable,
    size,
)
from davylamp_alarms.warning.thin import Thinned


class EwmaSettings(BaselineSettings, Thinned):
    """A mean over about `tau_s` seconds that is `limit` deviations of the tag from usual; back below `leave` of that.

    With `tau_s` 0 it is the value itself.

    Textbook limits (3 deviations of the mean) suppose samples that know nothing of each other. Process values do, and
    are in alarm almost always with them: take the limit from calibrate.py.
    """

    tau_s: float = Field(ge=0)
    limit: float = Field(gt=0)
    direction: Direction = "both"
    leave: float = Field(0.7, gt=0, le=1)


class EwmaState(BaselineState):
    """`limit` may differ by row; `level` is the weighted mean, in deviations."""

    FIELDS: ClassVar[Fields] = {
        **BASELINE,
        "limit": (np.float64, np.inf),
        "level": (np.float64, 0.0),
        "last_ms": (np.float64, NEVER),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("limit",)
    limit: Floats
    level: Floats
    last_ms: Floats

    @classmethod
    def settles_s(cls, settings: Any) -> float:
        """Return how long the mean, which begins at what is usual, takes to be where the value is."""
        return SETTLED * float(settings.tau_s) + float(settings.every_s)

    @classmethod
    def counts_s(cls, settings: Any) -> float:
        """Return what a value counts for at most: after a longer silence it weighs no more."""
        return float(settings.tau_s) + float(settings.every_s)

    def train(self, places: Places, mean: Floats, deviation: Floats) -> None:
        """Set what is usual, and begin the weighted mean there."""
        super().train(places, mean, deviation)
        self.level[places] = 0.0


def step(settings: EwmaSettings, state: EwmaState, places: Places, samples: Samples) -> Verdict:
    """Judge the weighted mean.

    ``z = (x - mean) / deviation``, ``level += (z - level) · dt / (tau + dt)``: the implicit step of a first-order lag,
    which for regular samples is the usual EWMA with ``lambda = dt / (tau + dt)``. After a long silence one sample
    counts for half at most. Bad values are passed over; untrained rows say nothing.

    Source: S. W. Roberts, Technometrics 1 (1959) 239; NIST/SEMATECH e-Handbook 6.3.2.4.
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: EwmaSettings, state: EwmaState, places: Places, samples: Samples) -> Verdict:
    dt_ms = samples.clock_ms - state.last_ms[places]
    z = samples.value - state.mean[places]
    z /= state.deviation[places]
    level = lag(state.level[places], bounded(z), dt_ms, settings.tau_s * 1000)
    state.level[places], state.last_ms[places] = level, samples.clock_ms
    shift, limit = size(level, settings.direction), state.limit[places]
    verdict = Verdict(shift >= limit, shift < limit * settings.leave)
    follow(settings, state, places, samples, verdict.back)
    return verdict


def evidence(settings: EwmaSettings, state: EwmaState, places: Places) -> Evidence:
    """Return the shift and its limit in deviations, what is usual, and about where the value has been instead."""
    mean, deviation, level = state.mean[places], state.deviation[places], state.level[places]
    return {"shift": level, "limit": state.limit[places], "usual": mean, "now": mean + level * deviation}


EWMA = StatisticalRule(EwmaSettings, EwmaState, step, evidence)
