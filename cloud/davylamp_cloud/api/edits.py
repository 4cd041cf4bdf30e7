"""Limits as an engineer edits them: seen, previewed, saved against the version that was seen, verified (S20, S29, S30).

Everything goes the way of the log like any other act. A limit is given in the tag's own unit and never converted here
(SAFETY S10).
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from davylamp_alarms.edit_preview import Touched
from davylamp_alarms.transition import Refusal, Why
from davylamp_wire.point import Limit, LimitKind, Point
from davylamp_wire.profile import unhandled
from fastapi import APIRouter, Path, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.alarms import answered, second_person
from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.commands import Answer, carry_out_change, examine
from davylamp_cloud.api.edit_bodies import (
    DifferenceView,
    EditLimits,
    EditPreviewView,
    FindingView,
    LimitsView,
    TouchedView,
    Verify,
    WantedLimits,
)
from davylamp_cloud.api.errors import ApiError, not_found
from davylamp_cloud.api.findings import added_errors, point_in_force, shown, told_together
from davylamp_cloud.api.gate import Editor, Reader
from davylamp_cloud.api.language import Bilingual, both, mark
from davylamp_cloud.api.parts import ACTS, REFUSALS, CloudParts, Parts
from davylamp_cloud.settings import Settings, differences
from davylamp_cloud.store import schema
from davylamp_cloud.store.settings import select_limits
from davylamp_cloud.store.state import Row

router = APIRouter(prefix="/api/v1", tags=["limits"], responses=REFUSALS)

LINE = 120
"""Most letters that are told of a changed field."""

Index = Annotated[int, Path(ge=0, le=(1 << 31) - 1, description="the tag's index, as /tags lists it")]


@router.get("/tags/{index}/limits")
def limits_in_force(parts: CloudParts, actor: Reader, index: Index) -> LimitsView:
    """Return the limits of a tag, whole, and the version an edit must name."""
    return limits_view(parts, entry_at(parts, actor, index))


@router.post("/tags/{index}/limits/preview", responses=ACTS)
def preview_limits(parts: CloudParts, actor: Editor, index: Index, body: WantedLimits) -> EditPreviewView:
    """Show what an edit would do to every alarm it touches; nothing is changed."""
    entry = entry_at(parts, actor, index)
    return previewed_limits(parts, actor, entry, body)


@router.put("/tags/{index}/limits", responses={**ACTS, 202: {"model": Answer}})
async def edit_limits(
    request: Request, parts: CloudParts, actor: Editor, index: Index, body: EditLimits, response: Response
) -> Answer:
    """Put limits in force; what ends a standing alarm takes two persons (SAFETY S20)."""
    entry = await run_in_threadpool(entry_at, parts, actor, index)
    second = await second_person(request, actor, body.second_token, entry.hazard_source)
    return answered(response, await run_in_threadpool(edited, parts, actor, entry, body, second))


@router.post("/tags/{index}/limits/{kind}/verify", responses={**ACTS, 202: {"model": Answer}})
def verify_limit(
    parts: CloudParts, actor: Editor, index: Index, kind: LimitKind, body: Verify, response: Response
) -> Answer:
    """Say that the source of a limit was read in the official text; no alarm changes (SAFETY S30)."""
    return answered(response, verified(parts, actor, entry_at(parts, actor, index), kind, body))


# what the console uses as well


def entry_at(parts: Parts, actor: Actor, index: int) -> Entry:
    """Return a tag, or refuse: one of a hazard source the actor does not see does not exist."""
    entry = parts.catalogue.register().by_index.get(index)
    if entry is None or not actor.sees(entry.hazard_source):
        raise not_found(both(mark("tag")), str(index))
    return entry


def limits_view(parts: Parts, entry: Entry) -> LimitsView:
    """Return a tag's limits as they are in force."""
    row, settings = in_force(parts, entry)
    who = (entry.index, entry.tag, entry.name, entry.plant_tag, entry.hazard_source, entry.unit)
    return LimitsView(*who, int(row["version"]), str(row["accepted_by"]), dict(settings.limits), settings.local)


def findings_in_force(parts: Parts, entry: Entry) -> list[FindingView]:
    """Return what is odd about a tag's limits as they are in force."""
    _, settings = in_force(parts, entry)
    return shown(point_in_force(parts, entry, settings), settings.limits)


def edit_said(parts: Parts, actor: Actor, entry: Entry, body: WantedLimits) -> dict[str, Any]:
    """Return an edit as its record says it. Raises ApiError where it is mistaken."""
    _, live = in_force(parts, entry)
    _check_unit(entry, body)
    wanted = {kind: Limit.model_validate(limit.model_dump()) for kind, limit in body.limits.items()}
    _check_limits(point_in_force(parts, entry, live), wanted)
    limits = {kind.value: limit.model_dump(mode="json") for kind, limit in wanted.items()}
    return {**edit_act(actor, "limits", body.version, ""), "tag": entry.tag, "limits": limits}


def edited(parts: Parts, actor: Actor, entry: Entry, body: EditLimits, second: str) -> Answer:
    """Put limits in force."""
    said = edit_said(parts, actor, entry, body)
    return put_in_force(parts, entry, {**said, "comment": body.comment, "second": second})


def verified(parts: Parts, actor: Actor, entry: Entry, kind: LimitKind, body: Verify) -> Answer:
    """Record that somebody has read where a limit comes from."""
    said = {**edit_act(actor, "verify", body.version, body.comment), "tag": entry.tag, "kind": str(kind)}
    return put_in_force(parts, entry, said)


