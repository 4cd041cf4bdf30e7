"""What an edit would do to every alarm it touches, for the person who is about to save it (SAFETY S20)."""

from dataclasses import dataclass

from davylamp_alarms.definition import LIMIT_KINDS, AlarmDef, Changes
from davylamp_alarms.memory import Memory
from davylamp_alarms.migration import FIELDS, Decision, Edit, Place, changed
from davylamp_alarms.planning import Planned, beyond, plan
from davylamp_alarms.transition import Refusal


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a definition, from what to what; None where the alarm does not exist on that side."""

    field: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Touched:
    """One alarm of an edit.

    `ending` are the occurrences it closes, `raises_after_ms` is how soon the present value raises by the new
    definition, 0: at once, None: it does not.
    """

    alarm: str
    edits: tuple[Edit, ...]
    differences: tuple[Difference, ...]
    decision: Decision
    places: frozenset[Place]
    ending: tuple[str, ...]
    beyond: bool
    raises_after_ms: int | None


@dataclass(frozen=True, slots=True)
class EditPreview:
    """Every alarm an edit touches, and whether it takes two persons; nothing is touched where nothing differs."""

    touched: tuple[Touched, ...]
    two: bool


def preview_edit(memory: Memory, changes: Changes) -> EditPreview | Refusal:
    """Return what an edit would do, or what is wrong with it; nothing changes."""
    planned = plan(memory, memory.seq, changes)
    if isinstance(planned, Refusal):
        return planned
    known = (_touched(memory, one) for one in (*planned.replaced, *planned.removed))
    touched = (*known, *(_added(memory, alarm) for alarm in planned.added))
    return EditPreview(tuple(sorted(touched, key=lambda one: one.alarm)), bool(planned.ending))


def _touched(memory: Memory, one: Planned) -> Touched:
    ends = one.decision is Decision.CLOSE
    ending = tuple(r.occurrence for r in memory.book.of_alarm(one.alarm) if not r.state.at_rest) if ends else ()
    is_beyond = one.after is not None and one.after.kind in LIMIT_KINDS and beyond(memory, one.after)
    soon = is_beyond and one.anew and Place.NORMAL in one.places
    delay_ms = one.after.on_delay_ms if one.after is not None and soon else None
    differences = _differences(one.before, one.after)
    return Touched(one.alarm, one.edits, differences, one.decision, one.places, ending, is_beyond, delay_ms)


def _added(memory: Memory, alarm: AlarmDef) -> Touched:
    is_beyond = alarm.kind in LIMIT_KINDS and beyond(memory, alarm)
    delay_ms = alarm.on_delay_ms if is_beyond else None
    where = frozenset({Place.NORMAL})
    differences = _differences(None, alarm)
    return Touched(alarm.id, (Edit.ADDED,), differences, Decision.RE_EVALUATE, where, (), is_beyond, delay_ms)


NUMBERS = tuple(
    name for name, edit in FIELDS.items() if edit not in (Edit.POSITION, Edit.INSTRUMENT, Edit.TEXT, Edit.RULE)
)


def _differences(before: AlarmDef | None, after: AlarmDef | None) -> tuple[Difference, ...]:
    names = changed(before, after) if before is not None and after is not None else NUMBERS
    return tuple(Difference(n, _number(before, n), _number(after, n)) for n in names if n in NUMBERS)


def _number(alarm: AlarmDef | None, name: str) -> float | None:
    return None if alarm is None else float(getattr(alarm, name))
