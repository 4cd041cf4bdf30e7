"""From samples to Modbus registers, and what a right reader makes of them: the simulators' own codec.

Written from the profile's words alone and apart from the edge's decoder, so that a mistake cannot hide in both.
What a reply means (`Bank.told`) is computed from the registers as they are served, rounding included.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from davylamp_wire.config import ConfigError
from davylamp_wire.point import DataType, Loop, Point

from davylamp_simulators.process import Value
from davylamp_simulators.sample import NOTHING, Condition, Sample

FORMATS = {
    DataType.INT16: "h",
    DataType.UINT16: "H",
    DataType.INT32: "i",
    DataType.UINT32: "I",
    DataType.INT64: "q",
    DataType.UINT64: "Q",
    DataType.FLOAT32: "f",
    DataType.FLOAT64: "d",
}
DIGITS = {DataType.BCD16: 4, DataType.BCD32: 8}
"""Decimal digits of the types that keep one in four bits."""
LARGEST = {
    DataType.INT8: (-(2**7), 2**7 - 1),
    DataType.UINT8: (0, 2**8 - 1),
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.UINT32: (0, 2**32 - 1),
    DataType.INT64: (-(2**63), 2**63 - 1),
    DataType.UINT64: (0, 2**64 - 1),
    DataType.BCD16: (0, 10**4 - 1),
    DataType.BCD32: (0, 10**8 - 1),
}
BROKEN_MA, INHIBIT_MA, OVER_MA = 0.0, 2.0, 22.0
NE43_BROKEN_MA = 3.6
"""NAMUR NE 43: at or below this a loop carries no measurement."""

Told = Value | str | None
"""What a right reader makes of a served value: None where there is no measurement."""


class Area(StrEnum):
    """The four areas of a Modbus device; their names are those of the profile's addresses."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"

    @property
    def bits(self) -> bool:
        return self in (Area.COIL, Area.DISCRETE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point lies: area, first register (or bit), how many, and which bits of them, both ends its own."""

    area: Area
    start: int
    count: int
    bits: range | None = None

    @property
    def end(self) -> int:
        return self.start + self.count


def place_of(point: Point) -> Place:
    """Return where a point lies. Raises: ConfigError for an address that is none."""
    text = point.address.get("modbus", "")
    area_name, _, rest = text.partition(":")
    number, _, part = rest.partition(".")
    try:
        area = Area(area_name)
        return Place(area, int(number), 1 if area.bits else _width(point), _bits(part, point.type))
    except ValueError:
        raise ConfigError([f"address: {text!r} is none; write holding:100, holding:100.3 or discrete:2"]) from None


def _bits(part: str, kind: DataType) -> range | None:
    """Return which bits of its registers a point has to itself, None where it has all. Raises: ValueError."""
    if part in ("low", "high") or (not part and kind in (DataType.INT8, DataType.UINT8)):
        return range(8, 16) if part == "high" else range(8)
    if not part:
        return None
    first, _, last = part.partition("-")
    return range(int(first), int(last or first) + 1)


def _width(point: Point) -> int:
    if point.type is DataType.STRING:
        return point.length
    if point.type in FORMATS:
        return struct.calcsize(FORMATS[point.type]) // 2
    return 2 if point.type is DataType.BCD32 else 1


def ordered(raw: bytes, order: str) -> bytes:
    """Return big-endian bytes in a device's order; the same again gives them back."""
    words = [raw[at : at + 2] for at in range(0, len(raw), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words)


class Cell:
    """One point in the registers: how a sample gets in, and what a right reader gets out."""

    def __init__(self, name: str, point: Point) -> None:
        self.name = name
        self.place = place_of(point)
        self._point = point

    def encode(self, sample: Sample, before: bytes = b"") -> bytes:
        """Return the bytes of a sample in this point's registers; what is not its own stays as it was ``before``."""
        point = self._point
        if point.type is DataType.STRING:
            text = "" if sample.value is None else str(sample.value)
            return ordered(text.encode()[: 2 * point.length].ljust(2 * point.length, b"\0"), _bytes_only(point.order))
        raw = self._raw(sample)
        if self.place.bits is None and point.type in FORMATS:
            return ordered(struct.pack(">" + FORMATS[point.type], raw), point.order)
        whole = int.from_bytes(ordered(before, point.order), "big")
        return ordered(self._put(int(raw), whole).to_bytes(2 * self.place.count, "big"), point.order)

    def _put(self, number: int, whole: int) -> int:
        """Return registers with a number in its place among others."""
        digits = DIGITS.get(self._point.type)
        if digits:
            return sum(int(digit) << 4 * at for at, digit in enumerate(reversed(f"{number:0{digits}}")))
        assert self.place.bits is not None
        for bit in self.place.bits:
            on = number >> (bit - self.place.bits.start) & 1
            whole = whole | 1 << bit if on else whole & ~(1 << bit)
        return whole

    def _taken(self, whole: int) -> int:
        """Return the number in its place among others: the other way round."""
        if self._point.type in DIGITS:
            return sum((whole >> 4 * at & 15) * 10**at for at in range(DIGITS[self._point.type]))
        assert self.place.bits is not None
        number = sum((whole >> bit & 1) << at for at, bit in enumerate(self.place.bits))
        negative = LARGEST[self._point.type][0] < 0 and whole >> self.place.bits[-1] & 1
        return number - 2 ** len(self.place.bits) if negative else number

    def _ends(self) -> tuple[int, int]:
        """Return the smallest and the largest number its place has room for."""
        low, high = LARGEST[self._point.type]
        if self.place.bits is None:
            return low, high
        size = len(self.place.bits)
        return (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if low < 0 else (0, 2**size - 1)

    def _raw(self, sample: Sample) -> float:
        point = self._point
        shown = self._current(sample) if point.loop else self._number(sample)
        raw = (shown - point.offset) / point.scale
        if point.type in (DataType.FLOAT32, DataType.FLOAT64):
            return raw
        if not math.isfinite(raw):
            raise ConfigError([f"{self.name}: a whole number cannot say {sample.condition}; use float32 or a loop"])
        low, high = self._ends()
        return min(high, max(low, round(raw)))

    def _number(self, sample: Sample) -> float:
        if sample.condition is Condition.OVER_RANGE and self._point.range:
            low, high = self._point.range
            return high + 0.1 * (high - low)
        if sample.value is None or sample.condition in (Condition.WIRE_BREAK, Condition.INHIBIT):
            return math.nan
        return float(sample.value)

    def _current(self, sample: Sample) -> float:
        if sample.condition is Condition.OVER_RANGE:
            return OVER_MA
        if sample.condition is Condition.INHIBIT:
            return INHIBIT_MA
        if sample.value is None or sample.condition is Condition.WIRE_BREAK:
            return BROKEN_MA
        loop, (low, high) = self._loop
        return loop.zero_ma + (float(sample.value) - low) / (high - low) * (loop.span_ma - loop.zero_ma)

    @property
    def _loop(self) -> tuple[Loop, tuple[float, float]]:
        assert self._point.loop is not None
        assert self._point.range is not None
        return self._point.loop, self._point.range

    def told(self, raw: bytes) -> Told:
        """Return what a right reader makes of this point's bytes."""
        point = self._point
        if point.type is DataType.STRING:
            return ordered(raw, _bytes_only(point.order)).split(b"\0", 1)[0].decode()
        number: float = self._number_in(ordered(raw, point.order))
        if point.scale != 1.0 or point.offset != 0.0:
            number = number * point.scale + point.offset
        if point.loop:
            return self._loop_value(number)
        return None if math.isnan(number) else number

    def _number_in(self, raw: bytes) -> float:
        kind = self._point.type
        if self.place.bits is None and kind in FORMATS:
            number: float = struct.unpack(">" + FORMATS[kind], raw)[0]
            return number
        return self._taken(int.from_bytes(raw, "big"))

    def _loop_value(self, current: float) -> float | None:
        loop, (low, high) = self._loop
        band = next((band for band in loop.bands if band.from_ma <= current <= band.to_ma), None)
        silent = band.level == "bad" if band else current <= NE43_BROKEN_MA
        if silent:
            return None
        return low + (current - loop.zero_ma) / (loop.span_ma - loop.zero_ma) * (high - low)


def _bytes_only(order: str) -> str:
    """Text knows no word order; only swapped bytes concern it."""
    return "BADC" if order in ("BADC", "DCBA") else "ABCD"


@dataclass(frozen=True, slots=True)
class Block:
    """The points one reply tells about: those that lie wholly in it, in a fixed order."""

    names: tuple[str, ...]


class Bank:
    """A device's registers and bits, refreshed from samples, read in blocks."""

    def __init__(self, points: Mapping[str, Point]) -> None:
        here = {name: point for name, point in points.items() if point.address.get("modbus")}
        self._bools = {name: place_of(point) for name, point in here.items() if point.type is DataType.BOOL}
        self._orders = {name: here[name].order for name in self._bools}
        self._cells = [Cell(name, point) for name, point in here.items() if point.type is not DataType.BOOL]
        self._places = {**self._bools, **{cell.name: cell.place for cell in self._cells}}
        self._memory = {area: bytearray() for area in Area}
        for place in self._places.values():
            size = place.end if place.area.bits else 2 * place.end
            self._memory[place.area].extend(bytes(max(0, size - len(self._memory[place.area]))))
        self._told: dict[str, Told] = {}
        self._blocks: dict[tuple[Area, int, int], Block] = {}

    def load(self, samples: Mapping[str, Sample]) -> None:
        """Put samples into the registers; a point without one has no value."""
        for cell in self._cells:
            memory, at = self._memory[cell.place.area], slice(2 * cell.place.start, 2 * cell.place.end)
            memory[at] = raw = cell.encode(samples.get(cell.name, NOTHING), bytes(memory[at]))
            self._told[cell.name] = cell.told(raw)
        for name, place in self._bools.items():
            on = bool(samples.get(name, NOTHING).value)
            self._told[name] = on
            self._set_bool(place, self._orders[name], on)

    def _set_bool(self, place: Place, order: str, on: bool) -> None:
        memory = self._memory[place.area]
        if place.area.bits:
            memory[place.start] = on
            return
        at = 2 * place.start
        word = int.from_bytes(ordered(bytes(memory[at : at + 2]), order), "big")
        mask = 1 << (place.bits.start if place.bits else 0)
        word = (word & ~mask) | (mask if on else 0)
        memory[at : at + 2] = ordered(word.to_bytes(2, "big"), order)

    def read(self, area: Area, start: int, count: int) -> bytes | None:
        """Return registers as bytes, or bits packed lowest first; None where the device has no such address."""
        memory = self._memory[area]
        if area.bits:
            return _packed(memory[start : start + count]) if start + count <= len(memory) else None
        return bytes(memory[2 * start : 2 * (start + count)]) if 2 * (start + count) <= len(memory) else None

    def block(self, area: Area, start: int, count: int) -> Block:
        """Return which points a reply tells about; the same object for the same question."""
        key = (area, start, count)
        if key not in self._blocks:
            inside = [
                name
                for name, place in self._places.items()
                if place.area is area and start <= place.start and place.end <= start + count
            ]
            self._blocks[key] = Block(tuple(inside))
        return self._blocks[key]

    def told(self, block: Block) -> list[Told]:
        """Return what a right reader makes of a block's points as they lie in the registers now."""
        return [self._told[name] for name in block.names]


def _packed(bits: Sequence[int]) -> bytes:
    packed = bytearray((len(bits) + 7) // 8)
    for at, on in enumerate(bits):
        packed[at >> 3] |= (on & 1) << (at & 7)
    return bytes(packed)
