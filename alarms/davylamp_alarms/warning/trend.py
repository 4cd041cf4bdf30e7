"""Trend with time to limit: says "reaches HH in 12 min (8 to 21)", from the newest samples of a tag.

Two looks. The quick one is a least-squares line through medians of three, kept up as they come: cheap, but odd samples
can bend it, so it only picks out rows worth the second. The close one takes the median of many slopes, and stays where
it is whatever a few odd samples say.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.masks import chosen_of, every, some
from davylamp_alarms.warning.ring import after, before, fold, get, put, same
from davylamp_alarms.warning.rule import (
    BACK,
    MET,
    UNKNOWN,
    Evidence,
    Places,
    Samples,
    State,
    StatisticalRule,
    Verdict,
    added,
    among,
    indices,
    judge_usable,
)
from davylamp_alarms.warning.thin import Thinned

Singles = NDArray[np.float32]
Cursor = NDArray[np.uint8]

TURNS = 4
"""After so many times round, anchor and origin are set anew and the sums are made from the window again."""

FURTHER = 2.0
"""The quick look picks out lines that reach a limit within this many horizons …"""

LOOSE_SHARE = 0.4
"""… and explain this share of the variance: noise alone does in three of a thousand windows of 60."""

FARTHEST = np.float32(1e18)
"""A sample counts as no further than this from the anchor: its square must stay a number."""

DROWNED = 1e-9
"""Where a group that leaves was so much larger than what stays, its rounding drowns the sums: they are made anew."""

ONE_S = 1.0
"""Rules are fed once a second at most: a sample stands for so long where it is not thinned."""

GROUP, MANY = 3, 30
"""From so many samples on, the quick look takes them three by three."""


class TrendSettings(Thinned):
    """A limit that the trend of the last `samples` samples reaches within `horizon_s`.

    Args:
        high: Limit above, in the tag's unit; may differ by row.
        low: Limit below.
        samples: In the window. With `every_s` each is the mean of the readings in such a stretch, so that 60 samples
            can be a minute or an hour.
        horizon_s: How far ahead a limit is worth a warning.
        leave: Back when the limit is this many horizons away, or nothing moves towards it any more.
        share: Of the variance in the window that the trend must explain.
        fit: ``median``: a median of slopes, which odd samples do not move; ``squares``: least squares, for coarse
            values that stand still in between, whose slopes are mostly 0.
        confidence: Of the interval given, and with which the trend must go towards the limit at all; 0: any slope does.
        gap_s: A silence after which the window begins anew.
    """

    high: float = np.inf
    low: float = -np.inf
    samples: int = Field(60, ge=6, le=240)
    horizon_s: float = Field(gt=0)
    leave: float = Field(1.5, ge=1)
    share: float = Field(0.8, ge=0, lt=1)
    fit: Literal["median", "squares"] = "median"
    confidence: float = Field(0.99, ge=0, lt=1)
    gap_s: float = Field(3600.0, gt=0)

    @property
    def group(self) -> int:
        """Samples that the quick look takes together, and from look to look."""
        return GROUP if self.samples >= MANY else 1

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.samples % (2 * self.group):
            wanted = "an even number" if self.group == 1 else f"a multiple of {2 * self.group}"
            raise ValueError(f"samples is {self.samples}: the window is cut into halves and groups, so give {wanted}")
        return self


class TrendState(State):
    """The window of each row, and sums over the medians of its groups.

    `anew` is set where rows look at another limit since they were last told of. `old_y` and `old_t` are those of the
    group that the newest samples take the place of, until it leaves the sums. Samples are kept as differences from
    `anchor` and `origin_ms`, in single precision: half the memory, and what is lost is a ten-millionth of how far the
    value moves in a few windows. Every fourth time round, anchor and origin are set anew and the sums are made from
    the window again, so that roundings do not add up.
    """

    FIELDS: ClassVar[Fields] = {
        "high": (np.float64, np.inf),
        "low": (np.float64, -np.inf),
        "anchor": (np.float64, 0.0),
        "origin_ms": (np.float64, 0.0),
        "last_ms": (np.float64, NEVER),
        "sum_y": (np.float64, 0.0),
        "sum_t": (np.float64, 0.0),
        "sum_tt": (np.float64, 0.0),
        "sum_ty": (np.float64, 0.0),
        "sum_yy": (np.float64, 0.0),
        "next": (np.uint8, 0),
        "turn": (np.uint8, 0),
        "full": (np.bool_, False),
        "said": (np.uint8, UNKNOWN),
        "anew": (np.bool_, False),
        "y": (np.float32, 0.0),
        "t": (np.float32, 0.0),
        "old_y": (np.float32, 0.0),
        "old_t": (np.float32, 0.0),
    }
    GIVEN: ClassVar[tuple[str, ...]] = ("high", "low")
    high: Floats
    low: Floats
    anchor: Floats
    origin_ms: Floats
    last_ms: Floats
    sum_y: Floats
    sum_t: Floats
    sum_tt: Floats
    sum_ty: Floats
    sum_yy: Floats
    next: NDArray[np.uint8]
    turn: NDArray[np.uint8]
    full: Bools
    said: NDArray[np.uint8]
    anew: Bools
    y: Singles
    t: Singles
    old_y: Singles
    old_t: Singles

    def leading(self, name: str) -> tuple[int, ...]:
        return (self.settings.samples,) if name in ("y", "t") else ()

    @classmethod
    def counts_s(cls, settings: Any) -> float:
        """Return what a sample counts for at most: one of the window, whose length in time nobody knows."""
        return float(settings.every_s) or ONE_S

    @classmethod
    def doubts_s(cls, settings: Any) -> float:
        """Return how long it takes until the window holds good samples alone, and was looked at since."""
        return float(settings.samples + settings.group) * cls.counts_s(settings)

    def aim(self, places: NDArray[np.intp], high: Floats, low: Floats) -> None:
        """Hold rows against these limits from now on; where they are others, the window is judged by them at once."""
        other = (high != self.high[places]) | (low != self.low[places])
        if not some(other):
            return
        self.write("high", places, high)
        self.write("low", places, low)
        at = places[other]
        self.anew[at] = True
        full = at[self.full[at]]
        if full.size:
            with np.errstate(all="ignore"):
                self.said[full] = _look(self.settings, self, full)


def step(settings: TrendSettings, state: TrendState, places: Places, samples: Samples) -> Verdict:
    """Judge the trend, in long windows with every third sample; in between the last judgement holds.

    A row says nothing until its window is full. Bad values are passed over, a long silence begins the window anew.

    Source: own proposal; the fits are cited where they are made.
    """
    return judge_usable(places, samples, lambda at, part: _judge(settings, state, at, part))


def _judge(settings: TrendSettings, state: TrendState, places: Places, samples: Samples) -> Verdict:
    if state.due("last_ms", settings.gap_s * 1000, places, samples.clock_ms, samples.latest_ms) is not None:
        silent = samples.clock_ms - state.last_ms[places] > settings.gap_s * 1000
        _begin(state, indices(places)[silent], samples.clock_ms[silent], samples.value[silent])
    state.last_ms[places] = samples.clock_ms
    _take(settings, state, places, samples)
    cursor = state.next[places]
    shared = same(cursor)
    if shared is None or shared % settings.group == 0:
        whole = cursor % settings.group == 0
        if some(whole):
            _look_at(settings, state, among(places, whole), chosen_of(samples.value, whole))
    said = state.said[places]
    return Verdict(said == MET, said == BACK)


def _look_at(settings: TrendSettings, state: TrendState, places: Places, value: Floats) -> None:
    """Take in the group that is complete, and judge the windows that are full."""
    _take_group(settings, state, places)
    _turn(settings, state, places, value)
    full = state.full[places]
    if some(full):
        at = among(places, full)
        state.said[at] = _look(settings, state, at)


def _begin(state: TrendState, places: NDArray[np.intp], time_ms: Floats, value: Floats) -> None:
    """Empty the windows of some rows."""
    state.anchor[places], state.origin_ms[places] = value, time_ms
    for name in (*SUMS, "next", "turn", "full", "said"):
        getattr(state, name)[places] = 0
    for ring in (state.y, state.t):
        ring[:, places] = 0.0


SUMS = ("sum_y", "sum_t", "sum_tt", "sum_ty", "sum_yy")


def _take(settings: TrendSettings, state: TrendState, places: Places, samples: Samples) -> None:
    """Put the samples in the place of the oldest ones."""
    cursor = state.next[places]
    first = cursor % settings.group == 0
    if some(first):
        _keep_old(settings, state, among(places, first), chosen_of(cursor, first))
    y = (samples.value - state.anchor[places]).astype(np.float32)
    np.maximum(y, -FARTHEST, out=y)
    put(state.y, cursor, places, np.minimum(y, FARTHEST, out=y))
    put(state.t, cursor, places, ((samples.clock_ms - state.origin_ms[places]) * 0.001).astype(np.float32))
    state.next[places] = after(cursor, settings.samples)


def _keep_old(settings: TrendSettings, state: TrendState, places: Places, first: Cursor) -> None:
    """Keep what the oldest group adds to the sums, before its first sample goes."""
    state.old_y[places], state.old_t[places] = _group(settings, state, places, first)


def _group(settings: TrendSettings, state: TrendState, places: Places, first: Cursor) -> tuple[Singles, Singles]:
    """Return the median of a group and its middle sample's time; `first` is where the group begins."""
    if settings.group == 1:
        return get(state.y, first, places), get(state.t, first, places)
    y = median3(*(get(state.y, first + np.uint8(at), places) for at in range(GROUP)))
    return y, get(state.t, first + np.uint8(1), places)


