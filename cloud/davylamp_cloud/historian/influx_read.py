"""InfluxQL questions and their answers as columns. Pure.

Only what InfluxDB 3's re-implementation also knows: SELECT of fields, MIN, MAX, MEAN, COUNT, GROUP BY time.
A tag is found by group, node and device over all measurements, because a device may have changed its profile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from davylamp_cloud.historian import Series, Trend
from davylamp_cloud.historian.influx_lines import FIRST_MS, LAST_MS, MINUS_INFINITY, NS, PLUS_INFINITY, field_of

CODE = 0xFFFF
PICTURES = "davylamp_"
"""Measurements of historian/announce.py begin so; they carry a device's tags too, and are no readings."""
Answer = Sequence[Mapping[str, Any]]

NO_TREND = Trend(
    np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
)


def page_query(tag_id: str, from_ms: int, to_ms: int, limit: int | None) -> str:
    """Return the question for a tag's raw readings."""
    field = field_of(tag_id.rsplit("/", 1)[1])
    limited = "" if limit is None else f" LIMIT {limit}"
    columns = ", ".join(_name(field + suffix) for suffix in ("", "_q", "_t"))
    return f"SELECT {columns} FROM /.*/ WHERE {_where(tag_id, from_ms, to_ms)}{limited}"


def trend_query(tag_id: str, from_ms: int, to_ms: int, step_ms: int) -> str:
    """Return the question for a tag in steps."""
    field = field_of(tag_id.rsplit("/", 1)[1])
    value, quality = _name(field), _name(field + "_q")
    return (
        f"SELECT MIN({value}), MAX({value}), MEAN({value}), COUNT({value}), COUNT({quality}) AS doubtful "
        f"FROM /.*/ WHERE {_where(tag_id, from_ms, to_ms)} GROUP BY time({step_ms}ms) fill(none)"
    )


def series_of(answer: Answer, field: str, limit: int | None) -> Series:
    """Return the readings of an answer to `page_query`, of all measurements in one order of time."""
    rows: list[Sequence[Any]] = []
    for series in _of_readings(answer):
        columns = {name: at for at, name in enumerate(series["columns"])}
        order = [columns["time"], *(columns.get(field + suffix) for suffix in ("", "_q", "_t"))]
        rows += [[None if at is None else row[at] for at in order] for row in series["values"]]
    rows = [row for row in rows if row[1] is not None or row[2] is not None or row[3] is not None]
    rows.sort(key=lambda row: int(row[0]))
    truncated = limit is not None and len(rows) > limit
    rows = rows[:limit]
    marks = [int(row[2] or 0) for row in rows]
    return Series(
        np.array([int(row[0]) // NS for row in rows], np.int64),
        np.array([_value(row[1], mark) for row, mark in zip(rows, marks, strict=True)], np.float64),
        np.array([mark & CODE for mark in marks], np.uint16),
        {at: row[3] for at, row in enumerate(rows) if row[3] is not None},
        truncated,
    )


def trend_of(answer: Answer) -> Trend:
    """Return the steps of an answer to `trend_query`; a step that two measurements share is put together."""
    steps: dict[int, tuple[float, float, float, int, int]] = {}
    for series in _of_readings(answer):
        for time, low, high, mean, count, doubtful in series["values"]:
            new = (_number(low), _number(high), _number(mean), int(count or 0), int(doubtful or 0))
            at = int(time) // NS
            steps[at] = _together(steps[at], new) if at in steps else new
    if not steps:
        return NO_TREND
    times = sorted(steps)
    lows, highs, means, counts, doubtful = zip(*(steps[at] for at in times), strict=True)
    return Trend(
        np.array(times, np.int64),
        np.array(lows),
        np.array(highs),
        np.array(means),
        np.array(counts, np.int64),
        np.array(doubtful, np.int64),
    )


def _of_readings(answer: Answer) -> list[Mapping[str, Any]]:
    return [series for series in answer if not series["name"].startswith(PICTURES)]


def _together(
    one: tuple[float, float, float, int, int], other: tuple[float, float, float, int, int]
) -> tuple[float, float, float, int, int]:
    count = one[3] + other[3]
    sums = [part[2] * part[3] for part in (one, other) if part[3]]
    return (
        float(np.fmin(one[0], other[0])),
        float(np.fmax(one[1], other[1])),
        sum(sums) / count if count else float("nan"),
        count,
        one[4] + other[4],
    )


def _value(text: str | None, mark: int) -> float:
    if text is not None:
        return float(text)
    if mark & PLUS_INFINITY:
        return float("inf")
    return float("-inf") if mark & MINUS_INFINITY else float("nan")


def _number(text: str | None) -> float:
    return float("nan") if text is None else float(text)


def _where(tag_id: str, from_ms: int, to_ms: int) -> str:
    group, node, device, _ = tag_id.split("/", 3)
    named = {"group": group, "node": node, "device": device or "-"}
    parts = [f"{_name(key)} = '{_text(value)}'" for key, value in named.items()]
    first, last = (min(max(time_ms, FIRST_MS), LAST_MS + 1) * NS for time_ms in (from_ms, to_ms))
    return " AND ".join([*parts, f"time >= {first}", f"time < {last}"])


def _name(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
