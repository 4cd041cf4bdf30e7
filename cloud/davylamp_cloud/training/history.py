"""Stored history as rows to learn from: which tags are meant, their readings, and the alarms that stood meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

import numpy as np
from davylamp_alarms.watching.window import Grid, Readings
from davylamp_wire.config import ConfigError
from davylamp_wire.quality import Level
from sqlalchemy import select

from davylamp_cloud.config import CloudConfig
from davylamp_cloud.historian import Historian, HistorianUnavailable, LogNames, Series, open_historian
from davylamp_cloud.log import Log
from davylamp_cloud.retention import FolderTaken, only_one
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row, State
from davylamp_cloud.training.asking import Running
from davylamp_cloud.training.stood import stood
from davylamp_cloud.training.window import Window, check_size, rows_of, some_of

LEARNT_FROM = ("process", "gas", "fire")
"""Kinds of points that are meant where nobody names a tag in full: what measures something."""

NO_NUMBERS = ("string", "bool")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag to learn from; an edge that holds repeats back sends one each `silence_s` at least."""

    index: int
    tag_id: str
    silence_s: float


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
        found = rows_of(grid, [tag.tag_id for tag in tags], _each(reads, tags, grid, tell))
    return replace(found, stood=alarms)


def tags_meant(state: State, patterns: Sequence[str]) -> list[Tag]:
    """Return the tags that measure something, and of those that do not the ones named without a wildcard.

    A device's pattern would mean its `comm_ok`, too, from which nobody wants to learn.

    Args:
        patterns: Of ids or the plant's own names; none: all that measure something.

    Raises:
        ConfigError: A pattern means no tag.
    """
    rows = state.rows(select(schema.TAGS).order_by(schema.TAGS.c.idx))
    found = {one: [row for row in rows if _means(one, row)] for one in patterns or ("*",)}
    if unknown := [one for one, its in found.items() if not its and patterns]:
        some = some_of([str(row["tag_id"]) for row in rows if _measures(row)])
        raise ConfigError(
            [f"--tags: {one!r} means no tag that measures something; there are {some}" for one in unknown]
        )
    indexes = {row["idx"] for its in found.values() for row in its}
    meant = [row for row in rows if row["idx"] in indexes]
    if not meant:
        raise ConfigError(["--tags: this cloud knows no tag that measures something; name some"])
    return [Tag(int(row["idx"]), str(row["tag_id"]), float(row["silence_s"])) for row in meant]


def _means(pattern: str, row: Row) -> bool:
    names = (str(row["tag_id"]), str(row["plant_tag"]))
    return pattern in names or (_measures(row) and any(fnmatchcase(name, pattern) for name in names))


def _measures(row: Row) -> bool:
    return row["kind"] in LEARNT_FROM and row["datatype"] not in NO_NUMBERS


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


def _each(
    reads: Reads, tags: Sequence[Tag], grid: Grid, tell: Callable[[int, int], None]
) -> Iterator[tuple[Readings, int]]:
    """Yield the readings of tag after tag, and how long one holds until the next."""
    to_ms = grid.from_ms + grid.rows * grid.every_ms
    for place, tag in enumerate(tags):
        hold_ms = round(tag.silence_s * 1000) + grid.every_ms
        yield _readings(tag.tag_id, reads.read(tag, grid.from_ms - hold_ms, to_ms)), hold_ms
        tell(place + 1, len(tags))


def _readings(tag_id: str, series: Series) -> Readings:
    good = (series.qualities >> 8 == Level.GOOD) & np.isfinite(series.values)
    return Readings(tag_id, series.times_ms, series.values, good)
