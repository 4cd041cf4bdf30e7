"""A window of history: its rows, what it holds of each tag, and why it is not one to learn from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.warning.rule import Settings


class Demands(Settings):
    """What a window has to be, tag by tag.

    Args:
        least_samples: Good readings.
        most_missing: Share of the rows without a value.
        longest_gap_s: Without a value at a stretch.
        most_not_good: Share of the readings that were not good.
    """

    least_samples: int = Field(default=500, ge=2)
    most_missing: float = Field(default=0.1, ge=0, le=1)
    longest_gap_s: float = Field(default=3600.0, gt=0)
    most_not_good: float = Field(default=0.05, ge=0, le=1)


class Seen(Settings):
    """What a window holds of one tag."""

    tag: str
    samples: int
    not_good: float
    missing: float
    longest_gap_s: float


class Stood(Settings):
    """An alarm that stood in the window; `to_ms` is None where it stands still."""

    alarm: str
    from_ms: int
    to_ms: int | None


class Reason(StrEnum):
    """Why a window is refused."""

    EMPTY = "empty"
    FEW_SAMPLES = "few_samples"
    MISSING = "missing"
    GAP = "gap"
    NOT_GOOD = "not_good"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that is wrong with a window: of a tag, or an alarm by its id."""

    reason: Reason
    of: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of one tag, oldest first. A value that is no number is not good."""

    tag: str
    time_ms: Ints
    value: Floats
    good: Bools


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows `every_ms` apart, from `from_ms` on."""

    from_ms: int
    every_ms: int
    rows: int

    @property
    def time_ms(self) -> Ints:
        """When each row begins."""
        return self.from_ms + np.arange(self.rows, dtype=np.int64) * self.every_ms

    @property
    def to_ms(self) -> int:
        """When the last row ends."""
        return self.from_ms + self.rows * self.every_ms


def grid(from_ms: int, to_ms: int, every_ms: int) -> Grid:
    """Return the whole rows of a window."""
    return Grid(from_ms, every_ms, max((to_ms - from_ms) // every_ms, 0))


def laid_out(readings: Readings, grid: Grid, hold_ms: int) -> Floats:
    """Return a tag's rows: the mean of a row's readings, NaN where there is none, or one that is not good.

    An edge holds back repeats: a row without any has the last good reading before it, if that is at most `hold_ms` old.
    """
    at, inside = _rows_of(readings, grid)
    good = readings.good & inside
    total = np.bincount(at[good], readings.value[good], grid.rows)
    count = np.bincount(at[good], minlength=grid.rows)
    doubtful = np.bincount(at[inside & ~good], minlength=grid.rows) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
    value: Floats = np.where(doubtful, np.nan, mean)
    return _held(value, np.flatnonzero((count == 0) & ~doubtful), readings, grid, hold_ms)


def _rows_of(readings: Readings, grid: Grid) -> tuple[Ints, Bools]:
    """Return in which row each reading lies, and which lie in one at all."""
    at: Ints = (readings.time_ms - grid.from_ms) // grid.every_ms
    return at, (at >= 0) & (at < grid.rows)


def _held(value: Floats, empty: Ints, readings: Readings, grid: Grid, hold_ms: int) -> Floats:
    """Fill rows without a reading with the last one before them."""
    if not len(readings.time_ms):
        return value
    begins = grid.from_ms + empty * grid.every_ms
    last = np.searchsorted(readings.time_ms, begins) - 1
    known = (last >= 0) & readings.good[last] & (begins - readings.time_ms[last] <= hold_ms)
    value[empty[known]] = readings.value[last[known]]
    return value


def seen(readings: Readings, value: Floats, grid: Grid) -> Seen:
    """Return what the rows of a tag are made from."""
    good = readings.good[_rows_of(readings, grid)[1]]
    return counted(readings.tag, int(good.sum()), len(good), value, grid)


def counted(tag: str, good: int, readings: int, value: Floats, grid: Grid) -> Seen:
    """Return what the rows of a tag are made from, of which so many readings lie in them, and so many are good."""
    missing = np.isnan(value)
    return Seen(
        tag=tag,
        samples=good,
        not_good=(readings - good) / max(readings, 1),
        missing=float(missing.mean()) if len(missing) else 1.0,
        longest_gap_s=_longest(missing) * grid.every_ms / 1000,
    )


def _longest(missing: Bools) -> int:
    """Return the longest run."""
    edges = np.flatnonzero(np.diff(missing.astype(np.int8), prepend=0, append=0))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def refused(window: Iterable[Seen], demands: Demands) -> list[Refusal]:
    """Return what is wrong with a window, tag by tag; nothing: it is one to learn from."""
    return [refusal for one in window for refusal in _refused(one, demands)]


def _refused(one: Seen, demands: Demands) -> list[Refusal]:
    if not one.samples:
        return [
            Refusal(
                Reason.EMPTY, one.tag, f"{one.tag}：时段内没有有效数据", f"{one.tag}: no good reading in the window"
            )
        ]
    found = []
    if one.samples < demands.least_samples:
        zh = f"{one.tag}：有效数据 {one.samples} 个，至少需要 {demands.least_samples} 个"
        en = f"{one.tag}: {one.samples} good readings, and {demands.least_samples} are the least"
        found.append(Refusal(Reason.FEW_SAMPLES, one.tag, zh, en))
    if one.missing > demands.most_missing:
        zh = f"{one.tag}：缺失 {one.missing:.1%} 的时间，最多允许 {demands.most_missing:.1%}"
        en = f"{one.tag}: without a value for {one.missing:.1%} of the time, and {demands.most_missing:.1%} is the most"
        found.append(Refusal(Reason.MISSING, one.tag, zh, en))
    if one.longest_gap_s > demands.longest_gap_s:
        zh = f"{one.tag}：最长中断 {one.longest_gap_s:.0f} 秒，最多允许 {demands.longest_gap_s:.0f} 秒"
        en = f"{one.tag}: a gap of {one.longest_gap_s:.0f} s, and {demands.longest_gap_s:.0f} s is the longest"
        found.append(Refusal(Reason.GAP, one.tag, zh, en))
    if one.not_good > demands.most_not_good:
        zh = f"{one.tag}：质量不良的数据占 {one.not_good:.1%}，最多允许 {demands.most_not_good:.1%}"
        en = f"{one.tag}: {one.not_good:.1%} of the readings were not good, and {demands.most_not_good:.1%} is the most"
        found.append(Refusal(Reason.NOT_GOOD, one.tag, zh, en))
    return found


def standing(stood: Sequence[Stood]) -> list[Refusal]:
    """Return a refusal for each alarm that stood in the window."""
    return [
        Refusal(Reason.ALARM, one.alarm, f"{one.alarm}：时段内曾报警", f"{one.alarm}: stood in the window")
        for one in stood
    ]
