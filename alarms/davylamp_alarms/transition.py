"""What the engine says: transitions, refusals, and the commands it answers."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from davylamp_alarms.definition import Kind, Priority
from davylamp_alarms.fields import fields_of


class Condition(StrEnum):
    """The process condition as the alarm sees it, apart from whether anybody knows or hides it."""

    NORMAL = "normal"
    ACTIVE = "active"


class Event(StrEnum):
    """One step in the life of an occurrence."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    LATCHED = "latched"
    RESET = "reset"
    RE_ALARMED = "re_alarmed"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    TAKEN_OUT = "taken_out_of_service"
    RETURNED = "returned_to_service"
    UPDATED = "updated"
    RECORDED = "recorded"
    CLOSED = "closed"


class Lane(StrEnum):
    """What an occurrence is about: the present, or what backlog and disorder told of the past (SAFETY S5, S6).

    An alarm can have one occurrence in each lane; readers keep alarms by (alarm_id, lane).
    """

    LIVE = "live"
    LATE = "late"


class Suppression(StrEnum):
    """Why an alarm is hidden. They form a set: leaving one does not leave another (OPC 10000-9, 5.8.2)."""

    SHELVED = "shelved"
    BY_DESIGN = "by_design"
    OUT_OF_SERVICE = "out_of_service"


class Letter(StrEnum):
    """ISA-18.2's states, derived and never stored (facts: A normal … I out of service)."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    H = "H"
    I = "I"  # noqa: E741  the standard's own letter


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of one occurrence; immutable; one journal row and one ``webhook-id`` (SAFETY S23).

    Args:
        seq: Log record that caused it.
        source_no: 1, 2, 3 … without a gap within its hazard source: the number in the hash chain.
        occurrence: ``<hazard_source>-<n>``; an alarm that was never raised but shelved has one, too.
        version: 1, 2, 3 … within the occurrence.
        tag: Tag id; empty for links and the system.
        quality: Code of the tag's newest reading.
        value: What moved the alarm, in the tag's unit; None where there is none or no JSON
            number says it (NaN, infinity).
        limit: The limit that held then; None for kinds without one.
        time_ms: Source time of the step, by the edge's clock: of a raise, when its on-delay was over.
        due_ms: Host time at which a timer fell due; None where no timer was involved.
        raised_ms: Source time at which the occurrence began; of a late one, when the excursion began.
        late: True where backlog or disorder told of it (SAFETY S5).
        late_until_ms: Until when a late excursion is known to have lasted.
        scan_ms: Raises closer together than this are a tie (SAFETY S25).
        actor: Who acted (two persons: "a + b"); empty for the engine itself.
        break_glass: True where one person did what needs two; a review is owed (SAFETY S15).
        evidence: Of a warning, what its rule had found when it was raised, as JSON text (evidence.py).
    """

    seq: int
    hazard_source: str
    source_no: int
    occurrence: str
    version: int
    alarm_id: str
    lane: Lane
    tag: str
    kind: Kind
    priority: Priority
    event: Event
    condition: Condition
    quality: int
    acknowledged: bool
    latched: bool
    suppressions: tuple[Suppression, ...]
    letter: Letter
    value: float | None
    limit: float | None
    time_ms: int
    due_ms: int | None
    raised_ms: int
    late: bool
    late_until_ms: int | None
    scan_ms: int
    actor: str
    comment: str
    break_glass: bool = False
    evidence: str = ""

    @property
    def id(self) -> str:
        """The transition's own id, which is its ``webhook-id``: no dots."""
        return f"{self.hazard_source}-{self.source_no}"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types; the priority as its word."""
        said = {**fields_of(self), "priority": self.priority.word, "suppressions": [str(s) for s in self.suppressions]}
        evidence = said.pop("evidence")
        return {**said, "evidence": json.loads(evidence)} if evidence else said


class Op(StrEnum):
    """What an operator can do."""

    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    RESET = "reset"
    MASK = "mask"
    UNMASK = "unmask"
    TAKE_OUT = "take_out"
    RETURN = "return"
    REVIEW = "review"


class OutReason(StrEnum):
    """Why an instrument is out of service (SAFETY S19)."""

    CALIBRATION = "calibration"
    MAINTENANCE = "maintenance"
    OUT_OF_SERVICE = "out_of_service"


@dataclass(frozen=True, slots=True)
class Command:
    """An operator's act, as the log holds it.

    Acknowledge and reset name `occurrence` and `version`, as seen on the screen: what has moved on since is not
    silenced by it. Shelve and unshelve name `alarm` (one limit of one tag, SAFETY S16), mask and unmask `mask`, take
    out and return `tag`, review the `review` that is owed.

    Args:
        at_ms: Host time of the act.
        second: The other person, where two are needed (SAFETY S15).
        until_ms: Host time at which what hides ends by itself.
        reason: One of `OutReason`, of an instrument taken out.
        permit: Number of the work permit under which it is out.
        range: What the instrument now installed can show, of a return; None where it is the same instrument.
        break_glass: One person does what needs two, on a site where nobody else is on duty.
    """

    op: Op
    by: str
    at_ms: int
    role: str = ""
    occurrence: str = ""
    version: int = 0
    alarm: str = ""
    comment: str = ""
    second: str = ""
    until_ms: int = 0
    mask: str = ""
    tag: str = ""
    reason: str = ""
    permit: str = ""
    range: tuple[float, float] | None = None
    review: str = ""
    break_glass: bool = False


class Why(StrEnum):
    """Why a command or an edit was refused."""

    UNKNOWN = "unknown"
    STALE_VERSION = "stale_version"
    ILLEGAL = "illegal"
    NO_REASON = "no_reason"
    BAD_EXPIRY = "bad_expiry"
    SECOND_PERSON = "second_person"
    OCCUPIED = "occupied"
    NOT_ARMED = "not_armed"
    RANGE = "range"
    ROLE = "role"
    BAD_EDIT = "bad_edit"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing changed, and why: for the person at the screen in both languages, and for programs."""

    seq: int
    why: Why
    zh: str
    en: str
