"""Which alarms stood in a window of time, from the stored transitions."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from davylamp_alarms.transition import Condition, Event
from davylamp_alarms.watching.window import Stood
from sqlalchemy import Select, and_, or_, select

from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row, State

ENDED = (Event.CLEARED, Event.LATCHED, Event.CLOSED, Event.RECORDED)
"""Steps that say that an alarm stood until then; others may come long after it was over."""

AT_ONCE = 500
"""Tags in one query: SQLite takes so many parameters, and more."""


def stood(state: State, tags: Sequence[str], from_ms: int, to_ms: int) -> tuple[Stood, ...]:
    """Return the occurrences of these tags' alarms that stood in ``from_ms <= source time < to_ms``, by alarm."""
    found: list[Stood] = []
    for start in range(0, len(tags), AT_ONCE):
        some = tags[start : start + AT_ONCE]
        rows = [*state.rows(_steps(some, from_ms, to_ms)), *state.rows(_still(some, to_ms))]
        found += _occurrences(rows)
    return tuple(sorted(found, key=lambda one: (one.alarm, one.from_ms)))


def _steps(tags: Sequence[str], from_ms: int, to_ms: int) -> Select[tuple[object, ...]]:
    """Ask for the steps that show an alarm standing at a time of the window, or later after it began in it."""
    step = schema.TRANSITIONS.c
    alarms = select(schema.ALARMS.c.alarm_id).where(schema.ALARMS.c.tag_id.in_(tags))
    shows = or_(step.condition == Condition.ACTIVE.value, step.event.in_([event.value for event in ENDED]))
    return select(
        step.alarm_id,
        step.lane,
        step.occurrence,
        step.condition,
        step.raised_ms,
        step.time_ms,
        step.late_until_ms,
        step.seq,
    ).where(
        step.alarm_id.in_(alarms),
        step.raised_ms < to_ms,
        or_(step.time_ms >= from_ms, step.late_until_ms >= from_ms),
        shows,
    )


def _still(tags: Sequence[str], to_ms: int) -> Select[tuple[object, ...]]:
    """Ask for alarms that stand now, however long ago they were raised."""
    alarm = schema.ALARMS.c
    return select(
        alarm.alarm_id,
        alarm.lane,
        alarm.occurrence,
        alarm.condition,
        alarm.raised_ms,
        alarm.time_ms,
        alarm.late_until_ms,
        alarm.seq,
    ).where(and_(alarm.tag_id.in_(tags), alarm.condition == Condition.ACTIVE.value, alarm.raised_ms < to_ms))


def _occurrences(rows: Sequence[Row]) -> Iterator[Stood]:
    def occurrence(row: Row) -> tuple[str, str, str]:
        return str(row["alarm_id"]), str(row["lane"]), str(row["occurrence"])

    for (alarm, _, _), steps in groupby(sorted(rows, key=lambda row: (occurrence(row), row["seq"])), key=occurrence):
        of = list(steps)
        last = of[-1]
        stands = last["condition"] == Condition.ACTIVE.value and last["late_until_ms"] is None
        until_ms = None if stands else int(last["late_until_ms"] or last["time_ms"])
        yield Stood(alarm=alarm, from_ms=min(int(row["raised_ms"]) for row in of), to_ms=until_ms)
