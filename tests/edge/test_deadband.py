"""What is held back and what never is (SAFETY S8)."""

from itertools import pairwise
from typing import Any

from davylamp_edge.deadband import Report, Suppressor
from davylamp_edge.reply import Decoded
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from davylamp_wire.reading import Value
from hypothesis import given
from hypothesis import strategies as st
from support.field import point

Row = tuple[int, int, Value, int]
"""Point, time, value, quality."""

LIMIT = {"source": {"standard": "GB/T 50493", "basis": "memory"}}


class Rig:
    """One suppressor, asked once a second unless the test says when."""

    def __init__(self, *points: dict[str, Any], every: bool = False, period_ms: int = 1000) -> None:
        self._suppressor = Suppressor(
            range(len(points)), [point(**said) for said in points], period_ms=period_ms, every=every
        )
        self.now_ms = 0
        self.period_ms = period_ms
        self.classes: dict[str, list[Row]] = {}

    def scan(self, *values: Value, doubts: dict[int, int] | None = None, times: list[int] | None = None) -> list[Row]:
        self.now_ms += self.period_ms
        report: Report = {}
        self._suppressor.report(Decoded(list(values), doubts or {}, times), self.now_ms, report)
        self.classes = {
            name: list(zip(each.points, each.times_ms, each.values, each.qualities, strict=True))
            for name, each in report.items()
        }
        return sorted((row for rows in self.classes.values() for row in rows), key=lambda row: (row[1], row[0]))


def test_s08_an_exact_repeat_is_held_back() -> None:
    rig = Rig({}, {})
    assert rig.scan(1.0, 2.0) == [(0, 1000, 1.0, GOOD), (1, 1000, 2.0, GOOD)]
    assert rig.scan(1.0, 2.0) == []
    assert rig.scan(1.0, 2.0) == []


def test_s08_the_smallest_change_is_sent_by_default() -> None:
    rig = Rig({})
    rig.scan(1.0)
    assert rig.scan(1.0000000000000002) == [(0, 2000, 1.0000000000000002, GOOD)]


def test_s08_the_last_held_back_value_is_sent_before_a_jump_with_its_own_time() -> None:
    rig = Rig({})
    rig.scan(1.0)
    rig.scan(1.0)
    rig.scan(1.0)
    assert rig.scan(9.0) == [(0, 3000, 1.0, GOOD), (0, 4000, 9.0, GOOD)]


def test_s08_a_change_right_after_a_report_sends_nothing_twice() -> None:
    rig = Rig({})
    rig.scan(1.0)
    assert rig.scan(2.0) == [(0, 2000, 2.0, GOOD)]
    assert rig.scan(3.0) == [(0, 3000, 3.0, GOOD)]


def test_s08_a_clock_set_back_by_an_hour_silences_no_gas_point() -> None:
    rig = Rig({"kind": "gas"})
    rig.now_ms = 7_200_000
    rig.scan(1.0)
    rig.now_ms -= 3_600_000
    sent = [rig.now_ms for _ in range(60) if rig.scan(1.0)]
    assert sent[0] <= 3_612_000
    assert max(after - before for before, after in pairwise(sent)) <= 10_000


def test_s08_a_gas_point_is_never_silent_for_more_than_10_s() -> None:
    rig = Rig({"kind": "gas"}, {})
    sent = [rig.now_ms for _ in range(60) for row in rig.scan(0.0, 0.0) if row[0] == 0]
    assert sent[0] == 1000
    assert all(later - earlier <= 10_000 for earlier, later in pairwise(sent))
    assert len(sent) == 7


def test_s08_a_point_rests_for_its_max_silence_and_not_for_its_neighbours() -> None:
    rig = Rig({"max_silence_s": 5.0}, {"max_silence_s": 20.0})
    rows = [row for _ in range(20) for row in rig.scan(1.0, 1.0)]
    assert [row[1] for row in rows if row[0] == 0] == [1000, 5000, 9000, 13000, 17000]
    assert [row[1] for row in rows if row[0] == 1] == [1000, 20000]


def test_s08_a_repeat_carries_the_time_it_was_confirmed() -> None:
    rig = Rig({"max_silence_s": 5.0})
    times = [[row[1] for row in rig.scan(7.0)] for _ in range(5)]
    assert times == [[1000], [], [], [], [5000]]


def test_s08_a_change_of_quality_is_always_sent_and_stays_in_its_points_class() -> None:
    rig = Rig({}, {})
    rig.scan(1.0, 2.0)
    rows = rig.scan(1.0, 2.0, doubts={1: uncertain(Reason.INHIBIT)})
    assert rows == [(1, 2000, 2.0, uncertain(Reason.INHIBIT))]
    assert list(rig.classes) == ["live"]
    rows = rig.scan(1.0, 2.0)
    assert rows == [(1, 3000, 2.0, GOOD)]
    assert list(rig.classes) == ["live"]


