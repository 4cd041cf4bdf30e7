"""Edits of the register: what is kept, evaluated anew, or closed. An edit never ends a standing alarm in silence (S20).

| edit | rows it touches | what happens |
| --- | --- | --- |
| nothing differs | any | nothing: no transition |
| new tag, new alarm | | evaluated against the present value, if there is one |
| delays, deadband, latch, priority, group | standing | kept, written as updated |
| limit | normal or pending | evaluated anew: raising counts from the edit |
| limit | standing, value still beyond it or on its way back already | kept, written as updated |
| limit | standing, and the edit alone would end it | refused; with a second person: closed by limit change |
| removed | standing | refused; with a second person: closed by limit change |
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from davylamp_wire.quality import GOOD, Level

from davylamp_alarms.columns import ALWAYS
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import (
    CEILINGS,
    FALLING,
    LIMIT_KINDS,
    LONE_KINDS,
    NO_TAG,
    AlarmDef,
    Changes,
    GroupDef,
    Kind,
    alarm_id,
)
from davylamp_alarms.groups import Group, count, group_alarms, met
from davylamp_alarms.layout import KIND_NUMBER, NO_SLOT
from davylamp_alarms.lone import Lone
from davylamp_alarms.memory import Memory
from davylamp_alarms.persons import actor_of, two_persons
from davylamp_alarms.rules import RULES
from davylamp_alarms.samples import settle_bands
from davylamp_alarms.settle import regroup, settle
from davylamp_alarms.steps import Step, What
from davylamp_alarms.transition import Refusal, Transition, Why

CLOSED = "closed by limit change / 因限值变更关闭"


def redefine(memory: Memory, seq: int, changes: Changes) -> list[Transition] | Refusal:
    """Make the edit whole, or refuse it whole."""
    changes = _with_groups(memory, changes)
    if mistake := _mistake(memory, changes):
        return Refusal(seq, Why.BAD_EDIT, f"修改无效：{mistake}", f"bad edit: {mistake}")
    before = [(alarm, definition(memory, alarm.id)) for alarm in changes.alarms]
    edited = [alarm for alarm, known in before if alarm != known]
    replaced = [alarm for alarm, known in before if known is not None and alarm != known]
    removed = [name for name in changes.removed if definition(memory, name) is not None]
    regrouped = [group for group in changes.groups if _differs(memory, group)]
    ending = _ending(memory, replaced, removed) + _outvoted(memory, regrouped)
    if ending and not two_persons(changes.by, changes.second):
        names = ", ".join(ending)
        zh, en = "该修改会结束正在持续的报警，须两人确认", "this edit ends standing alarms and needs two persons"
        return Refusal(seq, Why.SECOND_PERSON, f"{zh}：{names}", f"{en}: {names}")
    _set_up(memory, changes)
    if not (edited or removed or changes.tags or regrouped or changes.removed_groups):
        return []
    told = settle(memory, [_step(memory, seq, name, What.CLOSED, changes, CLOSED) for name in ending])
    _end(memory, ending)
    kept = [alarm.id for alarm in replaced if _stands(memory, alarm.id)]
    _forget(memory, removed)
    _write(memory, changes, edited)
    _group(memory, changes, regrouped)
    memory.register_version += 1
    steps = [_step(memory, seq, name, What.EDITED, changes, changes.comment) for name in kept]
    told += settle(memory, steps + list(_evaluate(memory, seq, changes, edited)))
    cause = Step(seq, NO_TAG, 0, What.COUNTED, changes.at_ms, actor=actor_of(changes.by, changes.second))
    return told + regroup(memory, {group.id: cause for group in regrouped})


# groups


def _with_groups(memory: Memory, changes: Changes) -> Changes:
    """Return the edit with the alarms its groups bring, and without those they no longer have."""
    alarms = tuple(alarm for group in changes.groups for alarm in group_alarms(group))
    gone = {group.id for group in changes.groups} | set(changes.removed_groups)
    known = (memory.groups[name].definition for name in sorted(gone & memory.groups.keys()))
    kept = {alarm.id for alarm in alarms}
    removed = tuple(alarm.id for group in known for alarm in group_alarms(group) if alarm.id not in kept)
    return replace(changes, alarms=(*changes.alarms, *alarms), removed=(*changes.removed, *removed))


def _differs(memory: Memory, group: GroupDef) -> bool:
    known = memory.groups.get(group.id)
    return known is None or known.definition != group


def _outvoted(memory: Memory, groups: list[GroupDef]) -> list[str]:
    """Return the standing alarms of groups that their new definition alone would end (SAFETY S20)."""
    standing = ((group, alarm) for group in groups for alarm in group_alarms(group) if _stands(memory, alarm.id))
    return [alarm.id for group, alarm in standing if not met(group, count(memory.book, group.members), alarm.kind)]


def _group(memory: Memory, changes: Changes, groups: list[GroupDef]) -> None:
    for name in changes.removed_groups:
        memory.groups.pop(name, None)
    for group in groups:
        known = memory.groups.setdefault(group.id, Group(group))
        known.definition = group
    if groups or changes.removed_groups:
        memory.index_groups()


def _group_mistake(group: GroupDef) -> str:
    """Return what is wrong with a group; empty where nothing is."""
    size = len(group.members)
    if not 0 <= group.need <= size or not 0 <= group.blind_at <= size:
        return f"group {group.id}: need {group.need} and blind_at {group.blind_at} lie within its {size} members"
    if len({member.alarm for member in group.members}) < size:
        return f"group {group.id}: a member is named twice"
    if group.need and group.priority < group.guard:
        return f"group {group.id}: a vote of priority {group.priority.word} is below its members' {group.guard.word}"
    return ""


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


def _ceilings(changes: Changes) -> str:
    """Return which mask would hide a ceiling limit (SAFETY S17); a kind is the last part of an alarm's id."""
    kinds = [(mask, name) for mask in changes.masks or () for name in mask.alarms]
    wrong = [f"{mask.id} covers {name}" for mask, name in kinds if name.rpartition("#")[2] in CEILINGS]
    return f"no mask hides a ceiling limit: {', '.join(wrong)}" if wrong else ""


