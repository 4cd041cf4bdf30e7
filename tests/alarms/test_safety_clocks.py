"""SAFETY S2, S3: whoever sets a clock, delays stay right within a second, nothing is cleared, and it is said."""

import pytest
from davylamp_alarms.definition import AlarmDef, Kind, Priority, clock_alarm_id
from davylamp_alarms.engine import Engine
from davylamp_alarms.skew import said
from davylamp_alarms.transition import Condition, Event, Lane, Transition
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.plant import NODE, SOURCE, Plant, alarm, tag_def

HOUR_MS = 3_600_000
LEVEL = tag_def("LT-1101")
OTHER = tag_def("LT-1102")


def clock_alarm(node: str = NODE) -> AlarmDef:
    return AlarmDef(clock_alarm_id(node, SOURCE), -1, Kind.CLOCK, Priority.YELLOW, SOURCE, node=node)


def tank() -> Plant:
    """H 80 with 60 s on and 60 s off, HH 90 at once, and the alarm of the edge's clock."""
    alarms = [
        alarm(LEVEL, 0, Kind.H, 80, on_delay_ms=60_000, off_delay_ms=60_000),
        alarm(LEVEL, 0, Kind.HH, 90, priority=Priority.RED),
        alarm(LEVEL, 0, Kind.STALE),
    ]
    plant = Plant([LEVEL, OTHER], [*alarms, clock_alarm()])
    plant.read(50)
    plant.read(50, tag=1)
    return plant


def set_host(plant: Plant, by_ms: int) -> None:
    """Set the host's clock; its monotonic one goes on."""
    plant.now_ms += by_ms
    plant.offset_ms -= by_ms


def lasted_s(plant: Plant, until: str, limit_s: int, value: float) -> float:
    """Let time pass, a reading a second, until something happens to H; return for how long it did not."""
    began_ms = plant.monotonic_ms
    for _ in range(limit_s):
        told = [*plant.read(value), *plant.tick()]
        if any(t.kind is Kind.H and t.event == until for t in told):
            return (plant.monotonic_ms - began_ms) / 1000
    raise AssertionError(f"{until} did not happen within {limit_s} s")


jumps = st.sampled_from(
    [HOUR_MS, -HOUR_MS, 27 * HOUR_MS, -27 * HOUR_MS, 1_000, -1_000, 1_500, -1_500, 5_000, -5_000, 600_000, -600_000]
)
whose = st.sampled_from(["host", "edge"])


def jump(plant: Plant, whom: str, by_ms: int) -> None:
    if whom == "host":
        set_host(plant, by_ms)
    else:
        plant.offset_ms += by_ms


def raised_after_the_delay_although_set(whom: str, by_ms: int, after: int) -> None:
    """Let a value stand above H for so many seconds, set a clock, and hold the raise against the 60 s on-delay."""
    plant = tank()
    for _ in range(after):
        plant.read(85)
        plant.tick()
    jump(plant, whom, by_ms)
    assert lasted_s(plant, "raised", 70, 85) == pytest.approx(60 - after + 1, abs=2)


@settings(max_examples=60, deadline=None)
@given(whose, jumps, st.integers(1, 55))
def test_s03_an_on_delay_is_right_within_a_second_whichever_clock_is_set(whom: str, by_ms: int, after: int) -> None:
    raised_after_the_delay_although_set(whom, by_ms, after)


@settings(max_examples=60, deadline=None)
@given(whose, st.integers(-120_000, 120_000), st.integers(1, 55))
@example("edge", -5_000, 3)
@example("edge", -30_000, 20)
@example("edge", -5_000, 5)
@example("edge", -6_000, 7)
def test_s03_a_delay_that_began_about_as_long_ago_as_a_clock_is_set_back_is_right(
    whom: str, by_ms: int, after: int
) -> None:
    """What began 3 s before a clock was set back by 5 looked as if it had begun after: the raise was 5 s late."""
    raised_after_the_delay_although_set(whom, by_ms, after)


