"""Stored readings as rows to learn from, laid out part by part as they are read: a window holds far more than rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.watching.recorded import Recorded
from davylamp_alarms.watching.window import Grid, Readings, Seen, counted, laid_out
from davylamp_wire.quality import Level

from davylamp_cloud.historian.past import Stretch
from davylamp_cloud.training.window import Window

NOTHING = Stretch(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint16))


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag to learn from; an edge that holds repeats back sends one each `silence_s` at least."""

    index: int
    tag_id: str
    silence_s: float

    def hold_ms(self, every_ms: int) -> int:
        """Return how long a reading counts until the next."""
        return round(self.silence_s * 1000) + every_ms


def rows_of_stretches(grid: Grid, tags: Sequence[Tag], stretches: Iterable[Stretch]) -> Window:
    """Return the rows of tags, which are in the order of their index.

    Args:
        stretches: Readings of these tags and no others, oldest first, from before the window on: a value is held.
    """
    value = np.empty((grid.rows, len(tags)))
    columns = [Column(tag, grid, value[:, place]) for place, tag in enumerate(tags)]
    index = np.array([tag.index for tag in tags])
    for part, first, end in _parts(grid, stretches):
        place = np.searchsorted(index, part.tags)
        order = np.argsort(place, kind="stable")
        cuts = np.searchsorted(place[order], np.arange(len(tags) + 1)).tolist()
        for column, (start, stop) in zip(columns, pairwise(cuts), strict=True):
            column.add(part, order[start:stop], first, end)
    rows = Recorded(tuple(tag.tag_id for tag in tags), grid.time_ms, value, grid.every_ms / 1000)
    return Window(grid, rows, tuple(column.seen() for column in columns))


@dataclass(slots=True)
class Column:
    """A tag's rows so far, its last reading, and how many there were."""

    tag: Tag
    grid: Grid
    value: Floats
    last: Readings = field(init=False)
    good: int = 0
    readings: int = 0

    def __post_init__(self) -> None:
        """Begin without a reading."""
        self.last = _readings(self.tag, NOTHING, np.empty(0, np.int64))

    def add(self, part: Stretch, own: "np.typing.NDArray[np.int64]", first: int, end: int) -> None:
        """Lay out whole rows from the part's readings that are this tag's, and the last one before them."""
        now = _after(self.last, _readings(self.tag, part, own))
        every_ms, from_ms = self.grid.every_ms, self.grid.from_ms + first * self.grid.every_ms
        rows = Grid(from_ms, every_ms, end - first)
        self.value[first:end] = laid_out(now, rows, self.tag.hold_ms(every_ms))
        inside = (now.time_ms >= from_ms) & (now.time_ms < from_ms + rows.rows * every_ms)
        self.good += int((now.good & inside).sum())
        self.readings += int(inside.sum())
        self.last = Readings(now.tag, now.time_ms[-1:], now.value[-1:], now.good[-1:])

    def seen(self) -> Seen:
        """Return what the rows are made from."""
        return counted(self.tag.tag_id, self.good, self.readings, self.value, self.grid)


def _readings(tag: Tag, part: Stretch, own: "np.typing.NDArray[np.int64]") -> Readings:
    value = part.values[own]
    good: Bools = (part.qualities[own] >> 8 == Level.GOOD) & np.isfinite(value)
    return Readings(tag.tag_id, part.times_ms[own], value, good)


def _after(one: Readings, other: Readings) -> Readings:
    return Readings(
        one.tag,
        np.concatenate([one.time_ms, other.time_ms]),
        np.concatenate([one.value, other.value]),
        np.concatenate([one.good, other.good]),
    )


def _parts(grid: Grid, stretches: Iterable[Stretch]) -> Iterator[tuple[Stretch, int, int]]:
    """Yield readings of whole rows, with the first of the rows and the one after them: a row may lie in two stretches.

    The first part, of no row, is what came before the window.
    """
    waiting: list[Stretch] = []
    first = 0
    for one in stretches:
        if not len(one):
            continue
        waiting.append(one)
        end = min((int(one.times_ms[-1]) - grid.from_ms) // grid.every_ms, grid.rows)
        if end > first:
            whole = _joined(waiting)
            cut = int(np.searchsorted(whole.times_ms, grid.from_ms + end * grid.every_ms))
            yield _between(whole, 0, cut), first, end
            waiting, first = [_between(whole, cut, len(whole))], end
    yield _joined(waiting), first, grid.rows


def _joined(stretches: Sequence[Stretch]) -> Stretch:
    several = stretches or [NOTHING]
    return Stretch(*(np.concatenate([getattr(one, name) for one in several]) for name in Stretch.__slots__))


def _between(one: Stretch, start: int, stop: int) -> Stretch:
    return Stretch(*(getattr(one, name)[start:stop] for name in Stretch.__slots__))
