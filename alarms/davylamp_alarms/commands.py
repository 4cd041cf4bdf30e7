"""What operators ask for: done through the lifecycle's table, or refused with a reason in both languages."""

from collections.abc import Callable

from davylamp_alarms import persons
from davylamp_alarms.book import Act, Facts, Record
from davylamp_alarms.hiding import hide
from davylamp_alarms.lifecycle import IllegalTransition
from davylamp_alarms.memory import Memory
from davylamp_alarms.showing import show
from davylamp_alarms.transition import Command, Event, Op, Refusal, Transition, Why

Answer = list[Transition] | Refusal


def obey(memory: Memory, seq: int, command: Command) -> Answer:
    """Do what is asked, or say why not; a refusal changes nothing."""
    return _DO[Op(command.op)](memory, seq, command)


def _acknowledge(memory: Memory, seq: int, command: Command) -> Answer:
    record = _found(memory, seq, command)
    if isinstance(record, Refusal):
        return record
    before_ms, record.acknowledged_ms = record.acknowledged_ms, command.at_ms
    answer = _move(memory, seq, command, record, Event.ACKNOWLEDGED)
    if isinstance(answer, Refusal):
        record.acknowledged_ms = before_ms
    else:
        memory.book.young[Act.ACKNOWLEDGE, record.occurrence] = command.at_ms
    return answer


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
    actor = persons.actor_of(command.by, command.second)
    return memory.book.write(seq, facts, record, event, command.at_ms, actor=actor, comment=command.comment)


def _review(memory: Memory, seq: int, command: Command) -> Answer:
    return persons.review(memory, seq, command) or []


_ZH = {Op.ACKNOWLEDGE: "确认", Op.RESET: "复位"}

_DO: dict[Op, Callable[[Memory, int, Command], Answer]] = {
    Op.ACKNOWLEDGE: _acknowledge,
    Op.RESET: _reset,
    Op.SHELVE: hide,
    Op.UNSHELVE: show,
    Op.MASK: hide,
    Op.UNMASK: show,
    Op.TAKE_OUT: hide,
    Op.RETURN: show,
    Op.REVIEW: _review,
}
