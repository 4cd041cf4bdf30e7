"""Samples become registers, and registers what a right reader makes of them."""

import math
import struct

import pytest
from davylamp_simulators.registers import Area, Bank, Cell, ordered
from davylamp_simulators.sample import NOTHING, Condition, Sample
from davylamp_wire.config import ConfigError
from davylamp_wire.point import Order, Point
from hypothesis import given
from hypothesis import strategies as st

ORDERS: list[Order] = ["ABCD", "CDAB", "BADC", "DCBA"]
BANDS = [
    {"from_ma": 1.8, "to_ma": 2.2, "level": "bad", "reason": "INHIBIT"},
    {"from_ma": 20.5, "to_ma": 22.5, "level": "uncertain", "reason": "OVER_RANGE"},
]


def point(address: str = "holding:0", **fields: object) -> Point:
    return Point.model_validate({"zh": "点", "en": "point", "unit": "", "address": {"modbus": address}, **fields})


def loop_point() -> Point:
    return point(type="uint16", scale=0.001, kind="gas", range=[0, 30], loop={"bands": BANDS})


@pytest.mark.parametrize(
    ("order", "wire"),
    [("ABCD", "01020304"), ("CDAB", "03040102"), ("BADC", "02010403"), ("DCBA", "04030201")],
)
def test_the_four_orders_put_the_bytes_where_devices_have_them(order: str, wire: str) -> None:
    assert ordered(bytes.fromhex("01020304"), order).hex() == wire


@given(st.sampled_from(ORDERS), st.floats(width=32, allow_nan=False))
def test_a_float_is_served_as_it_is(order: Order, value: float) -> None:
    cell = Cell("p", point(order=order))
    assert cell.told(cell.encode(Sample(value))) == value


@given(st.sampled_from(ORDERS), st.sampled_from(["int16", "uint16", "int32", "uint32", "int64", "uint64"]), st.data())
def test_a_whole_number_is_served_as_it_is(order: Order, kind: str, data: st.DataObject) -> None:
    bits = int(kind.lstrip("uint"))
    low, high = (0, 2**bits - 1) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    value = data.draw(st.integers(max(low, -(2**53)), min(high, 2**53)))
    cell = Cell("p", point(order=order, type=kind))
    assert cell.told(cell.encode(Sample(value))) == value


@given(st.floats(0.0, 30.0))
def test_a_loop_serves_a_value_to_its_resolution(value: float) -> None:
    cell = Cell("p", loop_point())
    told = cell.told(cell.encode(Sample(value)))
    assert isinstance(told, float)
    assert abs(told - value) <= 30.0 / 16_000


@pytest.mark.parametrize(
    ("condition", "current", "told"),
    [
        (Condition.WIRE_BREAK, 0, None),
        (Condition.INHIBIT, 2000, None),
        (Condition.OVER_RANGE, 22_000, 33.75),
        (Condition.NO_VALUE, 0, None),
    ],
)
def test_a_loop_says_its_condition_by_its_current(condition: Condition, current: int, told: float | None) -> None:
    cell = Cell("p", loop_point())
    raw = cell.encode(Sample(None if condition is Condition.NO_VALUE else 5.0, condition))
    assert int.from_bytes(raw, "big") == current
    assert cell.told(raw) == told


def test_a_register_without_a_value_holds_nan() -> None:
    cell = Cell("p", point(range=[0, 10]))
    for sample in (NOTHING, Sample(5.0, Condition.WIRE_BREAK)):
        assert math.isnan(struct.unpack(">f", cell.encode(sample))[0])
        assert cell.told(cell.encode(sample)) is None


def test_over_range_goes_a_tenth_of_the_span_above_it() -> None:
    cell = Cell("p", point(range=[-10, 10]))
    assert cell.told(cell.encode(Sample(1.0, Condition.OVER_RANGE))) == 12.0


