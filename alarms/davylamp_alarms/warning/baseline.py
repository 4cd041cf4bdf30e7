"""What is usual for a tag: a mean and a deviation, from training, that may follow slow drift while nothing is wrong."""

import numpy as np
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.warning.rule import Settings, State


class BaselineSettings(Settings):
    """How the mean follows slow drift.

    Args:
        adapt_s: Time constant in seconds; 0: it stays where training left it.
        adapt_within: How far from there it may go, in trained deviations: a slow failure is not to become usual.
    """

    adapt_s: float = Field(0.0, ge=0)
    adapt_within: float = Field(3.0, gt=0)


class BaselineState(State):
    """`mean` and `deviation` are given by training, `home` is the trained mean; NaN: untrained, and says nothing."""

    mean: Floats
    deviation: Floats
    home: Floats

    def train(self, places: slice, mean: Floats, deviation: Floats) -> None:
        """Set what is usual. A deviation of 0 (the tag stood still in training) leaves the row untrained."""
        usable = deviation > 0
        self.mean[places] = self.home[places] = np.where(usable, mean, np.nan)
        self.deviation[places] = np.where(usable, deviation, np.nan)


BASELINE = {"mean": (np.float64, np.nan), "deviation": (np.float64, np.nan), "home": (np.float64, np.nan)}
"""Columns of every state with a baseline."""


def follow(
    settings: BaselineSettings,
    state: BaselineState,
    places: slice | np.ndarray,
    value: Floats,
    dt_s: Floats,
    calm: Bools,
) -> None:
    """Move the mean a little towards the values of calm rows, and no further from home than it may.

    A row is calm when its value is good, the rule finds nothing in it and nothing else is known to be wrong: what is
    wrong stops the adaptation, so that it can never become usual and clear its own alarm.

    ``mean += (x - mean) · dt / (adapt_s + dt)``, the implicit step of a first-order lag: right for any spacing.
    """
    if not settings.adapt_s:
        return
    mean, room = state.mean[places], settings.adapt_within * state.deviation[places]
    home = state.home[places]
    moved = mean + (value - mean) * (dt_s / (settings.adapt_s + dt_s))
    state.mean[places] = np.where(calm, np.clip(moved, home - room, home + room), mean)
