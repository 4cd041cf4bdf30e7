"""How the alarm system itself performs, on the page: advice with its dismissal, figures against targets, floods."""

from collections.abc import Callable
from typing import Any

from davylamp_alarms.performance.advice import Kind
from davylamp_alarms.performance.kpis import DAY_MS
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.commands import Answer
from davylamp_cloud.api.errors import ApiError
from davylamp_cloud.api.floods import floods
from davylamp_cloud.api.gate import Reader as Allowed
from davylamp_cloud.api.gate import Shelver
from davylamp_cloud.api.language import mark
from davylamp_cloud.api.parts import CloudParts, Parts
from davylamp_cloud.api.performance import (
    AdviceId,
    Dismissed,
    KpiView,
    advice,
    dismissed,
    kpi_view,
)
from davylamp_cloud.api.permissions import Permission
from davylamp_cloud.api.words import number
from davylamp_cloud.console.answers import Form, carried_out, reader_of
from davylamp_cloud.console.naming import names_of
from davylamp_cloud.console.render import Reader

router = APIRouter(include_in_schema=False)

MOST_SHOWN = 20

KINDS = {
    Kind.CHATTER: mark("chatters"),
    Kind.FLEETING: mark("goes before anybody can act"),
    Kind.FLOOD: mark("among the most frequent of a flood"),
}

SUGGESTIONS = {
    "deadband": mark("deadband {value}"),
    "on_delay_s": mark("on-delay {value} s"),
    "off_delay_s": mark("off-delay {value} s"),
}

FIGURES = {
    "per_10_min": mark("Alarms in 10 minutes, on average"),
    "per_hour": mark("Alarms in an hour, on average"),
    "per_day": mark("Alarms in a day, on average"),
    "most_in_10_min": mark("Most alarms in 10 minutes"),
    "flooded": mark("Share of the time in flood"),
    "busy_hours": mark("Share of hours with more than 30"),
    "top_share": mark("Share of the ten most frequent"),
    "chattering": mark("Alarms that chatter"),
    "fleeting": mark("Fleeting alarms"),
    "stale": mark("Alarms that stood longer than a day"),
}

SHARES = frozenset({"flooded", "busy_hours", "top_share"})


@router.get("/console/advice", response_class=HTMLResponse)
def advice_list(request: Request, parts: CloudParts, actor: Allowed) -> HTMLResponse:
    """Show open advice on alarms."""
    reader, found = reader_of(request, parts), advice(parts, actor, closed=False, limit=MOST_SHOWN)
    html = reader.render(
        "parts/advice.html",
        advice=found,
        names=names_of(parts, [one.alarm_id for one in found]),
        kind=lambda kind: reader.translate(KINDS[Kind(kind)]),
        suggestion=_suggestion(reader),
        can_act=actor.may(Permission.SHELVE),
    )
    return HTMLResponse(html)


def _suggestion(reader: Reader) -> Callable[[dict[str, float]], str]:
    def say(wanted: dict[str, float]) -> str:
        known = [(name, value) for name, value in wanted.items() if name in SUGGESTIONS]
        return ", ".join(reader.translate(SUGGESTIONS[name], value=number(value)) for name, value in known)

    return say


@router.post("/console/advice/{advice_id}/dismiss")
async def dismiss(request: Request, parts: CloudParts, actor: Shelver, advice_id: AdviceId) -> Response:
    """Close an advice for a reason that is recorded."""

    async def act(form: Form) -> Answer:
        return await run_in_threadpool(dismissed, parts, actor, advice_id, Dismissed.model_validate(form))

    return await carried_out(request, parts, act)


@router.get("/console/performance", response_class=HTMLResponse)
def figures_dialog(
    request: Request, parts: CloudParts, actor: Allowed, position: str = Query("", max_length=64)
) -> HTMLResponse:
    """Show a position's figures of the last 30 days against their targets, its most frequent alarms and its floods."""
    reader = reader_of(request, parts)
    known = sorted({entry.tag.partition("/")[0] for entry in parts.catalogue.register().entries})
    asked = position if position in known else next(iter(known), "")
    values = {"position": asked, "positions": known if not actor.hazard_sources else []}
    try:
        values |= _values(reader, parts, actor, kpi_view(parts, actor, asked, None, None))
    except ApiError as error:
        values["wrong"] = " ".join([reader.say(error.what), reader.say(error.do)])
    return HTMLResponse(reader.render("parts/figures.html", **values))


def _values(reader: Reader, parts: Parts, actor: Actor, found: KpiView) -> dict[str, Any]:
    past = [one for one in floods(parts, actor, lasting=False, limit=100) if one.position == found.position][:10]
    ids = [one["alarm_id"] for one in found.figures["top"]] + [alarm for flood in past for _, alarm, _ in flood.first]
    return {
        "kpi": found,
        "days": round((found.to_ms - found.from_ms) / DAY_MS, 1),
        "figure": lambda name: reader.translate(FIGURES[name]),
        "shown": lambda name, value: f"{value:.1%}" if name in SHARES else number(value),
        "floods": past,
        "names": names_of(parts, ids),
    }
