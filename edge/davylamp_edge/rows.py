"""Rows of the journal's table of records: written with a checksum, believed only with it."""

import sqlite3
from collections.abc import Iterable, Sequence

from davylamp_wire.intervals import Intervals

from davylamp_edge.records import JournalClass, Record, Row, checksum

_RECORD = "records(number, class, device, first_ms, crc, body) VALUES(?, ?, ?, ?, ?, ?)"
INSERT = f"INSERT INTO {_RECORD}"
REPLACE = f"INSERT OR REPLACE INTO {_RECORD}"
"""Where a damaged index may give a row twice."""
DELETE = "DELETE FROM records WHERE number = ?"
COLUMNS = "SELECT number, class, device, first_ms, crc, body FROM records"
OF_CLASS = f"{COLUMNS} WHERE class = ? ORDER BY number"
IN_CLASS = f"{COLUMNS} WHERE class = ? AND number BETWEEN ? AND ? ORDER BY number LIMIT ?"
NEWEST = "SELECT number, first_ms FROM records ORDER BY number DESC LIMIT ?"
OLDEST_FROM = "SELECT number, first_ms FROM records WHERE number >= ? ORDER BY number LIMIT 1"
NEXT = f"{COLUMNS} WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"
BACKWARDS = f"{COLUMNS} WHERE number BETWEEN ? AND ? ORDER BY number DESC LIMIT ?"
BY_NUMBER = f"{COLUMNS} WHERE number = ?"
SET_ASIDE = "INSERT OR REPLACE INTO damaged(number, class, device, first_ms, crc, body) VALUES(?, ?, ?, ?, ?, ?)"
FORGET = "DELETE FROM meta WHERE name = ?"
FORGET_DAMAGED = "DELETE FROM damaged WHERE number NOT IN (SELECT number FROM damaged ORDER BY number DESC LIMIT ?)"


def row_of(record: Record, device: int) -> Row:
    """Return a record as a row; `device` is the alias that stands for it."""
    crc = checksum(record.number, record.journal_class, device, record.first_ms, record.body)
    return (record.number, record.journal_class, device, record.first_ms, crc, record.body)


def is_sound(row: Row) -> bool:
    """Return whether a row is what was written."""
    return row[4] == checksum(row[0], row[1], row[2], row[3], row[5])


def lowest_number(db: sqlite3.Connection) -> int | None:
    """Return the lowest record number on disk; None where there is no record."""
    found: int | None = db.execute("SELECT min(number) FROM records").fetchone()[0]
    return found


def rows_in_class(
    db: sqlite3.Connection, confirmed: Intervals, journal_class: JournalClass, after: int, upto: int, limit: int
) -> list[Row]:
    """Return unconfirmed rows of a class, ``after < number <= upto``, in order, at most `limit`."""
    rows: list[Row] = []
    for first, last in confirmed.missing(after + 1, upto):
        rows += db.execute(IN_CLASS, (journal_class, first, last, limit - len(rows))).fetchall()
        if len(rows) >= limit:
            break
    return rows


def rows_by_number(db: sqlite3.Connection, numbers: Iterable[int]) -> Sequence[Row]:
    """Return the rows that are there, in the order asked for."""
    found = (db.execute(BY_NUMBER, (number,)).fetchone() for number in numbers)
    return [row for row in found if row is not None]
