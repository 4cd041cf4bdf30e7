"""The codec against golden registers for every type and order, and against itself by hypothesis."""

import math
import struct

import pytest
from davylamp_edge.decode import BitDecoder, Cell, RegisterDecoder, decode_text, swap_registers
from davylamp_wire.point import Order
from davylamp_wire.quality import Reason, bad
from davylamp_wire.reading import Value
from hypothesis import given
from hypothesis import strategies as st
from support.field import point

ORDERS: list[Order] = ["ABCD", "CDAB", "BADC", "DCBA"]

# Written by hand from the bytes A B C D …, not by the code under test: ABCD most significant byte first; CDAB registers
# in reverse; BADC bytes of each register in reverse; DCBA everything in reverse.
GOLDEN: list[tuple[str, Order, str, float]] = [
    ("int8", "ABCD", "12fe", -2),
    ("int8", "CDAB", "12fe", -2),
    ("int8", "BADC", "fe12", -2),
    ("int8", "DCBA", "fe12", -2),
    ("uint8", "ABCD", "12fe", 0xFE),
    ("uint8", "CDAB", "12fe", 0xFE),
    ("uint8", "BADC", "fe12", 0xFE),
    ("uint8", "DCBA", "fe12", 0xFE),
    ("bcd16", "ABCD", "9047", 9047),
    ("bcd16", "CDAB", "9047", 9047),
    ("bcd16", "BADC", "4790", 9047),
    ("bcd16", "DCBA", "4790", 9047),
    ("bcd32", "ABCD", "90471256", 90471256),
    ("bcd32", "CDAB", "12569047", 90471256),
    ("bcd32", "BADC", "47905612", 90471256),
    ("bcd32", "DCBA", "56124790", 90471256),
    ("int16", "ABCD", "fffe", -2),
    ("int16", "CDAB", "fffe", -2),
    ("int16", "BADC", "feff", -2),
    ("int16", "DCBA", "feff", -2),
    ("uint16", "ABCD", "1234", 0x1234),
    ("uint16", "CDAB", "1234", 0x1234),
    ("uint16", "BADC", "3412", 0x1234),
    ("uint16", "DCBA", "3412", 0x1234),
    ("int32", "ABCD", "fffefdfc", -0x10204),
    ("int32", "CDAB", "fdfcfffe", -0x10204),
    ("int32", "BADC", "fefffcfd", -0x10204),
    ("int32", "DCBA", "fcfdfeff", -0x10204),
    ("uint32", "ABCD", "12345678", 0x12345678),
    ("uint32", "CDAB", "56781234", 0x12345678),
    ("uint32", "BADC", "34127856", 0x12345678),
    ("uint32", "DCBA", "78563412", 0x12345678),
    ("int64", "ABCD", "ff23456789abcdef", -0x00DCBA9876543211),
    ("int64", "CDAB", "cdef89ab4567ff23", -0x00DCBA9876543211),
    ("int64", "BADC", "23ff6745ab89efcd", -0x00DCBA9876543211),
    ("int64", "DCBA", "efcdab89674523ff", -0x00DCBA9876543211),
    ("uint64", "ABCD", "0123456789abcdef", 0x0123456789ABCDEF),
    ("uint64", "CDAB", "cdef89ab45670123", 0x0123456789ABCDEF),
    ("uint64", "BADC", "23016745ab89efcd", 0x0123456789ABCDEF),
    ("uint64", "DCBA", "efcdab8967452301", 0x0123456789ABCDEF),
    ("float32", "ABCD", "42f6e979", 123.45600128173828),
    ("float32", "CDAB", "e97942f6", 123.45600128173828),
    ("float32", "BADC", "f64279e9", 123.45600128173828),
    ("float32", "DCBA", "79e9f642", 123.45600128173828),
    ("float64", "ABCD", "405edd2f1a9fbe77", 123.456),
    ("float64", "CDAB", "be771a9fdd2f405e", 123.456),
    ("float64", "BADC", "5e402fdd9f1a77be", 123.456),
    ("float64", "DCBA", "77be9f1a2fdd5e40", 123.456),
]