def test_a_whole_number_that_has_no_value_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="use float32 or a loop"):
        Cell("p", point(type="int16")).encode(NOTHING)


def test_a_text_is_served_padded() -> None:
    cell = Cell("p", point(type="string", length=4, order="BADC"))
    assert cell.encode(Sample("AB3")) == b"BA\x003\0\0\0\0"  # type: ignore[arg-type]  # processes have no texts yet
    assert cell.told(b"BA\x003\0\0\0\0") == "AB3"


def test_bits_of_one_register_do_not_disturb_each_other() -> None:
    bank = Bank({"a": point("holding:3.0", type="bool"), "b": point("holding:3.9", type="bool")})
    bank.load({"a": Sample(True), "b": Sample(True)})
    assert bank.read(Area.HOLDING, 3, 1) == b"\x02\x01"
    bank.load({"a": Sample(False), "b": Sample(True)})
    assert bank.read(Area.HOLDING, 3, 1) == b"\x02\x00"


def test_a_reply_tells_only_the_points_that_lie_wholly_in_it() -> None:
    bank = Bank({"a": point("holding:0"), "b": point("holding:2"), "c": point("input:0")})
    assert bank.block(Area.HOLDING, 0, 3).names == ("a",)
    assert bank.block(Area.HOLDING, 0, 4).names == ("a", "b")
    assert bank.block(Area.HOLDING, 0, 4) is bank.block(Area.HOLDING, 0, 4)


def test_what_lies_beyond_the_last_register_is_not_there() -> None:
    bank = Bank({"a": point("holding:0"), "b": point("discrete:1", type="bool")})
    assert bank.read(Area.HOLDING, 0, 3) is None
    assert bank.read(Area.DISCRETE, 1, 2) is None
    assert bank.read(Area.COIL, 0, 1) is None


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="holding:x"):
        Bank({"a": point("holding:x")})


# By hand: 0xfe is -2 in two's complement; a decimal digit lies in each four bits.
PARTS: list[tuple[str, str, Order, str, str, float]] = [
    ("int8", "holding:0", "ABCD", "1234", "12fe", -2),
    ("int8", "holding:0.high", "ABCD", "1234", "fe34", -2),
    ("uint8", "holding:0.high", "BADC", "1234", "12fe", 254),
    ("uint16", "holding:0.4-11", "ABCD", "f00f", "fabf", 0xAB),
    ("int16", "holding:0.4-7", "DCBA", "0000", "e000", -2),
    ("uint32", "holding:0.12-19", "CDAB", "ffffffff", "5ffffff4", 0x45),
    ("bcd16", "holding:0", "ABCD", "0000", "9047", 9047),
    ("bcd32", "holding:0", "DCBA", "00000000", "56124790", 90471256),
]


@pytest.mark.parametrize(("kind", "address", "order", "before", "after", "value"), PARTS)
def test_a_part_of_a_register_is_served_and_the_rest_stays(
    kind: str, address: str, order: Order, before: str, after: str, value: float
) -> None:
    cell = Cell("p", point(address, type=kind, order=order))
    raw = cell.encode(Sample(value), bytes.fromhex(before))
    assert raw.hex() == after
    assert cell.told(raw) == value


def test_what_has_no_room_is_served_as_the_nearest_that_has() -> None:
    cell = Cell("p", point("holding:0.0-3", type="int8"))
    assert [cell.told(cell.encode(Sample(value), b"\0\0")) for value in (-9.0, 9.0)] == [-8, 7]


def test_points_in_one_register_do_not_overwrite_each_other() -> None:
    points = {
        "a": point("holding:0.high", type="uint8"),
        "b": point("holding:0.0-3", type="uint8"),
        "c": point("holding:0.7", type="bool"),
    }
    bank = Bank(points)
    for _ in range(2):
        bank.load({"a": Sample(0x12), "b": Sample(5), "c": Sample(1)})
        assert bank.read(Area.HOLDING, 0, 1) == bytes.fromhex("1285")
