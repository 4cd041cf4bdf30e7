"""The ways to the broker: which one is taken, how each fares, and when to go back to the first.

Everything that chooses a way is in this file. It opens no socket, and is safe from several threads: paho's says what
failed, the agent's what a probe found, the publisher's goes back.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from davylamp_edge.config import BrokerConfig, Tls

log = structlog.get_logger(__name__)

FIRST, STANDBY = "first", "standby"

STOOD_S = 5.0
"""A connection that stood for so long was no fluke; after a shorter one the next attempts wait as after a failure."""

SOON_S = 3600.0
"""The first way, lost again so soon after going back to it, is trusted half as quickly the next time."""

LONGEST_BACK_S = 3600.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the broker. After `silence_s` without an acknowledgement the other is taken; None: no other."""

    name: str
    host: str
    port: int
    interface: str | None
    source: str | None
    tls: Tls | None
    silence_s: float | None


@dataclass(frozen=True, slots=True)
class Fares:
    """How a way fares: well or not since when (monotonic), not for which reason; None where nobody has tried it yet."""

    way: Way
    well: bool | None = None
    since_s: float = 0.0
    reason: str = ""
    taken: bool = False


def ways_of(broker: BrokerConfig) -> tuple[Way, ...]:
    """Return the first way and the standby, where there is one; what the standby leaves out is as for the first."""
    other = broker.standby
    silence_s = None if other is None else other.silence_s
    first = Way(FIRST, broker.host, broker.port, broker.interface, broker.source, broker.tls, silence_s)
    if other is None:
        return (first,)
    host, port, tls = other.host or broker.host, other.port or broker.port, other.tls or broker.tls
    return first, Way(STANDBY, host, port, other.interface, other.source, tls, silence_s)


class Ways:
    """Which way is taken, and how each fares. An edge with one way has nothing to choose, and nothing is said of it."""

    def __init__(self, broker: BrokerConfig, now_s: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._now_s = now_s
        self._broker: BrokerConfig | None = None
        self.changes = 0
        self.become(broker)

    def become(self, broker: BrokerConfig) -> None:
        """Begin with the first way of these settings; go on as before where they are the same."""
        with self._lock:
            if broker == self._broker:
                return
            self._broker = broker
            self._fares = [Fares(way) for way in ways_of(broker)]
            self._taken = 0
            self._carried: int | None = None
            self._connected_s: float | None = None
            self._failures = 0
            self._least_back_s = 0.0 if broker.standby is None else broker.standby.back_after_s
            self._back_s = self._least_back_s
            self._went_back_s: float | None = None

    @property
    def all(self) -> tuple[Way, ...]:
        """Every way, the first one first."""
        with self._lock:
            return tuple(fares.way for fares in self._fares)

    @property
    def current(self) -> Way:
        """The way that is taken, or tried next."""
        with self._lock:
            return self._fares[self._taken].way

    @property
    def idle(self) -> Way | None:
        """The way that is not taken; None where there is one way only."""
        with self._lock:
            return None if len(self._fares) == 1 else self._fares[1 - self._taken].way

    def fares(self) -> tuple[Fares, ...]:
        """Return how each way fares; nothing where there is no choice."""
        with self._lock:
            if len(self._fares) == 1:
                return ()
            return tuple(replace(fares, taken=at == self._taken) for at, fares in enumerate(self._fares))

    def connected(self) -> None:
        """Note that the broker took us in by the way that is taken."""
        with self._lock:
            self._connected_s = self._now_s()
            self.changes += self._carried not in (None, self._taken)
            self._carried = self._taken
            self._mark(self._taken, "")

    def failed(self, reason: str) -> bool:
        """Note that the way was lost, or led nowhere, and take the other; return whether to try that one at once.

        Once both have failed in a row there is a pause, or a broker that is away would be knocked at without end.
        """
        with self._lock:
            if len(self._fares) == 1:
                return False
            if self._connected_s is not None:
                self._lost(self._now_s())
            self._mark(self._taken, reason)
            self._taken = 1 - self._taken
            self._failures += 1
            return self._failures % 2 == 1

    def _lost(self, now_s: float) -> None:
        if self._connected_s is not None and now_s - self._connected_s >= STOOD_S:
            self._failures = 0
        self._connected_s = None
        if self._taken == 0 and self._went_back_s is not None:
            soon = now_s - self._went_back_s < SOON_S
            self._back_s = min(2 * self._back_s, LONGEST_BACK_S) if soon else self._least_back_s
            self._went_back_s = None

    def probed(self, way: Way, reason: str) -> None:
        """Note what a probe of the idle way found, "" for nothing wrong; of the way taken its session tells more."""
        with self._lock:
            for at, fares in enumerate(self._fares):
                if fares.way == way and at != self._taken:
                    self._mark(at, reason)

    def due_back(self) -> bool:
        """Return whether the first way has been well for long enough to be taken again."""
        with self._lock:
            first = self._fares[0]
            return bool(self._taken and first.well and self._now_s() - first.since_s >= self._back_s)

    def go_back(self) -> None:
        """Take the first way with the next connection."""
        with self._lock:
            self._taken, self._connected_s, self._failures = 0, None, 0
            self._went_back_s = self._now_s()

    def _mark(self, at: int, reason: str) -> None:
        """Keep how a way fares, and say it once when that changes."""
        before, well, now_s = self._fares[at], not reason, self._now_s()
        if before.well is well:
            return
        self._fares[at] = replace(before, well=well, since_s=now_s, reason=reason)
        if len(self._fares) == 1:
            return
        if not well:
            log.warning("way to the broker lost", way=before.way.name, reason=reason)
        elif before.well is False:
            log.info("way to the broker back", way=before.way.name, away_s=round(now_s - before.since_s, 1))
