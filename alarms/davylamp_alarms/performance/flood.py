"""Floods of one operating position: more alarms than a person can take in. A flood has a record of its own."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from davylamp_alarms.performance.firsts import Candidate, Firsts
from davylamp_alarms.performance.heard import Heard

WINDOW_MS = 600_000
BEGINS_ABOVE, ENDS_BELOW = 10, 5
"""A flood begins above ten annunciated alarms in ten minutes and ends when ten minutes hold fewer than five
(ISA-18.2 and EEMUA 191 by secondary sources; the end is from memory: unverified)."""

WORST = 3


@dataclass(frozen=True, slots=True)
class Sounded:
    """An annunciation: when it was heard, how loud, and since when it may be a cause.

    A raise of the present is one since its source's own time. What sounds again (a repeat, the end of what hid it)
    began long ago and is one only since it sounded.
    """

    at_ms: int
    priority: str
    candidate: Candidate

    @classmethod
    def of(cls, heard: Heard) -> "Sounded":
        """Return what is kept of a transition that sounded."""
        step = heard.step
        since_ms = step.raised_ms if heard.live_raise else heard.at_ms
        return cls(heard.at_ms, step.priority.word, Candidate(step.occurrence, step.alarm_id, since_ms, step.scan_ms))


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
        return sorted(self.alarms.items(), key=lambda item: (-item[1], item[0]))[:WORST]

    def row(self) -> dict[str, Any]:
        """Return it as JSON types; of its alarms the worst are named."""
        names = ("id", "position", "began_ms", "ended_ms", "peak", "total")
        plain = {name: getattr(self, name) for name in names}
        return {**plain, "priorities": dict(self.priorities), "worst": [list(item) for item in self.worst()],
                "alarms": len(self.alarms), "tie_ms": self.firsts.tie_ms, "first": self.firsts.row()}  # fmt: skip

    def count(self, one: Sounded) -> None:
        """Count an annunciation in; what was raised earliest came first, whenever it was heard."""
        alarm, priority = one.candidate.alarm_id, one.priority
        self.total += 1
        self.priorities[priority] = self.priorities.get(priority, 0) + 1
        self.alarms[alarm] = self.alarms.get(alarm, 0) + 1
        self.firsts.consider(one.candidate)


@dataclass(slots=True)
class Position:
    """The last ten minutes of one position: each annunciation, and the flood that lasts."""

    recent: deque[Sounded] = field(default_factory=deque)
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
        here = self.positions.setdefault(heard.position, Position())
        sounded = Sounded.of(heard)
        here.recent.append(sounded)
        _forget(here, heard.at_ms)
        if here.flood is None and len(here.recent) > BEGINS_ABOVE:
            return [_begin(here, heard)]
        if here.flood is not None:
            here.flood.count(sounded)
            here.flood.peak = max(here.flood.peak, len(here.recent))
        return []

    def tick(self, now_ms: int) -> list[Flood]:
        """Let time pass; end the floods that are over, and say how those that last fare."""
        told = []
        for here in self.positions.values():
            _forget(here, now_ms)
            if here.flood is not None and len(here.recent) < ENDS_BELOW:
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
    flood = here.flood = Flood(f"{heard.position}-flood-{here.floods}", heard.position, here.recent[0].at_ms)
    for one in here.recent:
        flood.count(one)
    flood.peak = len(here.recent)
    return flood


def _forget(here: Position, now_ms: int) -> None:
    while here.recent and here.recent[0].at_ms <= now_ms - WINDOW_MS:
        here.recent.popleft()
