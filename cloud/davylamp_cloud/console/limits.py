"""Limits and proposals on the page: every edit is previewed alarm by alarm before it can be saved (SAFETY S20)."""

import hashlib
import json
from typing import Annotated, Any, Literal

from davylamp_alarms.definition import Priority
from davylamp_alarms.migration import Decision
from davylamp_wire.point import LimitKind
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.alarms import second_person
from davylamp_cloud.api.commands import Answer
from davylamp_cloud.api.edit_bodies import Decide, DifferenceView, EditLimits, EditPreviewView, Verify, WantedLimits
from davylamp_cloud.api.edits import (
    Index,
    edited,
    entry_at,
    findings_in_force,
    limits_view,
    previewed_limits,
    verified,
)
from davylamp_cloud.api.errors import ApiError
from davylamp_cloud.api.gate import Editor
from davylamp_cloud.api.gate import Reader as Allowed
from davylamp_cloud.api.language import both, mark
from davylamp_cloud.api.parts import CloudParts, Parts
from davylamp_cloud.api.permissions import Permission
from davylamp_cloud.api.proposals import ProposalId, decided, previewed_proposal, proposal_of, proposals
from davylamp_cloud.api.words import PRIORITIES, number
from davylamp_cloud.console.answers import Form, carried_out, form_of, reader_of
from davylamp_cloud.console.limit_form import limits_of_form
from davylamp_cloud.console.render import Reader
from davylamp_cloud.console.tried import tried_limits

TriedJob = Annotated[str, Query(pattern=r"^(backtest-[0-9]{1,9})?$")]

router = APIRouter(include_in_schema=False)

DECISIONS = {
    Decision.KEEP.word: mark("kept as it is"),
    Decision.RE_EVALUATE.word: mark("held against the present value now"),
    Decision.CLOSE.word: mark("CLOSED by this change"),
}

FIELDS = {
    "limit": mark("limit"),
    "deadband": mark("deadband"),
    "on_delay_ms": mark("on-delay, s"),
    "off_delay_ms": mark("off-delay, s"),
    "latch": mark("latch"),
    "priority": mark("priority"),
}


@router.get("/console/proposals", response_class=HTMLResponse)
def proposal_list(request: Request, parts: CloudParts, actor: Allowed) -> HTMLResponse:
    """Show what births want that nobody has decided on."""
    found = proposals(parts, actor)
    html = reader_of(request, parts).render(
        "parts/proposals.html", proposals=found, can_edit=actor.may(Permission.EDIT)
    )
    return HTMLResponse(html)


@router.get("/console/proposals/{proposal}", response_class=HTMLResponse)
def proposal_dialog(request: Request, parts: CloudParts, actor: Editor, proposal: ProposalId) -> HTMLResponse:
    """Show what accepting a proposal would do."""
    reader, found = reader_of(request, parts), proposal_of(parts, actor, proposal)
    try:
        shown = _shown(reader, previewed_proposal(parts, actor, found))
    except ApiError as error:
        shown = _wrong(reader, error)
    return HTMLResponse(reader.render("parts/proposal.html", proposal=found, **shown))


@router.post("/console/proposals/{proposal}/{op}")
async def decide(
    request: Request, parts: CloudParts, actor: Editor, proposal: ProposalId, op: Literal["accept", "reject"]
) -> Response:
    """Accept or reject a proposal."""

    async def act(form: Form) -> Answer:
        return await decided(request, parts, actor, op, proposal, Decide.model_validate(form))

    return await carried_out(request, parts, act)


@router.get("/console/tags/{index}/limits", response_class=HTMLResponse)
def limits_dialog(
    request: Request, parts: CloudParts, actor: Editor, index: Index, tried: TriedJob = ""
) -> HTMLResponse:
    """Show the limits of a tag, to be edited; filled in with what a backtest tried, if one is named."""
    entry = entry_at(parts, actor, index)
    tag = limits_view(parts, entry)
    values = {
        "filled": tried_limits(parts, actor, entry, tried) if tried else tag.limits,
        "tried": bool(tried),
        "tag": tag,
        "absent": [str(kind) for kind in LimitKind if kind not in tag.limits],
        "priorities": [priority.word for priority in Priority],
        "findings": findings_in_force(parts, entry),
    }
    html = reader_of(request, parts).render("parts/limits.html", **values)
    return HTMLResponse(html)


