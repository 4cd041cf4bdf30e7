"""What can still be read from a journal file that SQLite calls broken, and the new file made from it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from davylamp_edge.database import Budget, connect, set_aside
from davylamp_edge.names import Names, new_names, read_names, write_names
from davylamp_edge.records import JournalClass, Row, checksum
from davylamp_edge.spare import Loss

INSERT = "INSERT OR REPLACE INTO records(number, class, device, first_ms, crc, body) VALUES(?, ?, ?, ?, ?, ?)"
NEXT_ROWS = "SELECT number, class, device, first_ms, crc, body FROM records WHERE number > ? ORDER BY number LIMIT ?"

STRIDE = 64
"""Rows read together; where reads fail, this many numbers are passed over."""

PATIENCE = 20_000
"""Reads after which the rest is given up."""


def rebuild(path: Path, budget: Budget, now_ms: int, known: Names | None) -> tuple[sqlite3.Connection, Loss | None]:
    """Replace a broken file by a new one with what it still gives; return it open, and what is lost.

    `known` is what a running agent still holds in memory. Without it, and with meta unreadable, the journal begins
    a new epoch: numbers of unknown standing must not be sent again under the old one.
    """
    aside = set_aside(path, now_ms)
    with closing(sqlite3.connect(aside, isolation_level=None, timeout=2.0)) as old:
        names = known or _read_names(old)
        db = connect(path, budget)
        _in_transaction(db, lambda: write_names(db, names or new_names()))
        saved = _copy(old, db, names.next_record) if names else []
    for part in (aside, Path(f"{aside}-wal"), Path(f"{aside}-shm")):
        part.unlink(missing_ok=True)
    return db, _lost(names, saved, now_ms)


def _in_transaction(db: sqlite3.Connection, work: Callable[[], object]) -> None:
    db.execute("BEGIN IMMEDIATE")
    work()
    db.execute("COMMIT")


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, highest: int) -> list[tuple[int, int]]:
    """Copy every sound row, a stride at a time; return number and time of each."""
    saved: list[tuple[int, int]] = []
    for rows in _strides(old, highest):
        sound = [row for row in rows if checksum(*row[:4], row[5]) == row[4]]
        _in_transaction(new, partial(new.executemany, INSERT, sound))
        saved.extend((row[0], row[3]) for row in sound)
    return saved


def _read_names(db: sqlite3.Connection) -> Names | None:
    try:
        return read_names(db)
    except (sqlite3.DatabaseError, ValueError, KeyError):
        return None


def _strides(db: sqlite3.Connection, highest: int) -> Iterator[list[Row]]:
    after = 0
    for _ in range(PATIENCE):
        rows = _tried(db, after, STRIDE) or _tried(db, after, 1)
        yield rows
        after = rows[-1][0] if rows else after + STRIDE
        if after >= highest:
            return


def _tried(db: sqlite3.Connection, after: int, limit: int) -> list[Row]:
    try:
        return db.execute(NEXT_ROWS, (after, limit)).fetchall()
    except sqlite3.DatabaseError:
        return []


def _lost(names: Names | None, saved: list[tuple[int, int]], now_ms: int) -> Loss | None:
    """Return the numbers that are neither confirmed nor saved, from the oldest saved one on.

    What lay before it may have been let go long ago. A new epoch has lost an unknown number: count 0, numbers 0.
    """
    if names is None:
        return Loss(JournalClass.LIVE, 0, 0, 0, now_ms, count=0)
    settled = names.confirmed
    for number, _ in saved:
        settled = settled.add(number)
    oldest = saved[0][0] if saved else 1
    gone = list(settled.missing(oldest, names.next_record - 1))
    if not gone:
        return None
    before = max((time_ms for number, time_ms in saved if number < gone[0][0]), default=0)
    count = sum(last - first + 1 for first, last in gone)
    return Loss(JournalClass.LIVE, gone[0][0], gone[-1][1], before, now_ms, count)
