"""History in DuckDB: one file per UTC day of source time, rows and cursor in one transaction.

A transaction covers one file, a batch may cover several, and the process may be killed between them. So every file
keeps how far it itself got (`through`), and the newest file alone carries the store's cursor, written last. What is
fed again after a kill is skipped by each file that already has it.

```
batch 41..60 ──► 2026-11-22.duckdb  rows, through = 60
             └─► 2026-11-23.duckdb  rows, through = 60, cursor = 60     (always last)
```
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import structlog
from numpy.typing import NDArray

from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import Codes, Floats, HistorianUnavailable, Int64s, Names, Rows, Series, Trend
from davylamp_cloud.historian.days import DayFiles, day_of, days_of
from davylamp_cloud.historian.duckdb_columns import column
from davylamp_cloud.historian.duckdb_past import CopiedDays

LOG = structlog.get_logger()

LIMIT = 1 << 62

PAGE = """
SELECT time_ms, value, quality, text FROM {schema}.readings
WHERE tag = ? AND time_ms >= ? AND time_ms < ? ORDER BY time_ms, rowid LIMIT ?
"""

ALREADY_THERE = """
DELETE FROM {schema}.readings AS old USING incoming
WHERE old.seq BETWEEN ? AND ? AND old.tag = incoming.tag AND old.time_ms = incoming.time_ms
"""

STEPS = """
SELECT time_ms - (time_ms % $step + $step) % $step AS begins,
  min(value) FILTER (isfinite(value)) AS low, max(value) FILTER (isfinite(value)) AS high,
  avg(value) FILTER (isfinite(value)) AS mean, count(value) FILTER (isfinite(value)) AS numbers,
  count(*) FILTER (quality <> 0 OR (text IS NULL AND NOT coalesce(isfinite(value), false))) AS doubtful
