"""Making room in the journal: the oldest of the lowest class goes first, and what was unconfirmed is named.

Confirmed records go without a word: the cloud has them, and their use is to fill a restored cloud (SAFETY S27).
"""

import sqlite3
from collections.abc import Callable, Sequence

from davylamp_wire.intervals import Intervals

from davylamp_edge.database import PAGE, used_pages
from davylamp_edge.records import STORED, JournalClass
from davylamp_edge.rows import DELETE, lowest_number
from davylamp_edge.spare import Loss, count_lost

Stored = tuple[int, int, int]
"""Number, time and size of a row, read without touching its body."""

Known = Callable[[int, int], int | None]
"""Takes a record's number and stamp, and says when it was made; None where the stamp is of a clock that was wrong."""

NEAR = 1024
"""Rows looked through for one whose time is known."""

STEP = 64
"""Most rows deleted between two looks at the size."""

OLDEST_CONFIRMED = "SELECT number, first_ms, length(body) FROM records WHERE number BETWEEN ? AND ? LIMIT ?"
OLDEST_OF_CLASS = "SELECT number, first_ms, length(body) FROM records WHERE class = ? ORDER BY number LIMIT ?"
FOLLOWING = "SELECT number, first_ms FROM records WHERE number > ? ORDER BY number LIMIT ?"
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
            for number, first_ms, _ in _delete(db, rows, excess):
                count_lost(losses, journal_class, number, first_ms)
    return list(losses.values())


def _make_room_among_confirmed(db: sqlite3.Connection, confirmed: Intervals, target_pages: int) -> bool:
    """Delete confirmed rows from the oldest on; return whether that was enough."""
    lowest = lowest_number(db)
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


def purge_confirmed(db: sqlite3.Connection, confirmed: Intervals, older_than_ms: int, known_ms: Known) -> int:
    """Delete confirmed rows whose time is past keeping, one step per interval; return how many went."""
    gone = 0
    for first, last in confirmed:
        rows = db.execute(OLD_PREFIX, (first, last, STEP)).fetchall()
        times_ms = [known_ms(number, first_ms) for number, first_ms in rows]
        if None in times_ms:
            times_ms = _as_the_next(times_ms, _known_after(db, rows[-1][0], known_ms))
        old = [row[0] for row, time_ms in zip(rows, times_ms, strict=True) if _is_past(time_ms, older_than_ms)]
        gone += len(old)
        db.executemany(DELETE, [(number,) for number in old])
        if rows and not old:
            break
    return gone


def _is_past(time_ms: int | None, older_than_ms: int) -> bool:
    return time_ms is not None and time_ms < older_than_ms


def _as_the_next(times_ms: Sequence[int | None], after_ms: int | None) -> list[int | None]:
    """Return times, where none is known that of what was written next: it cannot be older than that by much."""
    found: list[int | None] = []
    for time_ms in reversed(times_ms):
        after_ms = after_ms if time_ms is None else time_ms
        found.append(after_ms)
    return found[::-1]


def _known_after(db: sqlite3.Connection, number: int, known_ms: Known) -> int | None:
    """Return the first known time behind a row; None where there is none near it, and such rows stay."""
    rows = db.execute(FOLLOWING, (number, NEAR)).fetchall()
    return next((time_ms for row in rows if (time_ms := known_ms(*row)) is not None), None)