def test_s08_a_lost_device_sends_the_last_good_value_before_it_turns_bad() -> None:
    rig = Rig({})
    rig.scan(1.0)
    rig.scan(1.0)
    lost = bad(Reason.COMM)
    assert rig.scan(None, doubts={0: lost}) == [(0, 2000, 1.0, GOOD), (0, 3000, None, lost)]
    assert rig.scan(None, doubts={0: lost}) == []


def test_s08_what_is_over_its_range_is_sent_at_every_scan() -> None:
    rig = Rig({}, {})
    over = {0: uncertain(Reason.OVER_RANGE)}
    rig.scan(101.0, 1.0, doubts=over)
    assert rig.scan(101.0, 1.0, doubts=over) == [(0, 2000, 101.0, over[0])]
    assert rig.scan(101.0, 1.0, doubts=over) == [(0, 3000, 101.0, over[0])]


def test_s08_report_every_holds_nothing_back() -> None:
    rig = Rig({}, {"deadband": 5.0}, every=True)
    for scan in range(1, 5):
        assert rig.scan(1.0, 1.0) == [(0, scan * 1000, 1.0, GOOD), (1, scan * 1000, 1.0, GOOD)]


def test_a_deadband_holds_back_small_changes_only() -> None:
    rig = Rig({"deadband": 1.0})
    rig.scan(10.0)
    assert rig.scan(10.5) == []
    assert rig.scan(9.2) == []
    assert rig.scan(11.0) == [(0, 3000, 9.2, GOOD), (0, 4000, 11.0, GOOD)]


def test_a_slow_drift_does_not_slip_through_a_deadband() -> None:
    rig = Rig({"deadband": 1.0})
    sent = [row[2] for step in range(25) for row in rig.scan(10.0 + 0.25 * step) if row[1] == rig.now_ms]
    assert sent == [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0]


def test_s08_a_limit_crossed_inside_the_deadband_is_sent_both_ways() -> None:
    limits = {"H": {"value": 10.3, "deadband": 0.2, **LIMIT}}
    rig = Rig({"deadband": 5.0, "limits": limits})
    rig.scan(10.0)
    assert rig.scan(10.2)[-1:] == [(0, 2000, 10.2, GOOD)]  # above 10.1, where the limit is left
    assert rig.scan(10.3)[-1:] == [(0, 3000, 10.3, GOOD)]
    assert rig.scan(10.4) == []
    assert rig.scan(10.1)[-1:] == [(0, 5000, 10.1, GOOD)]


def test_s08_a_low_limit_crossed_inside_the_deadband_is_sent() -> None:
    rig = Rig({"deadband": 5.0, "limits": {"L": {"value": 2.0, **LIMIT}}})
    rig.scan(3.0)
    assert rig.scan(2.5) == []
    assert rig.scan(2.0) == [(0, 2000, 2.5, GOOD), (0, 3000, 2.0, GOOD)]


def test_points_of_several_classes_are_reported_apart() -> None:
    rig = Rig({"journal_class": "bulk"}, {}, {"journal_class": "event"})
    rig.scan(1.0, 2.0, True)
    assert {name: [row[0] for row in rows] for name, rows in rig.classes.items()} == {
        "bulk": [0],
        "live": [1],
        "event": [2],
    }


def test_times_of_the_source_travel_with_the_values() -> None:
    rig = Rig({}, {})
    assert rig.scan(1.0, 2.0, times=[17, 18]) == [(0, 17, 1.0, GOOD), (1, 18, 2.0, GOOD)]
    rig.scan(1.0, 2.0, times=[19, 20])
    assert rig.scan(5.0, 2.0, times=[21, 22]) == [(0, 19, 1.0, GOOD), (0, 21, 5.0, GOOD)]


values = st.sampled_from([1.0, 2.0, 3.0])
codes = st.sampled_from([GOOD, GOOD, GOOD, bad(Reason.COMM), uncertain(Reason.OVER_RANGE)])


@given(st.lists(st.lists(st.tuples(values, codes), min_size=3, max_size=3), min_size=1, max_size=40))
def test_whoever_holds_the_last_value_sees_what_the_device_said(scans: list[list[tuple[float, int]]]) -> None:
    """What a host reconstructs by keeping the last value of each point equals every scan, held back or not."""
    rig, held = Rig({}, {"kind": "gas"}, {"journal_class": "bulk"}), {}
    for scan in scans:
        doubts = {i: quality for i, (_, quality) in enumerate(scan) if quality != GOOD}
        for row in rig.scan(*(value for value, _ in scan), doubts=doubts):
            held[row[0]] = (row[2], row[3])
        assert [held[i] for i in range(3)] == scan
