"""The preview of a shelf: what it would hide, what stays audible, whether a second person is needed (S15, S16)."""

from typing import Any

from davylamp_alarms.definition import Kind
from sqlalchemy import func, select

from davylamp_cloud import telling
from davylamp_cloud.api.language import mark
from davylamp_cloud.api.limits import limits_of
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.api.views import AlarmView, LimitView
from davylamp_cloud.api.words import number, of
from davylamp_cloud.console.render import Reader
from davylamp_cloud.store import schema

DAY_MS = 24 * 3600 * 1000

DURATIONS = ((15, mark("15 minutes")), (60, mark("1 hour")), (240, mark("4 hours")), (480, mark("8 hours: one shift")))


def shelve_values(reader: Reader, parts: Parts, alarm: AlarmView) -> dict[str, Any]:
    """Return what the shelve dialog shows."""
    entry = parts.catalogue.register().by_tag.get(alarm.tag)
    limits = limits_of(parts.cloud.state.limits(entry.index)) if entry else ()
    limit_words = "" if alarm.limit is None else f" ({number(alarm.limit)} {alarm.unit})"
    return {
        "alarm": alarm,
        "limit_words": limit_words,
        "activations": _activations(parts, alarm),
        "still_heard": [_limit(reader, limit, alarm.unit) for limit in limits if limit.kind != alarm.kind],
        "two_persons": two_persons(alarm, entry.kind if entry else ""),
        "durations": [(minutes, reader.translate(label)) for minutes, label in DURATIONS],
    }


def two_persons(alarm: AlarmView, point_kind: str) -> bool:
    """Return whether SAFETY S15 asks for a second person; the engine decides, this only asks in time."""
    return alarm.level == "red" or alarm.kind in ("HH", "LL", "L2", "OVER_RANGE") or point_kind == "fire"


def _activations(parts: Parts, alarm: AlarmView) -> int:
    table = schema.TRANSITIONS
    since_ms = parts.cloud.now_ms() - DAY_MS
    where = (table.c.alarm_id == alarm.alarm_id, table.c.event == "raised", table.c.at_ms >= since_ms)
    row = parts.cloud.state.row(select(func.count().label("raised")).select_from(table).where(*where))
    return int(row["raised"]) if row else 0


def _limit(reader: Reader, limit: LimitView, unit: str) -> str:
    kind = reader.say(of(telling.KINDS[Kind(limit.kind)]))
    value = number(limit.value)
    return reader.translate(
        mark("{kind} {short} at {value} {unit}"), kind=kind, short=limit.kind, value=value, unit=unit
    )