@settings(max_examples=60, deadline=None)
@given(st.integers(-300_000, 300_000), st.integers(1, 170))
@example(-60_000, 40)
@example(-2_000, 1)
@example(-41_000, 40)
def test_s03_silence_is_called_in_time_when_the_hosts_clock_is_set(by_ms: int, after: int) -> None:
    """A tag last heard 40 s before the host's clock was set back by 60 was called stale 60 s late."""
    rare = tag_def("AT-1", silence_ms=60_000)
    plant = Plant([rare], [alarm(rare, 0, Kind.STALE)])
    plant.read(50)
    plant.wait(after)
    set_host(plant, by_ms)
    silent_s = after
    while not any(t.kind is Kind.STALE and t.event == "raised" for t in plant.wait(1)):
        silent_s += 1
        assert silent_s < 1_000, "never called"
    assert 178 <= silent_s + 1 <= 182


@settings(max_examples=60, deadline=None)
@given(whose, jumps, st.integers(1, 55))
def test_s03_an_off_delay_is_right_within_a_second_whichever_clock_is_set(whom: str, by_ms: int, after: int) -> None:
    plant = tank()
    lasted_s(plant, "raised", 70, 85)
    for _ in range(after):
        plant.read(50)
        plant.tick()
    jump(plant, whom, by_ms)
    assert lasted_s(plant, "cleared", 70, 50) == pytest.approx(60 - after + 1, abs=2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(whose, jumps), min_size=1, max_size=4))
def test_s02_no_set_clock_clears_or_silences_anything(done: list[tuple[str, int]]) -> None:
    plant = tank()
    plant.read(95)
    for whom, by_ms in done:
        jump(plant, whom, by_ms)
        told = [*plant.tick(), *plant.read(95), *plant.tick()]
        assert not [t for t in told if t.kind is Kind.HH and t.event != "re_alarmed"], told
        assert not [t for t in told if t.kind in (Kind.STALE, Kind.LINK)], "a set clock is no silence"
    assert [r.state.condition for r in plant.engine.standing() if r.kind is Kind.HH] == [Condition.ACTIVE]
    assert any(t.kind is Kind.HH and t.event == "cleared" for t in plant.read(50)), "the next good value is heard"


@settings(max_examples=40, deadline=None)
@given(jumps)
def test_s07_a_shelf_and_a_repeat_keep_their_time_when_the_hosts_clock_is_set(by_ms: int) -> None:
    plant = tank()
    plant.read(95)
    plant.acknowledge(plant.told[-1])
    plant.shelve(f"{LEVEL.id}#H", minutes=20)
    began_ms = plant.monotonic_ms
    set_host(plant, by_ms)
    heard: dict[str, float] = {}
    for _ in range(1_900):
        for step in [*plant.read(95), *plant.tick()]:
            heard.setdefault(f"{step.kind} {step.event}", (plant.monotonic_ms - began_ms) / 1000)
    assert heard["H unshelved"] == pytest.approx(20 * 60, abs=2)
    assert heard["HH re_alarmed"] == pytest.approx(30 * 60, abs=2)


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS, 30_000, -30_000])
def test_s16_a_shelf_begun_just_after_the_hosts_clock_was_set_ends_in_time(by_ms: int) -> None:
    """Between the setting and the next tick its end, already by the new clock, was moved with all the others."""
    plant = tank()
    plant.read(95)
    red = next(step for step in plant.told if step.kind is Kind.HH)
    set_host(plant, by_ms)
    plant.pass_time(0.1)
    plant.shelve(f"{LEVEL.id}#H", minutes=1)
    plant.acknowledge(red)
    heard: dict[str, int] = {}
    for second in range(1_803):
        for step in plant.wait(1):
            heard.setdefault(f"{step.kind} {step.event}", second + 1)
    assert heard["H unshelved"] == pytest.approx(60, abs=2)
    assert heard["HH re_alarmed"] == pytest.approx(1_800, abs=2)


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS, 30_000, -30_000])
@pytest.mark.parametrize("after_s", [0, 30])
def test_s03_a_link_lost_about_when_the_hosts_clock_is_set_is_called_in_time(by_ms: int, after_s: int) -> None:
    link = AlarmDef(f"{NODE}#LINK@delayed", -1, Kind.LINK, Priority.RED, SOURCE, node=NODE, on_delay_ms=60_000)
    plant = Plant([LEVEL], [link])
    if after_s:
        plant.link(False)
        plant.wait(after_s)
    set_host(plant, by_ms)
    plant.pass_time(0.1)
    if not after_s:
        plant.link(False)
    called = next(second for second in range(1, 70) if any(step.alarm_id == link.id for step in plant.wait(1)))
    assert called + after_s == pytest.approx(60, abs=2)


