"""Groups of detectors: votes that raise the priority, and how much of a group is blind (SAFETY S12, S18).

A group follows from what its members' alarms did, after each record of the log: it costs nothing where none of them
moves, it delays nobody, and no member is hidden behind it.

| of a 2oo3 vote | is lost | then votes |
| --- | --- | --- |
| three channels | 0 | 2oo3 |
| two | 1 | 1oo2 |
| one | 2 | 1oo1 |
| none | 3 | not at all: "vote lost" at the vote's priority |
"""

from collections.abc import Iterator
from dataclasses import dataclass

from davylamp_alarms.book import Book
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import NO_TAG, AlarmDef, GroupDef, Kind, Member
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.lone import Lone
from davylamp_alarms.steps import Step, What
from davylamp_alarms.transition import Condition, Lane, Suppression


@dataclass(frozen=True, slots=True)
class Count:
    """How a group stands: members over their limit, and members that cannot be trusted to say so.

    A lost channel whose alarm stands counts as both: doubt never clears (SAFETY S4).
    """

    active: int = 0
    lost: int = 0


@dataclass(slots=True)
class Group:
    """A group, and its count when it was last looked at."""

    definition: GroupDef
    count: Count = Count()


def group_alarms(group: GroupDef) -> Iterator[AlarmDef]:
    """Yield the alarms of a group: vote and lost vote where it votes, blindness where a number is blind."""
    source, position = group.hazard_source, group.id.partition("/")[0]
    if group.need:
        vote = (group.priority, source, float(group.need))
        yield AlarmDef(f"{group.id}#{Kind.VOTE}", NO_TAG, Kind.VOTE, *vote, group=position)
        lost = (group.priority, source, float(len(group.members)))
        yield AlarmDef(f"{group.id}#{Kind.VOTE_LOST}", NO_TAG, Kind.VOTE_LOST, *lost, group=position)
    if group.blind_at:
        blind = (group.guard, source, float(group.blind_at))
        yield AlarmDef(f"{group.id}#{Kind.BLIND}", NO_TAG, Kind.BLIND, *blind, group=position)


def count(book: Book, members: tuple[Member, ...]) -> Count:
    """Count a group's members anew."""
    active = sum(_stands(book, member.alarm) for member in members)
    return Count(active, sum(_is_lost(book, member) for member in members))


def _stands(book: Book, alarm: str) -> bool:
    record = book.records.get((alarm, Lane.LIVE))
    return record is not None and record.state.condition is Condition.ACTIVE


def _is_lost(book: Book, member: Member) -> bool:
    """Return whether a channel is faulty, silent, cut off or out of service."""
    records = book.of_alarm(member.alarm)
    out = any(Suppression.OUT_OF_SERVICE in record.state.suppressions for record in records)
    return out or any(_stands(book, alarm) for alarm in member.blinds)


def needed(group: GroupDef, lost: int) -> int:
    """Return how many members the vote takes while some are lost: each lost one makes it easier, down to one."""
    return max(1, group.need - lost)


def mode(group: GroupDef, lost: int) -> str:
    """Return the vote as it is now, "1oo2"."""
    return f"{needed(group, lost)}oo{len(group.members) - lost}"


def met(group: GroupDef, now: Count, kind: Kind) -> bool:
    """Return whether the condition of one of a group's alarms is met."""
    size = len(group.members)
    match kind:
        case Kind.VOTE:
            return now.active >= needed(group, now.lost)
        case Kind.VOTE_LOST:
            return now.lost >= size
        case _:
            return now.lost >= group.blind_at


def steps_of(group: Group, lone: dict[str, Lone], now: Count, cause: Step) -> Iterator[Step]:
    """Move a group's alarms to its new count. A vote that no channel can give any more is not cleared by that."""
    definition, before = group.definition, group.count
    group.count = now
    for alarm in group_alarms(definition):
        own = lone[alarm.id]
        stands, is_met = own.phase is Phase.ACTIVE, met(definition, now, alarm.kind)
        silent = alarm.kind is Kind.VOTE and now.lost >= len(definition.members)
        if is_met and not stands:
            own.phase = Phase.ACTIVE
            yield _step(definition, alarm, What.RAISED, now, cause)
        elif stands and not is_met and not silent:
            own.phase = Phase.NORMAL
            yield _step(definition, alarm, What.CLEARED, now, cause)
        elif stands and now.lost != before.lost:
            yield _step(definition, alarm, What.COUNTED, now, cause)


def _step(group: GroupDef, alarm: AlarmDef, what: What, now: Count, cause: Step) -> Step:
    votes = alarm.kind is Kind.VOTE
    return Step(
        cause.seq,
        NO_TAG,
        KIND_NUMBER[alarm.kind],
        what,
        cause.time_ms,
        cause.due_ms,
        float(now.active if votes else now.lost),
        alarm=alarm.id,
        comment=mode(group, now.lost) if votes else "",
    )
