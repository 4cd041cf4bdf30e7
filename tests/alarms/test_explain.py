"""Why an alarm stands and why it does not: one deciding reason each, with its figures; looking changes nothing."""

from typing import Any

import pytest
from davylamp_alarms.definition import Kind, PointKind
from davylamp_alarms.explain import Because, Explained
from davylamp_alarms.transition import Op, Suppression
from davylamp_wire.quality import Reason, bad, uncertain
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plant import NODE, Plant, alarm, tag_def

LEVEL = tag_def("LT-1101")
GAS = tag_def("AT-1", PointKind.GAS)
H, HH = f"{LEVEL.id}#H", f"{LEVEL.id}#HH"


def tank() -> Plant:
    """A level with H 80 (deadband 2, 5 s on, 10 s off) and HH 90 at once."""
    return Plant(
        [LEVEL, GAS],
        [
            alarm(LEVEL, 0, Kind.H, 80, deadband=2.0, on_delay_ms=5_000, off_delay_ms=10_000),
            alarm(LEVEL, 0, Kind.HH, 90),
            alarm(LEVEL, 0, Kind.STALE),
            alarm(GAS, 1, Kind.L1, 25),
        ],
    )


def why(plant: Plant, kind: Kind, tag: str = LEVEL.id) -> Explained:
    before = plant.engine.snapshot()
    found = {told.of.kind: told for told in plant.engine.explain(tag, plant.now_ms)}
    after = plant.engine.snapshot()
    assert all(bytes(before[name]) == bytes(after[name]) for name in before), "looking changes nothing"
    return found[kind]


def test_a_value_inside_its_limit_is_not_met() -> None:
    plant = tank()
    plant.read(71.2)
    told = why(plant, Kind.H)
    assert (told.because, told.met, told.value, told.limit, told.leave) == (Because.NOT_MET, False, 71.2, 80.0, 78.0)
    assert (told.of.letter, told.of.occurrence, told.due_ms) == ("A", "", None)


def test_an_on_delay_says_how_much_of_it_is_left() -> None:
    plant = tank()
    plant.read(85)
    began_ms = plant.now_ms
    plant.wait(2)
    told = why(plant, Kind.H)
    assert (told.because, told.met, told.since_ms) == (Because.ON_DELAY, True, began_ms)
    assert (told.due_ms, told.left_ms) == (began_ms + 5_000, 3_000)


def test_an_on_delay_of_an_edge_with_another_clock_is_told_in_host_time() -> None:
    plant = tank()
    plant.offset_ms = 3_600_000
    plant.tick()
    plant.read(85)
    told = why(plant, Kind.H)
    assert told.left_ms == 5_000
    assert told.due_ms == plant.now_ms + 5_000


def test_what_stands_and_what_would_end_it() -> None:
    plant = tank()
    plant.read(95)
    assert why(plant, Kind.HH).because is Because.STANDS
    plant.wait(6)
    assert (why(plant, Kind.H).because, why(plant, Kind.H).of.letter) == (Because.STANDS, "B")
    plant.read(79)
    assert why(plant, Kind.H).because is Because.IN_DEADBAND
    plant.read(77)
    told = why(plant, Kind.H)
    assert (told.because, told.left_ms) == (Because.OFF_DELAY, 10_000)


def test_doubt_keeps_what_stands_and_bad_keeps_what_does_not() -> None:
    plant = tank()
    plant.read(95)
    plant.read(50, quality=uncertain(Reason.CLOCK))
    assert why(plant, Kind.HH).because is Because.DOUBT
    plant.read(50)
    plant.read(float("nan"), quality=bad(Reason.LOOP_LOW))
    told = why(plant, Kind.HH)
    assert (told.because, told.value, told.quality) == (Because.BAD, None, bad(Reason.LOOP_LOW))


def test_a_tag_without_a_value_says_so() -> None:
    assert why(tank(), Kind.L1, GAS.id).because is Because.NO_VALUE


def test_backlog_never_clears() -> None:
    plant = tank()
    plant.read(95)
    plant.read_at(50, plant.now_ms + 500, late=True)
    assert why(plant, Kind.HH).because is Because.BACKLOG


def test_silence_is_told_with_what_is_left_of_it_and_not_while_the_link_is_lost() -> None:
    plant = tank()
    plant.read(50)
    plant.wait(10)
    told = why(plant, Kind.STALE)
    assert (told.because, told.left_ms) == (Because.HEARD, 20_000)
    plant.link(False)
    assert why(plant, Kind.STALE).because is Because.LINK_LOST
    assert why(plant, Kind.LINK).because is Because.STANDS
    plant.link(True)
    plant.wait(31)
    assert why(plant, Kind.STALE).because is Because.STANDS


def test_everything_that_hides_it_is_named() -> None:
    plant = tank()
    plant.read(95)
    plant.shelve(HH, second="wang")
    plant.ask(Op.TAKE_OUT, tag=LEVEL.id, reason="maintenance", permit="HW-1", comment="float stuck", second="wang",
              until_ms=plant.now_ms + 60_000)  # fmt: skip
    told = why(plant, Kind.HH)
    assert [(found.suppression, found.by) for found in told.of.hidden] == [
        (Suppression.SHELVED, "li"),
        (Suppression.OUT_OF_SERVICE, "li + wang"),
    ]
    assert told.of.letter == "I"


def test_a_tag_nobody_knows_is_an_error() -> None:
    with pytest.raises(LookupError, match="nobody"):
        tank().engine.explain("nobody", 0)


moves = st.lists(st.tuples(st.sampled_from(["read", "late", "bad", "wait", "link"]), st.floats(0, 100)), max_size=25)


@settings(max_examples=100, deadline=None)
@given(moves)
def test_the_reason_agrees_with_what_stands(done: list[tuple[str, float]]) -> None:
    plant = tank()
    for what, value in done:
        _do(plant, what, value)
        standing = {r.alarm for r in plant.engine.standing() if r.state.condition == "active"}
        for told in plant.engine.explain(LEVEL.id, plant.now_ms):
            stands = told.because in STANDING
            assert stands is (told.of.alarm in standing), told
            assert told.left_ms is None or told.left_ms >= 0


STANDING = {Because.STANDS, Because.OFF_DELAY, Because.IN_DEADBAND, Because.DOUBT, Because.BACKLOG}


def _do(plant: Plant, what: str, value: float) -> Any:
    match what:
        case "read":
            return plant.read(value)
        case "late":
            return plant.read_at(value, plant.now_ms - 500, late=True)
        case "bad":
            return plant.read(value, quality=bad(Reason.LOOP_LOW))
        case "wait":
            return plant.wait(1 + int(value) // 10)
        case _:
            return plant.link(value > 50, NODE)
