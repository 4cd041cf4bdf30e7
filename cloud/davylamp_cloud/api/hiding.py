"""What hides alarms beside shelves: masks and instruments out of service; what each would hide, before it is done.

Everything goes the way of the log like any other act; a preview asks the engine and changes nothing (S15 to S19).
"""

from dataclasses import dataclass
from typing import Annotated

from davylamp_alarms.book import OpenMask as OpenMaskState
from davylamp_alarms.definition import MaskDef
from davylamp_alarms.engine import Engine
from davylamp_alarms.hiding import MAX_MASK_MS, MAX_OUT_MS, MINUTE_MS
from davylamp_alarms.preview import Seen
from davylamp_alarms.transition import Command, Op, OutReason, Refusal
from fastapi import APIRouter, Response
from pydantic import Field, SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.alarms import Body, Comment, Shelve, alarm_row, answered, second_person
from davylamp_cloud.api.commands import Answer, ask, carry_out, command, refused
from davylamp_cloud.api.errors import not_found
from davylamp_cloud.api.gate import Reader, Shelver
from davylamp_cloud.api.language import Bilingual, both, mark
from davylamp_cloud.api.parts import ACTS, REFUSALS, CloudParts, Occurrence, Parts, Slug, TagName
from davylamp_cloud.api.tags import entry_of

router = APIRouter(prefix="/api/v1", tags=["hiding"], responses=REFUSALS)

Reason = Annotated[str, Field(min_length=3, max_length=500, description="the reason")]


