"""What an act that hides would hide, and what stays to be heard, before anybody confirms it (SAFETY S16)."""

from dataclasses import dataclass

from davylamp_alarms.definition import Priority
from davylamp_alarms.hiding import plan
from davylamp_alarms.memory import Memory
from davylamp_alarms.transition import Command, Condition, Refusal


@dataclass(frozen=True, slots=True)
class Seen:
    """An alarm a preview names; `stands` where its condition is met now."""

    alarm: str
    priority: Priority
    stands: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be hidden until when, what is heard all the same, and whether it takes two persons.

    `heard` are the other alarms of the same tags: a shelf never covers the higher limit, a mask never a ceiling.
    """

    hidden: tuple[Seen, ...]
    heard: tuple[Seen, ...]
    until_ms: int
    two: bool


def preview(memory: Memory, command: Command) -> Preview | Refusal:
    """Return what an act would do; nothing changes. A missing second person is no refusal here: `two` asks for one."""
    planned = plan(memory, memory.seq, command)
    if isinstance(planned, Refusal):
        return planned
    names = {facts.alarm for facts in planned.alarms}
    tags = sorted({facts.tag for facts in planned.alarms if facts.tag >= 0})
    others = (memory.facts(tag, kind).alarm for tag in tags for kind in memory.layout.kinds_of(tag))
    heard = tuple(_seen(memory, name) for name in others if name not in names)
    return Preview(tuple(_seen(memory, name) for name in sorted(names)), heard, planned.until_ms, planned.two)


def _seen(memory: Memory, name: str) -> Seen:
    facts = memory.find(name)
    if facts is None:
        raise LookupError(f"there is no alarm {name}")
    records = memory.book.of_alarm(name)
    return Seen(name, facts.priority, any(record.state.condition is Condition.ACTIVE for record in records))
