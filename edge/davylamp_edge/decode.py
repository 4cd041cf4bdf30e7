"""Registers and bits to values: our own codec.

pymodbus 3.16 has no byte swap, gives the high byte of a register's bits first, and reverses whole strings.

A block is compiled once into a few `struct.Struct`s that unpack it whole; a scan then costs a handful of C calls and no
object per point. The four orders of a value ABCD are two choices, each free or one call:

    ABCD  big-endian                                 DCBA  little-endian
    BADC  swap each register's bytes, big-endian     CDAB  swap each register's bytes, little-endian
"""

import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from davylamp_wire.point import DataType, Order, Point
from davylamp_wire.quality import Reason, bad

from davylamp_edge.engineering import Conversion
from davylamp_edge.plan import WIDTHS
from davylamp_edge.reply import Decoded
from davylamp_edge.shape import Bits, shape_of

CODES = {
    DataType.INT16: "h",
    DataType.UINT16: "H",
    DataType.INT32: "i",
    DataType.UINT32: "I",
    DataType.INT64: "q",
    DataType.UINT64: "Q",
    DataType.FLOAT32: "f",
    DataType.FLOAT64: "d",
}
UNSIGNED = {1: "H", 2: "I", 4: "Q"}
"""How registers unpack that a value is cut out of, by how many there are."""
ORDERS: dict[Order, tuple[bool, str]] = {
    "ABCD": (False, ">"),
    "DCBA": (False, "<"),
    "BADC": (True, ">"),
    "CDAB": (True, "<"),
}
TEXT_ENCODINGS = ("utf-8", "gb18030")
"""Chinese PLCs keep their texts in GB 18030; a text that is neither is no text."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A point's place in a block: ``offset`` in registers (or bits, in a bit area) from the block's start."""

    index: int
    offset: int
    point: Point
    bits: Bits | None = None


@dataclass(frozen=True, slots=True)
class _Lane:
    """Values of one order that do not overlap: one Struct unpacks them all."""

    swapped: bool
    layout: struct.Struct

    def unpack(self, plain: bytes, swapped: bytes) -> tuple[float, ...]:
        return self.layout.unpack_from(swapped if self.swapped else plain)


class RegisterDecoder:
    """Decodes the registers of one block. `points` gives the order of its columns: numbers, then bools, then texts."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        by_kind = _by_kind(cells)
        self._lanes, numbers = _lanes(by_kind["number"])
        shapes = [(i, shape_of(cell.point.type, cell.bits)) for i, cell in enumerate(numbers)]
        self._shapes = [(i, shape) for i, shape in shapes if shape is not None]
        self._conversion = Conversion([cell.point for cell in numbers])
        self._words, self._bits, bools = _bits(by_kind["bool"])
        self._texts = [_text_slice(cell) for cell in by_kind["text"]]
        self.points = [cell.index for cell in (*numbers, *bools, *by_kind["text"])]
        self._swaps = any(lane.swapped for lane in self._lanes) or any(swapped for swapped, _ in self._texts)

    def decode(self, payload: bytes) -> Decoded:
        """Return a reply's big-endian register bytes as values and doubts."""
        swapped = swap_registers(payload) if self._swaps else payload
        raw: list[Any] = []
        for lane in self._lanes:
            raw += lane.unpack(payload, swapped)
        for i, shape in self._shapes:
            raw[i] = shape(raw[i])
        values, doubts = self._conversion.apply(raw)
        if self._words:
            words = self._words.unpack_from(payload)
            values += [words[at] & mask != 0 for at, mask in self._bits]
        for is_swapped, place in self._texts:
            text = decode_text((swapped if is_swapped else payload)[place])
            if text is None:
                doubts[len(values)] = bad(Reason.DEVICE_FAULT)
            values.append(text)
        return Decoded(values, doubts)


