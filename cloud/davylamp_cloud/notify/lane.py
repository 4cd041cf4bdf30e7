"""One receiver's lane: its queue, its attempts, its health. A dead receiver never delays another.

A receiver is never switched off: refused or unreachable, it is tried again by the schedule, and the lane says so
(SAFETY S22).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from davylamp_cloud import faultpoints
from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.notify import Notice, Notifier, ReceiverRefused, ReceiverUnavailable
from davylamp_cloud.notify.queue import FEW_PLACES, PLACES, Item, ReceiverQueue
from davylamp_cloud.notify.schedule import Schedule
from davylamp_cloud.notify.table import Attempt, DeliveryState

LOG = structlog.get_logger()

BACK_AFTER_S = 2.0
"""Down at least this long, a receiver that answers again gets everything that waits at once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Time and chance, given from outside so that tests can move them."""

    now_ms: Callable[[], int]
    monotonic_s: Callable[[], float]
    jitter: Callable[[], float]
    schedule: Schedule
    behind: Callable[[], bool] = lambda: False
    """Whether the engine is behind the log."""


@dataclass(slots=True)
class Health:
    """How a receiver fares. `down_since_s` is monotonic; None while it accepts. `beats`: the last sign of life came."""

    delivered: int = 0
    given_up: int = 0
    attempts_failed: int = 0
    last_accepted_ms: int | None = None
    last_error: str = ""
    down_since_s: float | None = None
    down_since_ms: int | None = None
    beats: bool = True


class Lane:
    """Sends one receiver's notices, and reports what came of each attempt."""

    def __init__(
        self,
        receiver: ReceiverConfig,
        notifier: Notifier,
        pace: Pace,
        report: Callable[[Attempt], None],
        body_of: Callable[[int], Awaitable[bytes]],
    ) -> None:
        self.receiver = receiver
        self.queue = ReceiverQueue()
        self.health = Health()
        self._notifier = notifier
        self._pace = pace
        self._report = report
        self._body_of = body_of
        self._changed = asyncio.Event()

    def add(self, item: Item, next_attempt_ms: int) -> None:
        """Queue a pending row. What an earlier process planned is kept, but never beyond the schedule's own delay."""
        item.due_s = self._pace.monotonic_s() + self._planned_s(item, next_attempt_ms)
        self.queue.add(item)
        self._changed.set()

    async def run(self) -> None:
        """Send what is due, for ever; cancelled, it leaves what is in flight pending."""
        async with asyncio.TaskGroup() as sending:
            while True:
                self._changed.clear()
                for item in self.queue.take(self._pace.monotonic_s(), FEW_PLACES if self._pace.behind() else PLACES):
                    sending.create_task(self._attempt(item))
                await self._wait()

    async def beat(self, notice: Notice) -> None:
        """Send a heartbeat. It is never queued or retried: the next one follows.

        One that arrives brings a receiver back only after one that did not: who takes signs of life and no notices
        would else be asked again with each of them, and a notice be given up within minutes instead of days.
        """
        came_before, self.health.beats = self.health.beats, False
        try:
            await self._notifier.send(notice)
        except (ReceiverRefused, ReceiverUnavailable) as error:
            self._down(str(error))
        except Exception as error:
            # As in `_attempt`: one notifier's own fault must not end the loop that serves all receivers.
            LOG.error("notifier failed", receiver=self.receiver.name, error=type(error).__name__)
            self._down(f"{self.receiver.name}: {type(error).__name__} in its notifier")
        else:
            self.health.beats = True
            if self.health.down_since_s is None or not came_before:
                self._up()

    def settled(self, item: Item) -> None:
        """Go on with the occurrence of a notice that is marked delivered or given up.

        Not before: a kill would send this one again after the next, out of order.
        """
        self.queue.done(item)
        self._changed.set()

    async def close(self) -> None:
        """Close the notifier's connections."""
        await self._notifier.close()

    def status(self) -> dict[str, Any]:
        """Return how the receiver fares, in plain values."""
        health = self.health
        return {
            "accepting": health.down_since_ms is None,
            "down_since_ms": health.down_since_ms,
            "last_error": health.last_error,
            "last_accepted_ms": health.last_accepted_ms,
            "pending": len(self.queue),
            "in_flight": self.queue.in_flight,
            "delivered": health.delivered,
            "attempts_failed": health.attempts_failed,
            "given_up": health.given_up,
        }

    async def _wait(self) -> None:
        due = self.queue.next_due_s()
        timeout = None if due is None else max(0.0, due - self._pace.monotonic_s())
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _attempt(self, item: Item) -> None:
        try:
            item.body = item.body or await self._body_of(item.row)
            await self._notifier.send(Notice(item.transition, item.body, self._pace.now_ms()))
            faultpoints.hit("outbox.after_send")
        except ReceiverUnavailable as error:
            self._failed(item, str(error), error.retry_after_s)
        except ReceiverRefused as error:
            self._failed(item, str(error), None)
        except Exception as error:
            # A notifier's own fault must not silence its receiver: it is tried again and shown.
            LOG.error("notifier failed", receiver=self.receiver.name, error=repr(error))
            self._failed(item, f"{self.receiver.name}: {type(error).__name__} in its notifier", None)
        else:
            self._delivered(item)
        self._changed.set()

    def _delivered(self, item: Item) -> None:
        self.health.delivered += 1
        self._up()
        self.queue.accepted(item)
        self._tell(item, DeliveryState.DELIVERED, "")

    def _failed(self, item: Item, error: str, wish_s: float | None) -> None:
        item.attempts += 1
        item.body, item.error = None, error
        self.health.attempts_failed += 1
        self._down(error)
        pace = self._pace
        delay = pace.schedule.delay_s(self.queue.urgency(item), item.attempts, pace.jitter(), wish_s)
        if delay is None:
            self._give_up(item, error)
            return
        now_s = pace.monotonic_s()
        self.queue.postpone(item, now_s + delay, 0.0 if wish_s is None else now_s + min(wish_s, delay))
        self._tell(item, DeliveryState.PENDING, error, pace.now_ms() + int(delay * 1000))

    def _give_up(self, item: Item, error: str) -> None:
        self.health.given_up += 1
        LOG.error("notice given up", receiver=self.receiver.name, transition=item.transition, error=error)
        self._tell(item, DeliveryState.FAILED, error)

    def _tell(self, item: Item, state: DeliveryState, error: str, next_attempt_ms: int = 0) -> None:
        attempts = item.attempts + (state is DeliveryState.DELIVERED)
        name, now_ms = self.receiver.name, self._pace.now_ms()
        self._report(Attempt(item, name, state, now_ms, attempts, next_attempt_ms, error))

    def _down(self, error: str) -> None:
        health = self.health
        health.last_error = error
        if health.down_since_s is None:
            health.down_since_s, health.down_since_ms = self._pace.monotonic_s(), self._pace.now_ms()
            LOG.warning("receiver lost", receiver=self.receiver.name, error=error)

    def _up(self) -> None:
        health = self.health
        health.last_accepted_ms = self._pace.now_ms()
        if health.down_since_s is None:
            return
        down_s = self._pace.monotonic_s() - health.down_since_s
        health.down_since_s = health.down_since_ms = None
        LOG.info("receiver back", receiver=self.receiver.name, after_s=round(down_s, 1), pending=len(self.queue))
        if down_s >= BACK_AFTER_S:
            self.queue.release()
            self._changed.set()

    def _planned_s(self, item: Item, next_attempt_ms: int) -> float:
        if item.attempts == 0:
            return 0.0
        longest = self._pace.schedule.delay_s(item.priority, item.attempts, 1.0) or 0.0
        return min(max(0.0, (next_attempt_ms - self._pace.now_ms()) / 1000), longest)
