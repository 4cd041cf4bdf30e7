"""The hand-over on the page, and its dialogs: masks, instruments out of service, what the park reviews."""

from typing import Any

from davylamp_alarms.transition import Op, OutReason
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api import hiding
from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.alarms import second_person
from davylamp_cloud.api.commands import Answer, carry_out, command
from davylamp_cloud.api.errors import not_found
from davylamp_cloud.api.gate import Reader as Allowed
from davylamp_cloud.api.gate import Reviewer, Shelver
from davylamp_cloud.api.handover import Reviewed, handover, known_review, reviewed
from davylamp_cloud.api.hiding import MaskView, OpenMask, Return, TakeOut
from davylamp_cloud.api.language import both, mark
from davylamp_cloud.api.parts import CloudParts, Parts, Slug, TagName
from davylamp_cloud.api.permissions import Permission
from davylamp_cloud.api.tags import entry_of, tag_view
from davylamp_cloud.api.words import quality_words
from davylamp_cloud.console.answers import Form, carried_out, reader_of
from davylamp_cloud.console.render import Reader
from davylamp_cloud.console.shelving import REASONS, mask_values, out_values

router = APIRouter(include_in_schema=False)

TAG = "/console/tags/{group}/{node}/{device}/{point}"

OPS = {
    Op.SHELVE: mark("shelved"),
    Op.TAKE_OUT: mark("taken out of service"),
}


@router.get("/console/handover", response_class=HTMLResponse)
def handover_part(request: Request, parts: CloudParts, actor: Allowed) -> HTMLResponse:
    """Show what the next shift must know."""
    reader = reader_of(request, parts)
    return HTMLResponse(reader.render("parts/handover.html", **handover_values(reader, parts, actor)))


def handover_values(reader: Reader, parts: Parts, actor: Actor) -> dict[str, Any]:
    """Return what the template of the hand-over needs."""

    def tag_name(tag: str) -> str:
        entry = parts.catalogue.some([tag]).by_tag.get(tag)
        return tag if entry is None else reader.say(entry.name)

    return {
        "all_masks": hiding.masks(parts, actor),
        "now": handover(parts, actor),
        "tag_name": tag_name,
        "doubt": lambda quality: reader.say(quality_words(quality)),
        "reason": lambda reason: reader.translate(REASONS[OutReason(reason)]),
        "op": lambda op: reader.translate(OPS[Op(op)]),
        "can_act": actor.may(Permission.SHELVE),
        "can_review": actor.may(Permission.REVIEW),
    }


# masks


@router.get("/console/masks/{mask}", response_class=HTMLResponse)
def mask_dialog(request: Request, parts: CloudParts, actor: Shelver, mask: Slug) -> HTMLResponse:
    """Show what a mask would hide, before it is opened."""
    reader = reader_of(request, parts)
    return HTMLResponse(
        reader.render("parts/mask.html", **mask_values(reader, parts, actor, _mask(parts, actor, mask)))
    )


@router.post("/console/masks/{mask}/open")
async def open_mask(request: Request, parts: CloudParts, actor: Shelver, mask: Slug) -> Response:
    """Open a mask."""

    async def act(form: Form) -> Answer:
        wanted = hiding.mask_command(parts, actor, mask, OpenMask.model_validate(form))
        return await run_in_threadpool(carry_out, parts, wanted)

    return await carried_out(request, parts, act)


@router.post("/console/masks/{mask}/close")
async def close_mask(request: Request, parts: CloudParts, actor: Shelver, mask: Slug) -> Response:
    """Close a mask now."""

    async def act(_: Form) -> Answer:
        await run_in_threadpool(hiding.known_mask, parts, actor, mask)
        return await run_in_threadpool(carry_out, parts, command(Op.UNMASK, actor, parts.cloud.now_ms(), mask=mask))

    return await carried_out(request, parts, act)


def _mask(parts: Parts, actor: Actor, name: str) -> MaskView:
    found = next((mask for mask in hiding.masks(parts, actor) if mask.mask == name), None)
    if found is None:
        raise not_found(both(mark("mask")), name)
    return found


# instruments


@router.get(f"{TAG}/out-of-service", response_class=HTMLResponse)
def out_dialog(request: Request, parts: CloudParts, actor: Shelver, tag: TagName) -> HTMLResponse:
    """Show what would be hidden with an instrument out of service."""
    reader = reader_of(request, parts)
    shown = tag_view(entry_of(parts, actor, tag), parts)
    return HTMLResponse(reader.render("parts/out.html", **out_values(reader, parts, actor, shown)))


@router.post(f"{TAG}/out-of-service")
async def take_out(request: Request, parts: CloudParts, actor: Shelver, tag: TagName) -> Response:
    """Take an instrument out of service."""

    async def act(form: Form) -> Answer:
        asked = TakeOut.model_validate(form)
        source = (await run_in_threadpool(entry_of, parts, actor, tag)).hazard_source
        second = await second_person(request, actor, asked.second_token, source)
        wanted = await run_in_threadpool(hiding.out_command, parts, actor, tag, asked, second)
        return await run_in_threadpool(carry_out, parts, wanted)

    return await carried_out(request, parts, act)


@router.get(f"{TAG}/return", response_class=HTMLResponse)
def return_dialog(request: Request, parts: CloudParts, actor: Shelver, tag: TagName) -> HTMLResponse:
    """Ask what the instrument now installed can show."""
    shown = tag_view(entry_of(parts, actor, tag), parts)
    return HTMLResponse(reader_of(request, parts).render("parts/return.html", tag=shown))


@router.post(f"{TAG}/return")
async def return_to_service(request: Request, parts: CloudParts, actor: Shelver, tag: TagName) -> Response:
    """Return an instrument to service."""

    async def act(form: Form) -> Answer:
        asked = Return.model_validate(_with_range(form))
        wanted = await run_in_threadpool(hiding.return_command, parts, actor, tag, asked)
        return await run_in_threadpool(carry_out, parts, wanted)

    return await carried_out(request, parts, act)


def _with_range(form: Form) -> dict[str, Any]:
    """Return a form whose fields `low` and `high` are one range; none where both are empty."""
    low, high = form.pop("low", ""), form.pop("high", "")
    return {**form, "range": (low, high)} if low or high else dict(form)


# reviews


@router.get("/console/reviews/{review}", response_class=HTMLResponse)
def review_dialog(request: Request, parts: CloudParts, actor: Reviewer, review: Slug) -> HTMLResponse:
    """Show what one person did alone, to whoever reviews it."""
    reader = reader_of(request, parts)
    owed = known_review(parts, actor, review)
    return HTMLResponse(reader.render("parts/review.html", owed=owed, op=reader.translate(OPS[Op(owed.op)])))


@router.post("/console/reviews/{review}")
async def review(request: Request, parts: CloudParts, actor: Reviewer, review: Slug) -> Response:
    """Review what one person did alone."""

    async def act(form: Form) -> Answer:
        return await run_in_threadpool(reviewed, parts, actor, review, Reviewed.model_validate(form))

    return await carried_out(request, parts, act)
