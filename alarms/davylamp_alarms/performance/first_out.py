"""What came first: of each upset of a hazard source the first alarm, or those no scan can tell apart (SAFETY S25)."""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from davylamp_alarms.performance.heard import Heard

MOST_KEPT, MOST_NAMED = 200, 20
"""Candidates remembered of an upset, and first ones named: where a whole plant trips in one scan, more help nobody."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An occurrence that may have been first: when it began by its source, and how far apart its scans lie."""

    occurrence: str
    alarm_id: str
    raised_ms: int
    scan_ms: int

    @property
    def order(self) -> tuple[int, str]:
        """The earliest first; of one moment in a fixed order."""
        return self.raised_ms, self.occurrence


@dataclass(slots=True)
class Upset:
    """From the first raise on a calm hazard source until nothing stands there any more.

    `first` holds those that came first: more than one is a tie within a scan, which nobody should guess about.
    """

    id: str
    position: str
    hazard_source: str
    began_ms: int
    ended_ms: int = 0
    first: list[Candidate] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    standing: set[str] = field(default_factory=set)
    total: int = 0

    @property
    def tie_ms(self) -> int:
        """Within what time the first ones cannot be told apart; 0 where one was first."""
        return max((one.scan_ms for one in self.first), default=0) if len(self.first) > 1 else 0

    def row(self) -> dict[str, Any]:
        """Return it as JSON types."""
        names = ("id", "position", "hazard_source", "began_ms", "ended_ms", "tie_ms", "total")
        first = [[one.occurrence, one.alarm_id, one.raised_ms] for one in self.first]
        return {**{name: getattr(self, name) for name in names}, "first": first}


@dataclass(slots=True)
class FirstOuts:
    """The upset of each hazard source. Returned upsets are those whose first-outs changed, or that ended."""

    upsets: dict[str, Upset] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def hear(self, heard: Heard) -> list[Upset]:
        """Take a transition."""
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
        changed = consider(upset, Candidate(step.occurrence, step.alarm_id, step.raised_ms, step.scan_ms))
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


def consider(upset: Upset, one: Candidate) -> bool:
    """Take an occurrence into account; return whether the first ones changed. In a flood most cost a comparison."""
    kept = upset.candidates
    if len(kept) == MOST_KEPT and one.order > kept[-1].order:
        return False
    insort(kept, one, key=lambda candidate: candidate.order)
    del kept[MOST_KEPT:]
    before = upset.first
    apart = bool(before) and one.raised_ms - before[0].raised_ms > max(one.scan_ms, before[0].scan_ms)
    if apart or (len(before) == MOST_NAMED and one.order > before[-1].order):
        return False
    upset.first = earliest(kept)
    return upset.first != before


def earliest(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the first one, and those that a scan cannot tell from it: within the longer of the two periods.

    `candidates` are in order. Of a tie of very many some are named.
    """
    first = candidates[0]
    ties = (one for one in candidates if one.raised_ms - first.raised_ms <= max(one.scan_ms, first.scan_ms))
    return list(islice(ties, MOST_NAMED))
