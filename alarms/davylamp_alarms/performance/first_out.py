"""What came first: of each upset of a hazard source the first alarm, or those no scan can tell apart (SAFETY S25)."""

from dataclasses import dataclass, field
from typing import Any

from davylamp_alarms.definition import WARNING_KINDS
from davylamp_alarms.performance.firsts import Firsts
from davylamp_alarms.performance.heard import Heard


@dataclass(slots=True)
class Upset:
    """From the first raise on a calm hazard source until nothing stands there any more, acknowledged or not."""

    id: str
    position: str
    hazard_source: str
    began_ms: int
    ended_ms: int = 0
    firsts: Firsts = field(default_factory=Firsts)
    standing: set[str] = field(default_factory=set)
    total: int = 0

    def row(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "id": self.id,
            "position": self.position,
            "hazard_source": self.hazard_source,
            "began_ms": self.began_ms,
            "ended_ms": self.ended_ms,
            "total": self.total,
            "tie_ms": self.firsts.tie_ms,
            "first": self.firsts.row(),
        }


@dataclass(slots=True)
class FirstOuts:
    """The upset of each hazard source. Returned upsets are those whose first-outs changed, or that ended."""

    upsets: dict[str, Upset] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def hear(self, heard: Heard) -> list[Upset]:
        """Take a transition. A warning begins no upset and is none's first: it may stand long before and long after."""
        if heard.step.kind in WARNING_KINDS:
            return []
        if heard.live_raise:
            return self._raised(heard)
        if heard.live_end:
            return self._ended(heard)
        return []

    def _raised(self, heard: Heard) -> list[Upset]:
        step = heard.step
        upset = self.upsets.get(step.hazard_source)
        if upset is None:
            number = self.numbers[step.hazard_source] = self.numbers.get(step.hazard_source, 0) + 1
            name = f"{step.hazard_source}-upset-{number}"
            upset = self.upsets[step.hazard_source] = Upset(name, heard.position, step.hazard_source, heard.at_ms)
        upset.standing.add(step.alarm_id)
        upset.total += 1
        changed = upset.firsts.consider(heard.candidate)
        return [upset] if changed else []

    def _ended(self, heard: Heard) -> list[Upset]:
        upset = self.upsets.get(heard.step.hazard_source)
        if upset is None:
            return []
        upset.standing.discard(heard.step.alarm_id)
        if upset.standing:
            return []
        del self.upsets[heard.step.hazard_source]
        upset.ended_ms = heard.at_ms
        return [upset]
