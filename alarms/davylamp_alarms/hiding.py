"""Everything that hides an alarm: shelves, masks, instruments out of service. Each names a person and ends by itself.

An act is planned first, which looks and changes nothing, and then done: what a preview shows is the plan itself.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from davylamp_alarms.book import RE_ALARM_MS, Act, Facts, OpenMask, Out, Shelf
from davylamp_alarms.definition import BLIND_KINDS, CEILINGS, NO_TAG, Priority, position_of
from davylamp_alarms.lifecycle import SUPPRESSING
from davylamp_alarms.memory import Memory
from davylamp_alarms.persons import actor_of, needs_two, owe_review, too_few
from davylamp_alarms.settle import regroup_all
from davylamp_alarms.steps import Step, What
from davylamp_alarms.transition import Command, Event, Lane, Op, OutReason, Refusal, Transition, Why

MINUTE_MS = 60_000
MAX_SHELF_MS = 8 * 60 * MINUTE_MS
"""One shift: who comes next decides anew."""

MAX_MASK_MS = 30 * MINUTE_MS
"""Blasting and cleaning are over by then (SAFETY S17)."""

MAX_OUT_MS = 7 * 24 * 60 * MINUTE_MS
"""A week: a repair that takes longer is permitted anew."""

STAGGER_MS = MINUTE_MS
"""Shelves of one position end this far apart: ten in ten minutes, which is no flood (facts: ISA-18.2, 11.7.3)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an act would do.

    Args:
        subject: The alarm, mask or tag, as refusals name it.
        alarms: What it would hide.
        until_ms: Host time at which it would end by itself; 0 where it has no end.
        two: Whether it takes two persons.
    """

    subject: str
    event: Event
    alarms: tuple[Facts, ...]
    until_ms: int
    two: bool


Planned = Plan | Refusal


def plan(memory: Memory, seq: int, command: Command) -> Planned:
    """Return what an act that hides would do, or why it cannot be done by anybody; nothing changes."""
    return _PLAN[Op(command.op)](memory, seq, command)


def hide(memory: Memory, seq: int, command: Command) -> list[Transition] | Refusal:
    """Hide what is asked, or say why not."""
    planned = plan(memory, seq, command)
    if isinstance(planned, Refusal):
        return planned
    alone = False
    if planned.two:
        if refusal := too_few(memory, seq, command, planned.subject):
            return refusal
        alone = owe_review(memory, seq, command, planned.subject)
    _KEEP[Op(command.op)](memory, command, planned)
    told = [step for facts in planned.alarms for step in _hide(memory, seq, command, facts, planned.event, alone)]
    cause = Step(seq, NO_TAG, 0, What.COUNTED, command.at_ms)
    return told + regroup_all(memory, (facts.alarm for facts in planned.alarms), cause)


def _hide(memory: Memory, seq: int, command: Command, facts: Facts, event: Event, alone: bool) -> Iterable[Transition]:
    """Hide both lanes of one alarm, each at most once for one reason."""
    book = memory.book
    if not any(book.of_alarm(facts.alarm)):
        book.open(facts, Lane.LIVE, command.at_ms)
    suppression, _ = SUPPRESSING[event]
    actor = actor_of(command.by, command.second)
    for record in list(book.of_alarm(facts.alarm)):
        if suppression not in record.state.suppressions:
            book.move(record, event)
            yield book.write(
                seq, facts, record, event, command.at_ms, actor=actor, comment=command.comment, break_glass=alone
            )


# shelves


def _plan_shelf(memory: Memory, seq: int, command: Command) -> Planned:
    """Plan the shelf of one limit of one tag (SAFETY S16)."""
    facts = named(memory, seq, command)
    if isinstance(facts, Refusal):
        return facts
    if facts.alarm in memory.book.shelves:
        return Refusal(seq, Why.ILLEGAL, f"{facts.alarm} 已被搁置", f"{facts.alarm} is shelved already")
    if refusal := _no_reason(seq, command, "搁置", "shelving") or _bad_end(seq, command, MAX_SHELF_MS):
        return refusal
    until_ms = staggered(memory, facts.alarm, command.at_ms, command.until_ms)
    return Plan(facts.alarm, Event.SHELVED, (facts,), until_ms, needs_two(memory, facts))


def _keep_shelf(memory: Memory, command: Command, planned: Plan) -> None:
    memory.book.young[Act.SHELVE, planned.subject] = command.at_ms
    memory.book.shelves[planned.subject] = Shelf(planned.until_ms, command.by, command.comment)


def staggered(memory: Memory, alarm: str, at_ms: int, until_ms: int) -> int:
    """Return when a shelf ends: not in the same minute as another of its position, so that their ends are no flood.

    It ends earlier than asked, never later, and never before half of the time; then two may end together.
    """
    position, shelves = position_of(alarm), memory.book.shelves
    taken = {shelf.until_ms // STAGGER_MS for name, shelf in shelves.items() if position_of(name) == position}
    half_ms, end_ms = at_ms + (until_ms - at_ms) // 2, until_ms
    while end_ms // STAGGER_MS in taken:
        end_ms -= STAGGER_MS
        if end_ms < half_ms:
            return until_ms
    return end_ms


# masks


def _plan_mask(memory: Memory, seq: int, command: Command) -> Planned:
    """Plan a mask: refused while anybody may be inside, while its switch is off, or while it is open (SAFETY S17)."""
    mask = memory.masks.get(command.mask)
    if mask is None:
        return Refusal(seq, Why.UNKNOWN, f"没有这个屏蔽：{command.mask}", f"there is no mask {command.mask!r}")
    if mask.id in memory.book.masks:
        return Refusal(seq, Why.ILLEGAL, f"屏蔽 {mask.id} 已经生效", f"mask {mask.id} is open already")
    if refusal := _no_reason(seq, command, "屏蔽", "a mask") or _bad_end(seq, command, MAX_MASK_MS):
        return refusal
    if mask.people and memory.newest_good(mask.people, command.at_ms) != 0:
        zh = f"{mask.people} 没有可靠地显示 0 人：区域内可能有人，不能屏蔽"
        en = f"{mask.people} does not reliably say 0: somebody may be inside, so nothing is masked"
        return Refusal(seq, Why.OCCUPIED, zh, en)
    if mask.input and memory.newest_good(mask.input, command.at_ms) != 1:
        zh, en = f"屏蔽开关 {mask.input} 未接通", f"the mask's switch {mask.input} does not say 1"
        return Refusal(seq, Why.NOT_ARMED, zh, en)
    found = (memory.find(name) for name in mask.alarms)
    mine = (facts for facts in found if facts is not None and facts.hazard_source == mask.hazard_source)
    alarms = tuple(facts for facts in mine if maskable(facts))
    position = position_of(mask.alarms[0]) if mask.alarms else ""
    return Plan(f"{position}/{mask.id}", Event.SUPPRESSED, alarms, command.until_ms, False)


def maskable(facts: Facts) -> bool:
    """Return whether a mask may hide an alarm: no ceiling limit and nothing red that was measured (SAFETY S17)."""
    measured_red = facts.priority is Priority.RED and facts.kind not in BLIND_KINDS
    return facts.kind not in CEILINGS and not measured_red


def _keep_mask(memory: Memory, command: Command, planned: Plan) -> None:
    names = tuple(facts.alarm for facts in planned.alarms)
    memory.book.young[Act.MASK, command.mask] = command.at_ms
    memory.book.masks[command.mask] = OpenMask(planned.until_ms, command.by, command.comment, names)


# out of service


def _plan_out(memory: Memory, seq: int, command: Command) -> Planned:
    """Plan to take an instrument out with all its alarms: under a permit, for a stated time and reason (SAFETY S19)."""
    tag = memory.layout.names.find(command.tag)
    if tag is None:
        return _no_tag(seq, command)
    if command.tag in memory.book.out:
        return Refusal(seq, Why.ILLEGAL, f"{command.tag} 已停用", f"{command.tag} is out of service already")
    if command.reason not in set(OutReason):
        zh, en = "停用原因须为标定、检修或停用之一", f"the reason is one of {', '.join(OutReason)}"
        return Refusal(seq, Why.NO_REASON, zh, en)
    if not command.permit.strip():
        return Refusal(seq, Why.NO_REASON, "停用须有作业票号", "taking out of service needs a permit's number")
    if refusal := _no_reason(seq, command, "停用", "taking out") or _bad_end(seq, command, MAX_OUT_MS):
        return refusal
    alarms = tuple(memory.facts(tag, kind) for kind in memory.layout.kinds_of(tag))
    two = any(needs_two(memory, facts) for facts in alarms)
    return Plan(command.tag, Event.TAKEN_OUT, alarms, command.until_ms, two)


def _keep_out(memory: Memory, command: Command, planned: Plan) -> None:
    by = actor_of(command.by, command.second)
    memory.book.young[Act.TAKE_OUT, command.tag] = command.at_ms
    memory.book.out[command.tag] = Out(planned.until_ms, by, command.reason, command.permit, command.comment)


def hide_no_longer(memory: Memory, now_ms: int) -> None:
    """Let nothing hide for longer from now than it ever may: the host's clock may have been set while it was down."""
    book = memory.book
    for name, shelf in book.shelves.items():
        book.shelves[name] = replace(shelf, until_ms=min(shelf.until_ms, now_ms + MAX_SHELF_MS))
    for name, mask in book.masks.items():
        book.masks[name] = replace(mask, until_ms=min(mask.until_ms, now_ms + MAX_MASK_MS))
    for name, out in book.out.items():
        book.out[name] = replace(out, until_ms=min(out.until_ms, now_ms + MAX_OUT_MS))
    for key, due_ms in book.repeats.items():
        book.repeats[key] = min(due_ms, now_ms + RE_ALARM_MS)


