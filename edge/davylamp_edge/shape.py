"""Cuts a value out of the registers it lies in: a byte, a bit field, decimal digits of four bits each. Pure."""

import math
from collections.abc import Callable
from functools import partial

from davylamp_wire.point import DataType

Bits = tuple[int, int]
"""The first and the last bit a value takes, both counted from its registers' lowest and both its own."""

Shape = Callable[[int], float]

BCD = frozenset({DataType.BCD16, DataType.BCD32})
SIGNED = frozenset({DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64})
SIZES = {
    DataType.INT8: 8,
    DataType.UINT8: 8,
    DataType.INT16: 16,
    DataType.UINT16: 16,
    DataType.INT32: 32,
    DataType.UINT32: 32,
    DataType.INT64: 64,
    DataType.UINT64: 64,
}
"""Bits a whole number has. Only whole numbers may be cut out of registers."""

LOW_BYTE: Bits = (0, 7)
HIGH_BYTE: Bits = (8, 15)


def shape_of(kind: DataType, bits: Bits | None) -> Shape | None:
    """Return how to cut a value out of its registers read as one unsigned number; None where it fills them."""
    if kind in BCD:
        return decimal
    if bits is None and kind in (DataType.INT8, DataType.UINT8):
        bits = LOW_BYTE
    if bits is None:
        return None
    return partial(field, first=bits[0], size=bits[1] - bits[0] + 1, is_signed=kind in SIGNED)


def decimal(raw: int) -> float:
    """Return the number whose decimal digits are the four-bit groups of ``raw``; NaN where one is no digit."""
    try:
        return int(f"{raw:x}")
    except ValueError:
        return math.nan


def field(raw: int, *, first: int, size: int, is_signed: bool) -> int:
    """Return ``size`` bits from bit ``first`` on, as an unsigned number or in two's complement."""
    value = raw >> first & (1 << size) - 1
    return value - (1 << size) if is_signed and value >> (size - 1) else value
