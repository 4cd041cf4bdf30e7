"""What other threads tell the uplink, until it takes it: a turn's worth at a time.

writer ─ offer ─► records ─┐
paho ── post ──► events ───┼─► take
agent ─ follow ─► news ────┘
"""

import threading
import time
from collections import deque
from collections.abc import Sequence

from davylamp_wire.topic import host_of

from davylamp_edge.birth import Births
from davylamp_edge.config import EdgeConfig
from davylamp_edge.first_readings import FirstReadings
from davylamp_edge.link import Arrived, Event
from davylamp_edge.records import Record

COMMANDS = 1_000
"""Most commands held; beyond it the oldest are dropped and counted, for the newest confirmation says it all."""

News = tuple[EdgeConfig, Births]


class Inbox:
    """Wakes the uplink's thread when something comes. `is_new` says that the journal never held a record."""

    def __init__(self, *, is_new: bool) -> None:
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._commands: deque[Arrived] = deque(maxlen=COMMANDS)
        self._offered: list[Record] = []
        self._first = FirstReadings(is_new=is_new)
        self._news: list[News] = []
        self._online = False
        self._stopping = False

    # From other threads

    def offer(self, records: Sequence[Record]) -> None:
        """Take records that are on disk; while no session stands they are left to the backlog."""
        with self._changed:
            if self._online:
                self._offered.extend(records)
                self._changed.notify()
            else:
                self._first.hold(records)

    def post(self, event: Event) -> bool:
        """Take an event; return whether an older command had to go for it."""
        with self._changed:
            self._changed.notify()
            if not isinstance(event, Arrived) or host_of(event.topic) is not None:
                self._events.append(event)
                return False
            is_full = len(self._commands) == COMMANDS
            self._commands.append(event)
            return is_full

    def follow(self, news: News) -> None:
        """Take another config, before any record that is offered from now on."""
        with self._changed:
            self._news.append(news)
            self._changed.notify()

    def stop(self) -> None:
        """Have every wait end at once from now on."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    # In the uplink's thread

    def wait(self, until_s: float | None, *, heeds: bool = True) -> bool:
        """Wait for something to come or fall due; return whether to stop. Who `heeds` nothing waits until it is due."""
        left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or (heeds and self.something_came), left_s)
            return self._stopping

    @property
    def something_came(self) -> bool:
        """Whether anything waits to be taken."""
        return bool(self._news or self._events or self._offered or self._commands)

    @property
    def has_records(self) -> bool:
        """Whether records wait to be taken."""
        return bool(self._offered)

    def take(self) -> tuple[list[Event], list[Record]]:
        """Return the events, the commands behind all others, and the records that have come."""
        with self._changed:
            events = [*self._events, *self._commands]
            self._events = []
            self._commands.clear()
            offered, self._offered = self._offered, []
            return events, offered

    def take_news(self) -> list[News]:
        """Return the configs that have come."""
        with self._changed:
            news, self._news = self._news, []
            return news

    def open(self, from_ms: int) -> None:
        """Take records as live from now on, and what a new edge has read first from a moment on."""
        with self._changed:
            self._online = True
            self._offered = self._first.take(from_ms)

    def close(self) -> None:
        """Leave records to the backlog from now on, those that wait too."""
        with self._changed:
            self._online = False
            self._offered.clear()

    def forget_events(self) -> None:
        """Forget what a connection said that is over."""
        with self._changed:
            self._events.clear()
            self._commands.clear()
