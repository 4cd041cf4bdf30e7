"""From steps to transitions: in order, through the lifecycle's table, numbered by the book."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby

from davylamp_alarms.book import Facts, Record
from davylamp_alarms.definition import LIMIT_KINDS
from davylamp_alarms.groups import count, steps_of
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.memory import Memory
from davylamp_alarms.steps import Step, What
from davylamp_alarms.transition import Condition, Event, Lane, Suppression, Transition

Told = list[Transition]

MOVED = frozenset({What.RAISED, What.CLEARED, What.CLOSED})
LIMITS = frozenset(KIND_NUMBER[kind] for kind in LIMIT_KINDS)
"""What begins to stand or ends, and the kinds that a trend looks past while they stand."""


def settle(memory: Memory, steps: list[Step]) -> Told:
    """Return the transitions of the steps, ordered by (seq, tag, alarm); after each record those of its groups."""
    told: Told = []
    if not steps:  # as on most ticks
        return told
    for _, of_record in groupby(sorted(steps, key=lambda step: step.order), key=lambda step: step.seq):
        moved: dict[str, Step] = {}
        for step in of_record:
            if step.what in MOVED and step.kind in LIMITS:
                memory.early.moved.add(step.tag)
            facts = memory.facts_of(step.tag, step.kind, step.alarm)
            told += _TELL[step.what](memory, step, facts)
            moved.update(dict.fromkeys(memory.groups_of.get(facts.alarm, ()), step))
        told += regroup(memory, moved)
    return told


def regroup(memory: Memory, moved: dict[str, Step]) -> Told:
    """Count the named groups anew, each with the step that made it move, and tell what follows."""
    told: Told = []
    for name in sorted(moved):
        group = memory.groups[name]
        now = count(memory.book, group.definition.members)
        for step in steps_of(group, memory.lone, now, moved[name]):
            told += _TELL[step.what](memory, step, memory.lone[step.alarm].facts)
    return told


def regroup_all(memory: Memory, alarms: Iterable[str], cause: Step) -> Told:
    """Count the groups anew that some alarms matter to."""
    names = (name for alarm in alarms for name in memory.groups_of.get(alarm, ()))
    return regroup(memory, dict.fromkeys(names, cause))


def _seen(record: Record, step: Step) -> None:
    record.value, record.quality = step.value, step.quality


def _raised(memory: Memory, step: Step, facts: Facts) -> Told:
    """Begin an occurrence. One that backlog began stays latched where it must be heard (SAFETY S5)."""
    book = memory.book
    record = book.open(facts, Lane.LIVE, step.time_ms)
    _seen(record, step)
    record.late, record.evidence = step.late, step.evidence
    book.move(record, Event.RAISED)
    if (facts.latch or (step.late and facts.heard_late)) and not record.state.latched:
        book.move(record, Event.LATCHED)
    return [_write(memory, step, facts, record, Event.RAISED)]


def _cleared(memory: Memory, step: Step, facts: Facts) -> Told:
    record = memory.book.records[facts.alarm, Lane.LIVE]
    _seen(record, step)
    memory.book.move(record, Event.CLEARED)
    return [_write(memory, step, facts, record, Event.CLEARED)]


def _went_back(memory: Memory, step: Step, facts: Facts) -> Told:
    """Say until when backlog shows the excursion; it stands until a good live value ends it."""
    record = memory.book.records[facts.alarm, Lane.LIVE]
    _seen(record, step)
    record.late_until_ms = step.until_ms
    return [_write(memory, step, facts, record, Event.UPDATED)]


def _late_found(memory: Memory, step: Step, facts: Facts) -> Told:
    """Announce an excursion of the past once; more of it belongs to it until somebody has acknowledged it."""
    book = memory.book
    record = book.records.get((facts.alarm, Lane.LATE))
    if record is not None and (not record.state.acknowledged or not facts.heard_late):
        return _late_more(memory, step, facts, record)
    record = book.open(facts, Lane.LATE, step.from_ms)
    _seen(record, step)
    record.late, record.late_until_ms, record.open = True, step.until_ms, True
    if not facts.heard_late:
        return [_write(memory, step, facts, record, Event.RECORDED)]
    book.move(record, Event.RAISED, *([] if record.state.latched else [Event.LATCHED]), Event.CLEARED)
    return [_write(memory, step, facts, record, Event.RAISED)]


def _late_more(memory: Memory, step: Step, facts: Facts, record: Record) -> Told:
    record.raised_ms = min(record.raised_ms, step.from_ms)
    record.late_until_ms = max(record.late_until_ms or 0, step.until_ms or 0)
    record.open = True
    _seen(record, step)
    return [_write(memory, step, facts, record, Event.UPDATED)]


def _late_ended(memory: Memory, step: Step, facts: Facts) -> Told:
    """Say until when it lasted, where that is news and somebody still looks at it."""
    record = memory.book.records.get((facts.alarm, Lane.LATE))
    if record is None:
        return []
    record.open = False
    if record.late_until_ms is not None and record.late_until_ms >= (step.until_ms or 0):
        if record.state.at_rest:
            memory.book.drop(record)
        return []
    record.late_until_ms = step.until_ms
    return [_write(memory, step, facts, record, Event.UPDATED)]


OVER = {
    What.SHELF_OVER: (Suppression.SHELVED, Event.UNSHELVED),
    What.MASK_OVER: (Suppression.BY_DESIGN, Event.UNSUPPRESSED),
    What.OUT_OVER: (Suppression.OUT_OF_SERVICE, Event.RETURNED),
}


def _over(memory: Memory, step: Step, facts: Facts) -> Told:
    """Show an alarm again as it is now: what began while it was hidden is unacknowledged (SAFETY S16)."""
    suppression, event = OVER[step.what]
    told: Told = []
    for record in list(memory.book.of_alarm(facts.alarm)):
        if suppression in record.state.suppressions:
            memory.book.move(record, event)
            told.append(_write(memory, step, facts, record, event))
    return told


def _re_alarm(memory: Memory, step: Step, facts: Facts) -> Told:
    record = memory.book.records[facts.alarm, Lane.LIVE]
    memory.book.move(record, Event.RE_ALARMED)
    return [_write(memory, step, facts, record, Event.RE_ALARMED)]


def _closed(memory: Memory, step: Step, facts: Facts) -> Told:
    """End what stands because its limit was changed by two persons (SAFETY S20); a shelf over it ends with it."""
    told: Told = []
    for record in list(memory.book.of_alarm(facts.alarm)):
        memory.book.move(record, *[Event.UNSHELVED] * (Suppression.SHELVED in record.state.suppressions), Event.CLOSED)
        record.open = False
        told.append(_write(memory, step, facts, record, Event.CLOSED))
    return told


def _edited(memory: Memory, step: Step, facts: Facts) -> Told:
    """Say that a standing alarm's definition has changed."""
    records = [r for r in memory.book.of_alarm(facts.alarm) if r.state.condition is Condition.ACTIVE]
    return [_write(memory, step, facts, record, Event.UPDATED) for record in records]


