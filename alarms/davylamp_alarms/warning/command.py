"""Commanded against actual: a pump told to run that does not, a valve told to close that stays open."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats, Ints
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


class CommandSettings(Settings):
    """Command and actual state more than `tolerance` apart for `allow_s` after the last command (its travel time)."""

    allow_s: float = Field(ge=0)
    tolerance: float = Field(0.5, ge=0)


class CommandState(State):
    """`allow_ms` may differ by row. `since_ms`: the two are apart since, or the command last changed."""

    FIELDS: ClassVar[Fields] = {
        "allow_ms": (np.int64, 0),
        "command": (np.float64, np.nan),
        "actual": (np.float64, np.nan),
        "apart": (np.bool_, False),
        "since_ms": (np.int64, NEVER),
        "last_ms": (np.int64, NEVER),
    }
    allow_ms: Ints
    command: Floats
    actual: Floats
    apart: Bools
    since_ms: Ints
    last_ms: Ints

    def extend(self, count: int) -> slice:
        """Add rows with the travel time of the settings."""
        where = super().extend(count)
        self.allow_ms[where] = int(self.settings.allow_s * 1000)
        return where


def step(settings: CommandSettings, state: CommandState, places: Places, samples: Samples) -> Verdict:
    """Judge whether the actual state, the second input, has not followed the command, the first, in time.

    A new command gets its own time. While either is bad the row says nothing, but time goes on: what was apart before
    is as late as it is when both can be seen again.

    Source: own proposal.
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: CommandSettings, state: CommandState, places: Places, samples: Samples) -> Verdict:
    command, actual = samples.value
    apart = np.abs(actual - command) > settings.tolerance
    changed = ~(np.abs(command - state.command[places]) <= settings.tolerance)  # never seen counts as changed
    begins = apart & (changed | ~state.apart[places])
    since_ms = np.where(begins, samples.time_ms, state.since_ms[places])
    state.command[places], state.actual[places], state.apart[places] = command, actual, apart
    state.since_ms[places], state.last_ms[places] = since_ms, samples.time_ms
    return Verdict(apart & (samples.time_ms - since_ms >= state.allow_ms[places]), ~apart)


def evidence(settings: CommandSettings, state: CommandState, places: Places) -> Evidence:
    """Return command and actual state, and for how long they have been apart; 0: they agree."""
    apart_s = np.where(state.apart[places], (state.last_ms[places] - state.since_ms[places]) / 1000, 0.0)
    return {"command": state.command[places], "actual": state.actual[places], "apart_s": apart_s}


COMMAND = StatisticalRule(CommandSettings, CommandState, step, evidence)
