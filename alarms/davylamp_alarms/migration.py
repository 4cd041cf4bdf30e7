"""What an edit does to an alarm that stands: the table every edit goes through. Docs draw it from here (edit_page.py).

An alarm is in several places at once: its condition is in exactly one, and its occurrence may wait for a person, be
hidden, or lie in the late lane too. An edit may differ in several ways. The strictest cell decides.
"""

from collections.abc import Iterable
from enum import IntEnum, StrEnum

from davylamp_alarms.book import Record
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import AlarmDef
from davylamp_alarms.transition import Condition, Lane


class Edit(StrEnum):
    """In what an edit differs from what is in force."""

    LIMIT = "limit"
    DEADBAND = "deadband"
    ON_DELAY = "on_delay"
    OFF_DELAY = "off_delay"
    LATCH = "latch"
    PRIORITY = "priority"
    POSITION = "position"
    ADDED = "added"
    REMOVED = "removed"
    TEXT = "text"
    INSTRUMENT = "instrument"
    RULE = "rule"


class Place(StrEnum):
    """Where an alarm stands. The first four are its condition; any of the others may come on top."""

    NORMAL = "normal"
    PENDING = "pending"
    ACTIVE = "active"
    CLEARING = "clearing"
    RETURNED = "returned"
    ACKNOWLEDGED = "acknowledged"
    LATCHED = "latched"
    HIDDEN = "hidden"
    LATE = "late"


class Decision(IntEnum):
    """What becomes of an alarm, the strictest last. JUDGE asks the present value: KEEP while it holds, else CLOSE."""

    KEEP = 0
    RE_EVALUATE = 1
    JUDGE = 2
    CLOSE = 3
    REFUSE = 4

    @property
    def word(self) -> str:
        """The decision as API and docs write it."""
        return self.name.lower()


_KEEP = dict.fromkeys(Place, Decision.KEEP)
_JUDGED = {Place.ACTIVE: Decision.JUDGE, Place.CLEARING: Decision.JUDGE}
_ANEW = {Place.NORMAL: Decision.RE_EVALUATE, Place.PENDING: Decision.RE_EVALUATE}
_UNHEARD = {Place.NORMAL: Decision.KEEP, Place.PENDING: Decision.KEEP}

TABLE: dict[Edit, dict[Place, Decision]] = {
    Edit.LIMIT: {**_KEEP, **_ANEW, **_JUDGED},
    Edit.DEADBAND: {**_KEEP, **_JUDGED},
    Edit.ON_DELAY: _KEEP,
    Edit.OFF_DELAY: _KEEP,
    Edit.LATCH: _KEEP,
    Edit.PRIORITY: _KEEP,
    Edit.POSITION: _KEEP,
    Edit.ADDED: dict.fromkeys(Place, Decision.RE_EVALUATE),
    Edit.REMOVED: {**dict.fromkeys(Place, Decision.CLOSE), **_UNHEARD},
    Edit.TEXT: _KEEP,
    Edit.INSTRUMENT: dict.fromkeys(Place, Decision.REFUSE),
    Edit.RULE: _KEEP,
}
"""What each edit does in each place (SAFETY S4, S20; facts: an edit that resets timers is every open peer's bug)."""

FIELDS = {
    "limit": Edit.LIMIT,
    "deadband": Edit.DEADBAND,
    "on_delay_ms": Edit.ON_DELAY,
    "off_delay_ms": Edit.OFF_DELAY,
    "latch": Edit.LATCH,
    "priority": Edit.PRIORITY,
    "group": Edit.POSITION,
    "local": Edit.TEXT,
    "hazard_source": Edit.INSTRUMENT,
    "node": Edit.INSTRUMENT,
    "rule": Edit.RULE,
}
"""Fields of a definition by the edit that changes them; `id`, `tag` and `kind` say which alarm it is."""

_PHASES = {
    Phase.NORMAL: Place.NORMAL,
    Phase.PENDING: Place.PENDING,
    Phase.ACTIVE: Place.ACTIVE,
    Phase.CLEARING: Place.CLEARING,
}


def changed(before: AlarmDef, after: AlarmDef) -> tuple[str, ...]:
    """Return the fields in which two definitions of one alarm differ."""
    return tuple(name for name in FIELDS if getattr(before, name) != getattr(after, name))


def places(phase: Phase, records: Iterable[Record]) -> frozenset[Place]:
    """Return everywhere an alarm stands: by its condition, and by each of its occurrences that is not at rest."""
    found = {_PHASES[phase]}
    for record in records:
        found |= set(_places_of(record))
    return frozenset(found)


def _places_of(record: Record) -> Iterable[Place]:
    state = record.state
    if state.suppressions:
        yield Place.HIDDEN
    if record.lane is Lane.LATE and not state.at_rest:
        yield Place.LATE
    if state.latched:
        yield Place.LATCHED
    if state.condition is Condition.NORMAL and not state.acknowledged:
        yield Place.RETURNED
    if state.acknowledged and (state.latched or state.condition is Condition.ACTIVE):
        yield Place.ACKNOWLEDGED


def decide(edits: Iterable[Edit], where: Iterable[Place]) -> Decision:
    """Return the strictest cell of the table for these edits and places; KEEP where nothing differs."""
    spots = tuple(where)
    return max((TABLE[edit][place] for edit in edits for place in spots), default=Decision.KEEP)
