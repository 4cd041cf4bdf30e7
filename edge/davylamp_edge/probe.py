"""What a live device's registers could mean: the raw words of a block, under every interpretation there is.

For the person at the keyboard who has a point list that says REAL and a value that makes no sense.
"""

import itertools
import math
import time
from collections.abc import Container, Iterable, Iterator, Mapping

from davylamp_wire.point import DataType, Order, Point

from davylamp_edge.decode import ORDERS, Cell, RegisterDecoder, decode_text, swap_registers
from davylamp_edge.drivers.modbus import ModbusDriver, ModbusRequest, Unit
from davylamp_edge.plan import BITS_PER_REGISTER, MAX_BITS, MAX_REGISTERS, Block, Place
from davylamp_edge.shape import HIGH_BYTE, LOW_BYTE, Bits

COUNT = 8
"""Registers or bits shown where nobody says how many."""
SINGLE = (DataType.UINT16, DataType.INT16, DataType.BCD16)
BYTES = (DataType.UINT8, DataType.INT8)
NUMBERS = {
    2: (DataType.FLOAT32, DataType.UINT32, DataType.INT32, DataType.BCD32),
    4: (DataType.FLOAT64, DataType.UINT64, DataType.INT64),
}
"""The types of two and of four registers."""
PARTED = {
    1: (DataType.UINT16, DataType.INT16),
    2: (DataType.UINT32, DataType.INT32),
    4: (DataType.UINT64, DataType.INT64),
}
"""The types that parts are cut out of, by width in registers."""
LIKELY = 1e-4, 1e7
"""A float of this size may well be a measurement; wrong orders give numbers that are nearly always far outside."""


async def probed(address: str, unit: int, place: Place, count: int, timeout_s: float) -> Iterator[str]:
    """Return the lines of one block of a live device. Raises: DeviceUnreachable, DeviceRefused."""
    driver = ModbusDriver(address, timeout_s)
    try:
        await driver.connect()
        began_s = time.perf_counter()
        payload = await driver.read(
            ModbusRequest.of(Unit(unit, timeout_s), Block(place.area, place.start, count, ()), {})
        )
        took_ms = (time.perf_counter() - began_s) * 1000
    finally:
        await driver.close()
    return itertools.chain(_lines(place, payload, count), [f"answered in {took_ms:.1f} ms"])


def _lines(place: Place, payload: bytes, count: int) -> Iterator[str]:
    if place.area.bits:
        return bits_read(place, payload, count)
    return interpretations(place, payload) if place.bits is None else parts(place, place.bits, payload)


def asked_for(place: Place, count: int | None) -> int:
    """Return how many to ask for: what was said, or what shows the place. Raises: ValueError for what cannot be."""
    least = 1 if place.bits is None else place.bits[1] // BITS_PER_REGISTER + 1
    if count is None:
        return COUNT if place.bits is None else next(width for width in PARTED if width >= least)
    limit = MAX_BITS if place.area.bits else MAX_REGISTERS
    if not least <= count <= limit:
        raise ValueError(f"--count: {count} cannot be read at once; give {least} to {limit}（请给 {least} 至 {limit}）")
    return count


def interpretations(place: Place, payload: bytes) -> Iterator[str]:
    """Yield lines: each register by itself, then every two and four as numbers, then the whole as text.

    A star marks floats of a likely size, where not all orders give one.
    """
    for name, word in _windows(place, payload, 1):
        yield from _single(name, word)
    for width in NUMBERS:
        for name, raw in _windows(place, payload, width):
            yield from _wide(name, raw, width)
    for order, raw in (("ABCD", payload), ("BADC", swap_registers(payload))):
        text = decode_text(raw)
        if text and text.isprintable():
            yield f"{_named(place, 0):<14} string {order} {text!r}"


def parts(place: Place, bits: Bits, payload: bytes) -> Iterator[str]:
    """Yield lines: some bits of every register, of every two and of every four, in each order."""
    name = f".{bits[0]}" if bits[0] == bits[1] else f".{bits[0]}-{bits[1]}"
    for width, kinds in PARTED.items():
        if bits[1] < BITS_PER_REGISTER * width:
            for at, raw in _windows(place, payload, width):
                for kind in kinds[: 1 if bits[0] == bits[1] else None]:
                    yield f"{at + name:<18} {kind:<8}{_in_orders({o: _value(raw, kind, o, bits) for o in ORDERS})}"


def bits_read(place: Place, payload: bytes, count: int) -> Iterator[str]:
    """Yield one line per coil or discrete input."""
    for at in range(count):
        yield f"{_named(place, at):<14} {payload[at >> 3] >> (at & 7) & 1}"


def _named(place: Place, at: int) -> str:
    return f"{place.area}:{place.start + at}"


def _windows(place: Place, payload: bytes, width: int) -> Iterator[tuple[str, bytes]]:
    """Yield each run of so many registers, named by its first."""
    for at in range(len(payload) // 2 - width + 1):
        yield _named(place, at), payload[2 * at : 2 * (at + width)]


def _single(name: str, word: bytes) -> Iterator[str]:
    """Yield a register as one number in both orders of its bytes, as bits, and as two bytes."""
    bits = f"{int.from_bytes(word):016b}"
    yield f"{name:<14} {f'0x{word.hex().upper()}':<7} {_each(word, SINGLE, 'ABCD')} bits {bits}"
    yield f"{name:<14} {'BADC':<7} {_each(word, SINGLE, 'BADC')}".rstrip()
    halves = (f".{part} {_each(word, BYTES, 'ABCD', bits)}" for part, bits in (("low", LOW_BYTE), ("high", HIGH_BYTE)))
    yield f"{name:<14} {'bytes':<7} {'  '.join(halves)}".rstrip()


def _each(raw: bytes, kinds: Iterable[DataType], order: Order, bits: Bits | None = None) -> str:
    values = ((kind, _value(raw, kind, order, bits)) for kind in kinds)
    return " ".join(f"{kind} {'none' if value is None else value:<7}" for kind, value in values)


def _wide(name: str, raw: bytes, width: int) -> Iterator[str]:
    for kind in NUMBERS[width]:
        values = {order: _value(raw, kind, order) for order in ORDERS}
        if all(value is None for value in values.values()):
            continue
        stars = {order for order, value in values.items() if _likely(value)} if kind in _FLOATS else set()
        yield f"{name:<14} {kind:<8}{_in_orders(values, stars if len(stars) < len(ORDERS) else ())}"


def _in_orders(values: Mapping[Order, float | None], starred: Container[Order] = ()) -> str:
    return "  ".join(f"{'*' if o in starred else ' '}{o} {_shown(v)}" for o, v in values.items())


_FLOATS = (DataType.FLOAT32, DataType.FLOAT64)


def _likely(value: float | None) -> bool:
    return value is not None and (value == 0 or LIKELY[0] <= abs(value) <= LIKELY[1])


def _shown(value: float | None) -> str:
    text = "none" if value is None else f"{value:.7g}" if isinstance(value, float) else str(value)
    return f"{text:<20}"


def _value(raw: bytes, kind: DataType, order: Order, bits: Bits | None = None) -> float | None:
    """Return registers, or a part of them, as the agent itself would read them; None where they are no number."""
    point = Point(zh="点", en="point", unit="", type=kind, order=order)
    value = RegisterDecoder([Cell(0, 0, point, bits)]).decode(raw).values[0]
    return value if isinstance(value, int | float) and math.isfinite(value) else None
