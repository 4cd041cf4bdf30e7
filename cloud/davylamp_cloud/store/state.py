"""state.db: one SQLite file, opened here and nowhere else; the reads that API and console share.

Writers take the write lock at BEGIN, so that a transaction which began never fails half way for being second. Those
of this process wait for each other first: SQLite's own waiting sleeps up to 0.1 s at a time (sqlite3_busy_timeout).
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Select, create_engine, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection

from davylamp_cloud.store import schema
from davylamp_cloud.store.migrate import check, migrate
from davylamp_cloud.store.settings import select_limits

Row = Mapping[str, Any]
MONITOR = "monitor"


class State:
    """Access to state.db from any thread: `reading()` and `writing()` each are one transaction."""

    def __init__(self, path: Path, *, looking: bool = False) -> None:
        """Open or create the file, and bring one of an older version to this schema; who only looks changes nothing.

        Raises:
            ConfigError: Another version wrote it, and nothing can be made of it here.
        """
        self.path = path
        self._one_writer = threading.Lock()
        self._engine = _engine(path, looking)
        if looking:
            with self.reading() as connection:
                check(connection, path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.writing() as connection:
            migrate(connection, path)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a consistent view; nothing is written."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the only writing transaction; durable when the block ends, undone when it raises."""
        with self._one_writer, self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    def rows(self, query: Select[Any]) -> list[Row]:
        """Return the rows of a query as mappings."""
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def row(self, query: Select[Any]) -> Row | None:
        """Return the first row of a query, None where there is none."""
        found = self.rows(query.limit(1))
        return found[0] if found else None

    def standing_alarms(self) -> list[Row]:
        """Return every alarm that is not in state A (normal), newest first."""
        alarms = schema.ALARMS
        return self.rows(select(alarms).where(alarms.c.letter != "A").order_by(alarms.c.seq.desc()))

    def standing_reds(self) -> list[Row]:
        """Return the red alarms that are not in state A (normal): no texts, for a storm has many."""
        t = schema.ALARMS.c
        columns = (t.alarm_id, t.lane, t.hazard_source, t.priority, t.letter, t.occurrence)
        return self.rows(select(*columns).where(t.priority == "red", t.letter != "A").order_by(t.seq))

    def transitions(
        self, *, after: int = 0, hazard_source: str | None = None, occurrence: str | None = None, limit: int = 100
    ) -> list[Row]:
        """Return transitions made by records after `after`, in the order of the log."""
        table = schema.TRANSITIONS
        query = select(table).where(table.c.seq > after).order_by(table.c.seq, table.c.hazard_source, table.c.source_no)
        if hazard_source is not None:
            query = query.where(table.c.hazard_source == hazard_source)
        if occurrence is not None:
            query = query.where(table.c.occurrence == occurrence)
        return self.rows(query.limit(limit))

    def tags(self) -> list[Row]:
        """Return the register, one row per tag, in the order of their indices."""
        return self.rows(select(schema.TAGS).order_by(schema.TAGS.c.idx))

    def limits(self, tag: int) -> Row | None:
        """Return the limits of a tag that are in force now."""
        table = schema.LIMITS
        return self.row(select_limits(table.c.tag == tag, table.c.to_seq.is_(None)))

    def cursor(self, name: str = MONITOR) -> int:
        """Return how far a reader of the log has committed; 0 before its first commit."""
        found = self.row(select(schema.CURSORS).where(schema.CURSORS.c.name == name))
        return int(found["seq"]) if found else 0

    def close(self) -> None:
        """Close every connection of the pool."""
        self._engine.dispose()


PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "wal_autocheckpoint = 4000",
    "journal_size_limit = 67108864",
)
"""A checkpoint after 16 MB: SQLite's own 4 MB are two commits of a storm, and each checkpoint makes one wait."""


def _engine(path: Path, looking: bool) -> Engine:
    url = f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true" if looking else f"sqlite:///{path}"
    engine = create_engine(url, connect_args={"timeout": 30.0, "check_same_thread": False})
    event.listen(engine, "connect", _leave_transactions)
    if not looking:
        event.listen(engine, "connect", _wait_for_the_disk)
    return engine


def _leave_transactions(connection: DBAPIConnection, _: object) -> None:
    """Leave transactions to us: the driver's own begin too late."""
    connection.isolation_level = None


def _wait_for_the_disk(connection: DBAPIConnection, _: object) -> None:
    """Make a commit wait for the disk, and readers for no writer."""
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
