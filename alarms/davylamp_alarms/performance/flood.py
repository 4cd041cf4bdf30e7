"""Floods of one operating position: more alarms than a person can take in. A flood has a record of its own."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from davylamp_alarms.performance.heard import Heard

WINDOW_MS = 600_000
BEGINS_ABOVE, ENDS_BELOW = 10, 5
"""A flood begins above ten annunciated alarms in ten minutes and ends when ten minutes hold fewer than five
(ISA-18.2 and EEMUA 191 by secondary sources; the end is from memory: unverified)."""

WORST = 3


@dataclass(slots=True)
class Flood:
    """One flood. `peak` is the most in any ten minutes, `alarms` counts each alarm; `ended_ms` is 0 while it lasts."""

    id: str
    position: str
    first_alarm: str
    began_ms: int
    ended_ms: int = 0
    peak: int = 0
    total: int = 0
    priorities: dict[str, int] = field(default_factory=dict)
    alarms: dict[str, int] = field(default_factory=dict)

    def worst(self) -> list[tuple[str, int]]:
        """Return the alarms that came most often, the most first."""
        return sorted(self.alarms.items(), key=lambda item: (-item[1], item[0]))[:WORST]

    def row(self) -> dict[str, Any]:
        """Return it as JSON types; of its alarms the worst are named."""
        names = ("id", "position", "first_alarm", "began_ms", "ended_ms", "peak", "total")
        plain = {name: getattr(self, name) for name in names}
        return {**plain, "priorities": dict(self.priorities), "worst": [list(item) for item in self.worst()],
                "alarms": len(self.alarms)}  # fmt: skip


@dataclass(slots=True)
class Position:
    """The last ten minutes of one position: time and alarm of each annunciation, and the flood that lasts."""

    recent: deque[tuple[int, str, str]] = field(default_factory=deque)
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
        here.recent.append((heard.at_ms, heard.step.alarm_id, heard.step.priority.word))
        _forget(here, heard.at_ms)
        if here.flood is None and len(here.recent) > BEGINS_ABOVE:
            return [_begin(here, heard)]
        if here.flood is not None:
            _count(here.flood, heard.step.alarm_id, heard.step.priority.word)
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
    first_ms, first_alarm, _ = here.recent[0]
    flood = here.flood = Flood(f"{heard.position}-flood-{here.floods}", heard.position, first_alarm, first_ms)
    for _, alarm, priority in here.recent:
        _count(flood, alarm, priority)
    flood.peak = len(here.recent)
    return flood


def _count(flood: Flood, alarm: str, priority: str) -> None:
    flood.total += 1
    flood.priorities[priority] = flood.priorities.get(priority, 0) + 1
    flood.alarms[alarm] = flood.alarms.get(alarm, 0) + 1


def _forget(here: Position, now_ms: int) -> None:
    while here.recent and here.recent[0][0] <= now_ms - WINDOW_MS:
        here.recent.popleft()
