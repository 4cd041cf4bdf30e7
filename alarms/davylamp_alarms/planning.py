"""What an edit would do, alarm by alarm, before anything is done: it is carried out from this and previewed by it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from davylamp_wire.quality import GOOD, Level

from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import (
    CEILINGS,
    FALLING,
    LIMIT_KINDS,
    LONE_KINDS,
    NO_TAG,
    WARNING_KINDS,
    AlarmDef,
    Changes,
    GroupDef,
    Kind,
    alarm_id,
)
from davylamp_alarms.groups import count, group_alarms, met
from davylamp_alarms.memory import Memory
from davylamp_alarms.migration import FIELDS, Decision, Edit, Place, changed, decide, places
from davylamp_alarms.rules import RULES
from davylamp_alarms.transition import Refusal, Why


@dataclass(frozen=True, slots=True)
class Planned:
    """What becomes of one alarm the engine knows already. `after` is None where it is removed."""

    alarm: str
    before: AlarmDef
    after: AlarmDef | None
    edits: tuple[Edit, ...]
    places: frozenset[Place]
    decision: Decision

    @property
    def stands(self) -> bool:
        """Whether its condition is met, or still returning."""
        return bool(self.places & {Place.ACTIVE, Place.CLEARING})

    @property
    def anew(self) -> bool:
        """Whether the present value is held against the new definition, or against an old one by a new author."""
        taken_over = self.after is not None and self.before.local and not self.after.local
        return taken_over or bool({Edit.LIMIT, Edit.DEADBAND} & set(self.edits))


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole edit. `added` are alarms nobody knows yet: a birth brings many, so they carry nothing else."""

    changes: Changes
    added: list[AlarmDef]
    replaced: list[Planned]
    removed: list[Planned]
    regrouped: list[GroupDef]

    @property
    def edited(self) -> list[AlarmDef]:
        """What the engine is to know that it does not."""
        return self.added + [planned.after for planned in self.replaced if planned.after is not None]

    @property
    def ending(self) -> list[str]:
        """The alarms the edit alone would end: that takes two persons (SAFETY S20)."""
        return [p.alarm for p in (*self.removed, *self.replaced) if p.decision is Decision.CLOSE]

    @property
    def idle(self) -> bool:
        """Whether nothing differs from what is in force."""
        groups = self.regrouped or self.changes.removed_groups
        return not (self.added or self.replaced or self.removed or self.changes.tags or groups)


def plan(memory: Memory, seq: int, changes: Changes) -> Plan | Refusal:
    """Return what an edit would do, or what is wrong with it; nothing changes."""
    changes = _with_groups(memory, changes)
    if mistake := _mistake(memory, changes):
        return _refused(seq, mistake)
    regrouped = [group for group in changes.groups if _differs(memory, group)]
    known = [(alarm, definition(memory, alarm.id)) for alarm in changes.alarms]
    added = [alarm for alarm, before in known if before is None]
    outvoted = set(_outvoted(memory, regrouped))
    replaced = [_replaced(memory, before, alarm, outvoted) for alarm, before in known if before not in (None, alarm)]
    replaced += _miscounted(memory, outvoted - {planned.alarm for planned in replaced})
    removed = [_removed(memory, name) for name in changes.removed if definition(memory, name) is not None]
    fixed = [planned for planned in replaced if planned.decision is Decision.REFUSE]
    if fixed:
        return _refused(seq, "; ".join(map(_fixed, fixed)))
    return Plan(changes, added, replaced, removed, regrouped)


def _refused(seq: int, mistake: str) -> Refusal:
    return Refusal(seq, Why.BAD_EDIT, f"修改无效：{mistake}", f"bad edit: {mistake}")


def _fixed(planned: Planned) -> str:
    assert planned.after is not None
    names = [name for name in changed(planned.before, planned.after) if FIELDS[name] is Edit.INSTRUMENT]
    return f"{planned.alarm}: {', '.join(names)} cannot change"


def _replaced(memory: Memory, before: AlarmDef | None, after: AlarmDef, outvoted: set[str]) -> Planned:
    assert before is not None
    edits = tuple(FIELDS[name] for name in changed(before, after))
    where = places_of(memory, after.id)
    decision = decide(edits, where)
    if decision is Decision.JUDGE and after.local:
        decision = Decision.KEEP  # its edge lets what stands return by the figures it was entered by
    if decision is Decision.JUDGE:
        decision = Decision.CLOSE if _lets_go(memory, before, after) else Decision.KEEP
    if after.id in outvoted:
        decision = Decision.CLOSE
    return Planned(after.id, before, after, edits, where, decision)


