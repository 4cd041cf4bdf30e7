"""What of a server's own telling is sent, and as of when; time is moved, nothing is slept."""

from itertools import pairwise
from typing import Any

import pytest
from davylamp_edge.changes import Changes
from davylamp_edge.deadband import Report
from davylamp_edge.pushed import PushDecoder, failed
from davylamp_wire.quality import GOOD, Reason, bad, code, uncertain
from support.field import point

NOW = 1_800_000_000_000
SOURCE = NOW - 20
GAS = {"kind": "gas", "range": (0, 100)}


class Rig:
    """One device's points and a clock; the wall clock and the monotonic one run together."""

    def __init__(self, *points: dict[str, Any], every: bool = False) -> None:
        made = [point(**{"type": "float64", **said}) for said in points or ({},)]
        self._decoder = PushDecoder(made)
        self._changes = Changes([10 + at for at in range(len(made))], made, every=every)
        self.now = NOW
        self.heard = NOW

    def _told(self, report: Report) -> list[tuple[Any, ...]]:
        rows = []
        for journal_class, c in report.items():
            columns = zip(c.points, c.values, c.qualities, c.times_ms, strict=True)
            rows += [(journal_class, at - 10, value, quality, ms - NOW) for at, value, quality, ms in columns]
        return rows

    def push(self, *rows: tuple[int, Any, int, int], at: int = 0, ahead: int = 0) -> list[tuple[Any, ...]]:
        """Take values, stamps relative to NOW; return what is sent, times relative to NOW."""
        self.now = self.heard = NOW + at
        report: Report = {}
        stamped = [(place, value, status, NOW + stamp) for place, value, status, stamp in rows]
        self._changes.take(self._decoder.decode(stamped), self.now, ahead, self.now, report)
        return self._told(report)

    def keepalive(self, at: int) -> list[tuple[Any, ...]]:
        self.heard = NOW + at
        return self.tick(at)

    def tick(self, at: int, ahead: int = 0) -> list[tuple[Any, ...]]:
        report: Report = {}
        self._changes.repeat(self.heard + ahead, self.heard, NOW + at, report, ahead)
        return self._told(report)

    def lose(self, at: int) -> list[tuple[Any, ...]]:
        report: Report = {}
        self._changes.take(failed([0], Reason.COMM), NOW + at, 0, NOW + at, report)
        return self._told(report)


def test_s08_every_queued_value_goes_through_in_order_with_its_own_time() -> None:
    assert Rig(GAS).push((0, 10.0, 0, -400), (0, 60.0, 0, -300), (0, 20.0, 0, -200)) == [
        ("live", 0, 10.0, GOOD, -400),
        ("live", 0, 60.0, GOOD, -300),
        ("live", 0, 20.0, GOOD, -200),
    ]


def test_s08_a_stamp_that_stands_still_is_repeated_with_the_time_it_was_confirmed() -> None:
    """A value that does not change is not stale while its subscription lives: a gas point at least each 10 s."""
    rig = Rig(GAS)
    rig.push((0, 1.5, 0, -86_400_000))
    sent = [0]
    for second in range(1, 3600):
        told = rig.keepalive(second * 1000) if second % 5 == 0 else rig.tick(second * 1000)
        for journal_class, _, value, quality, ms in told:
            assert (journal_class, value, quality) == ("live", 1.5, GOOD)
            assert ms == (second - second % 5) * 1000
            sent.append(second * 1000)
    assert max(after - before for before, after in pairwise(sent)) <= 10_000


def test_nothing_is_confirmed_by_a_subscription_that_is_not_heard() -> None:
    rig = Rig(GAS)
    rig.push((0, 1.5, 0, -10))
    assert rig.keepalive(9_000) != []
    assert [rig.tick(second * 1000) for second in range(10, 60)] == [[]] * 50


def test_a_source_ahead_of_its_server_is_repeated_all_the_same() -> None:
    rig = Rig(GAS)
    assert rig.push((0, 1.5, 0, 300_000)) == [("live", 0, 1.5, uncertain(Reason.CLOCK), 300_000)]
    assert [row[4] for row in rig.keepalive(9_000)] == [300_001]


def test_a_lost_server_is_repeated_too() -> None:
    rig = Rig(GAS)
    rig.push((0, 1.5, 0, -10))
    assert rig.lose(1000) == [("live", 0, None, bad(Reason.COMM), 1000)]
    assert rig.lose(2000) == []
    rig.heard = NOW + 12_000
    assert rig.tick(12_000) == [("live", 0, None, bad(Reason.COMM), 12_000)]


def test_the_value_before_a_jump_is_sent_as_of_when_it_was_last_sampled() -> None:
    rig = Rig({"scan_s": 1.0})
    rig.push((0, 1.0, 0, 0))
    assert rig.push((0, 2.0, 0, 30_000), at=30_020) == [("live", 0, 1.0, GOOD, 29_000), ("live", 0, 2.0, GOOD, 30_000)]
    assert rig.push((0, 3.0, 0, 31_000), at=31_020) == [("live", 0, 3.0, GOOD, 31_000)]


def test_a_deadband_holds_back_and_gives_the_last_held_value_before_the_jump() -> None:
    rig = Rig({"deadband": 1.0, "scan_s": 1.0})
    rig.push((0, 1.0, 0, 0))
    assert rig.push((0, 1.4, 0, 1000), (0, 1.7, 0, 2000), at=2000) == []
    assert rig.push((0, 5.0, 0, 3000), at=3000) == [("live", 0, 1.7, GOOD, 2000), ("live", 0, 5.0, GOOD, 3000)]


