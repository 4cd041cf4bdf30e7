"""Deviation: redundant instruments that disagree, or a value that is not where its set point says."""

from typing import ClassVar, Literal

import numpy as np
from davylamp_wire.quality import Level
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.columns import Fields
from davylamp_alarms.warning.rule import (
    Direction,
    Evidence,
    Places,
    Samples,
    Settings,
    State,
    StatisticalRule,
    Verdict,
    size,
)


class DeviationSettings(Settings):
    """`limit` units apart; back below `leave` of the limit.

    Args:
        inputs: How many tags a row compares.
        against: ``peers``: each with the median of all; ``first``: each with the first, which is the set point.
        direction: Of a value against what it is compared with.
    """

    limit: float = Field(gt=0)
    inputs: int = Field(2, ge=2)
    against: Literal["peers", "first"] = "peers"
    direction: Direction = "both"
    leave: float = Field(0.8, gt=0, le=1)


class DeviationState(State):
    """`limit` may differ by row. `apart` is how far each input was from what it is compared with."""

    FIELDS: ClassVar[Fields] = {
        "limit": (np.float64, np.inf),
        "apart": (np.float64, np.nan),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("limit",)
    limit: Floats
    apart: Floats

    def leading(self, name: str) -> tuple[int, ...]:
        return (self.settings.inputs,) if name == "apart" else ()


def step(settings: DeviationSettings, state: DeviationState, places: Places, samples: Samples) -> Verdict:
    """Judge the input that is furthest from the others, or from the set point.

    Where two peers are left they are compared with each other: their median lies half-way, so the distance from it
    counts twice. Bad inputs take no part: the others are still compared, two of them at least (or one with the set
    point); but only with every input good does a deviation count as gone.

    Source: own proposal.
    """
    usable = (samples.level < Level.BAD) & np.isfinite(samples.value)
    value = np.where(usable, samples.value, np.nan)
    apart = _apart(settings, value, usable)
    state.apart[:, places] = apart
    furthest = np.fmax.reduce(size(apart, settings.direction), axis=0)
    limit, good = state.limit[places], ((samples.level == Level.GOOD) & usable).all(axis=0)
    return Verdict(furthest >= limit, good & (furthest < limit * settings.leave))


def _apart(settings: DeviationSettings, value: Floats, usable: Bools) -> Floats:
    if settings.against == "first":
        apart: Floats = value - value[0]
        apart[0] = np.nan
        return apart
    if len(value) == 2:
        return np.stack([value[0] - value[1], value[1] - value[0]])
    count, column = usable.sum(axis=0), np.arange(value.shape[1])
    ordered = np.sort(value, axis=0)  # those that take no part come last
    median = (ordered[np.maximum(count - 1, 0) // 2, column] + ordered[count // 2, column]) / 2
    distance: Floats = (value - median) * np.where(count == 2, 2.0, 1.0)
    return distance


def evidence(settings: DeviationSettings, state: DeviationState, places: Places) -> Evidence:
    """Return how far apart each input is, shape (inputs, rows), and the limit; NaN: takes no part."""
    return {"apart": state.apart[:, places], "limit": state.limit[places]}


DEVIATION = StatisticalRule(DeviationSettings, DeviationState, step, evidence)
