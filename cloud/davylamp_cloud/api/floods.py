"""Floods of alarms as the API and the page's banner tell of them."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.store import schema


@dataclass(frozen=True, slots=True)
class FloodView:
    """A flood; `ended_ms` is 0 while it lasts, `worst` its most frequent alarms with their counts.

    `first` names occurrence, alarm and begin of what came first; more than one lie within `tie_ms` and nobody knows.
    """

    id: str
    position: str
    began_ms: int
    ended_ms: int
    peak: int
    total: int
    alarms: int
    priorities: dict[str, int]
    worst: list[tuple[str, int]]
    tie_ms: int
    first: list[tuple[str, str, int]]


def floods(parts: Parts, actor: Actor, *, lasting: bool, limit: int) -> list[FloodView]:
    """Return floods, newest first; of a whole position, so only to who sees all of it."""
    if actor.hazard_sources:
        return []
    table = schema.FLOODS
    query: Select[Any] = select(table).order_by(table.c.began_ms.desc()).limit(limit)
    rows = parts.cloud.state.rows(query.where(table.c.ended_ms == 0) if lasting else query)
    pairs = ("worst", "first")
    return [FloodView(**{**row, **{name: [tuple(item) for item in row[name]] for name in pairs}}) for row in rows]