class BitDecoder:
    """Decodes the packed bits of a coil or discrete block, lowest bit first."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.points = [cell.index for cell in cells]
        self._places = [(cell.offset >> 3, 1 << (cell.offset & 7)) for cell in cells]

    def decode(self, payload: bytes) -> Decoded:
        """Return a reply's bytes as bools."""
        return Decoded([payload[at] & mask != 0 for at, mask in self._places], {})


def swap_registers(payload: bytes) -> bytes:
    """Return registers with the two bytes of each exchanged."""
    registers = array("H", payload)
    registers.byteswap()
    return registers.tobytes()


def decode_text(raw: bytes) -> str | None:
    """Return a NUL- or blank-padded text; None where the bytes are no text in any encoding we know."""
    filled = raw.split(b"\0", 1)[0].rstrip()
    for encoding in TEXT_ENCODINGS:
        try:
            return filled.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _by_kind(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    kinds: dict[str, list[Cell]] = {"number": [], "bool": [], "text": []}
    for cell in sorted(cells, key=lambda cell: cell.offset):
        kind = {DataType.BOOL: "bool", DataType.STRING: "text"}.get(cell.point.type, "number")
        kinds[kind].append(cell)
    return kinds


def _lanes(cells: Iterable[Cell]) -> tuple[list[_Lane], list[Cell]]:
    """Return the lanes that hold every number once, and the cells in the order in which the lanes give them."""
    groups: dict[tuple[bool, str], list[list[Cell]]] = {}
    for cell in cells:
        _place(groups.setdefault(ORDERS[cell.point.order], []), cell)
    lanes, ordered = [], []
    for (swapped, endian), rows in groups.items():
        for row in rows:
            lanes.append(_Lane(swapped, _layout(endian, row)))
            ordered.extend(row)
    return lanes, ordered


def _place(rows: list[list[Cell]], cell: Cell) -> None:
    """Put a cell into the first row it does not overlap; two points may read the same registers differently."""
    for row in rows:
        last = row[-1]
        if last.offset + WIDTHS[last.point.type] <= cell.offset:
            row.append(cell)
            return
    rows.append([cell])


def _layout(endian: str, row: Sequence[Cell]) -> struct.Struct:
    parts, cursor = [endian], 0
    for cell in row:
        parts.append(f"{2 * (cell.offset - cursor)}x{_code(cell)}")
        cursor = cell.offset + WIDTHS[cell.point.type]
    return struct.Struct("".join(parts))


def _code(cell: Cell) -> str:
    """Return how a cell's registers unpack: as its value, or as a whole that it is cut out of."""
    kind = cell.point.type
    return CODES[kind] if shape_of(kind, cell.bits) is None else UNSIGNED[WIDTHS[kind]]


def _bits(cells: Sequence[Cell]) -> tuple[struct.Struct | None, list[tuple[int, int]], Sequence[Cell]]:
    """Return a Struct for the registers that carry bools, and for each bool which of them and which bits of it."""
    if not cells:
        return None, [], cells
    offsets = sorted({cell.offset for cell in cells})
    parts = [">"]
    for previous, offset in zip([-1, *offsets], offsets, strict=False):
        parts.append(f"{2 * (offset - previous - 1)}xH")
    places = [(offsets.index(cell.offset), _mask(cell)) for cell in cells]
    return struct.Struct("".join(parts)), places, cells


def _mask(cell: Cell) -> int:
    """Return which bits of a register a bool looks at. Bit 0 is the lowest of the register as the device orders it."""
    if cell.bits is None:
        return 0xFFFF
    bit = cell.bits[0]
    swapped, endian = ORDERS[cell.point.order]
    reversed_bytes = swapped != (endian == "<")
    return 1 << (bit ^ 8 if reversed_bytes else bit)


def _text_slice(cell: Cell) -> tuple[bool, slice]:
    """Return where a text lies. Word order means nothing to a text; only swapped bytes do."""
    start = 2 * cell.offset
    return cell.point.order in ("BADC", "DCBA"), slice(start, start + 2 * cell.point.length)
