"""Turns points into the fewest block reads. Pure.

On one connection without pipelining every request costs a round trip, so filling gaps is worth more than any tuning
(docs: a PLC at 20 ms answers 50 requests a second, whether they carry one register or 125).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from davylamp_wire.config import unclear
from davylamp_wire.point import DataType, Point

from davylamp_edge.shape import HIGH_BYTE, LOW_BYTE, Bits

MAX_REGISTERS = 125
MAX_BITS = 2000
"""Most a request may ask for (Modbus Application Protocol 1.1b3, 6.1 to 6.4)."""
ADDRESSES = 65536
BITS_PER_REGISTER = 16

WIDTHS = {
    DataType.BOOL: 1,
    DataType.INT8: 1,
    DataType.UINT8: 1,
    DataType.INT16: 1,
    DataType.UINT16: 1,
    DataType.INT32: 2,
    DataType.UINT32: 2,
    DataType.FLOAT32: 2,
    DataType.INT64: 4,
    DataType.UINT64: 4,
    DataType.FLOAT64: 4,
    DataType.BCD16: 1,
    DataType.BCD32: 2,
}
"""Registers a value takes; a string takes its point's `length`."""


class Area(StrEnum):
    """The four tables of a Modbus device."""

    HOLDING = "holding"
    INPUT = "input"
    COIL = "coil"
    DISCRETE = "discrete"

    @property
    def bits(self) -> bool:
        """True where one address is one bit."""
        return self in (Area.COIL, Area.DISCRETE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point lies: ``holding:100``, ``coil:7``, or in a part of registers, ``holding:100.3``. Counted from 0."""

    area: Area
    start: int
    bits: Bits | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A point's registers (or bits, in the bit areas). `index` says whose they are."""

    index: int
    area: Area
    start: int
    width: int

    @property
    def end(self) -> int:
        return self.start + self.width


@dataclass(frozen=True, slots=True)
class Block:
    """One block read: ``count`` addresses of an area from ``start``, and the spans that lie whole within."""

    area: Area
    start: int
    count: int
    spans: tuple[Span, ...]


_ADDRESS = re.compile(r"(holding|input|coil|discrete):(\d{1,5})(?:\.(?:(\d{1,2})(?:-(\d{1,2}))?|(low|high)))?")


def parse_place(address: str) -> Place:
    """Return an address as a place. Raises: ValueError that says how it should look."""
    match = _ADDRESS.fullmatch(address.strip())
    if not match:
        shapes = "holding:100, input:3, coil:7, holding:100.3, .4-7 or .high"
        raise unclear(
            f"{address!r} is no Modbus address; write {shapes}", f"{address!r} 不是 Modbus 地址；请写 {shapes}"
        )
    area, start, bits = Area(match[1]), int(match[2]), _bits_of(match)
    if start >= ADDRESSES:
        raise unclear(f"{address!r} lies beyond address {ADDRESSES - 1}", f"{address!r} 超出最大地址 {ADDRESSES - 1}")
    if bits is not None and area.bits:
        en = f"{address!r}: a {area} is one bit already; only registers have parts"
        raise unclear(en, f"{address!r}：{area} 本来就是一位；只有寄存器可取部分")
    if bits is not None and bits[0] > bits[1]:
        en = f"{address!r}: the lower bit comes first, .{bits[1]}-{bits[0]}"
        raise unclear(en, f"{address!r}：低位在前，.{bits[1]}-{bits[0]}")
    return Place(area, start, bits)


def _bits_of(match: re.Match[str]) -> Bits | None:
    first, last, byte = match[3], match[4], match[5]
    if byte:
        return HIGH_BYTE if byte == "high" else LOW_BYTE
    return None if first is None else (int(first), int(last or first))


def width_of(point: Point) -> int:
    """Return how many registers a point's value takes."""
    return point.length if point.type is DataType.STRING else WIDTHS[point.type]


def span_of(index: int, place: Place, point: Point) -> Span:
    """Return the addresses a point takes."""
    return Span(index, place.area, place.start, 1 if place.area.bits else width_of(point))


def plan_requests(spans: Iterable[Span], *, gap: int, max_registers: int) -> list[Block]:
    """Return the fewest block reads that cover every span exactly once and split none.

    Args:
        gap: Unwanted registers a block may carry along between two wanted ones; 16 times as many bits.
        max_registers: Largest block, at most 125; 16 times as many bits, at most 2000.

    Raises: ValueError where a span is wider than a block may be.
    """
    blocks: list[Block] = []
    areas: dict[Area, list[Span]] = {}
    for span in spans:
        areas.setdefault(span.area, []).append(span)
    for area, members in areas.items():
        most, most_gap = _limits(area, gap, max_registers)
        members.sort(key=lambda span: (span.start, span.end))
        blocks.extend(_block(area, group) for group in _groups(members, most_gap, most))
    return blocks


def _limits(area: Area, gap: int, max_registers: int) -> tuple[int, int]:
    if area.bits:
        return min(MAX_BITS, max_registers * BITS_PER_REGISTER), gap * BITS_PER_REGISTER
    return min(MAX_REGISTERS, max_registers), gap


def _groups(spans: Sequence[Span], gap: int, most: int) -> Iterator[list[Span]]:
    """Yield sorted spans in runs that fit one block. Greedy is fewest: no later start could reach further."""
    group: list[Span] = []
    end = 0
    for span in spans:
        if span.width > most:
            raise ValueError(f"a value of {span.width} at {span.area}:{span.start} is wider than a block of {most}")
        if group and (span.start - end > gap or max(end, span.end) - group[0].start > most):
            yield group
            group = []
        end = max(end, span.end) if group else span.end
        group.append(span)
    if group:
        yield group


def _block(area: Area, spans: Sequence[Span]) -> Block:
    start = spans[0].start
    return Block(area, start, max(span.end for span in spans) - start, tuple(spans))


def plan_single_values(spans: Iterable[Span]) -> list[Block]:
    """Return a block per value, for devices that answer no more at once; what shares its registers is one value."""
    places: dict[tuple[Area, int, int], list[Span]] = {}
    for span in spans:
        places.setdefault((span.area, span.start, span.width), []).append(span)
    return [_block(area, members) for (area, _, _), members in sorted(places.items())]


def joined(first: Block, second: Block) -> Block:
    """Return two blocks of one area, and all that lies between them, as one."""
    return _block(first.area, (*first.spans, *second.spans))


def halves(block: Block) -> tuple[Block, Block] | None:
    """Return a block's spans as two blocks, or None where there is only one left.

    For a device that refuses a whole block because one address in it, perhaps one of the gaps, does not exist.
    """
    middle = len(block.spans) // 2
    if not middle:
        return None
    return _block(block.area, block.spans[:middle]), _block(block.area, block.spans[middle:])
