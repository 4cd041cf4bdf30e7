"""The life of an alarm as one table. Everything that is known, hidden, latched or acknowledged moves through here.

Process condition, acknowledgement, latch and the *set* of suppressions are separate fields; ISA-18.2's letters A to I
are derived from them (facts: merging them is how acknowledging one thing silences another).
Source: ANSI/ISA-18.2-2016, figure "alarm state transition diagram" (from secondary sources, unverified).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, combinations, product

from davylamp_alarms.transition import Condition, Event, Letter, Suppression

NO_SUPPRESSION: frozenset[Suppression] = frozenset()


class IllegalTransition(Exception):
    """An event that cannot happen in this state; the message says both."""


@dataclass(frozen=True, slots=True)
class State:
    """The orthogonal fields of one alarm; data quality is the tag's and stands beside them."""

    condition: Condition = Condition.NORMAL
    acknowledged: bool = True
    latched: bool = False
    suppressions: frozenset[Suppression] = NO_SUPPRESSION

    @property
    def letter(self) -> Letter:
        """The ISA-18.2 state."""
        if self.suppressions:
            return next(letter for suppression, letter in HIDDEN_LETTERS if suppression in self.suppressions)
        return LETTERS[self.condition, self.acknowledged, self.latched]

    @property
    def at_rest(self) -> bool:
        """True where nothing needs to be remembered."""
        return self == REST


REST = State()

_N, _A = Condition.NORMAL, Condition.ACTIVE

LETTERS = {
    # condition, acknowledged, latched
    (_N, True, False): Letter.A,
    (_A, False, False): Letter.B,
    (_A, False, True): Letter.B,
    (_A, True, False): Letter.C,
    (_A, True, True): Letter.C,
    (_N, False, False): Letter.D,
    (_N, False, True): Letter.E,
    (_N, True, True): Letter.F,
}
"""Letters of alarms that nothing hides; a latch shows only once the condition is gone."""

HIDDEN_LETTERS = (
    (Suppression.OUT_OF_SERVICE, Letter.I),
    (Suppression.BY_DESIGN, Letter.H),
    (Suppression.SHELVED, Letter.G),
)
"""The strongest suppression names the state."""

Fields = tuple[Condition, bool, bool]

STEPS: dict[Event, dict[Fields, Fields]] = {
    Event.RAISED: {
        (_N, True, False): (_A, False, False),
        (_N, False, False): (_A, False, False),
        (_N, False, True): (_A, False, True),
        (_N, True, True): (_A, False, True),
    },
    Event.CLEARED: {
        (_A, False, False): (_N, False, False),
        (_A, True, False): (_N, True, False),
        (_A, False, True): (_N, False, True),
        (_A, True, True): (_N, True, True),
    },
    Event.ACKNOWLEDGED: {
        (_A, False, False): (_A, True, False),
        (_A, False, True): (_A, True, True),
        (_N, False, False): (_N, True, False),
        (_N, False, True): (_N, True, True),
    },
    Event.LATCHED: {
        (_A, False, False): (_A, False, True),
        (_A, True, False): (_A, True, True),
        (_N, False, False): (_N, False, True),
        (_N, True, False): (_N, True, True),
    },
    Event.RESET: {
        (_N, False, True): (_N, False, False),
        (_N, True, True): (_N, True, False),
    },
    Event.RE_ALARMED: {
        (_A, True, False): (_A, False, False),
        (_A, True, True): (_A, False, True),
    },
    Event.CLOSED: dict.fromkeys(LETTERS, (_N, True, False)),
    Event.UPDATED: {fields: fields for fields in LETTERS},
    Event.RECORDED: {(_N, True, False): (_N, True, False)},
}
"""What each event makes of (condition, acknowledged, latched); what is not here cannot happen."""

SUPPRESSING = {
    Event.SHELVED: (Suppression.SHELVED, True),
    Event.UNSHELVED: (Suppression.SHELVED, False),
    Event.SUPPRESSED: (Suppression.BY_DESIGN, True),
    Event.UNSUPPRESSED: (Suppression.BY_DESIGN, False),
    Event.TAKEN_OUT: (Suppression.OUT_OF_SERVICE, True),
    Event.RETURNED: (Suppression.OUT_OF_SERVICE, False),
}
"""Events that hide (True) or show again: each moves its own suppression and no other field."""

NOT_WHILE_HIDDEN = frozenset({Event.ACKNOWLEDGED, Event.RESET, Event.RE_ALARMED})
"""A hidden alarm cannot be acknowledged: what began under a shelf comes back unacknowledged (SAFETY S16)."""


def step(state: State, event: Event) -> State:
    """Return the state after an event.

    Raises:
        IllegalTransition: The event cannot happen in this state; refuse the command that asked for it.
    """
    if event in SUPPRESSING:
        return _suppress(state, event)
    if event in NOT_WHILE_HIDDEN and state.suppressions:
        raise IllegalTransition(f"hidden ({', '.join(sorted(state.suppressions))}): cannot be {event}")
    fields = STEPS[event].get((state.condition, state.acknowledged, state.latched))
    if fields is None:
        raise IllegalTransition(f"in state {state.letter} ({describe(state)}): cannot be {event}")
    return State(*fields, state.suppressions)


def _suppress(state: State, event: Event) -> State:
    suppression, hiding = SUPPRESSING[event]
    if (suppression in state.suppressions) is hiding:
        raise IllegalTransition(f"{'already' if hiding else 'not'} {suppression}: cannot be {event}")
    return replace(state, suppressions=state.suppressions ^ {suppression})


def describe(state: State) -> str:
    """Return the fields in words."""
    words = [str(state.condition), "acknowledged" if state.acknowledged else "unacknowledged"]
    return ", ".join(words + ["latched"] * state.latched + sorted(state.suppressions))


def every_state() -> Iterator[State]:
    """Yield every state there can be."""
    hidden = chain.from_iterable(combinations(Suppression, n) for n in range(len(Suppression) + 1))
    for (condition, acknowledged, latched), suppressions in product(LETTERS, list(hidden)):
        yield State(condition, acknowledged, latched, frozenset(suppressions))
