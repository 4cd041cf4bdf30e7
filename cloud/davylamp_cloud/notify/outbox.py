"""The outbox: the only retry loop of the cloud, on a thread with an event loop of its own.

```
outbox table ──fetch──► lanes (a queue per receiver) ──► attempts ──report──► DELIVERY record in the log, row marked
     ▲ wake() by the monitor's commit
```

What is marked delivered was accepted. What was accepted and not yet marked when the process is killed is sent again
under the same webhook-id (SAFETY S23).
"""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
import uvloop
from sqlalchemy.exc import SQLAlchemyError

from davylamp_cloud import faultpoints
from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.group_commit import GroupCommit, LogClosed
from davylamp_cloud.log import NewRecord, RecordKind
from davylamp_cloud.notify import Notifier, open_notifier
from davylamp_cloud.notify.heartbeat import HEARTBEAT_S, SILENT_AFTER_S, Pulse, beat
from davylamp_cloud.notify.lane import Lane, Pace
from davylamp_cloud.notify.schedule import SCHEDULE, Schedule
from davylamp_cloud.notify.table import (
    Attempt,
    DeliveryState,
    Pending,
    body_of_row,
    mark,
    pending_after,
    row_before_pending,
)
from davylamp_cloud.receipts import told_of
from davylamp_cloud.store.state import State

LOG = structlog.get_logger()

BODIES_KEPT = 10_000
"""Bodies a lane keeps in memory; those of a longer queue are read again when their turn comes."""

LOOK_S = 1.0
"""The outbox looks by itself this often, should a wake ever be missed; also the pace of the engine's pulse."""

Answer = TypeVar("Answer")