FROM {source} WHERE tag = $tag AND time_ms >= $from AND time_ms < $to GROUP BY begins ORDER BY begins
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a file knows: how far it got, the store's cursor when it was the newest file, and which log numbers of
    its rows are in doubt because the log lost them (none where both ends are 0)."""

    through: int = 0
    cursor: int = 0
    doubt_from: int = 0
    doubt_to: int = 0


class DuckDbHistorian:
    """The embedded historian. Only this process opens the files; others ask its API, or read copies (`look`)."""

    def __init__(self, folder: Path, memory_mb: int = HistorianConfig().memory_mb) -> None:
        self._folder = folder
        self._memory_mb = memory_mb
        self._files = DayFiles(folder, memory_mb)
        self._writing = threading.Lock()
        self._progress: dict[int, Progress] = {}
        self._met: set[int] = set()
        self._reach: tuple[int, int] | None = None
        self._cursor = self._stored_cursor()

    @classmethod
    def open(cls, config: HistorianConfig, data_dir: Path, names: Names) -> "DuckDbHistorian":
        """Open the day files in the config's folder, ``data_dir/history`` by default."""
        return cls(cls.folder(config, data_dir), config.memory_mb)

    @classmethod
    def look(cls, config: HistorianConfig, data_dir: Path) -> CopiedDays:
        """Return what reads those files beside whoever has them open."""
        return CopiedDays(cls.folder(config, data_dir))

    @staticmethod
    def folder(config: HistorianConfig, data_dir: Path) -> Path:
        """Return where the day files are."""
        return config.path or data_dir / "history"

    def cursor(self) -> int:
        """Return the log number up to which everything is stored."""
        return self._cursor

    def write(self, rows: Rows, cursor: int) -> None:
        """Store rows and cursor; days in order, the newest file last because it carries the cursor."""
        with self._writing:
            try:
                self._write(rows, cursor)
            except HistorianUnavailable:
                self._begin_again()
                raise
            except duckdb.Error as error:
                self._begin_again()
                raise HistorianUnavailable(f"DuckDB: {error}") from error
            self._cursor = cursor

    def _begin_again(self) -> None:
        """Open the files anew: after some errors (a full disk) DuckDB refuses everything until then."""
        self._progress.clear()
        self._files.close()
        self._files = DayFiles(self._folder, self._memory_mb)

    def _write(self, rows: Rows, cursor: int) -> None:
        touched = _days_in(rows)
        lead = max([*touched, *self._files.present()[-1:]], default=None)
        if lead is None:
            return  # nothing was ever stored: there is no file to hold a cursor, and nothing to lose
        for day in touched:
            if day != lead:
                self._write_day(day, _of_day(rows, day), cursor, self._cursor)
        self._write_day(lead, rows if touched == [lead] else _of_day(rows, lead), cursor, cursor)

    def _write_day(self, day: int, rows: Rows, through: int, cursor: int) -> None:
        files = self._files
        with files.attached([day]) as (schema,), closing(files.connection()) as connection:
            was = self._progress_of(day, schema, connection)
            now = replace(was, through=max(was.through, through), cursor=cursor)
            with _committing(connection):
                _insert(connection, schema, rows.where(rows.seqs > was.through), was)
                _store(connection, schema, now)
            self._progress[day] = now

    def _progress_of(self, day: int, schema: str, connection: duckdb.DuckDBPyConnection) -> Progress:
        if day not in self._progress:
            self._progress[day] = _progress(connection, schema)
        if day not in self._met:
            self._doubt(day, schema, connection)
            self._met.add(day)
        return self._progress[day]

    def doubt(self, after: int, tags: int) -> None:
        """Expect everything after a log number again. What comes again takes the place of what is here.

        Indices from `tags` on will be given to other tags: their rows are put aside under negative numbers. A file
        that cannot be opened now is looked at when it is written to.
        """
        self._reach = after, tags
        self._met.clear()
        if after >= self._cursor:
            return  # no file that could be opened has more
        with self._writing:
            for day in self._files.present():
                try:
                    self._look_at(day)
                except HistorianUnavailable as error:
                    LOG.warning("a file is doubted later", error=str(error))

    def _look_at(self, day: int) -> None:
        files = self._files
        with _answering(), files.attached([day]) as (schema,), closing(files.connection()) as connection:
            self._progress_of(day, schema, connection)

    def _doubt(self, day: int, schema: str, connection: duckdb.DuckDBPyConnection) -> None:
        """Doubt what a file has beyond what the log had at the start; its numbers may be given again."""
        was = self._progress[day]
        if self._reach is None or was.through <= self._reach[0]:
            return
        after, tags = self._reach
        first, last = min(was.doubt_from or after + 1, after + 1), max(was.doubt_to, was.through)
        now = replace(was, through=after, doubt_from=first, doubt_to=last)
        with _committing(connection):
            connection.execute(f"UPDATE {schema}.readings SET tag = -1 - tag WHERE seq > ? AND tag >= ?", [after, tags])
            _store(connection, schema, now)
        self._progress[day] = now

    def read(self, tag: int, from_ms: int, to_ms: int, limit: int | None = None) -> Series:
        """Return a tag's readings, day after day until the limit."""
        with _answering():
            return self._read(tag, from_ms, to_ms, limit)

    def trend(self, tag: int, from_ms: int, to_ms: int, step_ms: int = 60_000) -> Trend:
        """Return a tag in steps, computed over the days the span touches."""
        with _answering():
            return self._trend(tag, from_ms, to_ms, step_ms)

    def count(self, tag: int) -> int:
        """Return how many readings of a tag all files hold."""
        with _answering():
            return self._count(tag)

    def expire(self, before_ms: int) -> int:
        """Unlink the files of days before that of `before_ms`; the newest stays, for it carries the cursor.

        Days that are over are folded in and closed: their files are whole, and what they took in memory is free.
        """
        with self._writing, _answering():
            old = [day for day in self._files.present()[:-1] if day < day_of(before_ms)]
            gone = [day for day in old if self._files.remove(day)]
            for day in gone:
                self._progress.pop(day, None)
            self._files.fold(self._files.present()[:-1])
            return len(gone)

    def close(self) -> None:
        """Fold the open files' WAL in and close them."""
        with self._writing:
            self._files.close()

    def _read(self, tag: int, from_ms: int, to_ms: int, limit: int | None) -> Series:
        wanted = LIMIT if limit is None else limit
        pages: list[dict[str, Any]] = []
        found = 0
        files = self._files
        with closing(files.connection()) as connection:
            for day in self._between(from_ms, to_ms):
                with files.attached([day]) as (schema,):
                    query = connection.execute(PAGE.format(schema=schema), [tag, from_ms, to_ms, wanted + 1 - found])
                    pages.append(query.fetchnumpy())
                found += len(pages[-1]["time_ms"])
                if found > wanted:
                    break
        return _series(pages, min(found, wanted), truncated=found > wanted)

    def _trend(self, tag: int, from_ms: int, to_ms: int, step_ms: int) -> Trend:
        files, days = self._files, self._between(from_ms, to_ms)
        with files.attached(days) as schemas, closing(files.connection()) as connection:
            if not schemas:
                return _columns_of_trend(None)
            source = " UNION ALL ".join(f"SELECT tag, time_ms, value, quality, text FROM {s}.readings" for s in schemas)
            query = STEPS.format(source=f"({source})")
            arguments = {"step": step_ms, "tag": tag, "from": from_ms, "to": to_ms}
            return _columns_of_trend(connection.execute(query, arguments).fetchnumpy())

    def _count(self, tag: int) -> int:
        files, total = self._files, 0
        with closing(files.connection()) as connection:
            for day in files.present():
                with files.attached([day]) as (schema,):
                    total += _scalar(connection, f"SELECT count(*) FROM {schema}.readings WHERE tag = ?", [tag])
        return total

    def _between(self, from_ms: int, to_ms: int) -> list[int]:
        first, last = day_of(from_ms), day_of(to_ms)
        return [day for day in self._files.present() if first <= day <= last]

    def _stored_cursor(self) -> int:
        """Return the newest file's cursor; a file that was killed before its first commit has none.

        Where it cannot be read, the one before says from where all is fed again, and the file, once it can be, skips
        what it has: the cloud starts without it, for alarms do not wait for history.
        """
        with closing(self._files.connection()) as connection:
            for day in reversed(self._files.present()):
                try:
                    with _answering(), self._files.attached([day]) as (schema,):
                        found = _progress(connection, schema)
                except HistorianUnavailable as error:
                    LOG.warning("history waits for a file", error=str(error))
                    continue
                if found.through:
                    return found.cursor
        return 0


