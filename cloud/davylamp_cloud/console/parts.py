"""The page's moving parts as HTML: alarms, counts, edges, cells. Pure but for what is handed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from davylamp_wire.quality import Level, level

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.board import Standing, counts, shown
from davylamp_cloud.api.edges import edges
from davylamp_cloud.api.event import Event
from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.api.permissions import Permission
from davylamp_cloud.api.views import AlarmView
from davylamp_cloud.api.words import number, quality_words
from davylamp_cloud.console.render import Reader
from davylamp_cloud.telling import COUNTING

States = Mapping[str, Bilingual]

MOST_SHOWN = 100
"""Alarms on the page at once; beyond, it says how many more stand. In a flood the most urgent come first."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What the page keeps an eye on, for the moments when nothing stands."""

    tags: int
    hazard_sources: int


def alarm_values(reader: Reader, parts: Parts, actor: Actor, standing: Standing) -> dict[str, Any]:
    """Return what the alarm templates need; reads the disk."""
    alarms = standing.seen(actor.sees)
    open_alarms = [alarm for alarm in alarms if not alarm.hidden]
    hidden = [alarm for alarm in alarms if alarm.hidden]
    seen = {place: count for place, count in standing.watched.items() if actor.sees(place[0])}
    return {
        "shown": shown(parts.cloud, parts.catalogue, open_alarms[:MOST_SHOWN]),
        "rest": len(open_alarms) - len(open_alarms[:MOST_SHOWN]),
        "hidden": shown(parts.cloud, parts.catalogue, hidden),
        "counts": counts(alarms),
        "watched": Watched(sum(seen.values()), len({source for source, _ in seen})),
        "can_act": actor.may(Permission.ACKNOWLEDGE),
        "doubt": lambda alarm: _doubt(reader, alarm),
        "lost": lambda alarm: _lost(reader, alarm),
    }


@dataclass(frozen=True, slots=True)
class AlarmPart:
    """The alarm part of the page, and the tags whose values are kept current in it."""

    events: tuple[Event, ...]
    tags: tuple[int, ...]


def alarm_part(reader: Reader, parts: Parts, actor: Actor, standing: Standing) -> AlarmPart:
    """Return alarms and counts as HTML; reads the disk."""
    values = alarm_values(reader, parts, actor, standing)
    html = tuple(Event(part, reader.render(f"parts/{part}.html", **values)) for part in ("alarms", "counts"))
    tags = {alarm.tag_index for alarm in values["shown"] if alarm.tag_index is not None}
    return AlarmPart(html, tuple(sorted(tags)))


def _doubt(reader: Reader, alarm: AlarmView) -> str:
    """Return why an alarm's value is not good; a blind alarm says so already."""
    return "" if alarm.blind else reader.say(quality_words(alarm.quality))


def _lost(reader: Reader, alarm: AlarmView) -> str:
    """Return what an alarm counts, as its sentence has it ("4 of 6 points lost", "2 of 6 at level 2"; SAFETY S12)."""
    return next((part for part in reader.say(alarm.text).split(" · ") if part.startswith(COUNTING)), "")


def edge_values(parts: Parts, actor: Actor) -> dict[str, Any]:
    """Return what the template of edges and devices needs; reads the disk."""
    broker_lost = parts.cloud.ingest.status().get("connected") is False
    return {"edges": edges(parts, actor), "broker_lost": broker_lost}


def edge_events(reader: Reader, parts: Parts, actor: Actor) -> list[Event]:
    """Return edges and devices as HTML."""
    return [Event("edges", reader.render("parts/edges.html", **edge_values(parts, actor)))]


def cell(reader: Reader, value: float | None, text: str | None, quality: int, states: States) -> dict[str, str]:
    """Return a value as its cell shows it: text, quality in words, and the quality's class."""
    return {
        "shown": shown_value(reader, value, text, states),
        "words": reader.say(quality_words(quality)),
        "level": level_name(quality),
    }


def shown_value(reader: Reader, value: float | None, text: str | None, states: States) -> str:
    """Return a value as people read it: a state by its name, a number by six digits."""
    if text is not None:
        return text
    state = states.get(f"{value:g}") if value is not None else None
    return reader.say(state) if state else number(value)


def level_name(quality: int) -> str:
    """Return the class of a quality code."""
    return Level(level(quality)).name.lower()
