"""What the beacon shows, by its table alone: every state with every event, and no silence that hides what is new."""

import itertools
from pathlib import Path

import pytest
from davylamp_edge.beacon.hearing import heard
from davylamp_edge.beacon.states import BLINK_S, TABLE, TEST_S, Event, Seen, Signal, State, at_rest, closed, step
from davylamp_edge.beacon_settings import BeaconCoils
from hypothesis import given
from hypothesis import strategies as some

HORN = 1
APART = BeaconCoils(lamp=0, horn=HORN, watchdog=2)
TOGETHER = BeaconCoils(lamp=0, watchdog=2)
S, E = State, Event

EXPECTED = {
    (S.OFF, E.RAISED): S.SOUNDING,
    (S.OFF, E.TEST): S.TEST,
    (S.OFF, E.LOST): S.FAULT,
    (S.SOUNDING, E.SILENCE): S.SILENCED,
    (S.SOUNDING, E.CLEARED): S.OFF,
    (S.SILENCED, E.RAISED): S.SOUNDING,
    (S.SILENCED, E.CLEARED): S.OFF,
    (S.TEST, E.RAISED): S.SOUNDING,
    (S.TEST, E.SILENCE): S.OFF,
    (S.TEST, E.TESTED): S.OFF,
    (S.FAULT, E.RAISED): S.SOUNDING,
    (S.FAULT, E.TEST): S.TEST,
    (S.FAULT, E.HEARD): S.OFF,
}


@pytest.mark.parametrize(("state", "event"), [*itertools.product(State, Event)])
def test_every_state_takes_every_event_as_the_table_says(state: State, event: Event) -> None:
    assert TABLE[state].get(event, state) is EXPECTED.get((state, event), state)


PAGE = Path(__file__).parents[2] / "docs/how-to/beacon.md"


def drawn() -> str:
    """Return the table in Markdown: state by event, the next state."""
    lines = [f"| state | {' | '.join(Event)} |", "| --- |" + " --- |" * len(Event)]
    for state, row in TABLE.items():
        lines.append(f"| **{state}** | {' | '.join(row.get(event, '') for event in Event)} |")
    return "\n".join(lines)


def test_the_page_shows_the_table_in_force() -> None:
    shown = PAGE.read_text(encoding="utf-8").split("<!-- beacon:")[1].split("-->\n", 1)[1].split("<!-- end -->")[0]
    assert shown.strip() == drawn(), f"put this into {PAGE.name}:\n{drawn()}"


def run(*seen: Seen, signal: Signal | None = None, every_s: float = 0.1) -> Signal:
    signal = signal or Signal()
    for at, each in enumerate(seen):
        signal = step(signal, each, at * every_s)
    return signal


def stands(*names: str, silent: bool = False, pressed: tuple[Event, ...] = (), priority: int = 3) -> Seen:
    return Seen(dict.fromkeys(names, priority), silent, pressed)


def test_s28_a_new_occurrence_breaks_a_silence() -> None:
    silenced = run(stands("a"), stands("a", pressed=(E.SILENCE,)))
    assert silenced.state is S.SILENCED
    assert run(stands("a"), signal=silenced).state is S.SILENCED
    assert run(stands("a", "b"), signal=silenced).state is S.SOUNDING
    assert run(stands("a", priority=4), signal=silenced).state is S.SOUNDING, "it has become graver"
    assert run(stands("a", priority=2), signal=silenced).state is S.SILENCED, "it has become less grave"
    assert run(stands(), stands("a"), signal=silenced).state is S.SOUNDING, "it came again"


def test_s28_what_is_raised_while_somebody_presses_is_not_silenced_with_the_rest() -> None:
    assert run(stands("a"), stands("a", "b", pressed=(E.SILENCE,))).state is S.SOUNDING


def test_s28_a_silence_ends_the_horn_and_never_the_lamp() -> None:
    sounding, silenced = (closed(APART, state, lives=True, now_s=0) for state in (S.SOUNDING, S.SILENCED))
    assert sounding == {0: True, 1: True, 2: True}
    assert silenced == {0: True, 1: False, 2: True}


