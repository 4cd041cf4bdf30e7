"""Live events for programs: transitions as they are stored, chosen tags' values, and heartbeats."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.current import MOST_WATCHED, Watch
from davylamp_cloud.api.event import Event, dumps
from davylamp_cloud.api.gate import Reader
from davylamp_cloud.api.parts import REFUSALS, CloudParts, Parts
from davylamp_cloud.api.sse import stream

router = APIRouter(tags=["events"], responses=REFUSALS)

CATCH_UP = 1000

Watched = Annotated[
    str, Query(pattern=r"^[0-9,]{0,5000}$", description="tag indices whose values are sent, by comma; at most 500")
]


def watch_of(parts: Parts, actor: Actor, wanted: str) -> Watch:
    """Return the tags a reader asked for that are theirs to see."""
    register = parts.catalogue.register()
    asked = {int(index) for index in wanted.split(",")[:MOST_WATCHED] if index}
    return Watch(i for i in asked if i in register.by_index and actor.sees(register.by_index[i].hazard_source))


@router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def events(
    parts: CloudParts,
    actor: Reader,
    tags: Watched = "",
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,18}$")] = None,
) -> StreamingResponse:
    """Stream ``transitions`` (id: log number; reconnecting catches up), ``values`` and ``heartbeat``."""
    hub = parts.hub
    watch = await run_in_threadpool(watch_of, parts, actor, tags)
    number = hub.number
    missed = await run_in_threadpool(_missed, parts, actor, last_event_id)

    async def collect() -> list[Event]:
        nonlocal number, missed
        steps, missed = missed + [step for step in hub.since(number) if actor.sees(step["hazard_source"])], []
        number = hub.number
        found = [Event("transitions", dumps(steps), int(steps[-1]["seq"]))] if steps else []
        now = hub.snapshot()
        if changed := watch.changed(now):
            found.append(Event("values", hub.texts.of(changed, now)))
        return found

    return stream(hub, collect)


def _missed(parts: Parts, actor: Actor, last_event_id: str | None) -> list[Mapping[str, Any]]:
    """Return what a reader missed since the log number it heard last."""
    if last_event_id is None:
        return []
    rows = parts.cloud.state.transitions(after=int(last_event_id), limit=CATCH_UP)
    return [row for row in rows if actor.sees(row["hazard_source"])]