def _take_group(settings: TrendSettings, state: TrendState, places: Places) -> None:
    """Put the newest group in the place of the oldest in the sums."""
    last = before(state.next[places], settings.samples)
    y, t = _group(settings, state, places, last - np.uint8(settings.group - 1))
    old_y, old_t = state.old_y[places], state.old_t[places]
    _add(state, places, *(column.astype(np.float64) for column in (y, t, old_y, old_t)))
    large = old_y.astype(np.float64) ** 2 * DROWNED
    drowned = state.sum_yy[places] < large
    if some(drowned):
        _sum_up(settings, state, indices(places)[drowned])


def median3(a: Singles, b: Singles, c: Singles) -> Singles:
    """Return the middle one of three, place by place."""
    middle: Singles = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return middle


def _add(state: TrendState, places: Places, new_y: Floats, new_t: Floats, old_y: Floats, old_t: Floats) -> None:
    """Move the sums from the old groups to the new; ``a² - b²`` is made as ``(a - b)(a + b)``."""
    more_y, more_t = new_y - old_y, new_t - old_t
    fold(np.add, state.sum_y, places, more_y)
    fold(np.add, state.sum_t, places, more_t)
    more_y *= new_y + old_y
    more_t *= new_t + old_t
    fold(np.add, state.sum_yy, places, more_y)
    fold(np.add, state.sum_tt, places, more_t)
    new_y *= new_t
    old_y *= old_t
    new_y -= old_y
    fold(np.add, state.sum_ty, places, new_y)


