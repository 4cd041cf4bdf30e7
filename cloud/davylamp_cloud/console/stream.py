"""What keeps the page alive: alarms and edges as HTML, values as JSON, announcements, heartbeats.

The HTML is made once per change for each kind of reader (language, rights, hazard sources), not once per screen.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.events import Watch, Watched, values_of
from davylamp_cloud.api.gate import Reader as Allowed
from davylamp_cloud.api.language import Language
from davylamp_cloud.api.parts import REFUSALS, CloudParts, Parts
from davylamp_cloud.api.sse import Event, dumps, stream
from davylamp_cloud.api.tags import tag_view
from davylamp_cloud.console.parts import alarm_events, cell, edge_events, shown_tags
from davylamp_cloud.console.render import Reader, zone_of

router = APIRouter(include_in_schema=False, responses=REFUSALS)

EDGES_S = 2.0
"""Edges are looked at this often: devices come and go without a transition."""

ANNOUNCED = frozenset({"raised", "re_alarmed"})


Kind = tuple[Language, str, frozenset[str]]
"""What makes two screens show the same: language, role, hazard sources."""


class Shared:
    """HTML of one change, by kind of reader."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, Kind], tuple[object, list[Event]]] = {}

    def get(self, part: str, kind: Kind, version: object) -> list[Event] | None:
        """Return a part of the page as it was made for this version; None where somebody has to make it."""
        made = self._made.get((part, kind))
        return made[1] if made and made[0] == version else None

    def put(self, part: str, kind: Kind, version: object, events: list[Event]) -> None:
        """Keep a part for every other screen of the kind."""
        self._made[part, kind] = (version, events)


class Screen:
    """One page that watches."""

    def __init__(self, parts: Parts, shared: Shared, actor: Actor, language: Language, watch: Watch) -> None:
        self._parts, self._shared, self._actor, self._watch = parts, shared, actor, watch
        self._reader = Reader(language, zone_of(parts.cloud.config))
        self._kind: Kind = (language, actor.role, actor.hazard_sources)
        self._number = parts.hub.number
        self._alarms_version = 0
        self._edges_sent: list[Event] = []

    async def collect(self) -> list[Event]:
        """Return what changed since the last call; everything on the first."""
        return [*await self._alarms(), *self._announcements(), *self._values(), *await self._edges()]

    async def _alarms(self) -> list[Event]:
        hub = self._parts.hub
        version = hub.alarms_version
        if version == self._alarms_version:
            return []
        self._alarms_version = version
        standing = await hub.standing()
        made = self._shared.get("alarms", self._kind, version)
        if made is None:
            made = await run_in_threadpool(alarm_events, self._reader, self._actor, standing)
            self._shared.put("alarms", self._kind, version, made)
        self._watch.add(shown_tags(self._actor, standing))
        return made

    def _announcements(self) -> list[Event]:
        """Return what just began or announces itself again (SAFETY S7), for sound and flash."""
        hub = self._parts.hub
        steps = [step for step in hub.since(self._number) if self._actor.sees(step["hazard_source"])]
        self._number = hub.number
        heard = [_announcement(step) for step in steps if step["event"] in ANNOUNCED]
        return [Event("announce", dumps(heard))] if heard else []

    def _values(self) -> list[Event]:
        hub = self._parts.hub
        columns = hub.columns()
        changed = self._watch.changed(columns)
        if not changed:
            return []
        register = self._watch.register
        values = values_of(hub, changed, columns)
        for value in values:
            tag = tag_view(register.by_index[value["index"]], self._parts)
            value.update(cell(self._reader, value["value"], value["text"], value["quality"], tag))
        return [Event("values", dumps(values))]

    async def _edges(self) -> list[Event]:
        hub = self._parts.hub
        version = (hub.edges_version, int(self._parts.cloud.now_ms() / (EDGES_S * 1000)))
        made = self._shared.get("edges", self._kind, version)
        if made is None:
            made = await run_in_threadpool(edge_events, self._reader, self._parts, self._actor)
            self._shared.put("edges", self._kind, version, made)
        if made == self._edges_sent:
            return []
        self._edges_sent = made
        return made


def _announcement(step: Mapping[str, Any]) -> dict[str, Any]:
    return {"occurrence": step["occurrence"], "level": step["priority"], "late": step["late"], "event": step["event"]}


@router.get("/console/stream")
async def console_stream(
    request: Request, parts: CloudParts, actor: Allowed, lang: Language = Language.ZH, tags: Watched = ""
) -> StreamingResponse:
    """Stream the page's parts in one language, and the values of the tags it shows."""
    watch = await run_in_threadpool(Watch, parts, actor, tags)
    screen = Screen(parts, shared_of(request), actor, lang, watch)
    return stream(parts.hub, screen.collect)


def shared_of(request: Request) -> Shared:
    """Return what all screens of an app share."""
    if not hasattr(request.app.state, "shared_html"):
        request.app.state.shared_html = Shared()
    shared = request.app.state.shared_html
    assert isinstance(shared, Shared)
    return shared
