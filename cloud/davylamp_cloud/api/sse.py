"""Server-sent events: the pace at which a screen gets its batches, and the heartbeats between them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict

from fastapi.responses import StreamingResponse

from davylamp_cloud.api.errors import ApiError
from davylamp_cloud.api.event import Event, dumps
from davylamp_cloud.api.hub import BATCH_S, HEARTBEAT_S, MOST_SCREENS, Hub
from davylamp_cloud.api.language import both, mark

RECONNECT_MS = 1000
STREAM_S = 3600.0
"""A stream ends after an hour and the screen opens the next one, so that who may watch is asked again."""


Collect = Callable[[], Awaitable[Sequence[Event]]]


def stream(hub: Hub, collect: Collect) -> StreamingResponse:
    """Return a stream that sends what `collect` finds, at most ten times a second, and heartbeats between."""
    if hub.screens >= MOST_SCREENS or hub.closed:
        raise ApiError(
            503,
            "too_many_screens",
            both(mark("Too many screens watch already.")),
            both(mark("Close one, or try again in a minute.")),
        )
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_batches(hub, collect), media_type="text/event-stream", headers=headers)


async def _batches(hub: Hub, collect: Collect) -> AsyncIterator[str]:
    hub.screens += 1
    try:
        yield f"retry: {RECONNECT_MS}\n\n"
        beat_s, end_s = 0.0, time.monotonic() + STREAM_S
        while not hub.closed and time.monotonic() < end_s:
            sent_s, seen = time.monotonic(), hub.changes
            events = list(await collect())
            if sent_s - beat_s >= HEARTBEAT_S:
                events.append(Event("heartbeat", dumps(asdict(hub.heartbeat()))))
                beat_s = sent_s
            if events:
                yield "".join(event.encode() for event in events)
            await _pause(hub, seen, sent_s, beat_s)
    finally:
        hub.screens -= 1


async def _pause(hub: Hub, seen: int, sent_s: float, beat_s: float) -> None:
    """Sleep until something changed and a tenth of a second has passed, or the next heartbeat is due."""
    await hub.wait(seen, max(0.0, beat_s + HEARTBEAT_S - time.monotonic()))
    rest = sent_s + BATCH_S - time.monotonic()
    if rest > 0 and not hub.closed:
        await asyncio.sleep(rest)