LOST = 2.0**20
"""So many times its value is a sample away from the anchor where single precision has lost how the value moves."""


def _turn(settings: TrendSettings, state: TrendState, places: Places, value: Floats) -> None:
    """Count the windows that are round once more: they are full, and every fourth time they are set anew.

    One whose anchor was an absurd number (a device's largest, as it starts) shows nothing, and begins anew.
    """
    round_ = state.next[places] == 0
    if not some(round_):
        return
    places, value = among(places, round_), chosen_of(value, round_)
    away = np.minimum(np.abs(state.y[-1, places]), np.abs(state.y[-2, places]))
    lost = away > np.abs(value) * LOST
    if some(lost):
        at = indices(places)[lost]
        _begin(state, at, state.last_ms[at], value[lost])
        places = indices(places)[~lost]
    turn = after(state.turn[places], TURNS)
    state.full[places], state.turn[places] = True, turn
    if not every(turn > 0):
        _renew(settings, state, among(places, turn == 0))


def _renew(settings: TrendSettings, state: TrendState, places: Places) -> None:
    """Set anchor and origin to the newest samples, the last in the window, and make the sums anew, in order.

    The anchor is the middle one of three: the newest alone may be absurd.
    """
    shift_y, shift_t = median3(*(state.y[-at, places] for at in (1, 2, 3))), state.t[-1, places].copy()
    state.anchor[places] += shift_y
    state.origin_ms[places] += shift_t * 1000.0
    for ring, shift in ((state.y, shift_y), (state.t, shift_t)):
        for then in ring:
            then[places] -= shift
    _sum_up(settings, state, places)


