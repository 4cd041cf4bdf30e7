"""The dialog that tells why a tag alarms or does not: the engine's own reasons, in the reader's language."""

from dataclasses import dataclass
from typing import Any

from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import Kind
from davylamp_alarms.explain import Explained
from davylamp_alarms.transition import Event
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.errors import ApiError
from davylamp_cloud.api.gate import Reader as Allowed
from davylamp_cloud.api.language import mark
from davylamp_cloud.api.limits import source_words
from davylamp_cloud.api.parts import CloudParts, TagName
from davylamp_cloud.api.tags import entry_of
from davylamp_cloud.api.why import At, asked
from davylamp_cloud.api.words import of, quality_words
from davylamp_cloud.console.answers import reader_of
from davylamp_cloud.console.render import Reader
from davylamp_cloud.reasons import ending, hiding, reason
from davylamp_cloud.registered import BY_BIRTH
from davylamp_cloud.settings import source_in
from davylamp_cloud.telling import EVENTS
from davylamp_cloud.why import Told, Why
from davylamp_cloud.why_page import unit_of

router = APIRouter(include_in_schema=False)

STANDING = frozenset({Phase.ACTIVE, Phase.CLEARING})


@dataclass(frozen=True, slots=True)
class ReasonView:
    """One alarm around a tag as its reader sees it; `source` is empty where it is about no limit."""

    kind: str
    level: str
    letter: str
    stands: bool
    waits: bool
    note: str
    reason: str
    ending: str
    hiding: tuple[str, ...]
    source: str
    verified: bool
    doubt: str


@router.get("/console/tags/{group}/{node}/{device}/{point}/why", response_class=HTMLResponse)
async def why_dialog(
    request: Request,
    parts: CloudParts,
    actor: Allowed,
    tag: TagName,
    at_ms: At = None,
    kind: str = Query("", max_length=20),
) -> HTMLResponse:
    """Tell why a tag alarms or does not, now or at a moment; the alarm that was asked about comes first."""
    reader = reader_of(request, parts)
    entry = await run_in_threadpool(entry_of, parts, actor, tag)
    try:
        found = await run_in_threadpool(asked, parts, tag, at_ms)
    except ApiError as error:
        wrong = " ".join([reader.say(error.what), reader.say(error.do)])
        return HTMLResponse(reader.render("parts/why.html", entry=entry, wrong=wrong))
    return HTMLResponse(reader.render("parts/why.html", **_values(reader, entry, found, kind)))


def _values(reader: Reader, entry: Entry, found: Why, kind: str) -> dict[str, Any]:
    views = [reason_view(reader, told, found) for told in found.alarms]
    by = found.tag.accepted_by
    return {
        "entry": entry,
        "at_ms": found.at_ms,
        "version": found.tag.version,
        "accepted_by": reader.translate(mark("the device's birth")) if by == BY_BIRTH else by,
        "alarms": sorted(views, key=lambda view: (view.kind != kind, not view.stands, not view.waits)),
        "steps": list(reversed(found.transitions)),
        "event": lambda name: reader.say(of(EVENTS[Event(name)])),
        "reached": _reached,
    }


def reason_view(reader: Reader, told: Explained, found: Why) -> ReasonView:
    """Return what decides one alarm, in words."""
    unit, end = unit_of(told, found), ending(told, unit_of(told, found))
    source = source_in(found.tag.settings, Kind(told.of.kind))
    return ReasonView(
        kind=str(told.of.kind),
        level=told.of.priority.word,
        letter=told.of.letter,
        stands=told.phase in STANDING,
        waits=told.phase is Phase.PENDING,
        note=told.note,
        reason=reader.say(of(reason(told, unit))),
        ending=reader.say(of(end)) if end else "",
        hiding=tuple(reader.say(of(text)) for text in hiding(told, reader.zone)),
        source=source_words(source) if source else "",
        verified=source is None or source.verified,
        doubt=reader.say(quality_words(told.quality)),
    )


def _reached(told: Told) -> str:
    """Return who was told of a transition, each with what came of it last."""
    last = {row["receiver"]: row["status"] for row in told.deliveries}
    return ", ".join(f"{receiver}: {status}" for receiver, status in last.items())
