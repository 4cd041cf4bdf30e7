"""What is written in the transaction of the records it belongs to: births, confirmed sets, holes, quarantined payloads.

So what an edge is told is never more than what a crash leaves behind.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from davylamp_wire.intervals import Intervals

from davylamp_cloud.tags import Birth

QUARANTINE_ROWS = 10_000
QUARANTINE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Confirmed:
    """All record numbers of one journal epoch that are settled here."""

    node: str
    epoch: str
    intervals: Intervals
    at_ms: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Records an edge lost for good: a named gap that history shows (SAFETY S26)."""

    node: str
    epoch: str
    first: int
    last: int
    journal_class: str
    reason: str
    first_ms: int
    last_ms: int
    count: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A payload nobody could read, kept with the reason."""

    at_ms: int
    node: str
    topic: str
    reason: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Beside:
    """What is written in the transaction of the records it belongs to."""

    births: Sequence[Birth] = ()
    confirmed: Sequence[Confirmed] = ()
    holes: Sequence[Hole] = ()
    quarantined: Sequence[Quarantined] = ()


NOTHING = Beside()


def write_beside(connection: sqlite3.Connection, beside: Beside) -> None:
    if beside is NOTHING:
        return
    _write_births(connection, beside.births)
    connection.executemany(
        "INSERT INTO confirmed VALUES(?,?,?,?) ON CONFLICT(node, epoch) DO UPDATE SET "
        "intervals = excluded.intervals, at_ms = excluded.at_ms",
        [(c.node, c.epoch, str(c.intervals), c.at_ms) for c in beside.confirmed],
    )
    _write_holes(connection, beside.holes)
    _write_quarantined(connection, beside.quarantined)


def _write_holes(connection: sqlite3.Connection, holes: Sequence[Hole]) -> None:
    """Write holes; an edge that lost more tells the larger hole again, in place of those it contains."""
    same = "node = ? AND epoch = ? AND journal_class = ? AND reason = ? AND first >= ? AND last <= ?"
    connection.executemany(
        f"DELETE FROM holes WHERE {same}",
        [(h.node, h.epoch, h.journal_class, h.reason, h.first, h.last) for h in holes],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO holes VALUES(?,?,?,?,?,?,?,?,?,?)",
        [
            (h.node, h.epoch, h.first, h.last, h.journal_class, h.reason, h.first_ms, h.last_ms, h.count, h.at_ms)
            for h in holes
        ],
    )


def _write_births(connection: sqlite3.Connection, births: Iterable[Birth]) -> None:
    for birth in births:
        connection.executemany("INSERT INTO tags VALUES(?,?)", birth.new_tags)
        connection.execute("INSERT INTO births VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", birth.row())


def _write_quarantined(connection: sqlite3.Connection, quarantined: Sequence[Quarantined]) -> None:
    """Keep the payload as far as it is reasonable, and only the newest rows: junk must not fill the disk."""
    if not quarantined:
        return
    connection.executemany(
        "INSERT INTO quarantine(at_ms, node, topic, reason, payload) VALUES(?,?,?,?,?)",
        [(q.at_ms, q.node, _sayable(q.topic), _sayable(q.reason), q.payload[:QUARANTINE_BYTES]) for q in quarantined],
    )
    connection.execute("DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (QUARANTINE_ROWS,))


def _sayable(text: str) -> str:
    """Return a text as UTF-8 has it: a reason may quote half a character, and that must not stop the log."""
    return text.encode(errors="backslashreplace").decode()