def _days_in(rows: Rows) -> list[int]:
    """Return the days rows belong to, oldest first; nearly always it is one, which two numbers tell."""
    if not len(rows):
        return []
    first, last = day_of(int(rows.times_ms.min())), day_of(int(rows.times_ms.max()))
    return [first] if first == last else [int(day) for day in np.unique(days_of(rows.times_ms))]


def _of_day(rows: Rows, day: int) -> Rows:
    return rows.where(days_of(rows.times_ms) == day)


@contextmanager
def _answering() -> Iterator[None]:
    """Turn DuckDB's refusals into ours."""
    try:
        yield
    except duckdb.Error as error:
        raise HistorianUnavailable(f"DuckDB: {error}") from error


@contextmanager
def _committing(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """One transaction, undone when the block raises."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):
            connection.rollback()
        raise


def _insert(connection: duckdb.DuckDBPyConnection, schema: str, rows: Rows, was: Progress) -> None:
    """Append rows. DuckDB finds `incoming` by its name in this frame, which costs 1 ms less than to register it."""
    if not len(rows):
        return
    columns = ["seq", "tag", "time_ms", "value", "quality"]
    incoming: dict[str, NDArray[Any]] = {
        "seq": rows.seqs,
        "tag": rows.tags,
        "time_ms": rows.times_ms,
        "value": rows.values,
        "quality": rows.qualities,
    }
    if rows.texts:
        text = np.full(len(rows), None, object)
        for at, exact in rows.texts.items():
            text[at] = exact
        incoming["text"] = text
        columns.append("text")
    if was.doubt_to:
        connection.execute(ALREADY_THERE.format(schema=schema), [was.doubt_from, was.doubt_to])
    names = ", ".join(columns)
    connection.execute(f"INSERT INTO {schema}.readings({names}) SELECT {names} FROM incoming")


def _progress(connection: duckdb.DuckDBPyConnection, schema: str) -> Progress:
    found = connection.execute(f"SELECT through, cursor, doubt_from, doubt_to FROM {schema}.progress").fetchone()
    return Progress() if found is None else Progress(*found)


def _store(connection: duckdb.DuckDBPyConnection, schema: str, now: Progress) -> None:
    connection.execute(f"DELETE FROM {schema}.progress")
    columns = [now.through, now.cursor, now.doubt_from, now.doubt_to]
    connection.execute(f"INSERT INTO {schema}.progress VALUES (?, ?, ?, ?)", columns)


def _scalar(connection: duckdb.DuckDBPyConnection, query: str, arguments: list[Any]) -> int:
    found = connection.execute(query, arguments).fetchone()
    assert found is not None, "count(*) always has a row"
    return int(found[0])


def _series(pages: list[dict[str, Any]], length: int, truncated: bool) -> Series:
    times = column(pages, "time_ms", np.int64)[:length]
    texts = column(pages, "text", object)[:length]
    exact = {at: str(text) for at, text in enumerate(texts) if isinstance(text, str)}
    values: Floats = column(pages, "value", np.float64)[:length]
    qualities: Codes = column(pages, "quality", np.uint16)[:length]
    return Series(times, values, qualities, exact, truncated)


def _columns_of_trend(found: dict[str, Any] | None) -> Trend:
    pages = [] if found is None else [found]
    times: Int64s = column(pages, "begins", np.int64)
    lows, highs, means = (column(pages, name, np.float64) for name in ("low", "high", "mean"))
    return Trend(times, lows, highs, means, column(pages, "numbers", np.int64), column(pages, "doubtful", np.int64))