def _sum_up(settings: TrendSettings, state: TrendState, places: Places) -> None:
    """Make the sums anew, in order."""
    for name in SUMS:
        getattr(state, name)[places] = 0.0
    nothing = np.zeros(len(state.sum_y[places]))
    for first in range(0, settings.samples, settings.group):
        y, t = _group(settings, state, places, np.full(len(nothing), first, np.uint8))
        _add(state, places, y.astype(np.float64), t.astype(np.float64), nothing.copy(), nothing)


def _look(settings: TrendSettings, state: TrendState, places: Places) -> NDArray[np.uint8]:
    """Judge full windows: those the line picks out closely, the others as not heading for a limit."""
    said = np.full(len(state.next[places]), BACK, np.uint8)
    near = np.flatnonzero(_worth_it(settings, state, places))
    if near.size:
        said[near] = _verdict(settings, look_closely(settings, state, indices(places)[near]))
    return said


def _worth_it(settings: TrendSettings, state: TrendState, places: Places) -> Bools:
    """Return which rows' least-squares line explains a little and comes near a limit."""
    n = float(settings.samples // settings.group)
    sum_y, sum_t = state.sum_y[places], state.sum_t[places]
    tt = n * state.sum_tt[places] - sum_t * sum_t
    ty = n * state.sum_ty[places] - sum_t * sum_y
    yy = n * state.sum_yy[places] - sum_y * sum_y
    ahead_s = (state.last_ms[places] - state.origin_ms[places]) * 0.001 + FURTHER * settings.horizon_s
    reached = state.anchor[places] + (sum_y + ty / tt * (n * ahead_s - sum_t)) / n
    heading: Bools = (reached >= state.high[places]) | (reached <= state.low[places])
    return heading & (ty * ty >= min(LOOSE_SHARE, settings.share) * tt * yy)


@dataclass(frozen=True, slots=True)
class Line:
    """A line through each window, in columns: `fitted` is its value now, `error` that of it, slopes are per second."""

    fitted: Floats
    slope: Floats
    slope_least: Floats
    slope_most: Floats
    share: Floats
    error: Floats


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a line reaches the limit it goes towards: in `in_s`, between `early_s` and `late_s`; inf: never."""

    line: Line
    limit: Floats
    in_s: Floats
    early_s: Floats
    late_s: Floats


def median_line(y: Floats, t: Floats, confidence: float) -> Line:
    """Return the line of the median slope through samples, shape (samples, rows), in the order of time round a ring.

    Slope: the median of the slopes between samples half a window apart (which is older does not matter to a slope);
    its interval: the order statistics that the sign test leaves. A third of the slopes may be odd without moving it
    far. Value now: the median of the samples moved along the slope; its error is that of a median.

    Source: H. Theil, Indagationes Math. 12 (1950) 85, 386, 467 (incomplete method); D. R. Cox, A. Stuart, Biometrika 42
    (1955) 80 (sign test for trend); W. J. Conover, Practical Nonparametric Statistics, 5.5.
    """
    half, z = len(y) // 2, _normal(confidence)
    slopes = np.sort((y[half:] - y[:half]) / (t[half:] - t[:half]), axis=0)
    cut = max(int((half - z * half**0.5) / 2) - 1, 0)
    slope = _middle(slopes)
    moved = y - slope * (t - t.max(axis=0))
    middle = _middle(np.sort(moved, axis=0))
    noise = 1.4826 * _middle(np.sort(np.abs(moved - middle), axis=0))
    share = _share(slope, t, noise)
    return Line(middle, slope, slopes[cut], slopes[half - 1 - cut], share, z * 1.2533 * noise / len(y) ** 0.5)


def _middle(ordered: Floats) -> Floats:
    """Return the median of sorted columns; `numpy.median` takes five times as long over short ones."""
    middle: Floats = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return middle


def squares_line(y: Floats, t: Floats, confidence: float) -> Line:
    """Return the least-squares line, with the intervals that hold where deviations from it are normal noise.

    Source: N. R. Draper, H. Smith, Applied Regression Analysis, 1.4.
    """
    z, off_t, mean = _normal(confidence), t - added(t) / len(t), added(y) / len(y)
    spread, now = added(off_t**2), off_t.max(axis=0)
    slope = added(off_t * y) / spread
    noise = np.sqrt(added((y - mean - slope * off_t) ** 2) / (len(y) - 2))
    error, error_now = z * noise / np.sqrt(spread), z * noise * np.sqrt(1 / len(y) + now**2 / spread)
    return Line(mean + slope * now, slope, slope - error, slope + error, _share(slope, t, noise), error_now)


def _normal(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _share(slope: Floats, t: Floats, noise: Floats) -> Floats:
    """Return which share of the variance the line explains: r², with the noise as the fit found it."""
    trend = slope * slope * added((t - added(t) / len(t)) ** 2) / len(t)
    share: Floats = trend / np.maximum(trend + noise * noise, np.finfo(np.float64).tiny)
    return share


def look_closely(settings: TrendSettings, state: TrendState, places: Places) -> Forecast:
    """Return the forecast of full windows.

    The time is ``(limit - fitted) / slope``. Its interval takes the error of the slope and that of the fitted value
    together, so it is rather too wide than too narrow. Falling is rising seen from below.
    """
    at = indices(places)
    y, t = state.y[:, at].astype(np.float64), state.t[:, at].astype(np.float64)
    line = (median_line if settings.fit == "median" else squares_line)(y, t, settings.confidence)
    line = replace(line, fitted=state.anchor[at] + line.fitted)
    rises = line.slope >= 0
    sign, limit = np.where(rises, 1.0, -1.0), np.where(rises, state.high[at], state.low[at])
    room = (limit - line.fitted) * sign
    slow, fast = (
        np.where(rises, line.slope_least, -line.slope_most),
        np.where(rises, line.slope_most, -line.slope_least),
    )
    in_s = _time_to(room, line.slope * sign)
    return Forecast(line, limit, in_s, _time_to(room - line.error, fast), _time_to(room + line.error, slow))


def _time_to(room: Floats, speed: Floats) -> Floats:
    """Return how long a distance takes: 0 where it is passed, inf where nothing moves towards it."""
    moving = speed > 0
    return np.where(room <= 0, 0.0, np.where(moving, room / np.where(moving, speed, 1.0), np.inf))


def _verdict(settings: TrendSettings, found: Forecast) -> NDArray[np.uint8]:
    line = found.line
    towards = np.where(line.slope >= 0, line.slope_least > 0, line.slope_most < 0)
    met = towards & (line.share >= settings.share) & (found.in_s <= settings.horizon_s)
    back = ~met & (~towards | (found.in_s > settings.leave * settings.horizon_s))
    return np.where(met, MET, np.where(back, BACK, UNKNOWN)).astype(np.uint8)


def evidence(settings: TrendSettings, state: TrendState, places: Places) -> Evidence:
    """Return the forecast from the window as it is now; NaN where the window is not full yet.

    Times are seconds from ``at_ms``, the newest sample; ``from_ms`` is the oldest one. The fitted line is
    ``fitted + slope · (t - at_ms) / 1000``.
    """
    full = state.full[places]
    said = dict.fromkeys((*LINE, *TIMES), np.full(len(full), np.nan))
    if some(full):
        at = among(places, full)
        found = look_closely(settings, state, at)
        for source, names in ((found.line, LINE), (found, TIMES)):
            for name in names:
                said[name] = said[name].copy()
                said[name][full] = getattr(source, name)
    from_ms = state.origin_ms[places] + state.t[:, places].min(axis=0).astype(np.float64) * 1000.0
    return {**said, "at_ms": state.last_ms[places], "from_ms": np.where(full, from_ms, np.nan)}


LINE = ("fitted", "slope", "slope_least", "slope_most", "share")
TIMES = ("limit", "in_s", "early_s", "late_s")

TREND = StatisticalRule(TrendSettings, TrendState, step, evidence)
