"""Alarms without a tag: lost links, and what the system says of itself. They are few, so they are plain objects."""

from dataclasses import dataclass

from davylamp_alarms.book import Facts
from davylamp_alarms.columns import NEVER
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import NO_TAG, AlarmDef, Kind
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.steps import Step, What

COUNTED = frozenset({Kind.VOTE, Kind.VOTE_LOST, Kind.BLIND})
"""Kinds whose limit is a number of channels."""


@dataclass(slots=True)
class Lone:
    """One alarm and where it stands; times are the host's. `then_ms` is its `since_ms` of the last tick."""

    definition: AlarmDef
    phase: Phase = Phase.NORMAL
    since_ms: int = NEVER
    delay_ms: int = 0
    then_ms: int = NEVER

    @property
    def facts(self) -> Facts:
        d = self.definition
        limit = d.limit if d.kind in COUNTED else None
        return Facts(d.id, NO_TAG, "", d.kind, d.priority, d.hazard_source, limit, d.latch, 0)

    def wrong(self, seq: int, now_ms: int, comment: str = "", grace_ms: int = 0) -> list[Step]:
        """Take note that the condition is met now; `grace_ms` may lengthen the on-delay."""
        if self.phase is Phase.CLEARING:
            self.phase = Phase.ACTIVE
        if self.phase is not Phase.NORMAL:
            return []
        self.phase, self.since_ms = Phase.PENDING, now_ms
        self.delay_ms = max(self.definition.on_delay_ms, grace_ms)
        return self.fall_due(seq, now_ms, comment)

    def right(self, seq: int, now_ms: int, comment: str = "") -> list[Step]:
        """Take note that the condition is gone now."""
        if self.phase is Phase.PENDING:
            self.phase = Phase.NORMAL
        if self.phase is not Phase.ACTIVE:
            return []
        self.phase, self.since_ms, self.delay_ms = Phase.CLEARING, now_ms, self.definition.off_delay_ms
        return self.fall_due(seq, now_ms, comment)

    def fall_due(self, seq: int, now_ms: int, comment: str = "") -> list[Step]:
        """Raise or clear where the delay is over. A link that is up is evidence, so time alone may clear it."""
        due_ms = self.since_ms + self.delay_ms
        if self.phase not in (Phase.PENDING, Phase.CLEARING) or now_ms < due_ms:
            return []
        raising = self.phase is Phase.PENDING
        self.phase = Phase.ACTIVE if raising else Phase.NORMAL
        return [
            Step(
                seq,
                NO_TAG,
                KIND_NUMBER[self.definition.kind],
                What.RAISED if raising else What.CLEARED,
                time_ms=due_ms,
                due_ms=due_ms if self.delay_ms else None,
                alarm=self.definition.id,
                comment=comment,
            )
        ]
