"""What is usual for a tag: a mean and a deviation, from training, that may follow slow drift while nothing is wrong."""

import numpy as np
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.warning.rule import Places, Settings, State


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
        self.mean[..., places] = self.home[..., places] = np.where(usable, mean, np.nan)
        self.deviation[..., places] = np.where(usable, deviation, np.nan)


BASELINE = {"mean": (np.float64, np.nan), "deviation": (np.float64, np.nan), "home": (np.float64, np.nan)}
"""Columns of every state with a baseline."""


def follow(
    settings: BaselineSettings,
    state: BaselineState,
    places: Places,
    value: Floats,
    dt_s: Floats,
    calm: Bools,
) -> None:
    """Move the mean a little towards the values of calm rows, and no further from home than it may.

    A row is calm when its value is good, the rule finds nothing in it and nothing else is known to be wrong: what is
    wrong stops the adaptation, so that it can never become usual and clear its own alarm.
    """
    if not settings.adapt_s:
        return
    mean, home = state.mean[..., places], state.home[..., places]
    room = settings.adapt_within * state.deviation[..., places]
    moved = np.clip(lag(mean, value, dt_s, settings.adapt_s), home - room, home + room)
    state.mean[..., places] = np.where(calm, moved, mean)


def lag(level: Floats, value: Floats, dt_s: Floats, tau_s: float) -> Floats:
    """Return the level moved towards the value, as a first-order lag of `tau_s` does; 0: it is the value.

    ``level + (value - level) · dt / (tau + dt)``, the implicit step: right for any spacing, and for regular samples the
    usual EWMA with ``lambda = dt / (tau + dt)``. After a long silence a value counts for half at most.
    """
    if not tau_s:
        return value
    dt_s = np.minimum(dt_s, tau_s)
    moved: Floats = level + (value - level) * (dt_s / (tau_s + dt_s))
    return moved
