"""Which of many alarms came first: one, or those that no scan can tell apart (SAFETY S25)."""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_KEPT, MOST_NAMED = 200, 20
"""Candidates remembered, and first ones named: where a whole plant trips in one scan, more help nobody."""


class Candidate(NamedTuple):
    """An occurrence that may have been first: when it began by its source, and how far apart its scans lie.

    A tuple, because it is made and compared twice a raise: the earliest first, of one moment in a fixed order.
    """

    raised_ms: int
    occurrence: str
    alarm_id: str
    scan_ms: int


@dataclass(slots=True)
class Firsts:
    """Those that came first so far, whatever order they are heard in; more than one is a tie nobody should guess."""

    named: list[Candidate] = field(default_factory=list)
    kept: list[Candidate] = field(default_factory=list)

    @property
    def tie_ms(self) -> int:
        """Within what time the first ones cannot be told apart; 0 where one was first."""
        return max((one.scan_ms for one in self.named), default=0) if len(self.named) > 1 else 0

    def row(self) -> list[tuple[str, str, int]]:
        """Return occurrence, alarm and begin of each of the first ones."""
        return [(one.occurrence, one.alarm_id, one.raised_ms) for one in self.named]

    def consider(self, one: Candidate) -> bool:
        """Take an occurrence into account; return whether the first ones changed. Most cost a comparison."""
        kept, before = self.kept, self.named
        if not kept:
            kept.append(one)
            self.named = [one]
            return True
        if len(kept) == MOST_KEPT and one > kept[-1]:
            return False
        insort(kept, one)
        del kept[MOST_KEPT:]
        apart = one.raised_ms - before[0].raised_ms > max(one.scan_ms, before[0].scan_ms)
        if apart or (len(before) == MOST_NAMED and one > before[-1]):
            return False
        self.named = earliest(kept)
        return self.named != before


def earliest(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the first one, and those that a scan cannot tell from it: within the longer of the two periods.

    `candidates` are in order. Of a tie of very many some are named. An occurrence that sounded again is no tie with
    itself.
    """
    first = candidates[0]
    ties = (one for one in candidates if one.raised_ms - first.raised_ms <= max(one.scan_ms, first.scan_ms))
    once: dict[str, Candidate] = {}
    for one in ties:
        once.setdefault(one.occurrence, one)
        if len(once) == MOST_NAMED:
            break
    return list(once.values())
