"""Making room in the journal: the oldest of the lowest class goes first, and what was unconfirmed is named.

Confirmed records go without a word: the cloud has them, and their use is to fill a restored cloud (SAFETY S27).
"""

import sqlite3
from collections.abc import Iterable, Sequence

from davylamp_wire.intervals import Intervals

from davylamp_edge.database import PAGE, used_pages
from davylamp_edge.records import STORED, JournalClass
from davylamp_edge.spare import Loss

Stored = tuple[int, int, int]
"""Number, time and size of a row, read without touching its body."""

STEP = 64
"""Most rows deleted between two looks at the size."""

OLDEST_CONFIRMED = "SELECT number, first_ms, length(body) FROM records WHERE number BETWEEN ? AND ? LIMIT ?"
OLDEST_OF_CLASS = "SELECT number, first_ms, length(body) FROM records WHERE class = ? ORDER BY number LIMIT ?"
DELETE = "DELETE FROM records WHERE number = ?"
OLD_PREFIX = "SELECT number, first_ms FROM records WHERE number BETWEEN ? AND ? ORDER BY number LIMIT ?"


def make_room(db: sqlite3.Connection, confirmed: Intervals, target_pages: int) -> list[Loss]:
    """Delete until no more than `target_pages` are used, in the caller's transaction; return what was unconfirmed."""
    if _make_room_among_confirmed(db, confirmed, target_pages):
        return []
    losses: dict[JournalClass, Loss] = {}
    for journal_class in STORED:
        while (excess := used_pages(db) - target_pages) > 0:
            rows = db.execute(OLDEST_OF_CLASS, (journal_class, STEP)).fetchall()
            if not rows:
                break
            _count(losses, journal_class, _delete(db, rows, excess))
    return list(losses.values())


def _make_room_among_confirmed(db: sqlite3.Connection, confirmed: Intervals, target_pages: int) -> bool:
    """Delete confirmed rows from the oldest on; return whether that was enough."""
    lowest = db.execute("SELECT min(number) FROM records").fetchone()[0]
    for first, last in confirmed:
        while lowest is not None and last >= lowest and (excess := used_pages(db) - target_pages) > 0:
            rows = db.execute(OLDEST_CONFIRMED, (first, last, STEP)).fetchall()
            if not rows:
                break
            _delete(db, rows, excess)
    return used_pages(db) <= target_pages


def _delete(db: sqlite3.Connection, rows: Sequence[Stored], excess_pages: int) -> Sequence[Stored]:
    """Delete as many rows from the first on as the excess takes; return them."""
    size = count = 0
    while count < len(rows) and size < excess_pages * PAGE:
        size += rows[count][2] + 40
        count += 1
    db.executemany(DELETE, [(number,) for number, _, _ in rows[:count]])
    return rows[:count]


def _count(losses: dict[JournalClass, Loss], journal_class: JournalClass, gone: Iterable[Stored]) -> None:
    for number, first_ms, _ in gone:
        loss = losses.get(journal_class)
        if loss is None:
            losses[journal_class] = Loss(journal_class, number, number, first_ms, first_ms)
        else:
            loss.add(number, first_ms)


def purge_confirmed(db: sqlite3.Connection, confirmed: Intervals, older_than_ms: int) -> int:
    """Delete confirmed rows whose time is past keeping, one step per interval; return how many went."""
    gone = 0
    for first, last in confirmed:
        rows = db.execute(OLD_PREFIX, (first, last, STEP)).fetchall()
        old = [number for number, first_ms in rows if first_ms < older_than_ms]
        if old:
            gone += db.execute("DELETE FROM records WHERE number BETWEEN ? AND ?", (first, old[-1])).rowcount
        if rows and not old:
            break
    return gone
