"""What the duty room does to an alarm on the page: each act goes the way of the API's own."""

from functools import partial

from davylamp_alarms.transition import Op
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.alarms import Act, Shelve, alarm_row, on_occurrence, second_person, shelved, unshelved, view_of
from davylamp_cloud.api.commands import Answer
from davylamp_cloud.api.gate import Acknowledger, Resetter, Shelver
from davylamp_cloud.api.hiding import shelf_preview
from davylamp_cloud.api.parts import CloudParts, Occurrence, Parts
from davylamp_cloud.console.answers import Form, carried_out, reader_of
from davylamp_cloud.console.shelving import Minutes, ends_at, look_at, shelve_values

router = APIRouter(include_in_schema=False)


@router.get("/console/alarms/{occurrence}/note", response_class=HTMLResponse)
def note_dialog(request: Request, parts: CloudParts, actor: Acknowledger, occurrence: Occurrence) -> HTMLResponse:
    """Ask for what is to be recorded with an acknowledgement or a reset."""
    alarm = view_of(parts, actor, occurrence)
    return HTMLResponse(reader_of(request, parts).render("parts/note.html", alarm=alarm))


@router.get("/console/alarms/{occurrence}/shelve", response_class=HTMLResponse)
def shelve_dialog(request: Request, parts: CloudParts, actor: Shelver, occurrence: Occurrence) -> HTMLResponse:
    """Show what shelving would hide, before it is done (SAFETY S16)."""
    reader = reader_of(request, parts)
    alarm = view_of(parts, actor, occurrence)
    return HTMLResponse(reader.render("parts/shelve.html", **shelve_values(reader, parts, actor, alarm)))


@router.get("/console/alarms/{occurrence}/shelve/end", response_class=HTMLResponse)
def shelf_end(
    request: Request, parts: CloudParts, actor: Shelver, occurrence: Occurrence, minutes: Minutes
) -> HTMLResponse:
    """Say when a shelf would really end: not together with others of its position."""
    found = look_at(partial(shelf_preview, parts, actor, occurrence, minutes))
    return HTMLResponse(ends_at(reader_of(request, parts), found))


@router.post("/console/alarms/{occurrence}/acknowledge")
async def acknowledge(request: Request, parts: CloudParts, actor: Acknowledger, occurrence: Occurrence) -> Response:
    """Acknowledge the version that was on the screen."""
    return await carried_out(request, parts, partial(_on_occurrence, parts, actor, Op.ACKNOWLEDGE, occurrence))


@router.post("/console/alarms/{occurrence}/reset")
async def reset(request: Request, parts: CloudParts, actor: Resetter, occurrence: Occurrence) -> Response:
    """Reset a latched alarm."""
    return await carried_out(request, parts, partial(_on_occurrence, parts, actor, Op.RESET, occurrence))


@router.post("/console/alarms/{occurrence}/unshelve")
async def unshelve(request: Request, parts: CloudParts, actor: Shelver, occurrence: Occurrence) -> Response:
    """End a shelf now."""

    async def act(form: Form) -> Answer:
        return await run_in_threadpool(unshelved, parts, actor, occurrence, Act.model_validate(form))

    return await carried_out(request, parts, act)


@router.post("/console/alarms/{occurrence}/shelve")
async def shelve(request: Request, parts: CloudParts, actor: Shelver, occurrence: Occurrence) -> Response:
    """Shelve one limit of one tag, with the second person's token where it is needed."""

    async def act(form: Form) -> Answer:
        asked = Shelve.model_validate(form)
        source = (await run_in_threadpool(alarm_row, parts, actor, occurrence))["hazard_source"]
        second = await second_person(request, actor, asked.second_token, source)
        return await run_in_threadpool(shelved, parts, actor, occurrence, asked, second)

    return await carried_out(request, parts, act)


async def _on_occurrence(parts: Parts, actor: Actor, op: Op, occurrence: str, form: Form) -> Answer:
    return await run_in_threadpool(on_occurrence, parts, actor, op, occurrence, Act.model_validate(form))
