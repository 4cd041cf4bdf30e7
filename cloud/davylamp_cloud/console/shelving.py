"""What the dialogs that hide show first: what would be hidden, what stays audible, who is needed (S15 to S19)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from davylamp_alarms.definition import LIMIT_KINDS, Kind, position_of
from davylamp_alarms.transition import OutReason
from fastapi import Query
from sqlalchemy import func, select

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.alarms import LONGEST_SHELF_MINUTES
from davylamp_cloud.api.errors import ApiError
from davylamp_cloud.api.hiding import (
    MaskView,
    OpenMask,
    PreviewView,
    SeenView,
    TakeOut,
    mask_command,
    out_command,
    previewed,
    shelf_preview,
)
from davylamp_cloud.api.language import Bilingual, mark
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.api.views import AlarmView, TagView
from davylamp_cloud.api.words import kind_name, number
from davylamp_cloud.console.render import Reader
from davylamp_cloud.store import schema

DAY_MS = 24 * 3600 * 1000

Minutes = Annotated[int, Query(ge=1, le=LONGEST_SHELF_MINUTES)]

SHELF_TIMES = (
    (15, mark("15 minutes")),
    (60, mark("1 hour")),
    (240, mark("4 hours")),
    (480, mark("8 hours: one shift")),
)
MASK_TIMES = ((10, mark("10 minutes")), (20, mark("20 minutes")), (30, mark("30 minutes, the longest there is")))
OUT_TIMES = (
    (60, mark("1 hour")),
    (240, mark("4 hours")),
    (480, mark("8 hours: one shift")),
    (1440, mark("1 day")),
    (10080, mark("7 days, the longest there is")),
)

REASONS = {
    OutReason.CALIBRATION: mark("Calibration"),
    OutReason.MAINTENANCE: mark("Maintenance"),
    OutReason.OUT_OF_SERVICE: mark("Out of service"),
}

ANY = "..."
"""Stands for the reason and the permit while a person has not typed them yet: a preview changes nothing."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a preview says: the engine's answer, or why the act cannot be done now."""

    preview: PreviewView | None = None
    refusal: Bilingual | None = None


def look_at(ask: Callable[[], PreviewView]) -> Looked:
    """Return what a preview says; a refusal is shown in the dialog, not as an error."""
    try:
        return Looked(ask())
    except ApiError as error:
        if error.status != 409:
            raise
        return Looked(refusal=error.what)


def shelve_values(reader: Reader, parts: Parts, actor: Actor, alarm: AlarmView) -> dict[str, Any]:
    """Return what the shelve dialog shows."""
    looked = look_at(partial(shelf_preview, parts, actor, alarm.occurrence, SHELF_TIMES[0][0]))
    limit_words = "" if alarm.limit is None else f" ({number(alarm.limit)} {alarm.unit})"
    return {
        "alarm": alarm,
        "limit_words": limit_words,
        "activations": _activations(parts, alarm),
        "durations": _times(reader, SHELF_TIMES),
        **_shown(reader, parts, looked, alarm.alarm_id),
    }


def mask_values(reader: Reader, parts: Parts, actor: Actor, mask: MaskView) -> dict[str, Any]:
    """Return what the dialog of a mask shows."""
    asked = OpenMask(comment=ANY)
    looked = look_at(lambda: previewed(parts, mask_command(parts, actor, mask.mask, asked)))
    return {
        "mask": mask,
        "durations": _times(reader, MASK_TIMES),
        "unknown": mask.unknown,
        **_shown(reader, parts, looked, mask.alarms[0]),
    }


def out_values(reader: Reader, parts: Parts, actor: Actor, tag: TagView) -> dict[str, Any]:
    """Return what the dialog that takes an instrument out of service shows."""
    asked = TakeOut(reason=OutReason.CALIBRATION, permit=ANY, comment=ANY, minutes=OUT_TIMES[0][0])
    looked = look_at(lambda: previewed(parts, out_command(parts, actor, tag.tag, asked)))
    return {
        "tag": tag,
        "durations": _times(reader, OUT_TIMES),
        "reasons": [(str(reason), reader.translate(word)) for reason, word in REASONS.items()],
        **_shown(reader, parts, looked, tag.tag),
    }


def ends_at(reader: Reader, looked: Looked) -> str:
    """Return when what is previewed would end, in words; why not, where it cannot be done."""
    if looked.preview is None:
        return reader.say(looked.refusal) if looked.refusal else ""
    return reader.translate(mark("Ends by itself at {time}."), time=reader.clock(looked.preview.until_ms))


def alone_on_duty(parts: Parts, subject: str) -> bool:
    """Return whether one person may break the glass at the position of an alarm or a tag; the engine decides."""
    return any(position_of(subject) in site.groups for site in parts.cloud.config.sites if site.one_person)


def _shown(reader: Reader, parts: Parts, looked: Looked, subject: str) -> dict[str, Any]:
    found = looked.preview
    by_tag = parts.catalogue.register().by_tag

    def named(seen: SeenView) -> tuple[str, bool]:
        tag_id, _, word = seen.alarm_id.partition("#")
        kind = Kind(word.partition("@")[0])
        name = reader.say(by_tag[tag_id].name) if tag_id in by_tag else tag_id
        short = f" {kind}" if kind in LIMIT_KINDS else ""
        return f"{name} · {reader.say(kind_name(kind))}{short}", seen.stands

    return {
        "refusal": looked.refusal,
        "hidden": [named(seen) for seen in found.hidden] if found else [],
        "heard": [named(seen) for seen in found.heard] if found else [],
        "two_persons": bool(found and found.two_persons),
        "alone": alone_on_duty(parts, subject),
        "ends": ends_at(reader, looked) if found else "",
    }


def _times(reader: Reader, times: tuple[tuple[int, str], ...]) -> list[tuple[int, str]]:
    return [(minutes, reader.translate(label)) for minutes, label in times]


def _activations(parts: Parts, alarm: AlarmView) -> int:
    table = schema.TRANSITIONS
    since_ms = parts.cloud.now_ms() - DAY_MS
    where = (table.c.alarm_id == alarm.alarm_id, table.c.event == "raised", table.c.at_ms >= since_ms)
    row = parts.cloud.state.row(select(func.count().label("raised")).select_from(table).where(*where))
    return int(row["raised"]) if row else 0
