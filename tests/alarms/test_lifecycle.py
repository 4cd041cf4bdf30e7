"""The lifecycle's table: every state against every event."""

from itertools import product
from pathlib import Path

import pytest
from davylamp_alarms.lifecycle import (
    NOT_WHILE_HIDDEN,
    REST,
    STEPS,
    SUPPRESSING,
    IllegalTransition,
    State,
    every_state,
    step,
)
from davylamp_alarms.lifecycle_page import page
from davylamp_alarms.transition import Condition, Event, Letter, Suppression

N, A = Condition.NORMAL, Condition.ACTIVE
PAGE = Path(__file__).parents[2] / "docs" / "alarm-lifecycle.md"


def twin(state: State, event: Event) -> State | None:
    """Say in plain words what the tables say; None where it cannot happen."""
    condition, known, latched, hidden = state.condition, state.acknowledged, state.latched, state.suppressions
    if event in SUPPRESSING:
        suppression, hiding = SUPPRESSING[event]
        if (suppression in hidden) is hiding:
            return None
        return State(condition, known, latched, hidden | {suppression} if hiding else hidden - {suppression})
    if event in NOT_WHILE_HIDDEN and hidden:
        return None
    possible = {
        Event.RAISED: condition is N,
        Event.CLEARED: condition is A,
        Event.ACKNOWLEDGED: not known,
        Event.LATCHED: not latched,
        Event.RESET: condition is N and latched,
        Event.RE_ALARMED: condition is A and known,
        Event.CLOSED: True,
        Event.UPDATED: True,
        Event.RECORDED: condition is N and known and not latched,
    }[event]
    if not possible:
        return None
    after = {
        Event.RAISED: (A, False, latched),
        Event.CLEARED: (N, known, latched),
        Event.ACKNOWLEDGED: (condition, True, latched),
        Event.LATCHED: (condition, known, True),
        Event.RESET: (condition, known, False),
        Event.RE_ALARMED: (condition, False, latched),
        Event.CLOSED: (N, True, False),
    }
    return State(*after.get(event, (condition, known, latched)), hidden)


def test_there_are_eight_visible_states_times_eight_sets_of_suppressions() -> None:
    assert len(list(every_state())) == len(set(every_state())) == 64


@pytest.mark.parametrize("event", Event)
def test_every_state_meets_every_event_as_the_words_say(event: Event) -> None:
    for state in every_state():
        expected = twin(state, event)
        if expected is None:
            with pytest.raises(IllegalTransition):
                step(state, event)
        else:
            assert step(state, event) == expected, (state, event)


def test_every_event_has_its_row() -> None:
    assert {*STEPS, *SUPPRESSING} == set(Event)


def test_letters_follow_from_the_fields() -> None:
    letters = {
        (N, True, False): "A",
        (A, False, False): "B",
        (A, True, False): "C",
        (N, False, False): "D",
        (N, False, True): "E",
        (N, True, True): "F",
    }
    assert {fields: State(*fields).letter for fields in letters} == letters


def test_the_strongest_suppression_names_the_state_and_leaving_one_leaves_the_others() -> None:
    state = State(A, False)
    for event, letter in ((Event.SHELVED, "G"), (Event.SUPPRESSED, "H"), (Event.TAKEN_OUT, "I")):
        state = step(state, event)
        assert state.letter == letter
    state = step(state, Event.UNSHELVED)
    assert state.suppressions == {Suppression.BY_DESIGN, Suppression.OUT_OF_SERVICE}


def test_the_standards_paths_lead_where_the_standard_says() -> None:
    paths = {
        (Event.RAISED, Event.ACKNOWLEDGED, Event.CLEARED): Letter.A,
        (Event.RAISED, Event.CLEARED, Event.ACKNOWLEDGED): Letter.A,
        (Event.RAISED, Event.LATCHED, Event.CLEARED): Letter.E,
        (Event.RAISED, Event.LATCHED, Event.CLEARED, Event.ACKNOWLEDGED): Letter.F,
        (Event.RAISED, Event.LATCHED, Event.CLEARED, Event.RESET): Letter.D,
        (Event.RAISED, Event.LATCHED, Event.CLEARED, Event.ACKNOWLEDGED, Event.RESET): Letter.A,
        (Event.RAISED, Event.ACKNOWLEDGED, Event.RE_ALARMED): Letter.B,
        (Event.SHELVED, Event.RAISED, Event.UNSHELVED): Letter.B,
        (Event.RAISED, Event.ACKNOWLEDGED, Event.SHELVED, Event.UNSHELVED): Letter.C,
    }
    for path, letter in paths.items():
        state = REST
        for event in path:
            state = step(state, event)
        assert state.letter is letter, path


def test_a_suppression_touches_no_other_field() -> None:
    for state, event in product(every_state(), SUPPRESSING):
        try:
            after = step(state, event)
        except IllegalTransition:
            continue
        assert (after.condition, after.acknowledged, after.latched) == (
            state.condition,
            state.acknowledged,
            state.latched,
        )


def test_the_page_is_drawn_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m davylamp_alarms.lifecycle_page"
