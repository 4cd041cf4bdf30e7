"""What a live device's registers could mean: the raw words of a block, under every interpretation there is.

For the person at the keyboard who has a point list that says REAL and a value that makes no sense.
"""

import itertools
import math
import time
from collections.abc import Iterator

from davylamp_wire.profile import DataType, Order, Point

from davylamp_edge.decode import ORDERS, Cell, RegisterDecoder, decode_text, swap_registers
from davylamp_edge.drivers.modbus import ModbusDriver, ModbusRequest, Unit
from davylamp_edge.plan import MAX_BITS, MAX_REGISTERS, Block, Place

NUMBERS = {
    1: (DataType.UINT16, DataType.INT16),
    2: (DataType.FLOAT32, DataType.UINT32, DataType.INT32),
    4: (DataType.FLOAT64, DataType.UINT64, DataType.INT64),
}
"""The types of each width in registers."""
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
    lines = bits_read(place, payload, count) if place.area.bits else interpretations(place, payload)
    return itertools.chain(lines, [f"answered in {took_ms:.1f} ms"])


def most(place: Place, count: int) -> None:
    """Raise a ValueError where that many cannot be asked for at once."""
    limit = MAX_BITS if place.area.bits else MAX_REGISTERS
    if not 1 <= count <= limit:
        raise ValueError(f"--count: {count} cannot be read at once; give 1 to {limit}")


def interpretations(place: Place, payload: bytes) -> Iterator[str]:
    """Yield lines: each register by itself, then every two and four as numbers, then the whole as text.

    A star marks floats of a likely size, where not all orders give one.
    """
    count = len(payload) // 2
    for at in range(count):
        word = payload[2 * at : 2 * at + 2]
        unsigned, signed = (_value(word, kind, "ABCD") for kind in NUMBERS[1])
        bits = f"{int.from_bytes(word):016b}"
        yield f"{_named(place, at):<14} 0x{word.hex().upper()}  uint16 {unsigned:<6} int16 {signed:<7} bits {bits}"
    for width in (2, 4):
        for at in range(count - width + 1):
            yield from _wide(_named(place, at), payload[2 * at : 2 * (at + width)], width)
    for order, raw in (("ABCD", payload), ("BADC", swap_registers(payload))):
        text = decode_text(raw)
        if text and text.isprintable():
            yield f"{_named(place, 0):<14} string {order} {text!r}"


def bits_read(place: Place, payload: bytes, count: int) -> Iterator[str]:
    """Yield one line per coil or discrete input."""
    for at in range(count):
        yield f"{_named(place, at):<14} {payload[at >> 3] >> (at & 7) & 1}"


def _named(place: Place, at: int) -> str:
    return f"{place.area}:{place.start + at}"


def _wide(name: str, raw: bytes, width: int) -> Iterator[str]:
    for kind in NUMBERS[width]:
        values = {order: _value(raw, kind, order) for order in ORDERS}
        stars = {order for order, value in values.items() if _likely(value)} if kind in _FLOATS else set()
        marked = stars if len(stars) < len(ORDERS) else set()
        shown = "  ".join(f"{'*' if o in marked else ' '}{o} {_shown(v)}" for o, v in values.items())
        yield f"{name:<14} {kind:<8}{shown}"


_FLOATS = (DataType.FLOAT32, DataType.FLOAT64)


def _likely(value: float | None) -> bool:
    return value is not None and (value == 0 or LIKELY[0] <= abs(value) <= LIKELY[1])


def _shown(value: float | None) -> str:
    text = "none" if value is None else f"{value:.7g}" if isinstance(value, float) else str(value)
    return f"{text:<20}"


def _value(raw: bytes, kind: DataType, order: Order) -> float | None:
    """Return registers as the agent itself would read them; None where they are no number."""
    point = Point(zh="点", en="point", unit="", type=kind, order=order)
    value = RegisterDecoder([Cell(0, 0, point)]).decode(raw).values[0]
    return value if isinstance(value, int | float) and math.isfinite(value) else None