# what the plans share


def named(memory: Memory, seq: int, command: Command) -> Facts | Refusal:
    """Return the alarm that is named, by its id or by an occurrence of it."""
    record = memory.book.find(command.occurrence)
    name = command.alarm or (record.alarm if record else "")
    return memory.find(name) or Refusal(seq, Why.UNKNOWN, f"没有这个报警：{name}", f"there is no alarm {name!r}")


def _no_tag(seq: int, command: Command) -> Refusal:
    return Refusal(seq, Why.UNKNOWN, f"没有这个位号：{command.tag}", f"there is no tag {command.tag!r}")


def _no_reason(seq: int, command: Command, zh: str, en: str) -> Refusal | None:
    if command.comment.strip():
        return None
    return Refusal(seq, Why.NO_REASON, f"{zh}必须说明原因", f"{en} needs a reason")


def _bad_end(seq: int, command: Command, most_ms: int) -> Refusal | None:
    if command.at_ms < command.until_ms <= command.at_ms + most_ms:
        return None
    hours = f"{most_ms / 3_600_000:g}"
    zh, en = f"必须有到期时间，且不超过 {hours} 小时", f"it needs an expiry, at most {hours} hours ahead"
    return Refusal(seq, Why.BAD_EXPIRY, zh, en)


_PLAN: dict[Op, Callable[[Memory, int, Command], Planned]] = {
    Op.SHELVE: _plan_shelf,
    Op.MASK: _plan_mask,
    Op.TAKE_OUT: _plan_out,
}

_KEEP: dict[Op, Callable[[Memory, Command, Plan], None]] = {
    Op.SHELVE: _keep_shelf,
    Op.MASK: _keep_mask,
    Op.TAKE_OUT: _keep_out,
}
