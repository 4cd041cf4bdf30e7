"""The end of what hides: by a person, its own time, or a mask's switch. What began hidden comes back unacknowledged.

Whatever ends it, the steps are these, so that every end is written alike.
"""

from collections.abc import Callable, Iterator

from davylamp_alarms.definition import NO_TAG, Kind
from davylamp_alarms.hiding import named
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.memory import Memory
from davylamp_alarms.persons import actor_of
from davylamp_alarms.settle import settle
from davylamp_alarms.steps import Step, What
from davylamp_alarms.transition import Command, Op, Refusal, Transition, Why


def show(memory: Memory, seq: int, command: Command) -> list[Transition] | Refusal:
    """End what a person names, now."""
    steps = _SHOW[Op(command.op)](memory, seq, command)
    return steps if isinstance(steps, Refusal) else settle(memory, steps)


def fall_due(memory: Memory, seq: int, now_ms: int) -> list[Step]:
    """End what is over by now, and masks whose switch was turned off."""
    book = memory.book
    if not (book.shelves or book.masks or book.out):
        return []
    shelves = [(name, shelf.until_ms) for name, shelf in book.shelves.items() if shelf.until_ms <= now_ms]
    masks = [(name, mask.until_ms) for name, mask in book.masks.items() if mask.until_ms <= now_ms]
    tags = [(name, out.until_ms) for name, out in book.out.items() if out.until_ms <= now_ms]
    steps = [step for name, due_ms in shelves for step in _unshelved(memory, seq, name, due_ms, due_ms)]
    steps += [step for name, due_ms in masks for step in _unmasked(memory, seq, name, due_ms, due_ms)]
    steps += [step for name in _switched_off(memory, now_ms) for step in _unmasked(memory, seq, name, now_ms)]
    return steps + [step for name, due_ms in tags for step in _returned(memory, seq, name, due_ms, due_ms)]


def _switched_off(memory: Memory, now_ms: int) -> list[str]:
    """Return the open masks whose switch says a good 0; one that cannot be read ends with its time."""
    switches = [(name, memory.masks[name].input) for name in memory.book.masks if name in memory.masks]
    return [name for name, switch in switches if switch and memory.newest_good(switch, now_ms) == 0]


def _unshelve(memory: Memory, seq: int, command: Command) -> list[Step] | Refusal:
    facts = named(memory, seq, command)
    if isinstance(facts, Refusal):
        return facts
    if facts.alarm not in memory.book.shelves:
        return Refusal(seq, Why.ILLEGAL, f"{facts.alarm} 未被搁置", f"{facts.alarm} is not shelved")
    return list(_unshelved(memory, seq, facts.alarm, command.at_ms, None, command))


def _unmask(memory: Memory, seq: int, command: Command) -> list[Step] | Refusal:
    if command.mask not in memory.book.masks:
        return Refusal(seq, Why.ILLEGAL, f"屏蔽 {command.mask} 未生效", f"mask {command.mask} is not open")
    return list(_unmasked(memory, seq, command.mask, command.at_ms, None, command))


def _return(memory: Memory, seq: int, command: Command) -> list[Step] | Refusal:
    """Return an instrument to service; one with another range is another instrument, and stays out (SAFETY S19)."""
    if command.tag not in memory.book.out:
        return Refusal(seq, Why.ILLEGAL, f"{command.tag} 未停用", f"{command.tag} is not out of service")
    tag = memory.layout.names.find(command.tag)
    expected = None if tag is None else memory.layout.range_of(tag)
    if command.range is not None and expected is not None and tuple(command.range) != expected:
        theirs, ours = (f"{low:g}..{high:g}" for low, high in (command.range, expected))
        zh = f"{command.tag} 所装仪表量程为 {theirs}，登记量程为 {ours}：请先修改登记或更换仪表"
        en = f"{command.tag}: the instrument shows {theirs}, the tag is {ours}: change the tag or the instrument first"
        return Refusal(seq, Why.RANGE, zh, en)
    return list(_returned(memory, seq, command.tag, command.at_ms, None, command))


Ends = Iterator[Step]


def _unshelved(
    memory: Memory, seq: int, name: str, at_ms: int, due_ms: int | None, command: Command | None = None
) -> Ends:
    del memory.book.shelves[name]
    yield _over(memory, seq, name, What.SHELF_OVER, at_ms, due_ms, command)


def _unmasked(
    memory: Memory, seq: int, mask: str, at_ms: int, due_ms: int | None = None, command: Command | None = None
) -> Ends:
    """End a mask; what another open mask hides as well stays hidden."""
    ended = memory.book.masks.pop(mask, None)
    still = {name for other in memory.book.masks.values() for name in other.alarms}
    for name in ended.alarms if ended else ():
        if name not in still and memory.find(name) is not None:
            yield _over(memory, seq, name, What.MASK_OVER, at_ms, due_ms, command)


def _returned(
    memory: Memory, seq: int, tag: str, at_ms: int, due_ms: int | None, command: Command | None = None
) -> Ends:
    del memory.book.out[tag]
    number = memory.layout.names.find(tag)
    for kind in () if number is None else memory.layout.kinds_of(number):
        name = memory.facts(number or 0, kind).alarm
        yield _over(memory, seq, name, What.OUT_OVER, at_ms, due_ms, command)


def _over(
    memory: Memory, seq: int, name: str, what: What, at_ms: int, due_ms: int | None, command: Command | None
) -> Step:
    found = memory.layout.find(name)
    tag, kind = found if found else (NO_TAG, memory.lone[name].definition.kind)
    actor = actor_of(command.by, command.second) if command else ""
    comment = command.comment if command else ""
    return Step(seq, tag, KIND_NUMBER[Kind(kind)], what, at_ms, due_ms, alarm=name, actor=actor, comment=comment)


_SHOW: dict[Op, Callable[[Memory, int, Command], list[Step] | Refusal]] = {
    Op.UNSHELVE: _unshelve,
    Op.UNMASK: _unmask,
    Op.RETURN: _return,
}
