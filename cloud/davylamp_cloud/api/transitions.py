"""Transitions: every step of every occurrence, in the order of the log, with its place in the hash chain."""

from dataclasses import dataclass
from typing import Annotated, Any

from davylamp_wire.config import SLUG
from fastapi import APIRouter, Query
from sqlalchemy import select

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.gate import TransitionReader
from davylamp_cloud.api.parts import LAST_SEQ, REFUSALS, CloudParts, Limit, Parts
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row

router = APIRouter(prefix="/api/v1/transitions", tags=["transitions"], responses=REFUSALS)


@dataclass(frozen=True, slots=True)
class TransitionPage:
    """Steps after a place in the log. Ask again with ``after = next_after`` while `more` is true.

    A page never ends in the middle of a log record, so nothing is skipped or seen twice.
    """

    items: list[dict[str, Any]]
    next_after: int
    more: bool


@router.get("")
def list_transitions(
    parts: CloudParts,
    actor: TransitionReader,
    after: Annotated[int, Query(ge=0, le=LAST_SEQ, description="log number to read on from")] = 0,
    hazard_source: Annotated[str | None, Query(pattern=SLUG)] = None,
    occurrence: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,100}$")] = None,
    limit: Limit = 100,
) -> TransitionPage:
    """List transitions, oldest first."""
    rows = _rows(parts, actor, after, limit + 1, hazard_source, occurrence)
    more = len(rows) > limit
    if more:
        rows = _whole_records(parts, actor, rows[:limit], rows[limit]["seq"], hazard_source, occurrence)
    return TransitionPage([dict(row) for row in rows], rows[-1]["seq"] if rows else after, more)


def _whole_records(
    parts: Parts, actor: Actor, rows: list[Row], cut_seq: int, hazard_source: str | None, occurrence: str | None
) -> list[Row]:
    """Drop a record the page would cut in two; where one record alone overflows a page, return all of it."""
    whole = [row for row in rows if row["seq"] < cut_seq]
    if whole:
        return whole
    return _rows(parts, actor, cut_seq - 1, LAST_SEQ, hazard_source, occurrence, until=cut_seq)


def _rows(
    parts: Parts,
    actor: Actor,
    after: int,
    limit: int,
    hazard_source: str | None,
    occurrence: str | None,
    until: int = LAST_SEQ,
) -> list[Row]:
    table = schema.TRANSITIONS
    query = select(table).where(table.c.seq > after, table.c.seq <= until)
    if actor.hazard_sources:
        query = query.where(table.c.hazard_source.in_(actor.hazard_sources))
    if hazard_source is not None:
        query = query.where(table.c.hazard_source == hazard_source)
    if occurrence is not None:
        query = query.where(table.c.occurrence == occurrence)
    order = (table.c.seq, table.c.hazard_source, table.c.source_no)
    return parts.cloud.state.rows(query.order_by(*order).limit(limit))