def test_s28_a_test_shows_every_output_for_some_seconds_and_hides_no_alarm() -> None:
    tested = run(stands(pressed=(E.TEST,)))
    assert closed(APART, tested.state, lives=True, now_s=0) == {0: True, 1: True, 2: False}
    assert step(tested, stands(), TEST_S - 0.1).state is S.TEST
    assert step(tested, stands(), TEST_S).state is S.OFF
    assert step(tested, stands(silent=True), TEST_S).state is S.FAULT
    assert step(tested, stands("a"), 0.1).state is S.SOUNDING
    assert run(stands("a"), stands("a", pressed=(E.TEST,))).state is S.SOUNDING
    assert run(stands("a"), stands("a", pressed=(E.SILENCE,)), stands("a", pressed=(E.TEST,))).state is S.SILENCED


def test_an_alarm_outranks_a_silent_engine_and_the_silence_is_told_after_it() -> None:
    assert run(stands(silent=True)).state is S.FAULT
    assert run(stands(silent=True), stands("a", silent=True)).state is S.SOUNDING
    assert run(stands("a", silent=True), stands(silent=True)).state is S.FAULT
    assert run(stands(silent=True), stands()).state is S.OFF


def test_a_silent_engine_is_a_flash_now_and_then_and_an_open_contact() -> None:
    flashes = [closed(APART, S.FAULT, lives=False, now_s=tenth / 10) for tenth in range(int(10 * BLINK_S))]
    assert sum(each[0] for each in flashes) == 10
    assert not any(each[1] or each[2] for each in flashes)
    together = [closed(TOGETHER, S.FAULT, lives=False, now_s=tenth / 10) for tenth in range(int(10 * BLINK_S))]
    assert not any(each[0] for each in together), "a horn on the lamp's coil does not sound every five seconds"


@pytest.mark.parametrize("state", State)
def test_s28_no_state_holds_the_contact_of_a_silent_engine(state: State) -> None:
    assert closed(APART, state, lives=False, now_s=0)[APART.watchdog] is False
    assert closed(APART, state, lives=True, now_s=0)[APART.watchdog] is (state is not S.TEST)


@pytest.mark.parametrize("state", State)
def test_s28_a_beacon_that_is_left_alone_opens_its_contact_and_no_horn_sounds_on(state: State) -> None:
    assert at_rest(APART, state) == {0: state in (S.SOUNDING, S.SILENCED), 1: False, 2: False}
    assert at_rest(TOGETHER, state) == {0: False, 2: False}


@given(
    seen=some.lists(
        some.builds(
            Seen,
            some.dictionaries(some.sampled_from("abc"), some.integers(1, 4)),
            some.booleans(),
            some.lists(some.sampled_from([E.SILENCE, E.TEST])).map(tuple),
        )
    )
)
def test_s28_whatever_happens_the_lamp_shows_what_stands_and_the_horn_what_nobody_silenced(seen: list[Seen]) -> None:
    signal = Signal()
    for at, each in enumerate(seen):
        before, signal = signal, step(signal, each, at * 1.0)
        coils = closed(APART, signal.state, lives=True, now_s=2.0)
        if each.standing:
            assert coils[APART.lamp], "what stands is shown"
        for name, priority in each.standing.items():
            if priority > before.heard.get(name, 0) and before.silenced.get(name, 0) < priority:
                assert coils[HORN], f"{name} is new"


@pytest.mark.parametrize(
    ("moved", "now_s", "silent", "lives"),
    [
        ({"cloud": None}, 129.9, (), False),
        ({"cloud": None}, 130.0, ("cloud",), False),
        ({"cloud": 100.0}, 129.9, (), True),
        ({"cloud": 100.0}, 130.0, ("cloud",), False),
        ({"cloud": 129.0, "local": 90.0}, 129.0, (), False),
        ({"cloud": 129.0, "local": 90.0}, 130.0, ("local",), False),
        ({"cloud": 129.0, "local": 129.0}, 130.0, (), True),
        ({}, 1000.0, (), False),
    ],
)
def test_s13_an_engine_nobody_has_heard_of_for_30_s_is_silent(
    moved: dict[str, float | None], now_s: float, silent: tuple[str, ...], lives: bool
) -> None:
    """Before it was heard for the first time it is no fault yet, but no proof of life either."""
    found = heard(moved, 100.0, now_s, 30.0)
    assert (found.silent, found.lives) == (silent, lives)