@router.post("/console/tags/{index}/limits/preview", response_class=HTMLResponse)
async def preview(request: Request, parts: CloudParts, actor: Editor, index: Index) -> HTMLResponse:
    """Show what the form would do, and only then the button that saves it."""
    form = await form_of(request)
    return HTMLResponse(await run_in_threadpool(_preview, reader_of(request, parts), parts, actor, index, form))


@router.post("/console/tags/{index}/limits")
async def save(request: Request, parts: CloudParts, actor: Editor, index: Index) -> Response:
    """Save what was previewed, and nothing else."""

    async def act(form: Form) -> Answer:
        entry = await run_in_threadpool(entry_at, parts, actor, index)
        wanted = await run_in_threadpool(limits_of_form, parts, entry, form)
        said = {"comment": form.get("comment", ""), "second_token": form.get("second_token")}
        asked = EditLimits.model_validate({**wanted, **said})
        if form.get("previewed") != _digest(wanted):
            raise _not_previewed()
        second = await second_person(request, actor, asked.second_token, entry.hazard_source)
        return await run_in_threadpool(edited, parts, actor, entry, asked, second)

    return await carried_out(request, parts, act)


@router.post("/console/tags/{index}/limits/{kind}/verify")
async def verify(request: Request, parts: CloudParts, actor: Editor, index: Index, kind: LimitKind) -> Response:
    """Say that a limit's source was read (SAFETY S30)."""

    async def act(form: Form) -> Answer:
        said = Verify.model_validate({"version": form.get("version"), "comment": form.get("read", "")})
        return await run_in_threadpool(verified, parts, actor, entry_at(parts, actor, index), kind, said)

    return await carried_out(request, parts, act)


def _preview(reader: Reader, parts: Parts, actor: Actor, index: int, form: Form) -> str:
    entry = entry_at(parts, actor, index)
    wanted = limits_of_form(parts, entry, form)
    try:
        body = WantedLimits.model_validate(wanted)
        shown = _shown(reader, previewed_limits(parts, actor, entry, body))
    except ValidationError as error:
        shown = {"wrong": "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())}
    except ApiError as error:
        shown = _wrong(reader, error)
    return reader.render(
        "parts/edit_preview.html", previewed=_digest(wanted), save=f"/console/tags/{index}/limits", **shown
    )


def _shown(reader: Reader, found: EditPreviewView) -> dict[str, Any]:
    """Return what the template of a preview needs."""
    return {
        "alarms": found.alarms,
        "two_persons": found.two_persons,
        "findings": found.findings,
        "decision": lambda word: reader.translate(DECISIONS[word]),
        "field": lambda name: reader.translate(FIELDS[name]),
        "value": lambda difference, end: _value(reader, difference, end),
    }


def _wrong(reader: Reader, error: ApiError) -> dict[str, Any]:
    unsaid = (line for line in error.details if line not in error.what.en)
    return {"wrong": " ".join([reader.say(error.what), reader.say(error.do), *unsaid])}


def _value(reader: Reader, difference: DifferenceView, end: str) -> str:
    value = getattr(difference, end)
    if value is None:
        return "–"
    if difference.field == "priority":
        return reader.say(both(PRIORITIES[Priority(round(value)).word]))
    if difference.field == "latch":
        return reader.translate(mark("yes")) if value else reader.translate(mark("no"))
    return number(value / 1000 if difference.field.endswith("_ms") else value)


def _digest(wanted: dict[str, Any]) -> str:
    """Return what a preview was of, so that nothing is saved that nobody saw."""
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def _not_previewed() -> ApiError:
    return ApiError(
        409,
        "not_previewed",
        both(mark("The limits were changed after the preview.")),
        both(mark("Preview them again, then save.")),
    )
