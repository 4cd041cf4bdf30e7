"""The alarm rows: where each alarm stands now, made from its newest transition."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from davylamp_alarms.transition import Event, Suppression
from sqlalchemy import Connection

from davylamp_cloud.store import schema
from davylamp_cloud.store.rows import put

Row = dict[str, Any]
Key = tuple[str, str]
"""Alarm and lane: what backlog tells of an alarm stands beside what it says now."""

BEFORE = (
    "alarm_id", "lane", "occurrence", "acknowledged_by", "acknowledged_ms", "shelved_until_ms", "hidden_until_ms",
)  # fmt: skip
"""What of an alarm's row before matters to the row after."""

CHUNK = 400
"""Alarms looked up in one query: SQLite bounds the number of parameters."""


def write_alarms(
    connection: Connection, steps: Sequence[Row], texts: Sequence[Mapping[str, str]], hidden_until_ms: Mapping[int, int]
) -> None:
    """Bring the alarm rows up to date with transition rows and their sentences.

    `hidden_until_ms` is by the command's log number.
    """
    if not steps:
        return
    rows = _stored(connection, {step["alarm_id"] for step in steps})
    touched: dict[Key, Row] = {}
    for step, text in zip(steps, texts, strict=True):
        key = (step["alarm_id"], step["lane"])
        rows[key] = touched[key] = _moved(rows.get(key), step, text, hidden_until_ms.get(step["seq"]))
    put(connection, schema.ALARMS, list(touched.values()))


def _stored(connection: Connection, alarms: Iterable[str]) -> dict[Key, Row]:
    wanted, found = sorted(alarms), {}
    for start in range(0, len(wanted), CHUNK):
        some = tuple(wanted[start : start + CHUNK])
        query = f"SELECT {', '.join(BEFORE)} FROM alarms WHERE alarm_id IN ({', '.join('?' * len(some))})"
        for row in connection.exec_driver_sql(query, some):
            found[row[0], row[1]] = dict(zip(BEFORE, row, strict=True))
    return found


def _moved(before: Row | None, step: Row, text: Mapping[str, str], until_ms: int | None) -> Row:
    """Return an alarm's row after a step. Who acknowledged is kept as long as the acknowledgement itself."""
    same = before is not None and before["occurrence"] == step["occurrence"]
    row = {
        "alarm_id": step["alarm_id"],
        **{name: step[name] for name in schema.STEP_NAMES},
        "transition": step["id"],
        "seq": step["seq"],
        "acknowledged_by": "",
        "acknowledged_ms": None,
        "shelved_until_ms": None,
        "hidden_until_ms": None,
        "text_zh": text["zh"],
        "text_en": text["en"],
    }
    if step["event"] == Event.ACKNOWLEDGED:
        row |= {"acknowledged_by": step["actor"], "acknowledged_ms": step["at_ms"]}
    elif step["acknowledged"] and same and before is not None:
        row |= {name: before[name] for name in ("acknowledged_by", "acknowledged_ms")}
    for name, suppressions, event in ENDS:
        if not suppressions.isdisjoint(step["suppressions"]):
            kept = before[name] if before is not None else None
            row[name] = until_ms if step["event"] in event and until_ms is not None else kept
    return row


ENDS = (
    ("shelved_until_ms", {Suppression.SHELVED}, {Event.SHELVED}),
    ("hidden_until_ms", {Suppression.BY_DESIGN, Suppression.OUT_OF_SERVICE}, {Event.SUPPRESSED, Event.TAKEN_OUT}),
)
"""Column, the suppressions it tells the end of, and the events that set it."""
