"""Why an alarm stands, and why another does not: what the engine knew of it at one moment. Nothing changes.

The answer is a code and the figures behind it; words are the cloud's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from davylamp_wire.quality import GOOD, Level, Reason

from davylamp_alarms.book import Facts
from davylamp_alarms.columns import ALWAYS, NEVER
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import LIMIT_KINDS, WARNING_KINDS, Kind, Priority
from davylamp_alarms.finding import finding
from davylamp_alarms.groups import count, group_alarms, mode
from davylamp_alarms.lifecycle import REST
from davylamp_alarms.lone import Lone
from davylamp_alarms.memory import UNSEEN, UP, Memory
from davylamp_alarms.rules import RULES, Samples, load
from davylamp_alarms.samples import NOT_CURRENT
from davylamp_alarms.transition import Lane, Suppression


class Because(StrEnum):
    """The one thing that decides whether an alarm stands."""

    STANDS = "stands"
    ON_DELAY = "on_delay"
    OFF_DELAY = "off_delay"
    IN_DEADBAND = "in_deadband"
    DOUBT = "doubt"
    """It stands, and the newest value is not good: only a good one clears (SAFETY S4)."""
    BACKLOG = "backlog"
    """It stands, and only backlog shows it gone: backlog never clears (SAFETY S5)."""
    NOT_MET = "not_met"
    BAD = "bad"
    """It does not stand, and the newest value is bad: that neither raises nor clears (SAFETY S4)."""
    NO_VALUE = "no_value"
    AT_EDGE = "at_edge"
    """Its edge decides it, and said last what it is (decision 0024)."""
    HEARD = "heard"
    """Not stale: it was heard, or counts from a later moment."""
    RULE_FAILED = "rule_failed"
    """Its statistical rule is left out, because it failed or takes no such settings; `note` says by what."""
    LINK_LOST = "link_lost"
    """Not stale while its edge's link is lost: the link's own alarm speaks (SAFETY S12)."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """One reason for which an alarm is hidden: by whom, until when (host time), and why."""

    suppression: Suppression
    by: str
    until_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Life:
    """Where an alarm stands in its life. `occurrence` is that of the live lane, or of the late one; empty at rest."""

    alarm: str
    kind: Kind
    priority: Priority
    hazard_source: str
    letter: str
    acknowledged: bool
    latched: bool
    hidden: tuple[Hidden, ...]
    occurrence: str
    version: int
    raised_ms: int | None


@dataclass(frozen=True, slots=True)
class Explained:
    """What one alarm makes of the moment, and why.

    Args:
        met: Whether the newest reading meets the condition.
        limit: Where it enters, in the tag's unit; None where no limit applies.
        leave: Where a good value must get to, to end it.
        since_ms: When the condition began to be met, by the edge's clock; None where it is not.
        due_ms: Host time at which the delay that runs is over; None where none runs.
        left_ms: How much of it is left at the moment asked for.
        note: A vote's mode, "1oo2"; by what a statistical rule failed.
        evidence: What a statistical rule shows of the tag then, as JSON text (evidence.py).
        seen_ms: Host time of the newest sample in that.
    """

    of: Life
    because: Because
    met: bool
    value: float | None
    quality: int
    limit: float | None
    leave: float | None
    phase: Phase
    since_ms: int | None
    due_ms: int | None
    left_ms: int | None
    on_delay_ms: int
    off_delay_ms: int
    note: str = ""
    evidence: str = ""
    seen_ms: int | None = None


def explain(memory: Memory, tag: int, now_ms: int) -> tuple[Explained, ...]:
    """Return every alarm of a tag, then those of its edge's link and of the groups it is a member of."""
    rows, _ = memory.layout.rows_of(np.array([tag], np.int32))
    own = [_of_row(memory, tag, int(row), now_ms) for row in rows]
    return (*own, *(_of_lone(memory, lone, now_ms) for lone in _around(memory, tag)))


