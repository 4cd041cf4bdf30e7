"""The outbox table as the outbox sees it: what is pending, and what came of an attempt. Short transactions only."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import bindparam, select, update

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


def pending_after(state: State, row: int) -> list[Pending]:
    """Return the next pending rows beyond one, in the order they were made."""
    query = (
        select(OUTBOX)
        .where(OUTBOX.c.id > row, OUTBOX.c.state == DeliveryState.PENDING)
        .order_by(OUTBOX.c.id)
        .limit(PAGE)
    )
    return [
        Pending(
            found["receiver"],
            Item(
                row=found["id"],
                transition=found["transition"],
                occurrence=found["occurrence"],
                priority=found["priority"],
                body=found["body"].encode(),
                attempts=found["attempts"],
                created_ms=found["created_ms"],
                error=found["last_error"],
            ),
            found["next_attempt_ms"],
        )
        for found in state.rows(query)
    ]


def body_of_row(state: State, row: int) -> bytes:
    """Return a notice's body again, byte for byte what was signed before."""
    found = state.row(select(OUTBOX.c.body).where(OUTBOX.c.id == row))
    if found is None:
        raise LookupError(f"outbox row {row} is gone")
    body: str = found["body"]
    return body.encode()


def mark(state: State, attempts: Sequence[Attempt]) -> None:
    """Write what came of attempts, all in one transaction."""
    change = (
        update(OUTBOX)
        .where(OUTBOX.c.id == bindparam("row"))
        .values(
            state=bindparam("new_state"),
            attempts=bindparam("tried"),
            next_attempt_ms=bindparam("next_ms"),
            last_error=bindparam("error"),
            delivered_ms=bindparam("delivered"),
        )
    )
    rows = [
        {
            "row": attempt.item.row,
            "new_state": attempt.state.value,
            "tried": attempt.attempts,
            "next_ms": attempt.next_attempt_ms,
            "error": attempt.error,
            "delivered": attempt.at_ms if attempt.state is DeliveryState.DELIVERED else None,
        }
        for attempt in attempts
    ]
    with state.writing() as connection:
        connection.execute(change, rows)