class OpenMask(Body):
    """Hide what a mask names while work goes on (SAFETY S17)."""

    comment: Reason
    minutes: Annotated[int, Field(ge=1, le=MAX_MASK_MS // MINUTE_MS)] = MAX_MASK_MS // MINUTE_MS


class TakeOut(Body):
    """Take an instrument out of service with all its alarms (SAFETY S19)."""

    reason: OutReason
    permit: Annotated[str, Field(min_length=1, max_length=100, description="number of the work permit")]
    comment: Reason
    minutes: Annotated[int, Field(ge=1, le=MAX_OUT_MS // MINUTE_MS)]
    second_token: SecretStr | None = Field(default=None, description="another person's token, where two are needed")
    break_glass: bool = False


class Return(Body):
    """Return an instrument to service; `range` is what the one now installed can show, where it was replaced."""

    comment: Comment = ""
    range: tuple[float, float] | None = None


class Said(Body):
    """An act that needs nothing but a word on it."""

    comment: Comment = ""


@dataclass(frozen=True, slots=True)
class SeenView:
    """An alarm a preview names; `stands` where its condition is met now."""

    alarm_id: str
    level: str
    stands: bool


@dataclass(frozen=True, slots=True)
class PreviewView:
    """What would be hidden until when, what is heard all the same, and whether it takes two persons."""

    hidden: list[SeenView]
    heard: list[SeenView]
    until_ms: int
    two_persons: bool


@dataclass(frozen=True, slots=True)
class MaskView:
    """A mask; `until_ms` and `by` while it is open.

    `unknown` are alarms it names and its hazard source does not have: they stay audible.
    """

    mask: str
    name: Bilingual
    hazard_source: str
    alarms: list[str]
    people: str
    input: str
    responsible: str
    unknown: list[str]
    until_ms: int | None
    by: str
    comment: str


@router.get("/masks")
def list_masks(parts: CloudParts, actor: Reader) -> list[MaskView]:
    """List the masks there are, open or not."""
    return masks(parts, actor)


@router.post("/masks/{mask}/preview", responses=ACTS)
def preview_mask(parts: CloudParts, actor: Shelver, mask: Slug, body: OpenMask) -> PreviewView:
    """Show what a mask would hide."""
    return previewed(parts, mask_command(parts, actor, mask, body))


@router.post("/masks/{mask}/open", responses={**ACTS, 202: {"model": Answer}})
def open_mask(parts: CloudParts, actor: Shelver, mask: Slug, body: OpenMask, response: Response) -> Answer:
    """Open a mask; it ends by itself after half an hour at the latest."""
    return answered(response, carry_out(parts, mask_command(parts, actor, mask, body)))


@router.post("/masks/{mask}/close", responses={**ACTS, 202: {"model": Answer}})
def close_mask(parts: CloudParts, actor: Shelver, mask: Slug, body: Said, response: Response) -> Answer:
    """Close a mask now; what began under it comes back unacknowledged."""
    known_mask(parts, actor, mask)
    act = command(Op.UNMASK, actor, parts.cloud.now_ms(), mask=mask, comment=body.comment)
    return answered(response, carry_out(parts, act))


@router.post("/tags/{group}/{node}/{device}/{point}/out-of-service/preview", responses=ACTS)
def preview_out(parts: CloudParts, actor: Shelver, tag: TagName, body: TakeOut) -> PreviewView:
    """Show what would be hidden with an instrument out of service."""
    return previewed(parts, out_command(parts, actor, tag, body))


@router.post("/tags/{group}/{node}/{device}/{point}/out-of-service", responses={**ACTS, 202: {"model": Answer}})
async def take_out(
    request: Request, parts: CloudParts, actor: Shelver, tag: TagName, body: TakeOut, response: Response
) -> Answer:
    """Take an instrument out of service under a permit, until a stated time."""
    source = (await run_in_threadpool(entry_of, parts, actor, tag)).hazard_source
    second = await second_person(request, actor, body.second_token, source)
    act = await run_in_threadpool(out_command, parts, actor, tag, body, second)
    return answered(response, await run_in_threadpool(carry_out, parts, act))


@router.post("/tags/{group}/{node}/{device}/{point}/return-to-service", responses={**ACTS, 202: {"model": Answer}})
def return_to_service(parts: CloudParts, actor: Shelver, tag: TagName, body: Return, response: Response) -> Answer:
    """Return an instrument to service; one with another range stays out."""
    return answered(response, carry_out(parts, return_command(parts, actor, tag, body)))


@router.post("/alarms/{occurrence}/shelve/preview", responses=ACTS)
def preview_shelf(parts: CloudParts, actor: Shelver, occurrence: Occurrence, body: Shelve) -> PreviewView:
    """Show what a shelf would hide, what stays audible, and when it would really end."""
    return shelf_preview(parts, actor, occurrence, body.minutes, body.comment)


# what the console uses as well


def masks(parts: Parts, actor: Actor) -> list[MaskView]:
    """Return the masks of the hazard sources an actor sees."""
    defined, opened, unknown = ask(parts, _masks)
    seen = (mask for mask in defined.values() if actor.sees(mask.hazard_source))
    return [
        MaskView(
            mask=mask.id,
            name=Bilingual(mask.zh, mask.en),
            hazard_source=mask.hazard_source,
            alarms=list(mask.alarms),
            people=mask.people,
            input=mask.input,
            responsible=mask.responsible,
            unknown=unknown[mask.id],
            until_ms=opened[mask.id].until_ms if mask.id in opened else None,
            by=opened[mask.id].by if mask.id in opened else "",
            comment=opened[mask.id].reason if mask.id in opened else "",
        )
        for mask in seen
    ]


def _masks(engine: Engine) -> tuple[dict[str, MaskDef], dict[str, OpenMaskState], dict[str, list[str]]]:
    """Return masks, open ones, and which alarms of each are unknown.

    A mask the config lost while it was open is among them until it ends: nothing is hidden unseen.
    """
    opened, defined = engine.open_masks(), engine.masks()
    known = {name: mask for name, state in opened.items() if (mask := _left_over(engine, name, state))} | defined
    return known, opened, {mask.id: _unknown(engine, mask) for mask in known.values()}


def _unknown(engine: Engine, mask: MaskDef) -> list[str]:
    """Return the alarms a mask names and that its hazard source does not have."""
    found = ((name, engine.definition(name)) for name in mask.alarms)
    return [name for name, alarm in found if alarm is None or alarm.hazard_source != mask.hazard_source]


def _left_over(engine: Engine, name: str, state: OpenMaskState) -> MaskDef | None:
    found = (engine.definition(alarm) for alarm in state.alarms)
    source = next((alarm.hazard_source for alarm in found if alarm is not None), None)
    return None if source is None else MaskDef(name, source, state.alarms, zh=name, en=name)


def known_mask(parts: Parts, actor: Actor, mask: str) -> MaskDef:
    """Return a mask, or refuse: one of a hazard source the actor does not see does not exist."""
    known, _, _ = ask(parts, _masks)
    if mask not in known or not actor.sees(known[mask].hazard_source):
        raise not_found(both(mark("mask")), mask)
    return known[mask]


def mask_command(parts: Parts, actor: Actor, mask: str, body: OpenMask) -> Command:
    """Return the act that opens a mask."""
    known_mask(parts, actor, mask)
    now_ms = parts.cloud.now_ms()
    until_ms = now_ms + body.minutes * MINUTE_MS
    return command(Op.MASK, actor, now_ms, mask=mask, comment=body.comment, until_ms=until_ms)


def out_command(parts: Parts, actor: Actor, tag: str, body: TakeOut, second: str = "") -> Command:
    """Return the act that takes an instrument out of service."""
    entry_of(parts, actor, tag)
    now_ms = parts.cloud.now_ms()
    said = {"reason": str(body.reason), "permit": body.permit, "comment": body.comment, "second": second}
    until_ms = now_ms + body.minutes * MINUTE_MS
    return command(Op.TAKE_OUT, actor, now_ms, tag=tag, until_ms=until_ms, break_glass=body.break_glass, **said)


def return_command(parts: Parts, actor: Actor, tag: str, body: Return) -> Command:
    """Return the act that returns an instrument to service."""
    entry_of(parts, actor, tag)
    return command(Op.RETURN, actor, parts.cloud.now_ms(), tag=tag, comment=body.comment, range=body.range)


def shelf_preview(parts: Parts, actor: Actor, occurrence: str, minutes: int, comment: str = "...") -> PreviewView:
    """Return what a shelf would hide and when it would really end."""
    row, now_ms = alarm_row(parts, actor, occurrence), parts.cloud.now_ms()
    until_ms = now_ms + minutes * MINUTE_MS
    return previewed(
        parts, command(Op.SHELVE, actor, now_ms, alarm=row["alarm_id"], comment=comment, until_ms=until_ms)
    )


def previewed(parts: Parts, act: Command) -> PreviewView:
    """Return what an act would do. Raises ApiError 409 with the engine's reason where it cannot be done."""

    found = ask(parts, lambda engine: engine.preview(act))
    if isinstance(found, Refusal):
        raise refused(found, act)
    return PreviewView(_seen(found.hidden), _seen(found.heard), found.until_ms, found.two)


def _seen(alarms: tuple[Seen, ...]) -> list[SeenView]:
    return [SeenView(alarm.alarm, alarm.priority.word, alarm.stands) for alarm in alarms]
