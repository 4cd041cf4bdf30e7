"""What operators ask for: done through the lifecycle's table, or refused with a reason in both languages."""

from collections.abc import Callable
from dataclasses import replace

from davylamp_alarms.book import Facts, Record, Shelf
from davylamp_alarms.definition import NO_TAG, Kind, PointKind, Priority
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.lifecycle import IllegalTransition
from davylamp_alarms.memory import Memory
from davylamp_alarms.settle import unhide
from davylamp_alarms.steps import Step, What
from davylamp_alarms.transition import Command, Event, Lane, Op, Refusal, Transition, Why

MAX_SHELF_MS = 8 * 60 * 60 * 1000
"""One shift: who comes next decides anew."""

TWO_PERSONS = frozenset({Kind.L2, Kind.HH, Kind.LL, Kind.OVER_RANGE})
"""Kinds nobody shelves alone, whatever their priority (SAFETY S15; HH includes LL)."""

Answer = list[Transition] | Refusal


def obey(memory: Memory, seq: int, command: Command) -> Answer:
    """Do what is asked, or say why not; a refusal changes nothing."""
    return _DO[Op(command.op)](memory, seq, command)


def actor_of(by: str, second: str) -> str:
    """Return who acted: one name, or two."""
    return f"{by} + {second}" if second else by


def _acknowledge(memory: Memory, seq: int, command: Command) -> Answer:
    record = _found(memory, seq, command)
    if isinstance(record, Refusal):
        return record
    record.acknowledged_ms = command.at_ms
    return _move(memory, seq, command, record, Event.ACKNOWLEDGED)


def _reset(memory: Memory, seq: int, command: Command) -> Answer:
    record = _found(memory, seq, command)
    return record if isinstance(record, Refusal) else _move(memory, seq, command, record, Event.RESET)


def _found(memory: Memory, seq: int, command: Command) -> Record | Refusal:
    """Return the occurrence as the person saw it; what moved on since is not touched."""
    record = memory.book.find(command.occurrence)
    if record is None:
        zh, en = "该次报警已结束或不存在，请刷新列表", "this occurrence is over or unknown: look at the list again"
        return Refusal(seq, Why.UNKNOWN, f"{command.occurrence}：{zh}", f"{command.occurrence}: {en}")
    if record.version != command.version:
        zh = f"{record.occurrence} 已变为第 {record.version} 版，您看到的是第 {command.version} 版，请重新查看"
        en = f"{record.occurrence} is at version {record.version}, you saw {command.version}: look again"
        return Refusal(seq, Why.STALE_VERSION, zh, en)
    return record


def _move(memory: Memory, seq: int, command: Command, record: Record, event: Event) -> Answer:
    try:
        memory.book.move(record, event)
    except IllegalTransition as illegal:
        zh = f"{record.alarm} 当前状态为 {record.state.letter}，不能执行“{_ZH[command.op]}”"
        return Refusal(seq, Why.ILLEGAL, zh, f"{record.alarm} {illegal}")
    return [_write(memory, seq, command, memory.facts(record.tag, record.kind, record.alarm), record, event)]


def _write(memory: Memory, seq: int, command: Command, facts: Facts, record: Record, event: Event) -> Transition:
    actor = actor_of(command.by, command.second)
    return memory.book.write(seq, facts, record, event, command.at_ms, actor=actor, comment=command.comment)


# shelves


def _shelve(memory: Memory, seq: int, command: Command) -> Answer:
    facts = _facts(memory, seq, command)
    if isinstance(facts, Refusal):
        return facts
    if refusal := _unfit(memory, seq, command, facts):
        return refusal
    book = memory.book
    if not any(book.of_alarm(facts.alarm)):
        book.open(facts, Lane.LIVE, command.at_ms)
    book.shelves[facts.alarm] = Shelf(command.until_ms, command.by, command.comment)
    told = []
    for record in book.of_alarm(facts.alarm):
        book.move(record, Event.SHELVED)
        told.append(_write(memory, seq, command, facts, record, Event.SHELVED))
    return told


def _unfit(memory: Memory, seq: int, command: Command, facts: Facts) -> Refusal | None:
    """Return why this alarm may not be shelved like this (SAFETY S15, S16)."""
    if facts.alarm in memory.book.shelves:
        return Refusal(seq, Why.ILLEGAL, f"{facts.alarm} 已被搁置", f"{facts.alarm} is shelved already")
    if not command.comment.strip():
        return Refusal(seq, Why.NO_REASON, "搁置必须说明原因", "shelving needs a reason")
    if not command.at_ms < command.until_ms <= command.at_ms + MAX_SHELF_MS:
        zh, en = "搁置必须有到期时间，且不超过 8 小时", "a shelf needs an expiry, at most 8 hours ahead"
        return Refusal(seq, Why.BAD_EXPIRY, zh, en)
    if needs_two(memory, facts) and not two_persons(command.by, command.second):
        zh = f"{facts.alarm}：L2、HH/LL、超量程、红色及火灾报警的搁置须两人确认"
        en = f"{facts.alarm}: L2, HH/LL, over-range, red and fire alarms are shelved by two persons"
        return Refusal(seq, Why.SECOND_PERSON, zh, en)
    return None


def needs_two(memory: Memory, facts: Facts) -> bool:
    """Return whether one person alone may not hide this alarm."""
    fire = facts.tag != NO_TAG and memory.layout.tag_class(facts.tag).kind is PointKind.FIRE
    return fire or facts.kind in TWO_PERSONS or facts.priority is Priority.RED


def two_persons(by: str, second: str) -> bool:
    """Return whether two different persons stand behind an act."""
    return bool(by.strip()) and bool(second.strip()) and by.strip().casefold() != second.strip().casefold()


def _unshelve(memory: Memory, seq: int, command: Command) -> Answer:
    facts = _facts(memory, seq, command)
    if isinstance(facts, Refusal):
        return facts
    if facts.alarm not in memory.book.shelves:
        return Refusal(seq, Why.ILLEGAL, f"{facts.alarm} 未被搁置", f"{facts.alarm} is not shelved")
    del memory.book.shelves[facts.alarm]
    kind, actor = KIND_NUMBER[facts.kind], actor_of(command.by, command.second)
    step = Step(seq, facts.tag, kind, What.SHELF_OVER, command.at_ms, actor=actor, comment=command.comment)
    return unhide(memory, replace(step, alarm=facts.alarm), facts)


def _facts(memory: Memory, seq: int, command: Command) -> Facts | Refusal:
    """Return the alarm that is named, by its id or by an occurrence of it."""
    record = memory.book.find(command.occurrence)
    name = command.alarm or (record.alarm if record else "")
    found = memory.layout.find(name)
    if found is not None:
        return memory.facts(*found)
    if name in memory.lone:
        return memory.lone[name].facts
    return Refusal(seq, Why.UNKNOWN, f"没有这个报警：{name}", f"there is no alarm {name!r}")


_ZH = {Op.ACKNOWLEDGE: "确认", Op.SHELVE: "搁置", Op.UNSHELVE: "取消搁置", Op.RESET: "复位"}

_DO: dict[Op, Callable[[Memory, int, Command], Answer]] = {
    Op.ACKNOWLEDGE: _acknowledge,
    Op.SHELVE: _shelve,
    Op.UNSHELVE: _unshelve,
    Op.RESET: _reset,
}
