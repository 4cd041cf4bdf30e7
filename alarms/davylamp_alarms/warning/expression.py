"""Expressions: a condition over several tags of a hazard source, in the words of language.py."""

from typing import Any, ClassVar, Self

import numpy as np
from davylamp_wire.quality import Level
from pydantic import Field, model_validator

from davylamp_alarms.batch import Floats
from davylamp_alarms.columns import Fields
from davylamp_alarms.warning.language import compiled
from davylamp_alarms.warning.rule import Evidence, Places, Samples, Settings, State, StatisticalRule, Verdict


class ExpressionSettings(Settings):
    """A condition such as ``LT1 - LT2 > 0.3 and pump == 1``.

    Args:
        text: The condition.
        back: Another condition that shows it gone, as a deadband does; empty: that the first does not hold.
        inputs: The name of each input in it, in the order in which their values come.
    """

    text: str
    back: str = ""
    inputs: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _understood(self) -> Self:
        for text in filter(None, (self.text, self.back)):
            compiled(text, self.inputs)
        return self


class ExpressionState(State):
    """`values` are what was last worked with, shape (inputs, rows); NaN: unknown."""

    FIELDS: ClassVar[Fields] = {"values": (np.float64, np.nan), "truth": (np.float64, np.nan)}
    values: Floats
    truth: Floats

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.condition = compiled(settings.text, settings.inputs)
        self.gone = compiled(settings.back or f"not ({settings.text})", settings.inputs)

    def leading(self, name: str) -> tuple[int, ...]:
        return (len(self.settings.inputs),) if name == "values" else ()


def step(settings: ExpressionSettings, state: ExpressionState, places: Places, samples: Samples) -> Verdict:
    """Judge whether the condition holds. A bad value is unknown: where the others decide, they do; where they cannot,
    the row says nothing. Back needs every tag that either condition names to be good."""
    values = np.where((samples.level < Level.BAD) & np.isfinite(samples.value), samples.value, np.nan)
    truth = state.condition.truth(values)
    state.values[:, places], state.truth[places] = values, truth
    named = sorted({*state.condition.used, *state.gone.used})
    good = (samples.level[named] == Level.GOOD).all(axis=0)
    return Verdict(truth == 1, (truth == 0) & good & (state.gone.truth(values) == 1))


def evidence(settings: ExpressionSettings, state: ExpressionState, places: Places) -> Evidence:
    """Return whether the condition holds (NaN: unknown), and the value of each input, shape (inputs, rows)."""
    return {"truth": state.truth[places], "values": state.values[:, places]}


EXPRESSION = StatisticalRule(ExpressionSettings, ExpressionState, step, evidence)