def _mistake(memory: Memory, changes: Changes) -> str:
    """Return what is wrong with an edit; empty where nothing is."""
    wrong = _ceilings(changes) or next(filter(None, map(_group_mistake, changes.groups)), "")
    if wrong:
        return wrong
    names = [tag.id for tag in changes.tags]
    known = [name for name in names if memory.layout.names.find(name) is not None]
    if known or len(set(names)) < len(names):
        return f"tag named twice: {', '.join(known or names)}"
    if any(not 0 <= tag < memory.layout.tags.n for tag, _ in changes.ranges):
        return "a range of a tag that does not exist"
    for alarm in changes.alarms:
        if alarm.kind in LONE_KINDS or alarm.tag == NO_TAG:
            if alarm.kind not in LONE_KINDS or alarm.tag != NO_TAG:
                return f"{alarm.id}: {alarm.kind} belongs on {'no' if alarm.kind in LONE_KINDS else 'a'} tag"
            continue
        if not 0 <= alarm.tag < memory.layout.tags.n + len(names):
            return f"{alarm.id}: there is no tag {alarm.tag}"
        tag_id = _tag_id(memory, changes, alarm.tag)
        if alarm.id != alarm_id(tag_id, alarm.kind) or alarm.kind not in RULES:
            return f"{alarm.id}: should be {alarm_id(tag_id, alarm.kind)}"
        if not (np.isfinite(alarm.limit) and alarm.deadband >= 0):
            return f"{alarm.id}: limit {alarm.limit} and deadband {alarm.deadband} must be numbers, deadband >= 0"
    return ""


def _tag_id(memory: Memory, changes: Changes, tag: int) -> str:
    names = memory.layout.names
    return names.values[tag] if tag < len(names) else changes.tags[tag - len(names)].id


def definition(memory: Memory, name: str) -> AlarmDef | None:
    """Return an alarm's definition, or None."""
    if name in memory.lone:
        return memory.lone[name].definition
    found = memory.layout.find(name)
    return None if found is None else memory.layout.alarm(found[0], _row(memory, *found))


def _row(memory: Memory, tag: int, kind: Kind) -> int:
    row = memory.layout.row(tag, kind)
    if row is None:
        raise LookupError(f"tag {tag} has no alarm {kind}")
    return row


def _stands(memory: Memory, name: str) -> bool:
    if name in memory.lone:
        return memory.lone[name].phase >= Phase.ACTIVE
    found = memory.layout.find(name)
    return found is not None and memory.layout.rows.phase[_row(memory, *found)] >= Phase.ACTIVE


