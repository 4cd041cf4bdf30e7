"""The outbox table as the outbox sees it: what is pending, and what came of an attempt. Short transactions only."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select

from davylamp_cloud.notify.queue import Item
from davylamp_cloud.store.schema import OUTBOX
from davylamp_cloud.store.state import State

PAGE = 2000


class DeliveryState(StrEnum):
    """Where a notice is; only PENDING is tried."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt. `next_attempt_ms` and `error` are empty where it was the last."""

    item: Item
    receiver: str
    state: DeliveryState
    at_ms: int
    attempts: int
    next_attempt_ms: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending row: for whom, and when it was to be tried."""

    receiver: str
    item: Item
    next_attempt_ms: int


def row_before_pending(state: State) -> int:
    """Return the last row before the oldest pending one; where none is, the last row there is."""
    oldest = select(func.min(OUTBOX.c.id) - 1).where(OUTBOX.c.state == DeliveryState.PENDING).scalar_subquery()
    newest = select(func.max(OUTBOX.c.id)).scalar_subquery()
    with state.reading() as connection:
        return int(connection.execute(select(func.coalesce(oldest, newest, 0))).scalar_one())


PAGE_AFTER = """
    SELECT receiver, next_attempt_ms, id, transition, occurrence, priority, body, attempts, created_ms, last_error
    FROM outbox WHERE id > ? AND +state = 'pending' ORDER BY id LIMIT ?
"""
"""The plus keeps SQLite from the index of states: from there it would sort all that waits, bodies and all, again and
again while a storm makes it grow."""


def pending_after(state: State, row: int) -> list[Pending]:
    """Return the next pending rows beyond one, in the order they were made."""
    with state.reading() as connection:
        found = connection.exec_driver_sql(PAGE_AFTER, (row, PAGE)).fetchall()
    return [_pending(*columns) for columns in found]


def _pending(
    receiver: str,
    next_attempt_ms: int,
    row: int,
    transition: str,
    occurrence: str,
    priority: str,
    body: str,
    attempts: int,
    created_ms: int,
    error: str,
) -> Pending:
    item = Item(row, transition, occurrence, priority, body.encode(), attempts, created_ms, error=error)
    return Pending(receiver, item, next_attempt_ms)


def body_of_row(state: State, row: int) -> bytes:
    """Return a notice's body again, byte for byte what was signed before."""
    found = state.row(select(OUTBOX.c.body).where(OUTBOX.c.id == row))
    if found is None:
        raise LookupError(f"outbox row {row} is gone")
    body: str = found["body"]
    return body.encode()


MARK = """
    UPDATE outbox SET state = ?, attempts = ?, next_attempt_ms = ?, last_error = ?, delivered_ms = ? WHERE id = ?
"""


def mark(state: State, attempts: Sequence[Attempt]) -> None:
    """Write what came of attempts, all in one transaction."""
    with state.writing() as connection:
        connection.exec_driver_sql(MARK, [_marked(attempt) for attempt in attempts])


def _marked(attempt: Attempt) -> tuple[str, int, int, str, int | None, int]:
    delivered_ms = attempt.at_ms if attempt.state is DeliveryState.DELIVERED else None
    said = (attempt.state.value, attempt.attempts, attempt.next_attempt_ms, attempt.error)
    return *said, delivered_ms, attempt.item.row
