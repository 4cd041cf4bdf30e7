"""Local limits: an edge's own conditions decide as the engine does, and go on over a restart (SAFETY S1 to S4, S20)."""

import math
from collections.abc import Sequence
from dataclasses import replace

from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import AlarmDef, Kind, PointKind, Register
from davylamp_alarms.engine import Engine
from davylamp_alarms.local import Change, Conditions, Kept, Moment
from davylamp_alarms.transition import Event
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from hypothesis import given
from hypothesis import strategies as st
from support.plant import alarm, tag_def

LEVEL = tag_def("LT-1101")
GAS = tag_def("AT-2201", PointKind.GAS)
WALL_MS = 1_795_500_000_000


class Edge:
    """Conditions on a clock of the test's own, and what they keep."""

    def __init__(self, *alarms: AlarmDef, tags: Sequence[object] = (LEVEL,), wall_ms: int = WALL_MS) -> None:
        self.alarms, self.tags = alarms, tags
        self.steady_ms, self.apart_ms = 1_000, wall_ms - 1_000
        self.disk: dict[str, Kept] = {}
        self.conditions = self._made()

    def _made(self) -> Conditions:
        return Conditions(self.tags, self.alarms, self.disk, self.now)  # type: ignore[arg-type]  # sequences of TagDef

    @property
    def now(self) -> Moment:
        return Moment(self.steady_ms, self.steady_ms + self.apart_ms)

    def read(self, value: float, quality: int = GOOD, after_ms: int = 1_000) -> list[str]:
        self.steady_ms += after_ms
        changes = self.conditions.take([0], [value], [quality], [self.now.wall_ms], self.now)
        self._keep()
        return words(changes)

    def tick(self, after_ms: int = 0) -> list[str]:
        self.steady_ms += after_ms
        changes = self.conditions.tick(self.now)
        self._keep()
        return words(changes)

    def _keep(self) -> None:
        self.disk.update(self.conditions.keep(self.now))

    def said(self) -> list[Change]:
        return self.conditions.said([alarm.id for alarm in self.alarms], self.now)

    def leave(self) -> None:
        """Leave the alarms to another author, and take them back."""
        self.disk = {name: kept.left() for name, kept in self.conditions.memory(self.now).items()}
        self.conditions = self._made()

    def restart(self, *alarms: AlarmDef, down_ms: int = 5_000) -> None:
        """Begin again from what was kept; the steady clock begins anew, as after a boot."""
        wall_ms = self.now.wall_ms + down_ms
        self.alarms = alarms or self.alarms
        self.steady_ms = 77
        self.apart_ms = wall_ms - 77
        self.conditions = self._made()


def words(changes: Sequence[Change]) -> list[str]:
    return [f"{change.alarm.kind} {'raised' if change.active else 'normal'} {change.no}" for change in changes]


HIGH = alarm(LEVEL, 0, Kind.H, 80, deadband=5)


def test_s08_a_raw_reading_over_the_limit_raises_in_its_own_call_and_returns_by_the_deadband() -> None:
    edge = Edge(HIGH)
    assert edge.read(50) == ["H normal 0"]
    assert edge.read(81) == ["H raised 1"]
    assert edge.read(76) == []
    assert edge.read(75) == ["H normal 1"]
    assert edge.read(81) == ["H raised 2"]


def test_what_is_said_carries_when_it_was_measured_and_when_the_one_before_returned() -> None:
    edge = Edge(HIGH)
    for value in (50, 81, 70):
        edge.read(value)
    edge.steady_ms += 1_000
    (raised,) = edge.conditions.take([0], [82.5], [GOOD], [WALL_MS + 9], edge.now)
    assert (raised.time_ms, raised.raised_ms, raised.value, raised.no) == (WALL_MS + 9, WALL_MS + 9, 82.5, 2)
    assert raised.before_ms == WALL_MS + 3_000


def test_s03_an_on_delay_falls_due_on_a_tick_and_is_stamped_with_its_due_time() -> None:
    edge = Edge(replace(HIGH, on_delay_ms=3_000))
    edge.read(81)
    assert edge.tick(2_999) == []
    assert edge.tick(1) == ["H raised 1"]
    assert edge.conditions.standing(edge.now)[0].time_ms == WALL_MS + 4_000


