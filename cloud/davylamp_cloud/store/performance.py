"""What the alarm system says of itself, on disk: advice, floods, first-outs; transitions as columns for its KPIs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from davylamp_alarms.definition import position_of
from davylamp_alarms.performance.heard import ACTS, SOUNDING
from davylamp_alarms.performance.kpis import Columns
from davylamp_alarms.transition import Event, Lane
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    String,
    Table,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from davylamp_cloud.store import schema

ANNUNCIATED, RAISED, ENDED, HIDDEN, ACTED = 1, 2, 4, 8, 16
"""What a transition was, as bits: they are told apart by the database, so that a storm is read in one go."""

PRIORITIES = ("blue", "yellow", "orange", "red")


@dataclass(frozen=True, slots=True)
class History:
    """Transitions of one position as columns; `alarms` are the ids behind their numbers."""

    columns: Columns
    alarms: tuple[str, ...]


def last_numbers(connection: Connection) -> tuple[int, dict[str, int], dict[str, int]]:
    """Return the last number given to an advice, to a flood of each position, and to an upset of each hazard source."""
    advice = max((number for _, number in _numbers(connection, schema.ADVICE)), default=0)
    return advice, _last(_numbers(connection, schema.FLOODS)), _last(_numbers(connection, schema.UPSETS))


def _numbers(connection: Connection, table: Table) -> Iterable[tuple[str, int]]:
    for name in connection.execute(select(table.c.id)).scalars():
        head, _, number = str(name).rpartition("-")
        yield head.removesuffix("-flood").removesuffix("-upset"), int(number)


def _last(numbers: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, number in numbers:
        found[name] = max(number, found.get(name, 0))
    return found


def history(connection: Connection, position: str, from_ms: int, to_ms: int) -> History:
    """Return a position's transitions of ``from_ms <= at < to_ms`` in the order of the log."""
    table = schema.TRANSITIONS
    live = table.c.lane == str(Lane.LIVE)
    shown = _shown()
    bits = (
        _bit(ANNUNCIATED, _annunciated())
        + _bit(RAISED, and_(live, table.c.event == str(Event.RAISED)))
        + _bit(ENDED, and_(live, table.c.event.in_([str(Event.CLEARED), str(Event.CLOSED)])))
        + _bit(HIDDEN, ~shown)
        + _bit(ACTED, table.c.event.in_([str(e) for e in ACTS]))
    )
    priority = case(*((table.c.priority == word, n) for n, word in enumerate(PRIORITIES, 1)), else_=0)
    mine = or_(func.substr(table.c.alarm_id, 1, len(position) + 1) == f"{position}/", table.c.alarm_id == position)
    query = select(table.c.at_ms, priority, bits, table.c.alarm_id).where(
        table.c.at_ms >= from_ms, table.c.at_ms < to_ms, mine
    )
    rows = connection.execute(query.order_by(table.c.at_ms, table.c.seq, table.c.source_no)).all()
    return _columns(rows)


def annunciated(connection: Connection, from_ms: int) -> dict[str, int]:
    """Return how many alarms sounded at each position since a moment (host time); positions without any are absent."""
    table = schema.TRANSITIONS
    query = select(table.c.alarm_id, func.count()).where(table.c.at_ms > from_ms, _annunciated())
    found: Counter[str] = Counter()
    for alarm, count in connection.execute(query.group_by(table.c.alarm_id)):
        found[position_of(alarm)] += count
    return dict(found)


def _shown() -> ColumnElement[bool]:
    return type_coerce(schema.TRANSITIONS.c.suppressions, String) == "[]"


def _annunciated() -> ColumnElement[bool]:
    """Say in SQL what `Heard.annunciated` says of one transition."""
    table = schema.TRANSITIONS
    standing = and_(or_(table.c.condition == "active", table.c.latched), ~table.c.acknowledged)
    sounds = or_(table.c.event.in_([str(Event.RAISED), str(Event.RE_ALARMED)]), standing)
    return and_(_shown(), table.c.event.in_([str(e) for e in SOUNDING]), sounds)


def _bit(value: int, holds: ColumnElement[bool]) -> ColumnElement[int]:
    return case((holds, literal(value)), else_=literal(0))


def _columns(rows: Sequence[Row[Any]]) -> History:
    at, priority, bits, names = zip(*rows, strict=True) if rows else ((), (), (), ())
    numbers = {name: n for n, name in enumerate(dict.fromkeys(names))}
    said = np.array(bits, np.int64)
    columns = Columns(
        np.array(at, np.int64),
        np.array([numbers[name] for name in names], np.int64),
        np.array(priority, np.int64),
        *((said & bit) != 0 for bit in (ANNUNCIATED, RAISED, ENDED, HIDDEN, ACTED)),
    )
    return History(columns, tuple(numbers))