def test_s08_a_change_of_quality_and_every_over_range_are_sent() -> None:
    rig = Rig(GAS)
    over = uncertain(Reason.OVER_RANGE)
    rig.push((0, 50.0, 0, 0))
    assert rig.push((0, 110.0, 0, 100), (0, 110.0, 0, 200), at=200) == [
        ("live", 0, 110.0, over, 100),
        ("live", 0, 110.0, over, 200),
    ]
    assert rig.push((0, 50.0, 0x40920000, 300), at=300) == [("live", 0, 50.0, uncertain(Reason.NO_VALUE), 300)]
    assert rig.push((0, None, 0x80050000, 400), at=400) == [("live", 0, None, bad(Reason.COMM), 400)]


def test_an_exact_repeat_is_held_back_unless_everything_is_reported() -> None:
    assert [len(rig.push((0, 1.0, 0, 0), (0, 1.0, 0, 100))) for rig in (Rig({}), Rig({}, every=True))] == [1, 2]


def test_after_a_loss_what_stood_meanwhile_counts_from_now_and_what_changed_keeps_its_time() -> None:
    rig = Rig({}, {})
    rig.push((0, 1.0, 0, -10), (1, 1.0, 0, -10))
    rig.lose(100_000)
    told = rig.push((0, 1.0, 0, -10), (1, 2.0, 0, 150_000), at=200_000)
    assert told == [
        ("live", 0, 1.0, GOOD, 200_000),
        ("live", 1, 1.0, GOOD, 149_000),
        ("live", 1, 2.0, GOOD, 150_000),
    ]


@pytest.mark.parametrize("stamps", [(0, 0, 0), (100, 50, 200), (-NOW, -NOW, -NOW), (500_000, 0, 10)])
def test_the_times_of_a_point_always_ascend(stamps: tuple[int, ...]) -> None:
    rig = Rig({"scan_s": 0.01})
    times = [row[4] for n, stamp in enumerate(stamps) for row in rig.push((0, float(n), 0, stamp), at=n * 100)]
    assert times == sorted(set(times))
    assert len(times) >= 3


def test_s02_a_clock_far_off_is_a_doubt_and_no_silence() -> None:
    assert Rig({}).push((0, 1.0, 0, 0), ahead=90_000)[0][3] == uncertain(Reason.CLOCK)
    assert Rig({}).push((0, 1.0, 0, 90_000))[0][3] == uncertain(Reason.CLOCK)
    assert Rig({}).push((0, 1.0, 0, -86_400_000))[0][3] == GOOD


def test_s02_a_stamp_of_the_year_9999_dooms_no_later_one() -> None:
    rig = Rig({})
    assert rig.push((0, 1.0, 0, 253_402_300_799_000 - NOW)) == [("live", 0, 1.0, uncertain(Reason.CLOCK), 0)]
    assert rig.push((0, 2.0, 0, 1_000), at=1_000)[-1] == ("live", 0, 2.0, GOOD, 1_000)


def test_s04_a_broken_loop_stays_bad_where_the_server_only_doubts_its_current() -> None:
    rig = Rig(GAS | {"loop": {}})
    assert rig.push((0, 2.0, 0x4093_0000, 0))[-1][2:4] == (None, bad(Reason.LOOP_LOW))


def test_s09_a_server_that_doubts_a_sensor_does_not_hide_that_it_is_over_its_range() -> None:
    assert Rig(GAS).push((0, 120.0, 0x4093_0000, 0))[-1][2:4] == (120.0, uncertain(Reason.OVER_RANGE))


@pytest.mark.parametrize(
    ("said", "raw", "status", "expected"),
    [
        ({"type": "bool"}, 1, 0, (True, GOOD)),
        ({"type": "uint16", "scale": 0.1}, 15, 0, (1.5, GOOD)),
        ({"type": "uint16"}, 1.5, 0, (None, bad(Reason.DEVICE_FAULT))),
        ({"type": "string"}, "氯", 0, ("氯", GOOD)),
        ({}, None, 0, (None, bad(Reason.NO_VALUE))),
        ({}, float("nan"), 0, (None, bad(Reason.NOT_A_NUMBER))),
        ({}, 2.0, 0x0480, (2.0, GOOD)),
        ({"kind": "gas", "range": (0, 10), "loop": {}}, 20.8, 0, (10.5, code(1, Reason.OVER_RANGE))),  # type: ignore[arg-type]
    ],
)
def test_values_read_as_their_profile_says(said: Any, raw: Any, status: int, expected: tuple[Any, int]) -> None:
    ((_, _, value, quality, _),) = Rig(said).push((0, raw, status, 0))
    assert (value, quality) == (pytest.approx(expected[0]) if isinstance(raw, float) else expected[0], expected[1])


FAR_AHEAD_MS = 64 * 365 * 86_400_000


def test_s02_a_servers_clock_that_is_set_back_from_far_in_the_future_dooms_no_later_value() -> None:
    """They stayed uncertain until the edge was started anew, and what is uncertain never clears."""
    rig = Rig(GAS)
    (told,) = rig.push((0, 10.0, 0, FAR_AHEAD_MS), ahead=FAR_AHEAD_MS)
    assert told[3] == uncertain(Reason.CLOCK)
    assert rig.push((0, 20.0, 0, 4_990), at=5_000)[-1][2:] == (20.0, GOOD, 4_990)


def test_s02_a_value_that_stands_is_doubted_no_longer_once_its_servers_clock_is_right() -> None:
    rig = Rig(GAS)
    rig.push((0, 10.0, 0, FAR_AHEAD_MS), ahead=FAR_AHEAD_MS)
    rig.heard = NOW + 20_000
    assert rig.tick(20_000, ahead=FAR_AHEAD_MS)[0][3] == uncertain(Reason.CLOCK)
    rig.heard = NOW + 40_000
    assert rig.tick(40_000) == [("live", 0, 10.0, GOOD, 40_000)]
