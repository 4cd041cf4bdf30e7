"""Day files of a cloud that may run, read from copies: DuckDB lets one process alone open a file.

A day is copied, opened, read and forgotten before the next. DuckDB writes to places of a file that are free, and at a
checkpoint turns to them by one write at the file's front; what was committed since is in the WAL. So the WAL, then the
file, copied while the front stays the same, are the day as of a moment, as a kill would have left it.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import duckdb
import numpy as np
from davylamp_wire.config import ConfigError

from davylamp_cloud.historian import HistorianUnavailable
from davylamp_cloud.historian.days import DAY_MS, day_of, days_in, path_of, wal_of
from davylamp_cloud.historian.duckdb_columns import column
from davylamp_cloud.historian.past import Stretch, in_order

FRONT_BYTES = 3 * 4096
"""The main header and the two that take turns, one of which a checkpoint writes last.
Source: https://duckdb.org/docs/stable/internals/storage, "Block structure"."""

TRIES = 20
ROOM_BYTES = 1 << 30
"""So much stays free beside a copy: a disk that is full stops the cloud."""

MEMORY = "512MB"
"""A copy's WAL is folded in here, and one stretch is read at a time."""

LEAST, MOST = 60_000, DAY_MS
WANTED = 1_000_000
"""Readings to take at once: fewer unpack the same blocks of a file again, more need memory."""

PAGE = "SELECT tag, time_ms, value, quality FROM day.readings WHERE time_ms >= ? AND time_ms < ?"
ROW, CHOICE = " AND tag >= ? AND tag <= ?", " AND tag IN (SELECT unnest(?))"
"""Tags that follow each other are found for half of what a choice costs."""


class CopiedDays:
    """The readings in a folder of day files."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; one that is not there has no days."""
        self._folder = folder

    def stretches(self, tags: Sequence[int], from_ms: int, to_ms: int) -> Iterator[Stretch]:
        """Yield day after day, some minutes at a time."""
        if not tags:
            return
        first, last = day_of(from_ms), day_of(to_ms - 1)
        for day in days_in(self._folder):
            path = path_of(self._folder, day)
            if first <= day <= last and path.is_file():  # an old day may go meanwhile
                with _opened(path) as connection:
                    yield from _of_day(connection, tags, max(from_ms, day * DAY_MS), min(to_ms, (day + 1) * DAY_MS))

    def close(self) -> None:
        """Nothing is open between days."""


def _of_day(connection: duckdb.DuckDBPyConnection, tags: Sequence[int], from_ms: int, to_ms: int) -> Iterator[Stretch]:
    step_ms = _step_ms(connection)
    which, meant = _which(tags)
    while from_ms < to_ms:
        until_ms = min(to_ms, from_ms + step_ms)
        found = connection.execute(PAGE + which, [from_ms, until_ms, *meant]).fetchnumpy()
        yield in_order(
            column([found], "tag", np.int32),
            column([found], "time_ms", np.int64),
            column([found], "value", np.float64),
            column([found], "quality", np.uint16),
        )
        from_ms = until_ms


def _which(tags: Sequence[int]) -> tuple[str, list[object]]:
    """Return how tags are asked for, and what stands for the question marks."""
    first, last = min(tags), max(tags)
    return (ROW, [first, last]) if last - first + 1 == len(tags) else (CHOICE, [list(tags)])


def _step_ms(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how long a stretch to take at once, whole seconds."""
    row = connection.execute("SELECT count(*) FROM day.readings").fetchone()
    count = int(row[0]) if row else 0
    wanted = DAY_MS * WANTED // max(count, 1)
    return min(max(wanted - wanted % 1000, LEAST), MOST)


@contextmanager
def _opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection that has a copy of a day attached; on the disk the copy is gone by then."""
    try:
        with closing(
            duckdb.connect(config={"threads": 1, "memory_limit": MEMORY, "temp_directory": tempfile.gettempdir()})
        ) as connection:
            with _copied(path) as copy:
                connection.execute("ATTACH '{}' AS day (READ_ONLY)".format(str(copy).replace("'", "''")))
            yield connection
    except duckdb.Error as error:
        raise HistorianUnavailable(f"{path}: {error}") from error


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """Give a copy of a day file with its WAL, as they were at one moment."""
    _check_room(path)
    with tempfile.TemporaryDirectory(prefix="davylamp-day-") as folder:
        copy = Path(folder) / path.name
        copy_day(path, copy)
        yield copy


def copy_day(path: Path, copy: Path) -> None:
    """Copy a day file with its WAL, as they were at one moment; whoever has them open goes on meanwhile.

    Raises HistorianUnavailable where that does not come to an end.
    """
    for _ in range(TRIES):
        before = _front(path)
        _copy_wal(path, copy)
        shutil.copyfile(path, copy)
        if _front(path) == before:
            return
    raise HistorianUnavailable(f"{path}: is rewritten again and again; try later")


def _copy_wal(path: Path, copy: Path) -> None:
    to = wal_of(copy)
    to.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        shutil.copyfile(wal_of(path), to)


def _front(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(FRONT_BYTES)


def _check_room(path: Path) -> None:
    """Raise ConfigError where a copy would leave too little room."""
    wal = wal_of(path)
    needed = path.stat().st_size + (wal.stat().st_size if wal.is_file() else 0) + ROOM_BYTES
    place = tempfile.gettempdir()
    if shutil.disk_usage(place).free < needed:
        raise ConfigError(
            [f"{place}: needs {needed / 1e9:.1f} GB free for a copy of {path.name}; set TMPDIR to another folder"]
        )
