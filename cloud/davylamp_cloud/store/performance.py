"""What the alarm system says of itself, on disk: the numbers it gave, and how many alarms sounded of late."""

from collections import Counter
from collections.abc import Iterable

from davylamp_alarms.definition import position_of
from sqlalchemy import Connection, Table, func, select, text

from davylamp_cloud.store import schema
from davylamp_cloud.store.what import ANNUNCIATED


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


def annunciated(connection: Connection, from_ms: int) -> dict[str, int]:
    """Return how many alarms sounded at each position since a moment (host time); positions without any are absent."""
    table = schema.TRANSITIONS
    query = select(table.c.alarm_id, func.count()).where(table.c.at_ms > from_ms, text(ANNUNCIATED))
    found: Counter[str] = Counter()
    for alarm, count in connection.execute(query.group_by(table.c.alarm_id)):
        found[position_of(alarm)] += count
    return dict(found)
