"""What came of each command, and who is told when the monitor has committed.

The API appends a command to the log and waits here for its transitions or its refusal; the monitor publishes both
after the transaction that stored them.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from davylamp_alarms.transition import Refusal

LOG = structlog.get_logger()

KEPT = 10_000
"""Outcomes kept in memory; a caller waits seconds, not this many commands."""


class NotStarted(Exception):
    """There is no engine to ask yet: ask again in a few seconds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command led to: stored transitions (as their rows), or why it was refused."""

    seq: int
    transitions: tuple[Mapping[str, Any], ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """One commit of the monitor: how far it got, what it stored, and which tags have a new value.

    `clock_ms` is the newest tick in it, UTC; 0 without one. A console that sees none for ten seconds shouts (S13).
    """

    seq: int
    transitions: tuple[Mapping[str, Any], ...] = ()
    links: tuple[str, ...] = ()
    register_changed: bool = False
    clock_ms: int = 0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the monitor is behind the log (SAFETY S14: being behind is shown and is an alarm)."""

    records: int
    ms: int


Listener = Callable[[Committed], None]


class Outcomes:
    """Outcomes by the command's number in the log, and the listeners of every commit."""

    def __init__(self, position: int = 0, failed: "Callable[[str, Exception], None] | None" = None) -> None:
        """`failed` is told once of each listener that raises; whoever listens besides still hears."""
        self._failed = failed or (lambda listener, error: None)
        self._faulty: set[Listener] = set()
        self.errors = 0
        self._changed = threading.Condition()
        self._kept: OrderedDict[int, Outcome] = OrderedDict()
        self._position = position
        self._closed = False
        self._listeners: list[Listener] = []

    @property
    def position(self) -> int:
        """Number of the newest record of the log the monitor is through with."""
        return self._position

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on the monitor's thread after each commit; return what ends it. It must not block."""
        with self._changed:
            self._listeners = [*self._listeners, listener]
        return lambda: self._drop(listener)

    def wait(self, seq: int, timeout: float) -> Outcome:
        """Return what came of the command with that number.

        A command whose outcome was nothing at all (already done) comes back without transitions and refusal.
        Raises TimeoutError when the monitor has not reached it in time; it is in the log and will still be done.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._position >= seq or self._closed, timeout)
            if self._position < seq:
                raise TimeoutError(f"command {seq} is in the log but not evaluated yet")
            return self._kept.get(seq, Outcome(seq))

    def publish(self, committed: Committed, outcomes: Sequence[Outcome]) -> None:
        """Make a commit known: waiting callers return, listeners are called."""
        with self._changed:
            for outcome in outcomes:
                self._kept[outcome.seq] = outcome
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            self._position = max(self._position, committed.seq)
            listeners = self._listeners
            self._changed.notify_all()
        for listener in listeners:
            try:
                listener(committed)
            except Exception as error:
                self._blame(listener, error)

    def close(self) -> None:
        """Let every waiting caller go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _blame(self, listener: Listener, error: Exception) -> None:
        """Count a listener's error; its first is also told, and no error of a listener stops the monitor."""
        self.errors += 1
        if listener not in self._faulty:
            self._faulty.add(listener)
            name = getattr(listener, "__qualname__", type(listener).__name__)
            LOG.error("listener failed", listener=name, error=repr(error))
            self._failed(name, error)

    def _drop(self, listener: Listener) -> None:
        with self._changed:
            self._listeners = [other for other in self._listeners if other is not listener]
