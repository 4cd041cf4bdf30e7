"""What stood, as a record of the log says it to an engine that started without memory (SAFETY S4). Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from davylamp_alarms.book import Record
from davylamp_alarms.definition import Kind
from davylamp_alarms.lifecycle import State
from davylamp_alarms.transition import Condition, Lane

FIELDS = (
    "alarm_id", "lane", "kind", "occurrence", "version", "condition", "acknowledged", "latched", "raised_ms", "late",
    "late_until_ms", "value", "quality", "acknowledged_ms",
)  # fmt: skip
"""Columns of a stored alarm that an occurrence is made of again."""


def resumption(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the change that tells the engine of stored alarms."""
    return {"op": "resume", "standing": [{name: row[name] for name in FIELDS} for row in rows]}


def standing_in(said: Mapping[str, Any]) -> list[Record]:
    """Return the occurrences a change tells of; what hid them is not among it."""
    return [_record(row) for row in said["standing"]]


def _record(row: Mapping[str, Any]) -> Record:
    return Record(
        alarm=row["alarm_id"],
        lane=Lane(row["lane"]),
        tag=-1,
        kind=Kind(row["kind"]),
        occurrence=row["occurrence"],
        version=row["version"],
        state=State(Condition(row["condition"]), row["acknowledged"], row["latched"], frozenset()),
        raised_ms=row["raised_ms"],
        late=row["late"],
        late_until_ms=row["late_until_ms"],
        value=row["value"],
        quality=row["quality"],
        acknowledged_ms=row["acknowledged_ms"] or 0,
    )
