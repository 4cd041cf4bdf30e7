"""What happened to which alarm, before it is numbered: row logic and timers leave steps, the book makes transitions."""

from dataclasses import dataclass
from enum import StrEnum


class What(StrEnum):
    """What a step says."""

    RAISED = "raised"
    CLEARED = "cleared"
    WENT_BACK = "went back"
    LATE_FOUND = "late found"
    LATE_ENDED = "late ended"
    SHELF_OVER = "shelf over"
    MASK_OVER = "mask over"
    OUT_OVER = "out over"
    RE_ALARM = "re-alarm"
    CLOSED = "closed"
    COUNTED = "counted"
    EDITED = "edited"
    FURTHER = "further"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one alarm; the fields mean what they mean in `Transition`. `kind` is the kind's number.

    `from_ms` and `until_ms` bound an excursion in backlog; `limit` is by which an edge decided, where one did;
    `evidence` is what a statistical rule found.
    """

    seq: int
    tag: int
    kind: int
    what: What
    time_ms: int
    due_ms: int | None = None
    value: float | None = None
    quality: int = 0
    late: bool = False
    from_ms: int = 0
    until_ms: int | None = None
    alarm: str = ""
    actor: str = ""
    comment: str = ""
    limit: float | None = None
    evidence: str = ""

    @property
    def order(self) -> tuple[int, int, int, str]:
        """Transitions come ordered by log record, tag and alarm; steps of one alarm stay as they happened."""
        return self.seq, self.tag, self.kind, self.alarm