def test_s04_nothing_but_a_good_value_inside_clears_or_says_that_all_is_normal() -> None:
    edge = Edge(HIGH)
    assert edge.read(50, uncertain(Reason.CLOCK)) == []
    assert edge.read(math.nan, bad(Reason.COMM)) == []
    assert edge.said() == []
    edge.read(81, uncertain(Reason.CLOCK))
    assert edge.read(50, uncertain(Reason.CLOCK)) == []
    assert edge.read(math.nan, bad(Reason.COMM)) == []
    assert edge.read(50) == ["H normal 1"]


def test_s04_a_restart_repeats_no_raise_and_clears_nothing() -> None:
    edge = Edge(HIGH)
    edge.read(81)
    edge.restart()
    assert words(edge.said()) == ["H raised 1"]
    assert edge.read(90) == []
    assert edge.read(77) == []
    assert edge.read(70) == ["H normal 1"]


def test_after_a_restart_it_says_once_that_it_is_normal_when_a_reading_shows_it() -> None:
    edge = Edge(replace(HIGH, off_delay_ms=2_000))
    edge.read(50)
    edge.restart()
    assert edge.said() == []
    assert edge.read(50) == []
    assert edge.read(50, after_ms=2_000) == ["H normal 0"]
    assert edge.read(50) == []
    assert words(edge.said()) == ["H normal 0"]


def test_a_delay_that_ran_before_a_restart_goes_on_where_the_condition_is_still_met() -> None:
    edge = Edge(replace(HIGH, on_delay_ms=10_000))
    edge.read(81)
    edge.restart(down_ms=20_000)
    assert edge.tick() == []
    assert edge.read(81, after_ms=1) == ["H raised 1"]


def test_a_delay_that_ran_before_a_restart_is_given_up_where_it_is_not() -> None:
    edge = Edge(replace(HIGH, on_delay_ms=10_000))
    edge.read(81)
    edge.restart(down_ms=20_000)
    assert edge.read(50) == ["H normal 0"]
    assert edge.tick(60_000) == []
    assert edge.read(81) == []


def test_s20_a_limit_changed_while_its_alarm_stands_holds_once_that_has_returned() -> None:
    edge = Edge(HIGH)
    edge.read(81)
    edge.restart(replace(HIGH, limit=90))
    assert edge.read(78) == []
    assert edge.conditions.standing(edge.now)[0].alarm.limit == 80
    assert edge.read(75) == ["H normal 1"]
    assert edge.read(85) == []
    assert edge.read(91) == ["H raised 2"]
    assert edge.conditions.standing(edge.now)[0].alarm.limit == 90


def test_s02_a_wall_clock_that_is_set_back_delays_nothing() -> None:
    edge = Edge(replace(HIGH, on_delay_ms=3_000))
    edge.read(50)
    edge.apart_ms -= 3_600_000
    assert edge.read(81) == []
    assert edge.read(81, after_ms=3_000) == ["H raised 1"]


def test_s04_what_stood_when_it_was_left_says_of_no_return() -> None:
    """The return that is kept beside it was that of the occurrence before."""
    assert Kept(3, active=True, raised_ms=9_000, returned_ms=5_000).left() == Kept(3)
    assert Kept(3, active=False, raised_ms=2_000, returned_ms=5_000).left() == Kept(3, returned_ms=5_000)


def test_s04_a_return_is_told_of_an_alarm_that_was_left_to_the_cloud_only_where_it_was_seen() -> None:
    edge = Edge(HIGH)
    for value in (50, 81):
        edge.read(value)
    edge.leave()
    assert edge.read(81) == ["H raised 2"]
    assert edge.said()[0].before_ms is None
    edge.leave()
    assert edge.read(50) == ["H normal 2"]
    normal_ms = edge.now.wall_ms
    assert edge.read(81) == ["H raised 3"]
    assert edge.said()[0].before_ms == normal_ms
    edge.read(50)
    returned_ms = edge.now.wall_ms
    edge.leave()
    assert edge.read(81) == ["H raised 4"]
    assert edge.said()[0].before_ms == returned_ms