def _of_row(memory: Memory, tag: int, row: int, now_ms: int) -> Explained:
    layout, shared = memory.layout, memory.layout.row_class(row)
    facts, slot = memory.facts(tag, shared.kind), int(layout.rows.slot[row])
    met, inside = judged(memory, tag, row)
    phase, value = Phase(int(layout.rows.phase[row])), float(layout.tags.value[tag])
    since_ms = int(memory.slots.since_ms[slot]) if slot >= 0 and phase is not Phase.NORMAL else None
    due_ms = _due_ms(memory, tag, row, phase, slot)
    found, failure = finding(memory, tag, shared.kind) if shared.kind in WARNING_KINDS else (None, "")
    measured = shared.kind in LIMIT_KINDS or shared.kind in (Kind.COMM, Kind.MASK)
    limit, leave = (float(column[0]) for column in layout.limits_of(np.array([row])))
    return Explained(
        because=Because.RULE_FAILED if failure else _because(memory, tag, row, met, inside),
        met=met,
        value=value if np.isfinite(value) else None,
        quality=int(layout.tags.quality[tag]),
        limit=limit if measured else None,
        leave=leave if measured else None,
        phase=phase,
        since_ms=None if since_ms in (NEVER, ALWAYS) else since_ms,
        due_ms=due_ms,
        left_ms=None if due_ms is None else max(0, due_ms - now_ms),
        on_delay_ms=shared.on_delay_ms,
        off_delay_ms=shared.off_delay_ms,
        of=_life(memory, facts),
        note=failure,
        evidence=found.evidence if found else "",
        seen_ms=found.host_ms if found else None,
    )


def judged(memory: Memory, tag: int, row: int) -> tuple[bool, bool]:
    """Ask a row's rule about the tag's newest reading; a statistical one was asked at the last tick."""
    tags, rows, kind = memory.layout.tags, memory.layout.rows, memory.layout.row_class(row).kind
    if kind in WARNING_KINDS:
        return rows.phase[row] in (Phase.PENDING, Phase.ACTIVE), False
    quality = tags.quality[[tag]]
    gas = memory.layout.gas_of[tags.shared[[tag]]]
    limits = memory.layout.limits_of(np.array([row]))
    samples = Samples(tags.value[[tag]], quality >> 8, quality & 0xFF, *limits, gas)
    met, inside = load(RULES[kind]).judge(samples)
    return bool(met[0]), bool(inside[0])


def _due_ms(memory: Memory, tag: int, row: int, phase: Phase, slot: int) -> int | None:
    """Return the host time at which the delay that runs is over: delays run by the edge's clock."""
    shared, offset_ms = memory.layout.row_class(row), int(memory.offset_of(np.array([tag]))[0])
    if phase is Phase.PENDING:
        return int(memory.slots.since_ms[slot]) + shared.on_delay_ms - offset_ms
    if phase is Phase.CLEARING:
        return int(memory.slots.mark_ms[slot]) + shared.off_delay_ms - offset_ms
    if shared.kind is Kind.STALE and phase is Phase.NORMAL:
        heard_ms, up = _heard(memory, tag)
        return heard_ms + memory.layout.tag_class(tag).stale_ms if up and heard_ms != NEVER else None
    return None


def _heard(memory: Memory, tag: int) -> tuple[int, bool]:
    """Return from when a tag's silence counts (host time), and whether its edge is connected."""
    node = memory.layout.tag_class(tag).node
    heard_ms = max(int(memory.layout.tags.arrival_ms[tag]), int(memory.nodes.base_ms[node]))
    return heard_ms, int(memory.nodes.link[node]) == UP


def _because(memory: Memory, tag: int, row: int, met: bool, inside: bool) -> Because:
    layout, kind = memory.layout, memory.layout.row_class(row).kind
    phase, quality = Phase(int(layout.rows.phase[row])), int(layout.tags.quality[tag])
    if layout.row_class(row).local:
        return Because.AT_EDGE
    if phase is Phase.PENDING:
        return Because.ON_DELAY
    if phase is Phase.CLEARING:
        return Because.OFF_DELAY
    if phase is Phase.ACTIVE:
        return _why_active(memory, tag, kind, met, inside)
    if kind is Kind.STALE:
        return Because.HEARD if _heard(memory, tag)[1] else Because.LINK_LOST
    if quality & 0xFF == Reason.NO_VALUE:
        return Because.NO_VALUE
    return Because.BAD if quality >> 8 == Level.BAD and not met else Because.NOT_MET


