"""DuckDB day files: which file a source time belongs to, and which files are open.

One DuckDB instance attaches a file per UTC day. Only a few stay attached: a device with a wild clock may touch any
day, and a year of history is 365 files.
"""

import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from davylamp_cloud.historian import HistorianUnavailable

DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)
LAST_DAY = (date(9999, 12, 31) - EPOCH).days
ATTACHED = 8
UNFOLDED = 10
"""A day's WAL is folded in at this part of the memory: its rows lie there until then, those of every attached day."""

NAME = re.compile(r"^\d{4}-\d\d-\d\d\.duckdb$")

TABLES = """
CREATE TABLE IF NOT EXISTS {day}.readings(
  seq BIGINT, tag INTEGER, time_ms BIGINT, value DOUBLE, quality USMALLINT, text VARCHAR);
CREATE TABLE IF NOT EXISTS {day}.progress(through BIGINT, cursor BIGINT, doubt_from BIGINT, doubt_to BIGINT);
"""


def days_of(times_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the UTC day number of each source time; times no calendar has go to the first or last day there is."""
    return np.clip(times_ms // DAY_MS, 0, LAST_DAY)


def day_of(time_ms: int) -> int:
    """Return the UTC day number of one source time, clipped like `days_of`."""
    return min(max(time_ms // DAY_MS, 0), LAST_DAY)


def path_of(folder: Path, day: int) -> Path:
    """Return where a day's file lies."""
    return folder / f"{EPOCH + timedelta(days=day)}.duckdb"


def days_in(folder: Path) -> list[int]:
    """Return the days that have a file, oldest first."""
    return sorted(_day_in(path) for path in folder.glob("*.duckdb") if NAME.match(path.name))


class DayFiles:
    """The folder of day files and the one DuckDB instance that has some of them attached."""

    def __init__(self, folder: Path, memory_mb: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        spill = folder / "spill"
        shutil.rmtree(spill, ignore_errors=True)  # of a process that was killed
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 2,
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(spill),
            "checkpoint_threshold": f"{memory_mb // UNFOLDED}MB",
            "autoinstall_known_extensions": "false",
        }
        self._root = duckdb.connect(":memory:", config=config)
        self._lock = threading.Lock()
        self._pins: Counter[int] = Counter()
        self._attached: dict[int, str] = {}
        self._known = set(days_in(folder))

    def present(self) -> list[int]:
        """Return the days that have a file, oldest first."""
        with self._lock:
            return sorted(self._known)

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of the caller's own; the caller closes it."""
        with self._lock:
            return self._root.cursor()

    @contextmanager
    def attached(self, days: Sequence[int]) -> Iterator[list[str]]:
        """Keep days attached for the length of a with block and give their schema names; a new day gets its file."""
        taken: list[int] = []
        try:
            with self._lock:
                for day in days:
                    self._attach(day)
                    self._pins[day] += 1
                    taken.append(day)
            yield [_schema(day) for day in days]
        finally:
            with self._lock:
                for day in taken:
                    self._pins[day] -= 1
                self._release()

    def fold(self, days: Sequence[int]) -> None:
        """Take what is in these days' WALs into their files, and close those nobody reads: an open one takes memory.

        A file that refuses is in no other's way; what was wrong is raised at the end.
        """
        refused: list[HistorianUnavailable | duckdb.Error] = []
        for day in days:
            if wal_of(self._path(day)).exists():
                try:
                    self._checkpoint(day)
                except (HistorianUnavailable, duckdb.Error) as error:
                    refused.append(error)
        with self._lock:
            for day in self._attached.keys() & set(days):
                if not self._pins[day]:
                    self._detach(day)
        if refused:
            raise refused[0]

    def _checkpoint(self, day: int) -> None:
        with self.attached([day]) as (schema,), closing(self.connection()) as connection:
            connection.execute(f"CHECKPOINT {schema}")

    def remove(self, day: int) -> bool:
        """Unlink a day's file; False while somebody reads it."""
        with self._lock:
            if self._pins[day]:
                return False
            if day in self._attached:
                self._detach(day)
            for path in (self._path(day), wal_of(self._path(day))):
                path.unlink(missing_ok=True)
            self._known.discard(day)
            return True

    def close(self) -> None:
        """Detach everything, which folds each WAL in, and close. Who still reads gets an error."""
        with self._lock:
            for schema in self._attached.values():
                with suppress(duckdb.Error):  # its WAL stays, and is read when the day is opened next
                    self._root.execute(f"DETACH {schema}")
            self._attached.clear()
            self._root.close()

    def _attach(self, day: int) -> None:
        if day in self._attached:
            self._attached[day] = self._attached.pop(day)  # most recently used goes last
            return
        schema, path = _schema(day), self._path(day)
        quoted = str(path).replace("'", "''")
        try:
            self._root.execute(f"ATTACH '{quoted}' AS {schema}")
            self._root.execute(TABLES.format(day=schema))
        except duckdb.Error as error:
            with suppress(duckdb.Error):
                self._root.execute(f"DETACH {schema}")
            raise HistorianUnavailable(f"DuckDB: {path} cannot be opened: {error}") from error
        self._attached[day] = schema
        self._known.add(day)

    def _release(self) -> None:
        """Detach the least recently used days nobody needs right now."""
        idle = [day for day in self._attached if not self._pins[day]]
        for day in idle[: max(0, len(self._attached) - ATTACHED)]:
            self._detach(day)
        self._pins = +self._pins

    def _detach(self, day: int) -> None:
        self._root.execute(f"DETACH {self._attached.pop(day)}")

    def _path(self, day: int) -> Path:
        return path_of(self.folder, day)


def wal_of(path: Path) -> Path:
    """Return where DuckDB keeps what is not in a file yet."""
    return path.with_name(path.name + ".wal")


def _schema(day: int) -> str:
    return f"d{day}"


def _day_in(path: Path) -> int:
    moment = datetime.strptime(path.stem, "%Y-%m-%d").replace(tzinfo=UTC)
    return (moment.date() - EPOCH).days
