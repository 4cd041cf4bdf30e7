"""Who watches live: one listener at the monitor, many screens, each woken at most ten times a second.

```
monitor thread ── Committed ──► Hub (event loop) ──► wait() of every screen ──► one batch of events
```

What all screens share (rows of standing alarms, columns of current values) is read once per change, not per screen.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.board import Standing, read_board
from davylamp_cloud.api.catalogue import Catalogue
from davylamp_cloud.api.current import Snapshot, Texts, reading, snapshot
from davylamp_cloud.cloud import Cloud
from davylamp_cloud.outcomes import Committed

BATCH_S = 0.1
"""Shortest time between two batches to one screen."""

HEARTBEAT_S = 2.0
"""A screen that hears nothing for 10 s shouts (SAFETY S13), so five beats in a row may get lost."""

KEPT_TRANSITIONS = 2000
MOST_SCREENS = 500


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What proves that the engine lives. `engine_ms` is how far its time has come, `engine_age_ms` how long ago."""

    now_ms: int
    engine_ms: int
    engine_age_ms: int
    position: int
    lag_records: int


class Hub:
    """Lives on the event loop; only `_heard` is called from the monitor's thread."""

    def __init__(self, cloud: Cloud, catalogue: Catalogue) -> None:
        self.cloud = cloud
        self.catalogue = catalogue
        self.screens = 0
        self.closed = False
        self.alarms_version = 1
        self.edges_version = 1
        self.register_version = 1
        self.changes = 0
        self.number = 0
        self._transitions: deque[tuple[int, Mapping[str, Any]]] = deque(maxlen=KEPT_TRANSITIONS)
        self._began_s = time.monotonic()
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._standing = (0, Standing())
        self._snapshot: tuple[int, Snapshot] | None = None
        self.texts = Texts(reading(cloud.monitor.live))
        self._loop = asyncio.get_running_loop()
        self._end = cloud.monitor.on_commit(self._heard)

    def close(self) -> None:
        """Send every screen away; they come back and find another server or shout."""
        self._end()
        self.closed = True
        self._wake.set()

    def _heard(self, committed: Committed) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, committed)

    def _note(self, committed: Committed) -> None:
        self.changes += 1
        for transition in committed.transitions:
            self.number += 1
            self._transitions.append((self.number, transition))
        if committed.transitions or committed.register_changed:
            self.alarms_version += 1
        if committed.links or committed.register_changed:
            self.edges_version += 1
        if committed.register_changed:
            self.register_version += 1
            self.catalogue.forget()
        self._wake.set()
        self._wake = asyncio.Event()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Return once `changes` has left what was seen, or when the time is up."""
        if self.closed or self.changes != seen:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def since(self, number: int) -> list[Mapping[str, Any]]:
        """Return the transitions heard after the one with that number, oldest first."""
        return [transition for at, transition in self._transitions if at > number]

    def heartbeat(self) -> Heartbeat:
        """Return how the engine fares: it is as old as its newest tick, or as the oldest record it has not seen."""
        now_ms = self.cloud.now_ms()
        lag = self.cloud.monitor.lag()
        age_ms = max(self._age_ms(), lag.ms)
        return Heartbeat(now_ms, now_ms - age_ms, age_ms, self.cloud.monitor.position, lag.records)

    def _age_ms(self) -> int:
        """Return how long ago the engine ticked; before its first tick, for how long it has been waited for."""
        age_ms = self.cloud.engine_age_ms()
        return round(1000 * (time.monotonic() - self._began_s)) if age_ms is None else age_ms

    async def standing(self) -> Standing:
        """Return what stands now; read from disk once per change."""
        async with self._lock:
            version = self.alarms_version
            if self._standing[0] != version:
                self._standing = (version, await run_in_threadpool(read_board, self.cloud.state, self.catalogue))
            return self._standing[1]

    def snapshot(self) -> Snapshot:
        """Return what every tag says; copied once per commit."""
        if self._snapshot is None or self._snapshot[0] != self.changes:
            self._snapshot = (self.changes, snapshot(self.cloud.monitor.live))
        return self._snapshot[1]
