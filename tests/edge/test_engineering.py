"""Scale, range and loop current: what a number means, and how far it can be trusted (SAFETY S4, S9)."""

import math
from typing import Any

import pytest
from davylamp_edge.engineering import Conversion, delivered_type
from davylamp_wire.point import DataType
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from davylamp_wire.reading import Value
from support.field import point

GAS: dict[str, Any] = {"kind": "gas", "range": (0.0, 100.0), "loop": {}}


def reads(raw: float, **said: Any) -> tuple[Value, int]:
    values, doubts = Conversion([point(**said)]).apply([raw])
    return values[0], doubts.get(0, GOOD)


def test_scale_comes_before_offset() -> None:
    assert reads(12, scale=0.5, offset=-1.0) == (5.0, GOOD)


def test_nothing_is_rounded() -> None:
    assert reads(0.1 + 0.2) == (0.30000000000000004, GOOD)
    assert reads((1 << 63) - 1, type="int64") == ((1 << 63) - 1, GOOD)


def test_not_a_number_is_bad_and_carries_no_value() -> None:
    assert reads(math.nan) == (None, bad(Reason.NOT_A_NUMBER))
    assert reads(math.nan, range=(0, 1)) == (None, bad(Reason.NOT_A_NUMBER))
    assert reads(math.inf) == (None, bad(Reason.NOT_A_NUMBER))


@pytest.mark.parametrize(
    ("raw", "quality"),
    [
        (0.0, GOOD),
        (100.0, GOOD),
        (100.001, uncertain(Reason.OVER_RANGE)),
        (-1.25, GOOD),
        (-1.26, uncertain(Reason.UNDER_RANGE)),
        (math.inf, uncertain(Reason.OVER_RANGE)),
    ],
)
def test_a_value_beyond_its_range_is_doubtful_and_keeps_its_number(raw: float, quality: int) -> None:
    assert reads(raw, range=(0, 100)) == (raw, quality)


def test_a_loop_reads_its_range_between_4_and_20_ma() -> None:
    assert reads(4.0, **GAS) == (0.0, GOOD)
    assert reads(12.0, **GAS) == (50.0, GOOD)
    assert reads(20.0, **GAS) == (100.0, GOOD)


def test_a_loop_from_raw_counts_is_scaled_to_ma_first() -> None:
    assert reads(12000, type="uint16", scale=0.001, **GAS) == (50.0, GOOD)


def test_s09_a_gas_current_above_20_5_without_a_map_is_over_range_and_can_raise() -> None:
    for current in (20.6, 22.0, 24.0):
        value, quality = reads(current, **GAS)
        assert quality == uncertain(Reason.OVER_RANGE)
        assert isinstance(value, float)
        assert value > 100.0


@pytest.mark.parametrize(
    ("current", "value", "quality"),
    [
        (0.0, None, bad(Reason.LOOP_LOW)),
        (3.6, None, bad(Reason.LOOP_LOW)),
        (3.7, -1.875, uncertain(Reason.UNDER_RANGE)),
        (3.8, -1.25, GOOD),
        (20.5, 103.125, GOOD),
        (20.8, 105.0, uncertain(Reason.OVER_RANGE)),
        (21.0, 106.25, uncertain(Reason.LOOP_HIGH)),
        (math.nan, None, bad(Reason.NOT_A_NUMBER)),
    ],
)
def test_s09_a_process_current_without_a_map_follows_namur_ne_43(
    current: float, value: float | None, quality: int
) -> None:
    found, judged = reads(current, range=(0.0, 100.0), loop={})
    assert judged == quality
    assert found == (pytest.approx(value) if value is not None else None)


def test_s09_the_makers_map_comes_first() -> None:
    bands = [
        {"from_ma": 1.9, "to_ma": 2.1, "level": "uncertain", "reason": "INHIBIT"},
        {"from_ma": 17.3, "to_ma": 17.5, "level": "uncertain", "reason": "INHIBIT"},
        {"from_ma": 21.9, "to_ma": 22.5, "level": "uncertain", "reason": "OVER_RANGE"},
        {"from_ma": 0.0, "to_ma": 1.5, "level": "bad", "reason": "DEVICE_FAULT"},
    ]
    gas = GAS | {"loop": {"bands": bands}}
    assert reads(2.0, **gas)[1] == uncertain(Reason.INHIBIT)
    assert reads(17.4, **gas)[1] == uncertain(Reason.INHIBIT)
    assert reads(17.6, **gas)[1] == GOOD
    assert reads(22.0, **gas)[1] == uncertain(Reason.OVER_RANGE)
    assert reads(1.0, **gas) == (None, bad(Reason.DEVICE_FAULT))
    assert reads(21.0, **gas)[1] == uncertain(Reason.OVER_RANGE)


def test_s09_a_gas_current_that_overflowed_is_over_range_like_any_other_above_20_5_ma() -> None:
    assert reads(math.inf, **GAS) == (math.inf, uncertain(Reason.OVER_RANGE))
    assert reads(-math.inf, **GAS) == (None, bad(Reason.LOOP_LOW))
    assert reads(math.inf, range=(0.0, 100.0), loop={}) == (math.inf, uncertain(Reason.LOOP_HIGH))
    assert reads(math.nan, **GAS) == (None, bad(Reason.NOT_A_NUMBER))


def test_a_doubt_falls_on_its_own_position_only() -> None:
    points = [point(range=(0, 10)), point(scale=2.0), point(**GAS)]
    values, doubts = Conversion(points).apply([11.0, 3.0, 3.0])
    assert values == [11.0, 6.0, None]
    assert doubts == {0: uncertain(Reason.OVER_RANGE), 2: bad(Reason.LOOP_LOW)}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"type": "uint16"}, DataType.UINT16),
        ({"type": "uint16", "scale": 0.1}, DataType.FLOAT64),
        ({"type": "float32"}, DataType.FLOAT32),
        ({"type": "uint16", "range": (0, 1), "loop": {}}, DataType.FLOAT64),
        ({"type": "bool", "scale": 2.0}, DataType.BOOL),
    ],
)
def test_what_leaves_the_edge_is_a_double_only_where_it_was_scaled(said: dict[str, Any], kind: DataType) -> None:
    assert delivered_type(point(**said)) is kind
