"""The book of occurrences: numbers them, keeps what stands, and writes every transition. Nothing else does.

An alarm may have two occurrences at once, one in each lane: what stands now, and what backlog told of. So readers key
by (alarm, lane); a new occurrence in a lane replaces the one before it there.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from davylamp_alarms.definition import Kind, Priority
from davylamp_alarms.lifecycle import REST, State, step
from davylamp_alarms.transition import Condition, Event, Lane, Suppression, Transition

RE_ALARM_MS = 30 * 60 * 1000
"""A standing acknowledged red announces itself again after this long (SAFETY S7)."""

HEARD_LATE = frozenset({Kind.HH, Kind.LL, Kind.L2})
"""Kinds whose excursions in backlog are announced whatever their priority (SAFETY S5; HH includes LL)."""

Key = tuple[str, Lane]


class Act(StrEnum):
    """What a person does that has a host time."""

    SHELVE = "shelve"
    MASK = "mask"
    TAKE_OUT = "take_out"
    OWE = "owe"
    ACKNOWLEDGE = "acknowledge"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a transition says about its alarm's definition as it was then."""

    alarm: str
    tag: int
    tag_id: str
    kind: Kind
    priority: Priority
    hazard_source: str
    limit: float | None
    latch: bool
    scan_ms: int

    @property
    def heard_late(self) -> bool:
        """Whether an excursion found in backlog is announced, or only listed."""
        return self.priority is Priority.RED or self.kind in HEARD_LATE


@dataclass(frozen=True, slots=True)
class Shelf:
    """Who hides an alarm until when (host time), and why."""

    until_ms: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class OpenMask:
    """Who opened a mask until when (host time), why, and what it hides."""

    until_ms: int
    by: str
    reason: str
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Out:
    """Who took an instrument out of service until when (host time), under which permit, and why."""

    until_ms: int
    by: str
    reason: str
    permit: str
    comment: str


@dataclass(frozen=True, slots=True)
class Review:
    """An act by one person that needed two: somebody else reviews it until `due_ms` (host time, SAFETY S15)."""

    due_ms: int
    by: str
    op: str
    subject: str
    comment: str


@dataclass(slots=True)
class Record:
    """An occurrence that is not at rest."""

    alarm: str
    lane: Lane
    tag: int
    kind: Kind
    occurrence: str
    version: int = 0
    state: State = REST
    raised_ms: int = 0
    late: bool = False
    late_until_ms: int | None = None
    value: float | None = None
    quality: int = 0
    acknowledged_ms: int = 0
    open: bool = False
    evidence: str = ""

    @property
    def key(self) -> Key:
        return self.alarm, self.lane


OCCURRENCE = re.compile(r"-(\d+)(?:-[a-z][a-z0-9]*)?$")


def occurrence_id(hazard_source: str, number: int, run: str) -> str:
    """Return an occurrence's id; `run` begins with a letter.

    A system restored from a backup counts on from the copy: the run it began in tells an occurrence from the one that
    had the same number in the time that was lost (SAFETY S23).
    """
    return in_run(f"{hazard_source}-{number}", run)


def in_run(name: str, run: str) -> str:
    """Return a name of something that begins in a run, as only that run gives it."""
    return f"{name}-{run}" if run else name


def occurrence_number(occurrence: str) -> int:
    """Return the number in an occurrence's id, with or without a run."""
    found = OCCURRENCE.search(occurrence)
    assert found is not None, occurrence
    return int(found[1])


