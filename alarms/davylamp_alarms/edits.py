"""Carries out edits of the register, whole or not at all. An edit never ends a standing alarm in silence (SAFETY S20).

What becomes of each alarm is in migration.py's table and is planned by planning.py; this file only does it. An edit
that differs in nothing leaves nothing: no transition, no register version.
"""

from collections.abc import Iterator

import numpy as np
from davylamp_wire.quality import GOOD, Level

from davylamp_alarms.columns import ALWAYS
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import LIMIT_KINDS, NO_TAG, WARNING_KINDS, AlarmDef, Changes, GroupDef, Kind
from davylamp_alarms.forewarn import doubt
from davylamp_alarms.groups import Group
from davylamp_alarms.layout import KIND_NUMBER, NO_SLOT
from davylamp_alarms.lone import Lone
from davylamp_alarms.memory import Memory
from davylamp_alarms.persons import actor_of, two_persons
from davylamp_alarms.planning import Plan, beyond, plan, row_of
from davylamp_alarms.samples import settle_bands
from davylamp_alarms.settle import regroup, settle
from davylamp_alarms.steps import Step, What
from davylamp_alarms.towards import look_towards
from davylamp_alarms.transition import Refusal, Transition, Why

CLOSED = "closed by limit change / 因限值变更关闭"

ANEW = "the rule's memory begins anew / 规则的记忆重新开始"

MEASURED = LIMIT_KINDS | {Kind.COMM, Kind.MASK}
"""Kinds whose limit the present value is held against."""


def redefine(memory: Memory, seq: int, changes: Changes) -> list[Transition] | Refusal:
    """Make the edit whole, or refuse it whole."""
    planned = plan(memory, seq, changes)
    if isinstance(planned, Refusal):
        return planned
    changes, ending = planned.changes, planned.ending
    if ending and not two_persons(changes.by, changes.second):
        names = ", ".join(ending)
        zh, en = "该修改会结束正在持续的报警，须两人确认", "this edit ends standing alarms and needs two persons"
        return Refusal(seq, Why.SECOND_PERSON, f"{zh}：{names}", f"{en}: {names}")
    _set_up(memory, changes)
    return [] if planned.idle else _carry_out(memory, seq, planned)


def _carry_out(memory: Memory, seq: int, planned: Plan) -> list[Transition]:
    changes, ending = planned.changes, planned.ending
    told = settle(memory, [_step(memory, seq, name, What.CLOSED, changes, CLOSED) for name in ending])
    _end(memory, ending)
    kept = [one.alarm for one in planned.replaced if one.stands and one.alarm not in ending]
    _forget(memory, [one.alarm for one in planned.removed])
    _write(memory, changes, planned.edited)
    anew = _forewarn(memory, planned)
    _group(memory, changes, planned.regrouped)
    memory.register_version += 1
    comments = {name: f"{changes.comment} ({ANEW})".strip() if name in anew else changes.comment for name in kept}
    steps = [_step(memory, seq, name, What.EDITED, changes, comment) for name, comment in comments.items()]
    told += settle(memory, steps + list(_evaluate(memory, seq, planned)))
    cause = Step(seq, NO_TAG, 0, What.COUNTED, changes.at_ms, actor=actor_of(changes.by, changes.second))
    return told + regroup(memory, {group.id: cause for group in planned.regrouped})


def _group(memory: Memory, changes: Changes, groups: list[GroupDef]) -> None:
    for name in changes.removed_groups:
        memory.groups.pop(name, None)
    for group in groups:
        known = memory.groups.setdefault(group.id, Group(group))
        known.definition = group
    if groups or changes.removed_groups:
        memory.index_groups()


def _set_up(memory: Memory, changes: Changes) -> None:
    """Take on what concerns no alarm of its own: shifts, masks, one-person positions, ranges of instruments."""
    for tag, span in changes.ranges:
        if memory.layout.range_of(tag) != span:
            memory.layout.set_range(tag, span)
            memory.register_version += 1
    if changes.shifts_ms is not None:
        memory.shifts_ms = tuple(sorted(changes.shifts_ms))
    if changes.masks is not None:
        memory.masks = {mask.id: mask for mask in changes.masks}
    if changes.one_person is not None:
        memory.one_person = frozenset(changes.one_person)


def _step(memory: Memory, seq: int, name: str, what: What, changes: Changes, comment: str) -> Step:
    found = memory.layout.find(name)
    tag, kind = found if found else (NO_TAG, memory.lone[name].definition.kind)
    actor = actor_of(changes.by, changes.second)
    return Step(seq, tag, KIND_NUMBER[kind], what, changes.at_ms, alarm=name, actor=actor, comment=comment)


def _end(memory: Memory, names: list[str]) -> None:
    """Bring ended alarms' conditions back to normal."""
    for name in names:
        memory.book.shelves.pop(name, None)
        if name in memory.lone:
            memory.lone[name].phase = Phase.NORMAL
        elif found := memory.layout.find(name):
            row = row_of(memory, *found)
            memory.layout.rows.phase[row] = Phase.NORMAL
            slot = int(memory.layout.rows.slot[row])
            if slot != NO_SLOT:  # one that was shelved before it ever raised has none
                memory.slots.until_ms[slot] = memory.layout.tags.time_ms[found[0]]


