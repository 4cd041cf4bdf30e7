"""The hand-over of a shift: all that is hidden or waits, so that who comes next decides anew (SAFETY S7, S19)."""

import math
from dataclasses import dataclass

from davylamp_alarms.book import Out, Review
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Op
from davylamp_wire.quality import Reason as Quality
from fastapi import APIRouter, Response

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.alarms import Body, answered
from davylamp_cloud.api.board import read_standing, shown
from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.commands import Answer, ask, carry_out, command
from davylamp_cloud.api.errors import not_found
from davylamp_cloud.api.gate import Reader, Reviewer
from davylamp_cloud.api.hiding import MaskView, Reason, masks
from davylamp_cloud.api.language import both, mark
from davylamp_cloud.api.parts import ACTS, REFUSALS, CloudParts, Parts, Slug
from davylamp_cloud.api.views import AlarmView
from davylamp_cloud.live import Now

router = APIRouter(prefix="/api/v1", tags=["handover"], responses=REFUSALS)


class Reviewed(Body):
    """What the park makes of an act by one person alone (SAFETY S15)."""

    comment: Reason


@dataclass(frozen=True, slots=True)
class OutView:
    """An instrument out of service."""

    tag: str
    reason: str
    permit: str
    by: str
    comment: str
    until_ms: int


BYPASSES = (Quality.INHIBIT, Quality.CALIBRATION, Quality.MAINTENANCE)
"""What a plant says of instruments that do not measure: by a switch in the PLC, or a loop current (SAFETY S9)."""


@dataclass(frozen=True, slots=True)
class BypassView:
    """An instrument that the plant itself has bypassed; `quality` says how, `value` what it shows meanwhile."""

    tag: str
    hazard_source: str
    quality: int
    value: float | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class ReviewView:
    """An act by one person alone that the park has not reviewed yet."""

    review: str
    op: str
    subject: str
    by: str
    comment: str
    due_ms: int


@dataclass(frozen=True, slots=True)
class Handover:
    """What the next shift must know: what is hidden, masked, out or bypassed, standing reds, reviews that are owed."""

    shelved: list[AlarmView]
    masks: list[MaskView]
    out_of_service: list[OutView]
    bypassed: list[BypassView]
    standing_reds: list[AlarmView]
    reviews: list[ReviewView]


@router.get("/handover")
def read_handover(parts: CloudParts, actor: Reader) -> Handover:
    """Return the hand-over of this moment."""
    return handover(parts, actor)


@router.post("/reviews/{review}", responses={**ACTS, 202: {"model": Answer}})
def review(parts: CloudParts, actor: Reviewer, review: Slug, body: Reviewed, response: Response) -> Answer:
    """Review what one person did alone where two were needed; it is owed within 24 hours."""
    return answered(response, reviewed(parts, actor, review, body))


def reviewed(parts: Parts, actor: Actor, review: str, body: Reviewed) -> Answer:
    """Close a review; one of a hazard source the actor does not see does not exist."""
    known_review(parts, actor, review)
    act = command(Op.REVIEW, actor, parts.cloud.now_ms(), review=review, comment=body.comment)
    return carry_out(parts, act)


def known_review(parts: Parts, actor: Actor, name: str) -> ReviewView:
    """Return a review that is owed, or refuse."""
    _, reviews = ask(parts, _kept)
    owed = reviews.get(name)
    if owed is None or not _concerns(parts, actor, owed):
        raise not_found(both(mark("act to review")), name)
    return _review(name, owed)


def handover(parts: Parts, actor: Actor) -> Handover:
    """Return what an actor's next shift must know; reads the disk."""
    alarms = [alarm for alarm in read_standing(parts.cloud.state) if actor.sees(alarm.hazard_source)]
    shelved = [alarm for alarm in alarms if "shelved" in alarm.suppressions]
    reds = [alarm for alarm in alarms if alarm.level == "red" and alarm.active and not alarm.hidden]
    out, reviews = ask(parts, _kept)
    by_tag = parts.catalogue.some(out).by_tag
    seen = {tag: entry for tag, entry in out.items() if tag in by_tag and actor.sees(by_tag[tag].hazard_source)}
    return Handover(
        shelved=shown(parts.cloud, parts.catalogue, shelved),
        masks=[mask for mask in masks(parts, actor) if mask.until_ms is not None],
        out_of_service=[_out(tag, seen[tag]) for tag in sorted(seen)],
        bypassed=_bypassed(parts, actor),
        standing_reds=shown(parts.cloud, parts.catalogue, reds),
        reviews=[_review(name, owed) for name, owed in reviews.items() if _concerns(parts, actor, owed)],
    )


def _kept(engine: Engine) -> tuple[dict[str, Out], dict[str, Review]]:
    return engine.out_of_service(), engine.reviews()


def _concerns(parts: Parts, actor: Actor, owed: Review) -> bool:
    """Return whether an actor sees what an act was about: a tag, or an alarm, which may have none."""
    alarm = ask(parts, lambda engine: engine.definition(owed.subject))
    entry = parts.catalogue.some([owed.subject]).by_tag.get(owed.subject)
    about = alarm or entry
    return not actor.hazard_sources or (about is not None and actor.sees(about.hazard_source))


def _bypassed(parts: Parts, actor: Actor) -> list[BypassView]:
    """Return what the plant has bypassed; the register is only looked at where there is any."""
    live = parts.cloud.monitor.live
    indices = live.doubted_for(BYPASSES)
    known = parts.catalogue.register().by_index if indices else {}
    entries = [known[index] for index in indices if index in known and actor.sees(known[index].hazard_source)]
    return [_bypass(entry, live.read(entry.index)) for entry in entries]


def _bypass(entry: Entry, now: Now) -> BypassView:
    value = now.value if math.isfinite(now.value) else None
    return BypassView(entry.tag, entry.hazard_source, now.quality, value, now.time_ms)


def _out(tag: str, out: Out) -> OutView:
    return OutView(tag, out.reason, out.permit, out.by, out.comment, out.until_ms)


def _review(name: str, owed: Review) -> ReviewView:
    return ReviewView(name, owed.op, owed.subject, owed.by, owed.comment, owed.due_ms)