def _ending(memory: Memory, replaced: list[AlarmDef], removed: list[str]) -> list[str]:
    """Return the alarms that stand (or wait to be acknowledged or reset) and would be ended by the edit alone."""
    gone = [name for name in removed if any(not record.state.at_rest for record in memory.book.of_alarm(name))]
    return gone + [alarm.id for alarm in replaced if _stands(memory, alarm.id) and _lets_go(memory, alarm)]


def _lets_go(memory: Memory, alarm: AlarmDef) -> bool:
    """Return whether the present value would keep the alarm by its old limit, and not by the new one.

    Where the present value is not good, a laxer limit counts as ending what it can no longer hold.
    """
    if alarm.kind not in LIMIT_KINDS:
        return False
    layout, row, sign = memory.layout, _row(memory, alarm.tag, alarm.kind), -1 if alarm.kind in FALLING else 1
    limit, leave = sign * float(layout.rows.limit[row]), sign * float(layout.rows.leave[row])
    if layout.tags.quality[alarm.tag] != GOOD:
        return sign * alarm.limit > limit
    return leave < sign * float(layout.tags.value[alarm.tag]) <= sign * alarm.limit - alarm.deadband


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
            row = _row(memory, *found)
            memory.layout.rows.phase[row] = Phase.NORMAL
            slot = int(memory.layout.rows.slot[row])
            if slot != NO_SLOT:  # one that was shelved before it ever raised has none
                memory.slots.until_ms[slot] = memory.layout.tags.time_ms[found[0]]


def _forget(memory: Memory, removed: list[str]) -> None:
    """Take rows and lone alarms away."""
    places = [memory.layout.find(name) for name in removed]
    rows = [_row(memory, *place) for place in places if place]
    tags = np.array(sorted({place[0] for place in places if place}), np.int32)
    if rows:
        memory.layout.remove(rows)
        memory.slots.arrange(memory.layout.rows)
        settle_bands(memory, tags)
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
    memory.grow_nodes()
    if layout.put([alarm for alarm in edited if alarm.tag != NO_TAG]):
        memory.slots.arrange(memory.layout.rows)
    for alarm in edited:
        if alarm.tag == NO_TAG:
            memory.node(alarm.node)
            memory.lone.setdefault(alarm.id, Lone(alarm)).definition = alarm
    memory.clock.sweep_ms = -ALWAYS


def _evaluate(memory: Memory, seq: int, changes: Changes, edited: list[AlarmDef]) -> Iterator[Step]:
    """Hold the present value of each edited tag against its new limits; a raise counts from the edit."""
    layout = memory.layout
    mine = [alarm for alarm in edited if 0 <= alarm.tag < layout.tags.n - len(changes.tags)]
    for alarm in mine:
        if alarm.kind in LIMIT_KINDS | {Kind.COMM, Kind.MASK} and layout.tags.quality[alarm.tag] >> 8 < Level.BAD:
            yield from _meet(memory, seq, changes, alarm, _row(memory, alarm.tag, alarm.kind))
    settle_bands(memory, np.array(sorted({alarm.tag for alarm in mine}), np.int32))


def _meet(memory: Memory, seq: int, changes: Changes, alarm: AlarmDef, row: int) -> Iterator[Step]:
    layout, slots, tag = memory.layout, memory.slots, alarm.tag
    value = float(layout.tags.value[tag])
    met = value <= alarm.limit if alarm.kind in FALLING else value >= alarm.limit
    phase = layout.rows.phase[row]
    if phase == Phase.PENDING and not met:
        layout.rows.phase[row] = Phase.NORMAL
    elif phase == Phase.CLEARING and met:
        layout.rows.phase[row] = Phase.ACTIVE
    if phase != Phase.NORMAL or not met:
        return
    slot = int(slots.of(layout.rows, np.array([row], np.int64))[0])
    offset_ms = int(memory.offset_of(np.array([tag], np.int64))[0])
    slots.since_ms[slot], slots.until_ms[slot] = changes.at_ms + offset_ms, ALWAYS
    layout.rows.phase[row] = Phase.PENDING if alarm.on_delay_ms else Phase.ACTIVE
    if not alarm.on_delay_ms:
        quality = int(layout.tags.quality[tag])
        yield Step(
            seq, tag, KIND_NUMBER[alarm.kind], What.RAISED, changes.at_ms + offset_ms, None, value, quality,
            actor=actor_of(changes.by, changes.second), comment=changes.comment,
        )  # fmt: skip
