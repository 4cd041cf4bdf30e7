"""Live events for programs: transitions as they are stored, chosen tags' values, and heartbeats."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.gate import Reader
from davylamp_cloud.api.hub import Columns, Hub
from davylamp_cloud.api.parts import REFUSALS, CloudParts, Parts
from davylamp_cloud.api.sse import Event, dumps, stream

router = APIRouter(tags=["events"], responses=REFUSALS)

MOST_WATCHED = 500
CATCH_UP = 1000

Watched = Annotated[
    str, Query(pattern=r"^[0-9,]{0,5000}$", description="tag indices whose values are sent, by comma; at most 500")
]


class Watch:
    """The tags one screen shows, and what it was told of them last."""

    def __init__(self, parts: Parts, actor: Actor, wanted: str) -> None:
        self.register = register = parts.catalogue.register()
        asked = {int(index) for index in wanted.split(",")[:MOST_WATCHED] if index}
        seen = [i for i in asked if i in register.by_index and actor.sees(register.by_index[i].hazard_source)]
        self._asked = frozenset(seen)
        self._told: dict[int, int] = {}
        self._tags = np.array(sorted(self._asked), np.int64)

    def add(self, tags: Sequence[int]) -> None:
        """Watch some tags beside those asked for; what was added before and is not named again goes."""
        self._tags = np.array(sorted({*self._asked, *tags}), np.int64)

    def changed(self, columns: Columns) -> list[int]:
        """Return the watched tags whose reading arrived since they were told last; one just added counts as changed."""
        known = self._tags[self._tags < len(columns[3])]
        arrivals = dict(zip(known.tolist(), columns[3][known].tolist(), strict=True))
        told, self._told = self._told, arrivals
        return [tag for tag, arrival in arrivals.items() if told.get(tag) != arrival]


def values_of(hub: Hub, tags: Sequence[int], columns: Columns) -> list[dict[str, Any]]:
    """Return the newest readings of some tags, as JSON."""
    values, times, qualities, arrivals = columns
    live = hub.cloud.monitor.live
    return [
        {
            "index": tag,
            "value": float(values[tag]) if np.isfinite(values[tag]) else None,
            "text": live.text(tag),
            "quality": int(qualities[tag]),
            "time_ms": int(times[tag]),
            "arrival_ms": int(arrivals[tag]),
        }
        for tag in tags
    ]


@router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def events(
    parts: CloudParts,
    actor: Reader,
    tags: Watched = "",
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,18}$")] = None,
) -> StreamingResponse:
    """Stream ``transitions`` (id: log number; reconnecting catches up), ``values`` and ``heartbeat``."""
    hub = parts.hub
    watch = await run_in_threadpool(Watch, parts, actor, tags)
    number = hub.number
    missed = await run_in_threadpool(_missed, parts, actor, last_event_id)

    async def collect() -> list[Event]:
        nonlocal number, missed
        steps, missed = missed + [step for step in hub.since(number) if actor.sees(step["hazard_source"])], []
        number = hub.number
        found = [Event("transitions", dumps(steps), int(steps[-1]["seq"]))] if steps else []
        columns = hub.columns()
        if changed := watch.changed(columns):
            found.append(Event("values", dumps(values_of(hub, changed, columns))))
        return found

    return stream(hub, collect)


def _missed(parts: Parts, actor: Actor, last_event_id: str | None) -> list[Mapping[str, Any]]:
    """Return what a reader missed since the log number it heard last."""
    if last_event_id is None:
        return []
    rows = parts.cloud.state.transitions(after=int(last_event_id), limit=CATCH_UP)
    return [row for row in rows if actor.sees(row["hazard_source"])]