@dataclass(slots=True)
class Book:
    """Records by (alarm, lane), what hides them, the reviews that are owed, and two counters of each hazard source.

    Shelves are kept by alarm, open masks by mask, what is out of service by tag, reviews by the record of their act.
    `run` names the start since which occurrences begin, as the log says it. `young` are the acts since the last tick:
    upon what, and when.
    """

    records: dict[Key, Record] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    shelves: dict[str, Shelf] = field(default_factory=dict)
    masks: dict[str, OpenMask] = field(default_factory=dict)
    out: dict[str, Out] = field(default_factory=dict)
    reviews: dict[str, Review] = field(default_factory=dict)
    source_numbers: dict[str, int] = field(default_factory=dict)
    occurrence_numbers: dict[str, int] = field(default_factory=dict)
    repeats: dict[Key, int] = field(default_factory=dict)
    run: str = ""
    young: dict[tuple[Act, str], int] = field(default_factory=dict)

    # finding

    def find(self, occurrence: str) -> Record | None:
        """Return a standing occurrence."""
        key = self.keys.get(occurrence)
        return None if key is None else self.records[key]

    def of_alarm(self, alarm: str) -> Iterator[Record]:
        """Yield the alarm's occurrences, the live one first."""
        for lane in Lane:
            if (alarm, lane) in self.records:
                yield self.records[alarm, lane]

    # writing

    def open(self, facts: Facts, lane: Lane, raised_ms: int) -> Record:
        """Begin an occurrence in a lane; it inherits the latch and what hides the alarm."""
        before = self.records.get((facts.alarm, lane))
        if before is not None:
            self.keys.pop(before.occurrence, None)
        number = self.occurrence_numbers.get(facts.hazard_source, 0) + 1
        self.occurrence_numbers[facts.hazard_source] = number
        occurrence = occurrence_id(facts.hazard_source, number, self.run)
        record = Record(facts.alarm, lane, facts.tag, facts.kind, occurrence, raised_ms=raised_ms)
        record.state = before.state if before is not None else self._hidden(facts.alarm)
        self.records[record.key] = record
        self.keys[record.occurrence] = record.key
        return record

    def _hidden(self, alarm: str) -> State:
        """Return the state of an alarm at rest, hidden as its other lane is."""
        suppressions = frozenset(s for record in self.of_alarm(alarm) for s in record.state.suppressions)
        return replace(REST, suppressions=suppressions) if suppressions else REST

    def write(
        self,
        seq: int,
        facts: Facts,
        record: Record,
        event: Event,
        time_ms: int,
        due_ms: int | None = None,
        actor: str = "",
        comment: str = "",
        break_glass: bool = False,
    ) -> Transition:
        """Number and return a transition to the record's present state, and forget a record that is at rest."""
        record.version += 1
        number = self.source_numbers.get(facts.hazard_source, 0) + 1
        self.source_numbers[facts.hazard_source] = number
        self._keep(facts, record)
        value, state = record.value, record.state
        return Transition(
            seq=seq,
            hazard_source=facts.hazard_source,
            source_no=number,
            occurrence=record.occurrence,
            version=record.version,
            alarm_id=facts.alarm,
            lane=record.lane,
            tag=facts.tag_id,
            kind=facts.kind,
            priority=facts.priority,
            event=event,
            condition=state.condition,
            quality=record.quality,
            acknowledged=state.acknowledged,
            latched=state.latched,
            suppressions=tuple(s for s in Suppression if s in state.suppressions) if state.suppressions else (),
            letter=state.letter,
            value=None if value is None or not math.isfinite(value) else value,
            limit=facts.limit,
            time_ms=time_ms,
            due_ms=due_ms,
            raised_ms=record.raised_ms,
            late=record.late,
            late_until_ms=record.late_until_ms,
            scan_ms=facts.scan_ms,
            actor=actor,
            comment=comment,
            break_glass=break_glass,
            evidence=record.evidence,
        )

    def _keep(self, facts: Facts, record: Record) -> None:
        """Forget what is at rest; let standing acknowledged reds speak again."""
        self.repeats.pop(record.key, None)
        if record.state.at_rest and not record.open:
            self.drop(record)
        elif _repeats(facts, record.state):
            self.repeats[record.key] = record.acknowledged_ms + RE_ALARM_MS

    def drop(self, record: Record) -> None:
        """Forget an occurrence."""
        self.records.pop(record.key, None)
        self.keys.pop(record.occurrence, None)
        self.repeats.pop(record.key, None)

    def number_on(self, hazard_source: str, transitions: int, occurrences: int) -> None:
        """Raise a hazard source's counters to numbers already given."""
        for counter, given in ((self.source_numbers, transitions), (self.occurrence_numbers, occurrences)):
            counter[hazard_source] = max(counter.get(hazard_source, 0), given)

    def move_clock(self, jump_ms: int, old: Callable[[int], bool]) -> None:
        """Let host times keep their distance from now after the host's clock was set.

        Args:
            old: Whether an act since the last tick, by its time, was before the clock was set: one after it is right.
        """
        right = {act for act, at_ms in self.young.items() if not old(at_ms)}

        def by_ms(act: Act, name: str) -> int:
            return 0 if (act, name) in right else jump_ms

        for name, shelf in self.shelves.items():
            self.shelves[name] = replace(shelf, until_ms=shelf.until_ms + by_ms(Act.SHELVE, name))
        for name, mask in self.masks.items():
            self.masks[name] = replace(mask, until_ms=mask.until_ms + by_ms(Act.MASK, name))
        for name, out in self.out.items():
            self.out[name] = replace(out, until_ms=out.until_ms + by_ms(Act.TAKE_OUT, name))
        for name, review in self.reviews.items():
            self.reviews[name] = replace(review, due_ms=review.due_ms + by_ms(Act.OWE, name))
        for record in self.records.values():
            moved_ms = by_ms(Act.ACKNOWLEDGE, record.occurrence)
            record.acknowledged_ms += moved_ms
            if record.key in self.repeats:
                self.repeats[record.key] += moved_ms

    def move(self, record: Record, *events: Event) -> None:
        """Take the record through events, without writing them."""
        for event in events:
            record.state = step(record.state, event)


def _repeats(facts: Facts, state: State) -> bool:
    standing = state.condition is Condition.ACTIVE and state.acknowledged and not state.suppressions
    return standing and facts.priority is Priority.RED