class Outbox:
    """Delivers what the monitor put into the outbox table."""

    def __init__(
        self,
        state: State,
        commits: GroupCommit,
        receivers: Sequence[ReceiverConfig],
        *,
        now_ms: Callable[[], int],
        position: Callable[[], int],
        failed: Callable[[BaseException], None],
        schedule: Schedule = SCHEDULE,
        monotonic_s: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        heartbeat_s: float = HEARTBEAT_S,
        behind: Callable[[], bool] = lambda: False,
    ) -> None:
        """Read every receiver's keys (ConfigError where one is wrong). `position` is how far the engine got,
        `behind` whether that is late; `failed` is called from the thread when the outbox cannot go on, and the
        process must stop then."""
        self._state = state
        self._commits = commits
        self._notifiers: list[tuple[ReceiverConfig, Notifier]] = [(one, open_notifier(one)) for one in receivers]
        self._pace = Pace(now_ms, monotonic_s, jitter, schedule, behind)
        self._position = position
        self._failed = failed
        self._heartbeat_s = heartbeat_s
        self._lanes: dict[str, Lane] = {}
        self._strangers: Counter[str] = Counter()
        self._attempts: list[Attempt] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Start the thread; return once it takes wakes."""
        self._thread.start()
        self._running.wait()

    def wake(self) -> None:
        """Look into the table now. Safe from any thread, before start and after stop."""
        self._call(lambda: self._fresh.set())

    def stop(self) -> None:
        """End the thread; attempts in flight are left pending, results are marked first."""
        self._call(lambda: self._over.set())
        if self._thread.is_alive():
            self._thread.join()

    def status(self) -> dict[str, Any]:
        """Return how each receiver fares; `not_configured` counts notices whose receiver left the config."""
        return {
            "receivers": {name: lane.status() for name, lane in self._lanes.items()},
            "not_configured": dict(self._strangers),
            "unmarked": len(self._attempts),
        }

    def _call(self, what: Callable[[], None]) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(what)
        except RuntimeError:
            return  # the loop closed between the look and the call: there is nobody left to tell

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except BaseException as error:
            LOG.error("outbox stopped", error=repr(error))
            self._failed(error)
        finally:
            self._loop = None
            self._running.set()

    async def _main(self) -> None:
        self._fresh, self._over, self._reported = asyncio.Event(), asyncio.Event(), asyncio.Event()
        with ThreadPoolExecutor(4, thread_name_prefix="outbox-table") as self._threads:
            for receiver, notifier in self._notifiers:
                self._lanes[receiver.name] = Lane(receiver, notifier, self._pace, self._report, self._body_of)
            self._loop = asyncio.get_running_loop()
            self._running.set()
            try:
                await self._deliver()
            finally:
                for lane in self._lanes.values():
                    await lane.close()

    async def _deliver(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(lane.run()) for lane in self._lanes.values()]
            work += [tasks.create_task(self._fetch()), tasks.create_task(self._beats())]
            tasks.create_task(self._mark())
            await self._over.wait()
            for task in work:
                task.cancel()
            self._reported.set()

    async def _fetch(self) -> None:
        """Bring new rows into the lanes: after every wake, and by itself once in a while."""
        last = await self._patiently(lambda: row_before_pending(self._state)) or 0
        while True:
            self._fresh.clear()
            while page := await self._patiently(lambda: pending_after(self._state, last)):  # noqa: B023 - awaited here
                for pending in page:
                    self._take(pending)
                last = page[-1].item.row
            await _wait(self._fresh, LOOK_S)

    def _take(self, pending: Pending) -> None:
        lane = self._lanes.get(pending.receiver)
        if lane is None:
            self._strangers[pending.receiver] += 1
            return
        if len(lane.queue) >= BODIES_KEPT:
            pending.item.body = None
        lane.add(pending.item, pending.next_attempt_ms)

    def _report(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)
        self._reported.set()

    async def _mark(self) -> None:
        """Write what came of attempts; whatever gathers while one transaction runs goes into the next.

        At the end it writes what is left; should the disk refuse then, that is sent again after the restart.
        """
        while self._attempts or not self._over.is_set():
            await self._reported.wait()
            self._reported.clear()
            batch = list(self._attempts)
            if not batch:
                continue
            if not await self._patiently(lambda: self._store(batch)):  # noqa: B023 - awaited here
                return
            del self._attempts[: len(batch)]
            self._reported.set()
            for attempt in batch:
                if attempt.state is not DeliveryState.PENDING:
                    self._lanes[attempt.receiver].settled(attempt.item)

    def _store(self, batch: Sequence[Attempt]) -> bool:
        records = [_record(attempt) for attempt in batch if _worth_a_record(attempt)]
        try:
            if records:
                self._commits.append(records)
        except (LogClosed, TimeoutError) as error:
            LOG.warning("deliveries not in the log", count=len(records), error=str(error))
        faultpoints.hit("outbox.before_mark")
        mark(self._state, batch)
        return True

    async def _beats(self) -> None:
        async with asyncio.TaskGroup() as beating:
            for lane in self._lanes.values():
                beating.create_task(self._beat(lane, Pulse(self._position)))

    async def _beat(self, lane: Lane, pulse: Pulse) -> None:
        """Send a sign of life in its rhythm, and at once when the engine falls silent or wakes."""
        told: bool | None = None
        due_s = 0.0
        while not self._over.is_set():
            now_s = self._pace.monotonic_s()
            silent_s = pulse.silent_s(now_s)
            silent = silent_s >= SILENT_AFTER_S
            if silent is not told or now_s >= due_s:
                told, due_s = silent, now_s + self._heartbeat_s
                now_ms, name = self._pace.now_ms(), lane.receiver.name
                await lane.beat(beat(name, now_ms, pulse.position(), silent_s, len(lane.queue)))
            await _wait(self._over, LOOK_S)

    async def _body_of(self, row: int) -> bytes:
        return await self._in_thread(lambda: body_of_row(self._state, row))

    async def _patiently(self, work: Callable[[], Answer]) -> Answer | None:
        """Do database work until the database takes it, or until the end; say once when it does not."""
        complained = False
        while True:
            try:
                return await self._in_thread(work)
            except SQLAlchemyError as error:
                if not complained:
                    LOG.error("state.db refuses the outbox", error=str(error))
                complained = True
            if self._over.is_set():
                return None
            await _wait(self._over, LOOK_S)

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _worth_a_record(attempt: Attempt) -> bool:
    """True for a delivery, a notice given up, and the first failure; the tries between are counted in the row."""
    return attempt.state is not DeliveryState.PENDING or attempt.attempts == 1


def _record(attempt: Attempt) -> NewRecord:
    delivered = attempt.state is DeliveryState.DELIVERED
    status = "unavailable" if attempt.state is DeliveryState.PENDING else attempt.state.value
    body = {
        "transition": attempt.item.transition,
        "receiver": attempt.receiver,
        "status": status,
        "at_ms": attempt.at_ms,
        "attempts": attempt.attempts,
        "error": attempt.error,
    }
    if delivered and attempt.item.body:
        body["told"] = told_of(attempt.item.body)
    return NewRecord(RecordKind.DELIVERY, json.dumps(body, ensure_ascii=False).encode(), attempt.at_ms)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
