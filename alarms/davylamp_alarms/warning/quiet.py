"""Low variance: a value whose noise has gone, window by window. It moves, but less than a live instrument does."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Floats
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.masks import some
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


class QuietSettings(Settings):
    """A standard deviation under `least` units in a window of `window_s`; back at ``least * leave``.

    A window of fewer than `samples` samples says nothing.
    """

    window_s: float = Field(gt=0)
    least: float = Field(gt=0)
    leave: float = Field(1.5, ge=1)
    samples: int = Field(10, ge=2)


class QuietState(State):
    """`least` may differ by row. The rest is the window under way, and what the last one said."""

    FIELDS: ClassVar[Fields] = {
        "least": (np.float64, 0.0),
        "from_ms": (np.float64, NEVER),
        "count": (np.float64, 0.0),
        "mean": (np.float64, 0.0),
        "squares": (np.float64, 0.0),
        "deviation": (np.float64, np.nan),
        "said": (np.uint8, UNKNOWN),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("least",)
    least: Floats
    from_ms: Floats
    count: Floats
    mean: Floats
    squares: Floats
    deviation: Floats
    said: NDArray[np.uint8]

    @classmethod
    def counts_s(cls, settings: Any) -> float:
        """Return what a value counts for at most: a window, for silence has no noise."""
        return float(settings.window_s)

    @classmethod
    def doubts_s(cls, settings: Any) -> float:
        """Return how long it takes until a window that began behind the last uncertain value is over."""
        return 2 * float(settings.window_s)


def step(settings: QuietSettings, state: QuietState, places: Places, samples: Samples) -> Verdict:
    """Judge by the last complete window. Windows follow each other; each begins with the sample that ended the last.

    Bad values are not counted; a window with too few others says nothing, and what was said before it no longer holds.

    Source: B. P. Welford, Technometrics 4 (1962) 419, for the running sum of squares.
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: QuietSettings, state: QuietState, places: Places, samples: Samples) -> Verdict:
    over = samples.clock_ms - state.from_ms[places] >= settings.window_s * 1000
    if some(over):
        _close(settings, state, places, samples, over)
    count = state.count[places] + 1.0
    apart = samples.value - state.mean[places]
    mean = state.mean[places] + apart / count
    state.squares[places] += apart * (samples.value - mean)
    state.count[places], state.mean[places] = count, mean
    said = state.said[places]
    return Verdict(said == MET, said == BACK)


def _close(
    settings: QuietSettings, state: QuietState, places: Places, samples: Samples, over: NDArray[np.bool_]
) -> None:
    """Say what the windows that are over show, and begin the next."""
    places = among(places, over)
    count = state.count[places]
    deviation = np.sqrt(state.squares[places] / np.maximum(count - 1, 1.0))
    enough, least = count >= settings.samples, state.least[places]
    said = np.where(deviation < least, MET, np.where(deviation >= least * settings.leave, BACK, state.said[places]))
    state.said[places] = np.where(enough, said, UNKNOWN)
    state.deviation[places] = np.where(enough, deviation, np.nan)
    state.from_ms[places], state.count[places] = samples.clock_ms[over], 0
    state.mean[places], state.squares[places] = 0.0, 0.0


def evidence(settings: QuietSettings, state: QuietState, places: Places) -> Evidence:
    """Return the standard deviation of the last complete window, and what it should have been at least."""
    return {"deviation": state.deviation[places], "least": state.least[places]}


QUIET = StatisticalRule(QuietSettings, QuietState, step, evidence)