def _further(memory: Memory, step: Step, facts: Facts) -> Told:
    """Say that a warning looks at the next limit: news, also to who has acknowledged it for the one before."""
    record = memory.book.records[facts.alarm, Lane.LIVE]
    _seen(record, step)
    record.evidence = step.evidence
    event = Event.RE_ALARMED if record.state.acknowledged and not record.state.suppressions else Event.UPDATED
    memory.book.move(record, event)
    return [_write(memory, step, facts, record, event)]


def _counted(memory: Memory, step: Step, facts: Facts) -> Told:
    """Say that a group has lost or regained a channel while its alarm stands."""
    record = memory.book.records[facts.alarm, Lane.LIVE]
    _seen(record, step)
    return [_write(memory, step, facts, record, Event.UPDATED)]


def _write(memory: Memory, step: Step, facts: Facts, record: Record, event: Event) -> Transition:
    if step.limit is not None and facts.limit is not None:
        facts = replace(facts, limit=step.limit)
    said = (step.time_ms, step.due_ms, step.actor, step.comment)
    return memory.book.write(step.seq, facts, record, event, *said)


_TELL: dict[What, Callable[[Memory, Step, Facts], Told]] = {
    What.RAISED: _raised,
    What.CLEARED: _cleared,
    What.WENT_BACK: _went_back,
    What.LATE_FOUND: _late_found,
    What.LATE_ENDED: _late_ended,
    What.SHELF_OVER: _over,
    What.MASK_OVER: _over,
    What.OUT_OVER: _over,
    What.RE_ALARM: _re_alarm,
    What.CLOSED: _closed,
    What.EDITED: _edited,
    What.COUNTED: _counted,
    What.FURTHER: _further,
}