def _forget(memory: Memory, removed: list[str]) -> None:
    """Take rows and lone alarms away."""
    places = [memory.layout.find(name) for name in removed]
    rows = [row_of(memory, *place) for place in places if place]
    tags = np.array(sorted({place[0] for place in places if place}), np.int32)
    if rows:
        memory.layout.remove(rows)
        memory.slots.arrange(memory.layout.rows)
        settle_bands(memory, tags)
    for tag, kind in filter(None, places):
        if kind in WARNING_KINDS:
            memory.early.remove(tag, kind)
    look_towards(memory, tags)
    for name in removed:
        memory.book.shelves.pop(name, None)
        memory.lone.pop(name, None)
        for record in list(memory.book.of_alarm(name)):
            memory.book.drop(record)


def _write(memory: Memory, changes: Changes, edited: list[AlarmDef]) -> None:
    layout = memory.layout
    first = layout.tags.n
    layout.add_tags(changes.tags)
    layout.tags.arrival_ms[first : layout.tags.n] = changes.at_ms
    layout.tags.young[first : layout.tags.n] = 1
    memory.grow_nodes()
    if layout.put([alarm for alarm in edited if alarm.tag != NO_TAG]):
        memory.slots.arrange(memory.layout.rows)
    for alarm in edited:
        if alarm.local:
            _hand_over(memory, row_of(memory, alarm.tag, alarm.kind))
        if alarm.tag == NO_TAG:
            memory.node(alarm.node)
            memory.lone.setdefault(alarm.id, Lone(alarm)).definition = alarm
    memory.clock.sweep_ms = -ALWAYS


def _forewarn(memory: Memory, planned: Plan) -> set[str]:
    """Take on new warnings and other settings of known ones, and hold trends against the limits there are now.

    Return the known ones whose rule begins anew.
    """
    anew: set[str] = set()
    memory.early.add((alarm.tag, alarm.kind, alarm.rule) for alarm in planned.added if alarm.kind in WARNING_KINDS)
    for one in planned.replaced:
        before, after = one.before, one.after
        if after is None or after.kind not in WARNING_KINDS or before.rule == after.rule:
            continue
        if memory.early.change(after.tag, after.kind, before.rule, after.rule):
            anew.add(one.alarm)
            doubt(memory, after.tag, after.kind)
    if memory.early.warners:
        tags = {alarm.tag for alarm in planned.edited if alarm.kind in LIMIT_KINDS | {Kind.TREND}}
        look_towards(memory, np.array(sorted(tags), np.int32))
    return anew


def _hand_over(memory: Memory, row: int) -> None:
    """Leave an alarm to its edge: what stands goes on standing, delays that run here are no longer ours."""
    phase = memory.layout.rows.phase
    phase[row] = Phase.ACTIVE if phase[row] >= Phase.ACTIVE else Phase.NORMAL


def _evaluate(memory: Memory, seq: int, planned: Plan) -> Iterator[Step]:
    """Hold the present values against limits that moved or are new; a raise counts from the edit."""
    known = memory.layout.tags.n - len(planned.changes.tags)
    anew = [one.after for one in planned.replaced if one.anew and one.after is not None]
    for alarm in (*planned.added, *anew):
        readable = 0 <= alarm.tag < known and memory.layout.tags.quality[alarm.tag] >> 8 < Level.BAD
        if readable and alarm.kind in MEASURED and not alarm.local:
            yield from _meet(memory, seq, planned.changes, alarm, row_of(memory, alarm.tag, alarm.kind))
    mine = {alarm.tag for alarm in planned.edited if 0 <= alarm.tag < known}
    settle_bands(memory, np.array(sorted(mine), np.int32))


def _meet(memory: Memory, seq: int, changes: Changes, alarm: AlarmDef, row: int) -> Iterator[Step]:
    """Let the present value move one row: doubt gives no running delay up, and no edit puts one off."""
    layout, slots, tag = memory.layout, memory.slots, alarm.tag
    met, phase = beyond(memory, alarm), layout.rows.phase[row]
    if phase == Phase.PENDING and not met and layout.tags.quality[tag] == GOOD:
        layout.rows.phase[row] = Phase.NORMAL
    elif phase == Phase.CLEARING and met:
        layout.rows.phase[row] = Phase.ACTIVE
    if phase != Phase.NORMAL or not met:
        return
    value, slot = float(layout.tags.value[tag]), int(slots.of(layout.rows, np.array([row], np.int64))[0])
    offset_ms = int(memory.offset_of(np.array([tag], np.int64))[0])
    slots.since_ms[slot], slots.until_ms[slot] = changes.at_ms + offset_ms, ALWAYS
    layout.rows.phase[row] = Phase.PENDING if alarm.on_delay_ms else Phase.ACTIVE
    if not alarm.on_delay_ms:
        quality = int(layout.tags.quality[tag])
        yield Step(
            seq, tag, KIND_NUMBER[alarm.kind], What.RAISED, changes.at_ms + offset_ms, None, value, quality,
            actor=actor_of(changes.by, changes.second), comment=changes.comment,
        )  # fmt: skip
