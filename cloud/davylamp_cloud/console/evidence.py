"""The figure of a warning: what its rule found, over what its tag has said, as an SVG that needs no script."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from davylamp_cloud.api.alarms import view_of
from davylamp_cloud.api.gate import Reader as Allowed
from davylamp_cloud.api.parts import CloudParts, Occurrence, Parts
from davylamp_cloud.api.views import AlarmView
from davylamp_cloud.api.words import number
from davylamp_cloud.console.answers import reader_of
from davylamp_cloud.console.figure import HEIGHT, WIDTH, Reading, Span, draw, span_of
from davylamp_cloud.console.render import Reader
from davylamp_cloud.historian import Floats as Values
from davylamp_cloud.historian import HistorianUnavailable, Int64s

router = APIRouter(include_in_schema=False)

MOST_READINGS = 2_000
STEPS = 240
"""A stretch with more readings is drawn by the means of so many steps."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one tag adds to what was found: its name, and its part of the whole in percent."""

    name: str
    percent: float


@router.get("/console/alarms/{occurrence}/evidence", response_class=HTMLResponse)
def evidence_figure(request: Request, parts: CloudParts, actor: Allowed, occurrence: Occurrence) -> HTMLResponse:
    """Draw what a warning was raised on."""
    reader, alarm = reader_of(request, parts), view_of(parts, actor, occurrence)
    return HTMLResponse(reader.render("parts/evidence.html", **evidence_values(reader, parts, alarm)))


def evidence_values(reader: Reader, parts: Parts, alarm: AlarmView) -> dict[str, Any]:
    """Return what the template needs; reads history, and says so where it does not answer."""
    evidence = alarm.evidence or {}
    span = span_of(evidence, alarm.since_ms, parts.cloud.now_ms())
    try:
        readings = _readings(parts, alarm.tag_index, span)
    except HistorianUnavailable:
        readings = None
    return {
        "alarm": alarm,
        "figure": draw(evidence, readings or [], span),
        "unread": readings is None,
        "shares": _shares(reader, parts, evidence),
        "limit_words": f"{evidence.get('towards') or ''} {_figure(evidence.get('limit'), alarm)}".strip(),
        "now_words": _figure(evidence["line"][1][1], alarm) if evidence.get("line") else "",
        "times": _times(evidence, span),
        "size": (WIDTH, HEIGHT),
    }


def _figure(value: float | None, alarm: AlarmView) -> str:
    return "" if value is None else f"{number(float(f'{value:.4g}'))} {alarm.unit}".strip()


def _readings(parts: Parts, tag: int | None, span: Span) -> list[Reading]:
    """Return a tag's readings in a stretch of time; of many, the means of steps."""
    if tag is None:
        return []
    historian, from_ms, to_ms = parts.cloud.historian, int(span.from_ms), int(span.to_ms) + 1
    series = historian.read(tag, from_ms, to_ms, MOST_READINGS)
    if not series.truncated:
        return _pairs(series.times_ms, series.values)
    steps = historian.trend(tag, from_ms, to_ms, max((to_ms - from_ms) // STEPS, 1000))
    return _pairs(steps.times_ms, steps.means)


def _pairs(times_ms: Int64s, values: Values) -> list[Reading]:
    known = np.isfinite(values)
    pairs = zip(times_ms.tolist(), values.tolist(), known.tolist(), strict=True)
    return [(time_ms, value if is_known else None) for time_ms, value, is_known in pairs]


def _shares(reader: Reader, parts: Parts, evidence: Mapping[str, Any]) -> list[Share]:
    """Return what each tag adds, by the names people call them."""
    told = evidence.get("contributions") or []
    known = parts.catalogue.some([tag for tag, _ in told]).by_tag
    return [Share(reader.say(known[tag].name) if tag in known else tag, 100.0 * part) for tag, part in told]


def _times(evidence: Mapping[str, Any], span: Span) -> dict[str, int | None]:
    """Return the times that the figure names: its ends, and the newest sample of the rule."""
    line = evidence.get("line")
    return {"from_ms": int(span.from_ms), "to_ms": int(span.to_ms), "now_ms": int(line[1][0]) if line else None}
