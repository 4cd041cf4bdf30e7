"""DataValues to values, qualities and times; pure, so it needs no server."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from davylamp_edge.datavalue import REASONS, DataValueDecoder, as_type, by_kind, stamp_ms, status_quality
from davylamp_edge.reply import Decoded
from davylamp_wire.point import DataType
from davylamp_wire.quality import GOOD, Level, Reason, bad, code, uncertain
from davylamp_wire.reading import Value
from support.field import point

NOW = 1_800_000_000_000


@dataclass
class Variant:
    Value: Any


@dataclass
class Status:
    value: int


@dataclass
class Reply:
    Value: Variant | None
    StatusCode: Status | None
    SourceTimestamp: datetime | None


def reply(value: Any, status: int = 0, stamp: int | None = None) -> Reply:
    return Reply(Variant(value), Status(status), None if stamp is None else datetime.fromtimestamp(stamp / 1000, UTC))


class Rig:
    def __init__(self, *points: dict[str, Any]) -> None:
        self._decoder = DataValueDecoder([point(**said) for said in points])

    def decode(self, *replies: Reply, at: int = NOW, ahead: int = 0) -> Decoded:
        return self._decoder.decode(replies, at, ahead)


def test_a_good_value_keeps_its_source_time_however_old() -> None:
    yesterday = NOW - 86_400_000
    decoded = Rig({}).decode(reply(1.5, stamp=yesterday))
    assert (decoded.values, decoded.doubts, decoded.times_ms) == ([1.5], {}, [yesterday])


def test_a_value_that_is_still_what_it_was_carries_the_time_it_was_confirmed() -> None:
    rig = Rig({})
    rig.decode(reply(1.5, stamp=NOW - 500))
    assert rig.decode(reply(1.5, stamp=NOW - 500), at=NOW + 1000).times_ms == [NOW + 1000]


def test_a_confirmation_is_timed_by_the_servers_clock() -> None:
    rig = Rig({})
    rig.decode(reply(1.5, stamp=NOW - 30_000), ahead=-30_000)
    assert rig.decode(reply(1.5, stamp=NOW - 30_000), at=NOW + 1000, ahead=-30_000).times_ms == [NOW - 29_000]


def test_the_times_of_a_point_always_ascend() -> None:
    rig = Rig({})
    stamps = [NOW, NOW, NOW - 5, NOW + 10, NOW + 10]
    times = [(rig.decode(reply(1.0, stamp=stamp), at=NOW + i).times_ms or [0])[0] for i, stamp in enumerate(stamps)]
    assert times == sorted(set(times))


def test_a_value_without_a_stamp_is_timed_by_its_arrival() -> None:
    assert Rig({}).decode(reply(1.5)).times_ms == [NOW]


@pytest.mark.parametrize(("stamp", "expected"), [(None, None), (datetime(1601, 1, 1, tzinfo=UTC), None)])
def test_the_year_1601_is_no_time(stamp: datetime | None, expected: int | None) -> None:
    assert stamp_ms(stamp) == expected


def test_a_naive_stamp_is_utc() -> None:
    assert stamp_ms(datetime(2027, 1, 15, 8, 0, 0)) == NOW


def test_s02_a_stamp_far_ahead_is_a_clock_quality_and_not_a_silence() -> None:
    decoded = Rig({}).decode(reply(1.5, stamp=NOW + 61_000))
    assert (decoded.values, decoded.doubts) == ([1.5], {0: uncertain(Reason.CLOCK)})
    assert Rig({}).decode(reply(1.5, stamp=NOW + 59_000)).doubts == {}


def test_s02_a_server_whose_clock_is_far_off_is_doubted_whole() -> None:
    decoded = Rig({}, {}).decode(reply(1.5, stamp=NOW - 7_200_000), reply(2.5), ahead=-7_200_000)
    assert decoded.doubts == {0: uncertain(Reason.CLOCK), 1: uncertain(Reason.CLOCK)}


def test_s02_another_doubt_is_not_hidden_by_the_clock() -> None:
    decoded = Rig({"range": (0, 1)}).decode(reply(1.5, stamp=NOW + 61_000))
    assert decoded.doubts == {0: uncertain(Reason.OVER_RANGE)}


def test_bad_status_with_null_value_is_bad_with_its_reason() -> None:
    decoded = Rig({}).decode(reply(None, 0x80340000))
    assert (decoded.values, decoded.doubts) == ([None], {0: bad(Reason.DEVICE_EXCEPTION)})


def test_bad_status_with_a_value_gives_no_value() -> None:
    decoded = Rig({}).decode(reply(12.0, 0x808C0000))
    assert (decoded.values, decoded.doubts) == ([None], {0: bad(Reason.DEVICE_FAULT)})


def test_uncertain_keeps_its_value_so_that_it_can_raise() -> None:
    decoded = Rig({}).decode(reply(12.0, 0x40900000))
    assert (decoded.values, decoded.doubts) == ([12.0], {0: uncertain(Reason.STALE)})


def test_good_without_a_value_is_bad() -> None:
    assert Rig({}).decode(reply(None)).doubts == {0: bad(Reason.NO_VALUE)}
    assert Rig({}).decode(Reply(None, None, None)).doubts == {0: bad(Reason.NO_VALUE)}


def test_uncertain_without_a_value_is_bad_too() -> None:
    assert Rig({}).decode(reply(None, 0x40000000)).doubts == {0: bad(Reason.NO_VALUE)}


def test_units_exceeded_at_the_low_end_is_under_range() -> None:
    assert status_quality(0x40940000) == uncertain(Reason.OVER_RANGE)
    assert status_quality(0x40940100) == uncertain(Reason.UNDER_RANGE)


@pytest.mark.parametrize("sub_code", sorted(REASONS))
def test_every_known_status_keeps_its_severity(sub_code: int) -> None:
    level = Level.UNCERTAIN if sub_code >> 14 == 1 else Level.BAD
    assert status_quality(sub_code << 16) == code(level, REASONS[sub_code])


def test_what_is_not_known_keeps_its_severity_as_a_fault() -> None:
    assert status_quality(0x00000000) == GOOD
    assert status_quality(0x002D0000) == GOOD
    assert status_quality(0x40000000) == uncertain(Reason.DEVICE_FAULT)
    assert status_quality(0x80000000) == bad(Reason.DEVICE_FAULT)
    assert status_quality(0xC0000000) == bad(Reason.DEVICE_FAULT)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, DataType.INT16, 3),
        (3.0, DataType.INT16, 3),
        (3.5, DataType.INT16, None),
        (40_000, DataType.INT16, None),
        (40_000, DataType.UINT16, 40_000),
        (-1, DataType.UINT64, None),
        ((1 << 64) - 1, DataType.UINT64, (1 << 64) - 1),
        (3, DataType.FLOAT64, 3),
        ((1 << 53) + 1, DataType.FLOAT64, None),
        (True, DataType.FLOAT64, None),
        ("3", DataType.FLOAT64, None),
        ([1.0, 2.0], DataType.FLOAT64, None),
        (True, DataType.BOOL, True),
        (2, DataType.BOOL, True),
        (1.0, DataType.BOOL, None),
        ("x", DataType.STRING, "x"),
        (b"x", DataType.STRING, None),
    ],
)
def test_a_value_is_its_profiles_type_or_nothing(value: object, kind: DataType, expected: Value) -> None:
    assert as_type(value, kind) == expected


def test_scale_range_and_loop_hold_for_opc_ua_as_well() -> None:
    rig = Rig({"scale": 0.1, "range": (0, 5)}, {"range": (0, 100), "loop": {}})
    decoded = rig.decode(reply(60.0), reply(2.0))
    assert decoded.values == [6.0, None]
    assert decoded.doubts == {0: uncertain(Reason.OVER_RANGE), 1: bad(Reason.LOOP_LOW)}


def test_numbers_come_first_whatever_the_profile_mixes() -> None:
    assert by_kind([point(type="bool"), point(), point(type="string"), point(type="int16")]) == [1, 3, 0, 2]


def test_s04_a_broken_loop_stays_bad_where_the_server_only_doubts_its_current() -> None:
    """The milder doubt came last, and a null travelled as uncertain."""
    rig = Rig({"kind": "gas", "range": (0.0, 100.0), "loop": {}})
    decoded = rig.decode(reply(2.0, status=0x4093_0000))
    assert (decoded.values, decoded.doubts) == ([None], {0: bad(Reason.LOOP_LOW)})


def test_s02_a_stamp_of_the_year_9999_dooms_no_later_one() -> None:
    rig = Rig({})
    decoded = rig.decode(reply(1.5, stamp=253_402_300_799_000))
    assert (decoded.times_ms, decoded.doubts) == ([NOW], {0: uncertain(Reason.CLOCK)})
    decoded = rig.decode(reply(2.5, stamp=NOW + 1_000), at=NOW + 1_000)
    assert (decoded.times_ms, decoded.doubts) == ([NOW + 1_000], {})


def test_s02_a_servers_clock_that_is_set_back_from_far_in_the_future_dooms_no_later_value() -> None:
    rig, far_ms = Rig({}), 64 * 365 * 86_400_000
    assert rig.decode(reply(1.5, stamp=NOW + far_ms), ahead=far_ms).doubts == {0: uncertain(Reason.CLOCK)}
    later = rig.decode(reply(2.5, stamp=NOW + 5_000), at=NOW + 5_000)
    assert (later.doubts, later.times_ms) == ({}, [NOW + 5_000])