def decode(payload: bytes, *cells: Cell) -> dict[int, Value]:
    decoder = RegisterDecoder(cells)
    return dict(zip(decoder.points, decoder.decode(payload).values, strict=True))


@pytest.mark.parametrize(("kind", "order", "raw", "value"), GOLDEN)
def test_golden_registers_decode_to_their_value(kind: str, order: Order, raw: str, value: float) -> None:
    found = decode(bytes.fromhex(raw), Cell(0, 0, point(type=kind, order=order)))
    assert found == {0: value}
    assert type(found[0]) is type(value)


# Bits are counted from the lowest of the value as it reads once its bytes are in order, whatever order they came in.
FIELDS: list[tuple[str, Order, str, tuple[int, int], float]] = [
    ("int8", "ABCD", "fe12", (8, 15), -2),
    ("int8", "DCBA", "12fe", (8, 15), -2),
    ("uint8", "ABCD", "fe12", (8, 15), 0xFE),
    ("uint8", "BADC", "12fe", (8, 15), 0xFE),
    ("uint8", "ABCD", "abcd", (4, 7), 0xC),
    ("uint8", "BADC", "cdab", (4, 7), 0xC),
    ("int8", "ABCD", "abcd", (4, 7), -4),
    ("uint16", "ABCD", "abcd", (4, 11), 0xBC),
    ("uint16", "CDAB", "abcd", (4, 11), 0xBC),
    ("uint16", "BADC", "cdab", (4, 11), 0xBC),
    ("uint16", "DCBA", "cdab", (4, 11), 0xBC),
    ("int16", "ABCD", "abcd", (4, 11), 0xBC - 0x100),
    ("int16", "ABCD", "abcd", (12, 14), 2),
    ("uint16", "ABCD", "8000", (15, 15), 1),
    ("uint32", "ABCD", "12345678", (12, 19), 0x45),
    ("uint32", "CDAB", "56781234", (12, 19), 0x45),
    ("uint32", "BADC", "34127856", (12, 19), 0x45),
    ("uint32", "DCBA", "78563412", (12, 19), 0x45),
    ("int32", "ABCD", "12b45678", (20, 23), 0xB - 16),
    ("uint64", "ABCD", "0123456789abcdef", (28, 39), 0x678),
    ("uint64", "CDAB", "cdef89ab45670123", (28, 39), 0x678),
    ("uint64", "BADC", "23016745ab89efcd", (28, 39), 0x678),
    ("uint64", "DCBA", "efcdab8967452301", (28, 39), 0x678),
    ("int64", "ABCD", "f123456789abcdef", (60, 63), -1),
]


@pytest.mark.parametrize(("kind", "order", "raw", "bits", "value"), FIELDS)
def test_golden_bit_fields_decode_to_their_value(
    kind: str, order: Order, raw: str, bits: tuple[int, int], value: float
) -> None:
    found = decode(bytes.fromhex(raw), Cell(0, 0, point(type=kind, order=order), bits))
    assert found == {0: value}
    assert type(found[0]) is int


@pytest.mark.parametrize(("kind", "raw"), [("bcd16", "12a4"), ("bcd32", "0000000f"), ("bcd32", "e0000000")])
def test_four_bits_that_are_no_digit_are_no_number(kind: str, raw: str) -> None:
    decoded = RegisterDecoder([Cell(0, 0, point(type=kind))]).decode(bytes.fromhex(raw))
    assert decoded.values == [None]
    assert decoded.doubts == {0: bad(Reason.NOT_A_NUMBER)}


def test_parts_of_one_register_and_the_whole_are_read_beside_each_other() -> None:
    cells = [
        Cell(0, 0, point(type="uint16")),
        Cell(1, 0, point(type="uint8"), (8, 15)),
        Cell(2, 0, point(type="uint8"), (0, 3)),
        Cell(3, 0, point(type="bool"), (4, 4)),
        Cell(4, 1, point(type="bcd16", scale=0.01)),
    ]
    assert decode(bytes.fromhex("12341999"), *cells) == {0: 0x1234, 1: 0x12, 2: 4, 3: True, 4: 1999 * 0.01}


CODES = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f"}