def test_s07_a_shift_change_that_the_hosts_clock_is_set_over_is_told() -> None:
    plant = Plant([LEVEL], [alarm(LEVEL, 0, Kind.HH, 90, priority=Priority.RED)], shifts_ms=(8 * HOUR_MS,))
    plant.now_ms += 8 * HOUR_MS - plant.now_ms % (24 * HOUR_MS) - 60_000
    plant.tick()
    plant.acknowledge(plant.read(95)[-1])
    assert plant.tick() == []
    set_host(plant, 120_000)
    assert [step.event for step in plant.wait(1)] == ["re_alarmed"]


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS, 27 * HOUR_MS, -27 * HOUR_MS])
@pytest.mark.parametrize("whom", ["host", "edge"])
def test_s02_what_was_set_while_the_host_was_down_silences_nothing(whom: str, by_ms: int) -> None:
    """Nobody knows which clock it was: times were moved as if the edge's, and readings counted as the past."""
    plant = tank()
    for _ in range(20):
        plant.read(85)
        plant.tick()
    plant.restart(3)
    jump(plant, whom, by_ms)
    plant.tick()
    assert [(step.kind, step.event, step.lane) for step in plant.read(96)] == [(Kind.HH, "raised", "live")]
    assert any(step.kind is Kind.HH and step.event == "cleared" for step in plant.read(85)), (
        "a good value is the present"
    )
    heard: dict[str, int] = {}
    for second in range(40):
        for step in plant.wait(1):
            heard.setdefault(f"{step.tag} {step.kind}", second + 1)
    assert heard[f"{LEVEL.id} STALE"] == pytest.approx(31, abs=2)
    if whom == "host":
        assert "H" in plant.letters(), "the on-delay has gone on"


def test_s17_nothing_hides_for_longer_than_it_may_after_the_host_came_up_with_a_clock_set_back() -> None:
    plant = tank()
    plant.read(85)
    plant.shelve(f"{LEVEL.id}#H", minutes=480)
    plant.restart(3)
    set_host(plant, -27 * HOUR_MS)
    plant.tick()
    assert plant.engine.shelves()[f"{LEVEL.id}#H"].until_ms <= plant.now_ms + 8 * HOUR_MS


def test_s07_an_acknowledgement_that_is_refused_puts_no_repeat_off() -> None:
    plant = tank()
    told = plant.acknowledge(plant.read(95)[-1])
    assert isinstance(told, list)
    plant.wait(1_000)
    assert not isinstance(plant.acknowledge(told[-1]), list)
    plant.shelve(f"{LEVEL.id}#HH", second="wang", minutes=5)
    plant.wait(300)
    assert [step.event for step in plant.wait(505) if step.kind is Kind.HH] == ["re_alarmed"]


def test_s07_a_hidden_red_is_quiet_and_speaks_again_as_soon_as_it_is_shown() -> None:
    plant = tank()
    plant.acknowledge(plant.read(95)[-1])
    plant.shelve(f"{LEVEL.id}#HH", second="wang", minutes=60)
    assert not [step for step in plant.wait(3_590) if step.kind is Kind.HH]
    assert [step.event for step in plant.wait(20) if step.kind is Kind.HH] == ["unshelved", "re_alarmed"]


def test_s02_a_stamp_ten_minutes_ahead_silences_nothing_that_comes_after() -> None:
    plant = tank()
    plant.read_at(50, plant.now_ms + 600_000)
    assert any(t.kind is Kind.HH for t in plant.read(95))


def test_s02_a_stamp_ahead_silences_nothing_after_the_host_was_set_forward() -> None:
    """What counts as the future was known by the clock before: up to an hour ahead, and what came next was the past."""
    plant = tank()
    set_host(plant, HOUR_MS)
    plant.wait(2)
    plant.read_at(50, plant.now_ms + plant.offset_ms + 600_000)
    assert [(t.kind, t.lane, t.event) for t in plant.read(95)] == [(Kind.HH, Lane.LIVE, Event.RAISED)]