def _why_active(memory: Memory, tag: int, kind: Kind, met: bool, inside: bool) -> Because:
    if met or kind is Kind.STALE or kind in WARNING_KINDS:
        return Because.STANDS
    if int(memory.layout.tags.quality[tag]) != GOOD:
        return Because.DOUBT
    if inside and memory.layout.tags.current[tag] == NOT_CURRENT:
        return Because.BACKLOG
    return Because.IN_DEADBAND


# alarms without a tag


def _around(memory: Memory, tag: int) -> Iterator[Lone]:
    """Yield the link alarms of a tag's edge and hazard source, and the alarms of its groups."""
    shared = memory.layout.tag_class(tag)
    node, source = memory.layout.nodes.values[shared.node], memory.layout.sources.values[shared.source]
    for name in sorted(memory.lone):
        found = memory.lone[name].definition
        if found.node == node and found.hazard_source == source:
            yield memory.lone[name]
    own = {memory.facts(tag, kind).alarm for kind in memory.layout.kinds_of(tag)}
    for name in sorted({group for alarm in own for group in memory.groups_of.get(alarm, ())}):
        yield from (memory.lone[alarm.id] for alarm in group_alarms(memory.groups[name].definition))


def _of_lone(memory: Memory, lone: Lone, now_ms: int) -> Explained:
    d = lone.definition
    waits = lone.phase in (Phase.PENDING, Phase.CLEARING)
    due_ms = lone.since_ms + lone.delay_ms if waits else None
    value, note, met = _counted(memory, lone)
    names = {Phase.PENDING: Because.ON_DELAY, Phase.CLEARING: Because.OFF_DELAY, Phase.ACTIVE: Because.STANDS}
    return Explained(
        because=names.get(lone.phase, Because.NOT_MET),
        met=met,
        value=value,
        quality=GOOD,
        limit=lone.facts.limit,
        leave=None,
        phase=lone.phase,
        since_ms=None,
        due_ms=due_ms,
        left_ms=None if due_ms is None else max(0, due_ms - now_ms),
        on_delay_ms=d.on_delay_ms,
        off_delay_ms=d.off_delay_ms,
        note=note,
        of=_life(memory, lone.facts),
    )


def _counted(memory: Memory, lone: Lone) -> tuple[float | None, str, bool]:
    """Return a group's count and its vote's mode; of a link whether it is lost."""
    name = lone.definition.id.rpartition("#")[0]
    group = memory.groups.get(name)
    if group is None:
        place = memory.layout.nodes.find(lone.definition.node)
        link = UNSEEN if place is None else int(memory.nodes.link[place])
        return None, "", link != UP if lone.definition.kind is Kind.LINK else lone.phase is Phase.ACTIVE
    now = count(memory.book, group.definition.members)
    votes = lone.definition.kind is Kind.VOTE
    note = mode(group.definition, now.lost) if votes else ""
    return float(now.active if votes else now.lost), note, lone.phase is Phase.ACTIVE


# what became of it


def _life(memory: Memory, facts: Facts) -> Life:
    """Return where an alarm stands in its life, and what hides it."""
    found = (memory.book.records.get((facts.alarm, lane)) for lane in Lane)
    record = next((record for record in found if record is not None and not record.state.at_rest), None)
    state = record.state if record else REST
    return Life(
        alarm=facts.alarm,
        kind=facts.kind,
        priority=facts.priority,
        hazard_source=facts.hazard_source,
        letter=str(state.letter),
        acknowledged=state.acknowledged,
        latched=state.latched,
        hidden=tuple(_hidden(memory, facts.alarm)),
        occurrence=record.occurrence if record else "",
        version=record.version if record else 0,
        raised_ms=record.raised_ms if record else None,
    )


def _hidden(memory: Memory, alarm: str) -> Iterator[Hidden]:
    book = memory.book
    if shelf := book.shelves.get(alarm):
        yield Hidden(Suppression.SHELVED, shelf.by, shelf.until_ms, shelf.reason)
    for mask in book.masks.values():
        if alarm in mask.alarms:
            yield Hidden(Suppression.BY_DESIGN, mask.by, mask.until_ms, mask.reason)
    if out := book.out.get(alarm.rpartition("#")[0]):
        yield Hidden(Suppression.OUT_OF_SERVICE, out.by, out.until_ms, f"{out.comment} ({out.reason}, {out.permit})")
