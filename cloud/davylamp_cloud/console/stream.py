"""What keeps the page alive: alarms, floods and edges as HTML, values as JSON, announcements, heartbeats.

The HTML is made once per change for each kind of reader (language, rights, hazard sources), not once per screen.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.current import Make, Snapshot, Texts, Watch, reading
from davylamp_cloud.api.event import Event, dumps
from davylamp_cloud.api.events import Watched, watch_of
from davylamp_cloud.api.gate import Reader as Allowed
from davylamp_cloud.api.language import Language
from davylamp_cloud.api.parts import REFUSALS, CloudParts, Parts
from davylamp_cloud.api.sse import stream
from davylamp_cloud.console.flood import flood_events
from davylamp_cloud.console.forecasts import forecast_events
from davylamp_cloud.console.parts import alarm_part, cell, edge_events
from davylamp_cloud.console.render import Reader, zone_of

router = APIRouter(include_in_schema=False, responses=REFUSALS)

EDGES_S = 2.0
"""Edges are looked at this often: devices come and go without a transition."""

FLOODS_S = 2.0
"""Floods are looked at this often: one ends by time alone, and a storm's transitions need not all be counted anew."""

FORECASTS_S = 2.0
"""Forecasts are made anew this often: they grow old while nothing else changes."""

ANNOUNCED = frozenset({"raised", "re_alarmed"})


Kind = tuple[Language, str, frozenset[str]]
"""What makes two screens show the same: language, role, hazard sources."""


class Shared:
    """What all screens of one kind show, made once per change however many wait for it."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, Kind], tuple[object, Any]] = {}
        self._locks: defaultdict[tuple[str, Kind], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._texts: dict[Language, tuple[int, Texts]] = {}

    async def get(self, part: str, kind: Kind, version: object, make: Callable[[], Any]) -> Any:
        """Return a part of the page for a version; `make` runs on a thread, and once."""
        key = (part, kind)
        async with self._locks[key]:
            made = self._made.get(key)
            if made is None or made[0] != version:
                made = self._made[key] = (version, await run_in_threadpool(make))
            return made[1]

    def texts(self, parts: Parts, language: Language) -> Texts:
        """Return the values as this language shows them."""
        version = parts.hub.register_version
        kept = self._texts.get(language)
        if kept is None or kept[0] != version:
            reader = Reader(language, zone_of(parts.cloud.config))
            kept = self._texts[language] = (version, Texts(cells(parts, reader)))
        return kept[1]


def cells(parts: Parts, reader: Reader) -> Make:
    """Return what makes a tag's newest reading as a reader sees it."""
    plain = reading(parts.cloud.monitor.live)

    def make(tag: int, now: Snapshot) -> dict[str, Any] | None:
        entry = parts.catalogue.known(tag)
        value = plain(tag, now)
        if entry is None or value is None:
            return None
        return {**value, **cell(reader, value["value"], value["text"], value["quality"], entry.states)}

    return make


class Screen:
    """One page that watches."""

    def __init__(self, parts: Parts, shared: Shared, actor: Actor, language: Language, watch: Watch) -> None:
        self._parts, self._shared, self._actor, self._watch = parts, shared, actor, watch
        self._reader = Reader(language, zone_of(parts.cloud.config))
        self._kind: Kind = (language, actor.role, actor.hazard_sources)
        self._number = parts.hub.number
        self._alarms_version = 0
        self._edges_sent: list[Event] = []
        self._floods_sent: list[Event] = []
        self._forecasts_sent: list[Event] = []

    async def collect(self) -> list[Event]:
        """Return what changed since the last call; everything on the first."""
        return [
            *await self._alarms(),
            *await self._forecasts(),
            *self._announcements(),
            *self._values(),
            *await self._edges(),
            *await self._floods(),
        ]

    async def _alarms(self) -> list[Event]:
        hub = self._parts.hub
        version = hub.alarms_version
        if version == self._alarms_version:
            return []
        self._alarms_version = version
        standing = await hub.standing()
        make = partial(alarm_part, self._reader, self._parts, self._actor, standing)
        part = await self._shared.get("alarms", self._kind, version, make)
        self._watch.add(part.tags)
        return list(part.events)

    async def _forecasts(self) -> list[Event]:
        version = int(self._parts.cloud.now_ms() / (FORECASTS_S * 1000))
        standing = await self._parts.hub.standing()
        make = partial(forecast_events, self._reader, self._parts, self._actor, standing)
        made: list[Event] = await self._shared.get("forecasts", self._kind, version, make)
        if made == self._forecasts_sent:
            return []
        self._forecasts_sent = made
        return made

    def _announcements(self) -> list[Event]:
        """Return what just began or announces itself again (SAFETY S7), for sound and flash."""
        hub = self._parts.hub
        steps = [step for step in hub.since(self._number) if self._actor.sees(step["hazard_source"])]
        self._number = hub.number
        heard = [_announcement(step) for step in steps if step["event"] in ANNOUNCED]
        return [Event("announce", dumps(heard))] if heard else []

    def _values(self) -> list[Event]:
        now = self._parts.hub.snapshot()
        changed = self._watch.changed(now)
        texts = self._shared.texts(self._parts, self._reader.language)
        return [Event("values", texts.of(changed, now))] if changed else []

    async def _edges(self) -> list[Event]:
        version = (self._parts.hub.edges_version, int(self._parts.cloud.now_ms() / (EDGES_S * 1000)))
        make = partial(edge_events, self._reader, self._parts, self._actor)
        made: list[Event] = await self._shared.get("edges", self._kind, version, make)
        if made == self._edges_sent:
            return []
        self._edges_sent = made
        return made

    async def _floods(self) -> list[Event]:
        version = int(self._parts.cloud.now_ms() / (FLOODS_S * 1000))
        standing = await self._parts.hub.standing()
        make = partial(flood_events, self._reader, self._parts, self._actor, standing)
        made: list[Event] = await self._shared.get("flood", self._kind, version, make)
        if made == self._floods_sent:
            return []
        self._floods_sent = made
        return made


def _announcement(step: Mapping[str, Any]) -> dict[str, Any]:
    return {"occurrence": step["occurrence"], "level": step["priority"], "late": step["late"], "event": step["event"]}


@router.get("/console/stream")
async def console_stream(
    request: Request, parts: CloudParts, actor: Allowed, lang: Language = Language.ZH, tags: Watched = ""
) -> StreamingResponse:
    """Stream the page's parts in one language, and the values of the tags it shows."""
    watch = await run_in_threadpool(watch_of, parts, actor, tags)
    screen = Screen(parts, shared_of(request), actor, lang, watch)
    return stream(parts.hub, screen.collect)


def shared_of(request: Request) -> Shared:
    """Return what all screens of an app share."""
    if not hasattr(request.app.state, "shared_html"):
        request.app.state.shared_html = Shared()
    shared = request.app.state.shared_html
    assert isinstance(shared, Shared)
    return shared