@pytest.mark.parametrize("by_ms", [-HOUR_MS, HOUR_MS])
def test_s06_an_engine_that_starts_again_takes_stamps_as_one_that_went_on(by_ms: int) -> None:
    plants = tank(), tank()
    for plant in plants:
        set_host(plant, by_ms)
        plant.wait(2)
    plants[1].engine = Engine.restore(plants[1].engine.snapshot())
    for plant in plants:
        set_host(plant, -by_ms)
        plant.read_at(95, plant.now_ms + plant.offset_ms + 600_000)
        plant.read(50)
        plant.wait(2)
        plant.read(95)
    assert plants[0].told == plants[1].told


def test_s03_a_leap_second_repeated_changes_no_delay_by_more_than_a_second() -> None:
    plant = tank()
    for _ in range(10):
        plant.read(85)
        plant.tick()
    set_host(plant, -1_000)
    assert lasted_s(plant, "raised", 70, 85) == pytest.approx(51, abs=2)


# it is said


def clocks(told: list[Transition]) -> list[str]:
    return [f"{t.event} {t.comment}" for t in told if t.kind is Kind.CLOCK]


def test_s02_an_edge_27_hours_ahead_is_an_alarm_within_a_minute_and_says_by_how_much() -> None:
    plant = tank()
    plant.offset_ms = 27 * HOUR_MS
    assert clocks(plant.wait(1)) == ["raised 27:00:00 ahead / 快 27:00:00"]
    plant.offset_ms = 7_000
    assert clocks(plant.wait(5)) == [], "not before it is right by a margin"
    plant.offset_ms = 0
    assert clocks(plant.wait(1)) == ["cleared 0:00:00 behind / 慢 0:00:00"]


def test_s02_a_link_that_comes_and_goes_says_nothing_of_the_clock() -> None:
    plant = tank()
    plant.offset_ms = 27 * HOUR_MS
    plant.wait(1)
    assert clocks([*plant.link(False), *plant.link(True)]) == []


def test_s02_a_host_that_most_edges_contradict_is_to_blame_alone() -> None:
    nodes = [f"park/edge-{n}" for n in range(5)]
    tags = [tag_def("LT", node=node) for node in nodes]
    plant = Plant(tags, [clock_alarm(node) for node in nodes])
    offsets = dict.fromkeys(nodes, -HOUR_MS)
    told = _tick(plant, offsets)
    assert clocks(told) == []
    assert plant.engine.host_clock()[1] == -HOUR_MS
    told = _tick(plant, {**offsets, nodes[3]: 0})
    assert [t.alarm_id for t in told if t.event == "raised"] == [clock_alarm_id(nodes[3], SOURCE)]


def test_s02_two_edges_cannot_outvote_the_host() -> None:
    plant = Plant([LEVEL], [clock_alarm()])
    assert clocks(_tick(plant, {NODE: -HOUR_MS})) == ["raised 1:00:00 behind / 慢 1:00:00"]
    assert plant.engine.host_clock() == (0, 0)


def test_s02_a_set_host_clock_is_told_once() -> None:
    plant = tank()
    set_host(plant, HOUR_MS)
    plant.tick()
    assert plant.engine.host_clock() == (HOUR_MS, 0)
    plant.engine = Engine.restore(plant.engine.snapshot())
    plant.tick()
    assert plant.engine.host_clock() == (0, 0)


def test_what_was_measured_before_the_host_was_set_is_not_believed_after() -> None:
    plant = tank()
    before_ms = plant.offset_ms
    plant.read(85)
    plant.now_ms += HOUR_MS
    plant.pass_time(1)
    told = _tick(plant, {NODE: before_ms})
    assert not [t for t in told if t.kind is Kind.H], "the on-delay has 59 s to go"
    told = _tick(plant, {NODE: before_ms - HOUR_MS})
    assert not [t for t in told if t.kind is Kind.H]


def _tick(plant: Plant, offsets: dict[str, int]) -> list[Transition]:
    plant.seq += 1
    return plant.engine.tick(plant.seq, plant.now_ms, plant.monotonic_ms, plant.boot, offsets)


@pytest.mark.parametrize(
    ("off_ms", "words"),
    [(97_203_000, "27:00:03 ahead / 快 27:00:03"), (-61_000, "0:01:01 behind / 慢 0:01:01")],
)
def test_how_far_a_clock_is_off_is_said_in_hours(off_ms: int, words: str) -> None:
    assert said(off_ms) == words