def test_s04_readings_that_come_faster_than_milliseconds_shorten_no_delay() -> None:
    edge = Edge(replace(HIGH, on_delay_ms=10_000, off_delay_ms=10_000))
    edge.read(50)
    assert [edge.read(81, after_ms=n % 5 == 0) for n in range(500)] == [[]] * 500
    assert edge.tick(9_900) == []
    assert edge.tick(1) == ["H raised 1"]
    assert [edge.read(50, after_ms=n % 5 == 0) for n in range(500)] == [[]] * 500
    assert edge.read(50, after_ms=9_900) == []
    assert edge.read(50, after_ms=1) == ["H normal 1"]


def test_readings_of_one_millisecond_are_met_in_their_order() -> None:
    edge = Edge(HIGH)
    edge.read(50)
    told = [edge.read(value, after_ms=0) for value in (81, 50, 81, 76, 75)]
    assert told == [["H raised 1"], ["H normal 1"], ["H raised 2"], [], ["H normal 2"]]


def test_s11_over_range_of_a_detector_is_decided_beside_its_limits() -> None:
    beyond = alarm(GAS, 0, Kind.OVER_RANGE, 10)
    edge = Edge(alarm(GAS, 0, Kind.L2, 3), beyond, tags=[GAS])
    edge.read(0)
    assert edge.read(10.4, uncertain(Reason.OVER_RANGE)) == ["L2 raised 1", "OVER_RANGE raised 1"]
    assert edge.read(0) == ["L2 normal 1", "OVER_RANGE normal 1"]


VALUES = st.sampled_from([50.0, 74.0, 75.0, 77.0, 80.0, 81.0, 95.0, math.nan])
QUALITIES = st.sampled_from([GOOD, GOOD, GOOD, uncertain(Reason.CLOCK), bad(Reason.COMM)])
READINGS = st.lists(st.tuples(VALUES, QUALITIES, st.integers(1, 4_000)), max_size=40)
DELAYS = st.sampled_from([0, 1_500, 3_000])


@given(READINGS, DELAYS, DELAYS)
def test_an_edge_decides_as_the_engine_would_on_every_raw_reading(
    readings: list[tuple[float, int, int]], on_delay_ms: int, off_delay_ms: int
) -> None:
    limit = replace(HIGH, on_delay_ms=on_delay_ms, off_delay_ms=off_delay_ms)
    edge, engine = Edge(limit), Engine(Register((LEVEL,), (limit,)))
    for seq, (value, quality, after_ms) in enumerate(readings):
        sound = bad(Reason.NOT_A_NUMBER) if math.isnan(value) else quality
        said = edge.read(value, sound, after_ms)
        now_ms = edge.now.wall_ms
        told = engine.apply(Batch.of([seq], [0], [now_ms], [value], [sound], [False], [now_ms]))
        wanted = [f"H {'raised' if t.event is Event.RAISED else 'normal'}" for t in told]
        moved = [line.rpartition(" ")[0] for line in said]
        assert moved == wanted or (wanted == [] and moved == ["H normal"])


@given(READINGS, st.sets(st.integers(0, 39)))
def test_restarts_lose_and_repeat_no_change(readings: list[tuple[float, int, int]], restarts: set[int]) -> None:
    steady, restarted = Edge(HIGH), Edge(HIGH)
    told: list[list[str]] = [[], []]
    for at, (value, quality, after_ms) in enumerate(readings):
        sound = bad(Reason.NOT_A_NUMBER) if math.isnan(value) else quality
        if at in restarts:
            restarted.restart()
        for edge, heard in zip((steady, restarted), told, strict=True):
            heard += edge.read(value, sound, after_ms)
    raised, normal = ([[line for line in heard if word in line] for heard in told] for word in ("raised", "normal"))
    assert raised[0] == raised[1]
    assert list(dict.fromkeys(normal[0])) == list(dict.fromkeys(normal[1]))
    assert words(steady.conditions.standing(steady.now)) == words(restarted.conditions.standing(restarted.now))
