"""Floods of one operating position: more alarms than a person can take in. A flood has a record of its own."""

from collections import deque
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

from davylamp_alarms.definition import WARNING_KINDS, WORDS, position_of
from davylamp_alarms.performance.firsts import Candidate, Firsts
from davylamp_alarms.performance.heard import Heard

WINDOW_MS = 600_000
BEGINS_ABOVE, ENDS_BELOW = 10, 5
"""A flood begins above ten annunciated alarms in ten minutes and ends when ten minutes hold fewer than five
(ISA-18.2 and EEMUA 191 by secondary sources; the end is from memory: unverified)."""

WORST = 3
Sounded = tuple[str, Candidate]
"""An annunciation: how loud, and since when it may be a cause."""


@dataclass(slots=True)
class Flood:
    """One flood. `peak` is the most in any ten minutes, `alarms` counts each alarm; `ended_ms` is 0 while it lasts."""

    id: str
    position: str
    began_ms: int
    ended_ms: int = 0
    peak: int = 0
    total: int = 0
    priorities: dict[str, int] = field(default_factory=dict)
    alarms: dict[str, int] = field(default_factory=dict)
    firsts: Firsts = field(default_factory=Firsts)

    def worst(self) -> list[tuple[str, int]]:
        """Return the alarms that came most often, the most first."""
        return nsmallest(WORST, self.alarms.items(), key=lambda item: (-item[1], item[0]))

    def row(self) -> dict[str, Any]:
        """Return it as JSON types; of its alarms the worst are named."""
        names = ("id", "position", "began_ms", "ended_ms", "peak", "total")
        plain = {name: getattr(self, name) for name in names}
        return {**plain, "priorities": dict(self.priorities), "worst": [list(item) for item in self.worst()],
                "alarms": len(self.alarms), "tie_ms": self.firsts.tie_ms, "first": self.firsts.row()}  # fmt: skip

    def count(self, priority: str, candidate: Candidate) -> None:
        """Count an annunciation in; what was raised earliest came first, whenever it was heard. No warning is first."""
        alarm = candidate.alarm_id
        self.total += 1
        self.priorities[priority] = self.priorities.get(priority, 0) + 1
        self.alarms[alarm] = self.alarms.get(alarm, 0) + 1
        if alarm.rpartition("#")[2] not in WARNING_KINDS:
            self.firsts.consider(candidate)


@dataclass(slots=True)
class Position:
    """One position: when each annunciation of the last ten minutes was, the latest ones, and the flood that lasts.

    What a flood begins with are as many of the latest as make one; of all others the moment is enough.
    """

    recent_ms: deque[int] = field(default_factory=deque)
    latest: deque[Sounded] = field(default_factory=lambda: deque(maxlen=BEGINS_ABOVE + 1))
    flood: Flood | None = None
    floods: int = 0


@dataclass(slots=True)
class Floods:
    """Every position's load. Returned floods are those that began, peaked higher, or ended."""

    positions: dict[str, Position] = field(default_factory=dict)

    def hear(self, heard: Heard) -> list[Flood]:
        """Count an annunciation in."""
        if not heard.annunciated:
            return []
        here = self._at(position_of(heard.step.alarm_id))
        priority, candidate = WORDS[heard.step.priority], heard.candidate
        here.latest.append((priority, candidate))
        here.recent_ms.append(heard.at_ms)
        _forget(here, heard.at_ms)
        flood, count = here.flood, len(here.recent_ms)
        if flood is None:
            return [_begin(here, heard)] if count > BEGINS_ABOVE else []
        flood.count(priority, candidate)
        if count > flood.peak:
            flood.peak = count
        return []

    def _at(self, position: str) -> Position:
        here = self.positions.get(position)
        if here is None:
            here = self.positions[position] = Position()
        return here

    def tick(self, now_ms: int) -> list[Flood]:
        """Let time pass; end the floods that are over, and say how those that last fare."""
        told = []
        for here in self.positions.values():
            if max(here.recent_ms, default=0) > now_ms:  # the clock was set back
                here.recent_ms = deque(min(at_ms, now_ms) for at_ms in here.recent_ms)
            _forget(here, now_ms)
            if here.flood is not None and len(here.recent_ms) < ENDS_BELOW:
                here.flood.ended_ms = now_ms
                told.append(here.flood)
                here.flood = None
        return told

    def lasting(self) -> list[Flood]:
        """Return the floods that last."""
        return [here.flood for here in self.positions.values() if here.flood is not None]


def _begin(here: Position, heard: Heard) -> Flood:
    """Begin a flood; what was heard in the ten minutes before belongs to it, the first cause above all."""
    here.floods += 1
    flood = here.flood = Flood(f"{heard.position}-flood-{here.floods}", heard.position, here.recent_ms[0])
    flood.peak = len(here.recent_ms)
    for priority, candidate in list(here.latest)[-flood.peak :]:
        flood.count(priority, candidate)
    return flood


def _forget(here: Position, now_ms: int) -> None:
    recent_ms, gone_ms = here.recent_ms, now_ms - WINDOW_MS
    while recent_ms and recent_ms[0] <= gone_ms:
        recent_ms.popleft()