def _miscounted(memory: Memory, outvoted: set[str]) -> Iterator[Planned]:
    """Yield the alarms that stay as they are, and whose group's members are no longer enough."""
    for name in sorted(outvoted):
        known = definition(memory, name)
        assert known is not None
        yield Planned(name, known, known, (), places_of(memory, name), Decision.CLOSE)


def _removed(memory: Memory, name: str) -> Planned:
    known = definition(memory, name)
    assert known is not None
    where = places_of(memory, name)
    return Planned(name, known, None, (Edit.REMOVED,), where, decide((Edit.REMOVED,), where))


def places_of(memory: Memory, name: str) -> frozenset[Place]:
    """Return everywhere an alarm stands."""
    return places(_phase(memory, name), memory.book.of_alarm(name))


def _phase(memory: Memory, name: str) -> Phase:
    if name in memory.lone:
        return memory.lone[name].phase
    found = memory.layout.find(name)
    return Phase.NORMAL if found is None else Phase(memory.layout.rows.phase[row_of(memory, *found)])


def _lets_go(memory: Memory, before: AlarmDef, after: AlarmDef) -> bool:
    """Return whether the present value would keep the alarm by its old limit, and not by the new one.

    Where the present value is not good, a laxer limit counts as ending what the value no longer meets.
    """
    if after.kind not in LIMIT_KINDS:
        return False
    sign, quality = -1 if after.kind in FALLING else 1, int(memory.layout.tags.quality[after.tag])
    value = sign * float(memory.layout.tags.value[after.tag])
    if quality != GOOD:
        doubted = quality >> 8 < Level.BAD and value >= sign * after.limit
        return sign * after.limit > sign * before.limit and not doubted
    return sign * before.limit - before.deadband < value <= sign * after.limit - after.deadband


# looking


def definition(memory: Memory, name: str) -> AlarmDef | None:
    """Return an alarm's definition, or None."""
    if name in memory.lone:
        return memory.lone[name].definition
    found = memory.layout.find(name)
    return None if found is None else memory.layout.alarm(found[0], row_of(memory, *found))


def row_of(memory: Memory, tag: int, kind: Kind) -> int:
    """Return the row of a tag's alarm."""
    row = memory.layout.row(tag, kind)
    if row is None:
        raise LookupError(f"tag {tag} has no alarm {kind}")
    return row


def beyond(memory: Memory, alarm: AlarmDef) -> bool:
    """Return whether the present value, good or doubtful, meets an alarm's limit."""
    tags = memory.layout.tags
    if not 0 <= alarm.tag < tags.n or tags.quality[alarm.tag] >> 8 >= Level.BAD:
        return False
    value = float(tags.value[alarm.tag])
    return value <= alarm.limit if alarm.kind in FALLING else value >= alarm.limit


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


def _outvoted(memory: Memory, groups: list[GroupDef]) -> Iterator[str]:
    """Yield the standing alarms of groups that their new definition alone would end (SAFETY S20)."""
    for group in groups:
        for alarm in group_alarms(group):
            stands = _phase(memory, alarm.id) >= Phase.ACTIVE
            if stands and not met(group, count(memory.book, group.members), alarm.kind):
                yield alarm.id


# mistakes


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
    mistakes = (_alarm_mistake(memory, changes, alarm) for alarm in changes.alarms)
    return next(filter(None, mistakes), "")


def _alarm_mistake(memory: Memory, changes: Changes, alarm: AlarmDef) -> str:
    lone = alarm.kind in LONE_KINDS
    if lone is not (alarm.tag == NO_TAG):
        return f"{alarm.id}: {alarm.kind} belongs on {'no' if lone else 'a'} tag"
    if lone:
        return ""
    if not 0 <= alarm.tag < memory.layout.tags.n + len(changes.tags):
        return f"{alarm.id}: there is no tag {alarm.tag}"
    tag_id = _tag_id(memory, changes, alarm.tag)
    if alarm.id != alarm_id(tag_id, alarm.kind) or alarm.kind not in RULES.keys() | WARNING_KINDS:
        return f"{alarm.id}: should be {alarm_id(tag_id, alarm.kind)}"
    if not (np.isfinite(alarm.limit) and alarm.deadband >= 0):
        return f"{alarm.id}: limit {alarm.limit} and deadband {alarm.deadband} must be numbers, deadband >= 0"
    return ""


def _tag_id(memory: Memory, changes: Changes, tag: int) -> str:
    names = memory.layout.names
    return names.values[tag] if tag < len(names) else changes.tags[tag - len(names)].id
