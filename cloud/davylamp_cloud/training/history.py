"""Stored history as rows to learn from: which tags are meant, their readings, and the alarms that stood meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

import numpy as np
from davylamp_alarms.watching.recorded import Recorded
from davylamp_alarms.watching.window import Grid, Readings, Seen, Stood, laid_out, seen
from davylamp_wire.config import ConfigError
from davylamp_wire.quality import Level
from sqlalchemy import select

from davylamp_cloud.config import CloudConfig
from davylamp_cloud.historian import Historian, HistorianUnavailable, LogNames, Series, open_historian
from davylamp_cloud.log import Log
from davylamp_cloud.retention import FolderTaken, only_one
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import State
from davylamp_cloud.training.asking import Running
from davylamp_cloud.training.stood import stood

LEARNT_FROM = ("process", "gas", "fire")
"""Kinds of points that are meant where nobody names tags: what measures something."""

NO_NUMBERS = ("string", "bool")


MOST_ROWS, MOST_VALUES = 2_000_000, 30_000_000
"""A rule takes about 30 µs a row however few tags; values are a quarter of a gigabyte, and twice that on the way."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag to learn from; an edge that holds repeats back sends one each `silence_s` at least."""

    index: int
    tag_id: str
    silence_s: float


@dataclass(frozen=True, slots=True)
class Window:
    """A window of history as training sees it."""

    rows: Recorded
    seen: tuple[Seen, ...]
    stood: tuple[Stood, ...]


class Reads(Protocol):
    """Who can read a tag's readings."""

    def read(self, tag: Tag, from_ms: int, to_ms: int) -> Series:
        """Return readings with ``from_ms <= source time < to_ms``, oldest first."""


def window(
    config: CloudConfig, patterns: Sequence[str], grid: Grid, token: str | None, tell: Callable[[int, int], None]
) -> Window:
    """Return a window of a cloud's history, whether the cloud runs or not.

    Args:
        tell: Is told how many of how many tags are read.

    Raises:
        ConfigError: No cloud ran here, no tag is meant, the window is too large, or the history does not answer.
    """
    for name in ("state.db", "log.db"):
        if not (config.data_dir / name).is_file():
            raise ConfigError([f"{config.data_dir / name}: is not there; name the config of a cloud that has run"])
    with closing(State(config.data_dir / "state.db", looking=True)) as state:
        tags = tags_meant(state, patterns)
        check_size(grid, len(tags))
        to_ms = grid.from_ms + grid.rows * grid.every_ms
        alarms = stood(state, [tag.tag_id for tag in tags], grid.from_ms, to_ms)
    with reading(config, token) as reads:
        rows, found = _rows(reads, tags, grid, tell)
    return Window(rows, tuple(found), alarms)


def check_size(grid: Grid, tags: int) -> None:
    """Raise ConfigError where rows and tags are more than can be learnt from at once."""
    times = max(grid.rows / MOST_ROWS, grid.rows * tags / MOST_VALUES)
    if times > 1:
        way = f"--every {grid.every_ms / 1000 * times:.3g} or more, a shorter window, or fewer tags by --tags"
        raise ConfigError([f"{grid.rows} rows of {tags} tags are too many to learn from at once; give {way}"])


def tags_meant(state: State, patterns: Sequence[str]) -> list[Tag]:
    """Return the tags whose id or plant's own name matches a pattern; without patterns, all that measure something.

    Raises:
        ConfigError: A pattern means no tag.
    """
    rows = state.rows(select(schema.TAGS).order_by(schema.TAGS.c.idx))
    names = [(row, (str(row["tag_id"]), str(row["plant_tag"]))) for row in rows]
    if not patterns:
        meant = [row for row in rows if row["kind"] in LEARNT_FROM and row["datatype"] not in NO_NUMBERS]
    else:
        unknown = [one for one in patterns if not any(fnmatchcase(n, one) for _, both in names for n in both)]
        if unknown:
            some = ", ".join(str(row["tag_id"]) for row in rows[:3]) or "none yet"
            raise ConfigError([f"--tags: {one!r} means no tag; there are {len(rows)}: {some}, …" for one in unknown])
        meant = [row for row, both in names if any(fnmatchcase(n, one) for one in patterns for n in both)]
    if not meant:
        raise ConfigError(["--tags: this cloud knows no tag that measures something; name some"])
    return [Tag(int(row["idx"]), str(row["tag_id"]), float(row["silence_s"])) for row in meant]


@contextmanager
def reading(config: CloudConfig, token: str | None) -> Iterator[Reads]:
    """Give what reads: the history itself while no cloud runs there (none can start meanwhile), else its API."""
    with ExitStack() as undo:
        if _runs(config.data_dir, undo):
            yield _ByApi(Running(config.data_dir, token))
        else:
            log = undo.enter_context(closing(Log(config.data_dir / "log.db", looking=True)))
            historian = open_historian(config.historian, config.data_dir, LogNames(log))
            yield _Direct(undo.enter_context(closing(historian)), config.data_dir)


def _runs(folder: Path, undo: ExitStack) -> bool:
    """Return whether a cloud runs in the folder; else none can until `undo` is done."""
    try:
        undo.enter_context(only_one(folder))
    except FolderTaken:
        return True
    return False


class _ByApi:
    def __init__(self, running: Running) -> None:
        self._running = running

    def read(self, tag: Tag, from_ms: int, to_ms: int) -> Series:
        return self._running.read(tag.tag_id, from_ms, to_ms)


class _Direct:
    def __init__(self, historian: Historian, folder: Path) -> None:
        self._historian, self._folder = historian, folder

    def read(self, tag: Tag, from_ms: int, to_ms: int) -> Series:
        try:
            return self._historian.read(tag.index, from_ms, to_ms)
        except HistorianUnavailable as error:
            raise ConfigError([f"{self._folder}: the historian does not answer: {error}"]) from None


def _rows(
    reads: Reads, tags: Sequence[Tag], grid: Grid, tell: Callable[[int, int], None]
) -> tuple[Recorded, list[Seen]]:
    """Read tag after tag, and keep of each its rows alone."""
    value, found = np.empty((grid.rows, len(tags))), []
    for place, tag in enumerate(tags):
        hold_ms = round(tag.silence_s * 1000) + grid.every_ms
        to_ms = grid.from_ms + grid.rows * grid.every_ms
        readings = _readings(tag.tag_id, reads.read(tag, grid.from_ms - hold_ms, to_ms))
        value[:, place] = laid_out(readings, grid, hold_ms)
        found.append(seen(readings, value[:, place], grid))
        tell(place + 1, len(tags))
    return Recorded(tuple(tag.tag_id for tag in tags), grid.time_ms, value, grid.every_ms / 1000), found


def _readings(tag_id: str, series: Series) -> Readings:
    good = (series.qualities >> 8 == Level.GOOD) & np.isfinite(series.values)
    return Readings(tag_id, series.times_ms, series.values, good)
