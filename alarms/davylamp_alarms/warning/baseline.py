"""What is usual for a tag: a mean and a deviation, from training, that may follow slow drift while nothing is wrong."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.masks import chosen_of
from davylamp_alarms.warning.rule import Places, Samples, Settings, State, among, learnt_numbers


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

    LEARNT: ClassVar[tuple[str, ...]] = ("mean", "deviation")
    mean: Floats
    deviation: Floats
    home: Floats
    followed_ms: Floats

    @classmethod
    def lesson(cls, settings: Any, said: Mapping[str, Any]) -> Any:
        """Return mean and deviation."""
        return learnt_numbers(cls.LEARNT, said)

    def learn(self, places: NDArray[np.intp], lesson: Any) -> None:
        """Set what is usual."""
        self.train(places, *(np.full(len(places), number) for number in lesson))

    def train(self, places: Places, mean: Floats, deviation: Floats) -> None:
        """Set what is usual. A deviation of 0 (the tag stood still in training) leaves the row untrained."""
        usable = deviation > 0
        self.mean[..., places] = self.home[..., places] = np.where(usable, mean, np.nan)
        self.deviation[..., places] = np.where(usable, deviation, np.nan)


USUAL: Fields = dict.fromkeys(("mean", "deviation", "home"), (np.float64, np.nan))
BASELINE: Fields = {**USUAL, "followed_ms": (np.float64, NEVER)}
"""Columns of every state with a baseline."""


SETTLED = 3.0
"""Time constants after which a lag is within 5 % of a step."""


FOLLOWS = 256
"""How often in its time constant a mean is moved: often enough for its own noise to stay small, and seldom is cheap."""


def follow(settings: BaselineSettings, state: BaselineState, places: Places, samples: Samples, back: Bools) -> None:
    """Move the means that are due a little towards the values of calm rows, no further from home than they may go.

    A row is calm when its value is good, the rule finds nothing in it and nothing else is known to be wrong: what is
    wrong stops the adaptation, so that it can never become usual and clear its own alarm. Silence is no evidence: a
    value after it counts for a fifth at most, and the first one only starts the clock.
    """
    if not settings.adapt_s:
        return
    adapt_ms = settings.adapt_s * 1000
    due = state.due("followed_ms", adapt_ms / FOLLOWS, places, samples.clock_ms, samples.latest_ms)
    if due is None:
        return
    now_ms = chosen_of(samples.clock_ms, due)
    at, calm = among(places, due), chosen_of(samples.sound(back), due)
    dt_ms = np.minimum(now_ms - state.followed_ms[at], adapt_ms / 4)
    mean, home = state.mean[..., at], state.home[..., at]
    room = settings.adapt_within * state.deviation[..., at]
    moved = np.clip(
        lag(
            mean, chosen_of(samples.value, due) if samples.value.ndim == 1 else samples.value[..., due], dt_ms, adapt_ms
        ),
        home - room,
        home + room,
    )
    state.mean[..., at] = np.where(calm & (state.followed_ms[at] != NEVER), moved, mean)
    state.followed_ms[at] = now_ms


def lag(level: Floats, value: Floats, dt: Floats, tau: float) -> Floats:
    """Return the level moved towards the value, as a first-order lag of `tau` does; 0: it is the value.

    ``level + (value - level) · dt / (tau + dt)``, the implicit step: right for any spacing, and for regular samples the
    usual EWMA with ``lambda = dt / (tau + dt)``. After a long silence a value counts for half at most.
    """
    if not tau:
        return value
    weight = np.minimum(dt, tau)
    weight /= weight + tau
    moved = value - level
    moved *= weight
    moved += level
    return moved