def in_order(raw: bytes, order: Order) -> bytes:
    """Return big-endian bytes as a device of that order would lay them out: the obvious twin."""
    words = [raw[i : i + 2] for i in range(0, len(raw), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words)


@given(st.lists(st.tuples(st.sampled_from(sorted(CODES)), st.sampled_from(ORDERS), st.binary(min_size=8, max_size=8))))
def test_a_mixed_block_decodes_like_its_values_one_by_one(rows: list[tuple[str, Order, bytes]]) -> None:
    payload, cells, expected = b"\xee\xee", [], {}
    for i, (kind, order, random) in enumerate(rows):
        layout = struct.Struct(">" + CODES[kind])
        raw = random[: layout.size]
        (value,) = layout.unpack(raw)
        cells.append(Cell(i, len(payload) // 2, point(type=kind, order=order)))
        payload += in_order(raw, order) + b"\xee\xee"
        finite = not isinstance(value, float) or math.isfinite(value)
        expected[i] = value if finite else None
    assert decode(payload, *cells) == expected


def test_two_points_may_read_the_same_registers_differently() -> None:
    cells = [
        Cell(0, 0, point(type="uint32")),
        Cell(1, 0, point(type="uint16")),
        Cell(2, 1, point(type="uint16")),
        Cell(3, 1, point(type="bool"), bits=(0, 0)),
    ]
    assert decode(bytes.fromhex("00010003"), *cells) == {0: 0x10003, 1: 1, 2: 3, 3: True}


def test_bit_zero_of_a_register_is_its_lowest() -> None:
    payload = bytes.fromhex("0000 8001")
    cells = [Cell(bit, 1, point(type="bool"), bits=(bit, bit)) for bit in range(16)]
    assert decode(payload, *cells) == {bit: bit in (0, 15) for bit in range(16)}


@pytest.mark.parametrize(("order", "raw"), [("ABCD", "0200"), ("CDAB", "0200"), ("BADC", "0002"), ("DCBA", "0002")])
def test_a_bit_is_counted_in_its_register_as_the_device_orders_it(order: Order, raw: str) -> None:
    cells = [Cell(bit, 0, point(type="bool", order=order), (bit, bit)) for bit in range(16)]
    assert decode(bytes.fromhex(raw), *cells) == {bit: bit == 9 for bit in range(16)}


def test_a_bool_register_is_true_when_any_bit_is_set() -> None:
    cells = [Cell(0, 0, point(type="bool")), Cell(1, 1, point(type="bool"))]
    assert decode(bytes.fromhex("00000100"), *cells) == {0: False, 1: True}


def test_coils_lie_lowest_bit_first() -> None:
    decoder = BitDecoder([Cell(i, offset, point(type="bool")) for i, offset in enumerate([0, 3, 8, 9])])
    assert decoder.decode(bytes([0b1001, 0b10])).values == [True, True, False, True]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"ESD-7\0\0\0", "ESD-7"),
        (b"ESD-7   ", "ESD-7"),
        ("氯气".encode(), "氯气"),
        ("氯气".encode("gb18030"), "氯气"),
        (b"\xff\xff\xff", None),
    ],
)
def test_a_text_ends_at_its_padding_and_is_utf8_or_gb18030(raw: bytes, text: str | None) -> None:
    assert decode_text(raw) == text


def test_a_text_with_swapped_bytes_reads_forwards() -> None:
    cell = Cell(0, 0, point(type="string", length=2, order="BADC"))
    assert decode(swap_registers(b"TANK"), cell) == {0: "TANK"}


def test_word_order_does_not_reverse_a_text() -> None:
    assert decode(b"TANK", Cell(0, 0, point(type="string", length=2, order="CDAB"))) == {0: "TANK"}


def test_bytes_that_are_no_text_are_a_fault_and_not_a_crash() -> None:
    decoded = RegisterDecoder([Cell(0, 0, point(type="string", length=2))]).decode(b"\xff\xff\xff\xff")
    assert decoded.values == [None]
    assert decoded.doubts == {0: bad(Reason.DEVICE_FAULT)}


def test_whole_numbers_beyond_2_to_the_53_stay_exact() -> None:
    assert decode(bytes.fromhex("7fffffffffffffff"), Cell(0, 0, point(type="int64"))) == {0: (1 << 63) - 1}