def previewed_limits(parts: Parts, actor: Actor, entry: Entry, body: WantedLimits) -> EditPreviewView:
    """Return what an edit of limits would do. Raises ApiError where it is mistaken or cannot be done."""
    said = edit_said(parts, actor, entry, body)
    return previewed(parts, entry, said, {LimitKind(k): Limit.model_validate(one) for k, one in said["limits"].items()})


def previewed(
    parts: Parts, entry: Entry, said: Mapping[str, Any], wanted: Mapping[LimitKind, Limit]
) -> EditPreviewView:
    """Return what an edit would do, and what is odd about the limits it wants.

    Raises ApiError 409 with the reason where it cannot be done.
    """
    now_ms = parts.cloud.now_ms()
    found = examine(parts, lambda evaluator: evaluator.preview(entry.tag, said, now_ms))
    if isinstance(found, Refusal):
        raise _refused(parts, entry, found, int(said["base"]))
    odd = shown(point_in_force(parts, entry, in_force(parts, entry)[1]), wanted)
    return EditPreviewView(found.two, [_touched(one) for one in found.touched], odd)


def in_force(parts: Parts, entry: Entry) -> tuple[Row, Settings]:
    row = parts.cloud.state.limits(entry.index)
    if row is None:
        raise not_found(both(mark("tag")), entry.tag)
    return row, Settings.model_validate(row["settings"])


def edit_act(actor: Actor, op: str, version: int, comment: str) -> dict[str, Any]:
    """Return an act under its actor's name and role; nothing a client sends can change those."""
    return {"op": op, "by": actor.name, "role": actor.role, "base": version, "comment": comment}


def put_in_force(parts: Parts, entry: Entry, said: Mapping[str, Any]) -> Answer:
    outcome = carry_out_change(parts, said)
    if isinstance(outcome, Refusal):
        raise _refused(parts, entry, outcome, int(said["base"]))
    return outcome


def _check_unit(entry: Entry, body: WantedLimits) -> None:
    if body.unit is not None and body.unit != entry.unit:
        raise ApiError(
            422,
            "other_unit",
            both(mark("This tag is measured in {unit}, and its limits too."), unit=entry.unit or "1"),
            both(mark("Convert the figure at the reference its source states, and give it in {unit}."),
                 unit=entry.unit or "1"),
            where="unit",
        )  # fmt: skip


def _check_limits(now: Point, wanted: Mapping[LimitKind, Limit]) -> None:
    """Refuse limits that cannot work, and new ones that say nobody what to do (SAFETY S24, S30).

    What is in force already and cannot work is shown, and stands in nobody's way.
    """
    mistakes = list(added_errors(now, wanted))
    for one in unhandled(wanted):
        known = now.limits.get(LimitKind(one.key.split(".")[1]))
        if known is None or known.action is not None:
            mistakes.append(one)
    if mistakes:
        raise ApiError(
            422,
            "bad_limits",
            both(mark("These limits cannot be right: {mistakes}."), mistakes=told_together(mistakes)),
            both(mark("Mend what is named: limits in order, inside the range, each with a first action.")),
            where="limits",
            details=[str(one) for one in mistakes],
        )  # fmt: skip


def _refused(parts: Parts, entry: Entry, refusal: Refusal, base: int) -> ApiError:
    """Return a refusal with its reason; where somebody was faster, with what they changed."""
    details = _changed_since(parts, entry, base) if refusal.why is Why.STALE_VERSION else []
    do = both(mark("Look at the limits as they are now, then decide again."))
    if refusal.why is Why.SECOND_PERSON:
        do = both(mark("Have a second person type their own token; the preview names what would end."))
    return ApiError(409, str(refusal.why), Bilingual(refusal.zh, refusal.en), do, where=entry.tag, details=details)


def _changed_since(parts: Parts, entry: Entry, base: int) -> list[str]:
    """Return one line per field that differs between a version and what is in force."""
    table = schema.LIMITS
    seen = parts.cloud.state.row(select_limits(table.c.tag == entry.index, table.c.version == base))
    if seen is None:
        return []
    _, live = in_force(parts, entry)
    what = differences(Settings.model_validate(seen["settings"]), live)
    return [line for name, before, after in what for line in _lines(name, before, after)]


def _lines(name: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        fields = sorted(before.keys() | after.keys())
        changed = [f for f in fields if before.get(f) != after.get(f)]
        return [f"{name}.{f}: {_short(before.get(f))} → {_short(after.get(f))}" for f in changed]
    return [f"{name}: {_short(_value(before))} → {_short(_value(after))}"]


def _value(of: Any) -> Any:
    return of.get("value") if isinstance(of, dict) else of


def _short(value: Any) -> str:
    """Return a value as a line of text has room for it: the model of a unit has thousands of letters."""
    said = str(value)
    return said if len(said) <= LINE else f"{said[:LINE]}…"


def _touched(one: Touched) -> TouchedView:
    return TouchedView(
        alarm_id=one.alarm,
        kind=one.alarm.rpartition("#")[2].partition("@")[0],
        decision=one.decision.word,
        edits=[str(edit) for edit in one.edits],
        places=sorted(str(place) for place in one.places),
        differences=[DifferenceView(d.field, _plain(d.before), _plain(d.after)) for d in one.differences],
        ending=list(one.ending),
        beyond=one.beyond,
        raises_after_s=None if one.raises_after_ms is None else one.raises_after_ms / 1000,
    )


def _plain(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None
