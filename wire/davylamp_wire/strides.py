"""A scan's good numbers as metrics of one length: what most readings are, so it is written by hand and measured.

Such a metric has the same bytes at the same place in every one, which is also what lets `davylamp_wire.columns` read a
payload as an array. Doubles take 22 bytes, floats 18::

    12 14 | 10 aa aa aa | 18 tt tt tt tt tt tt | 69 vv vv vv vv vv vv vv vv
    tag,  | alias       | timestamp            | double_value
    length
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby

from davylamp_wire.names import FIRST_ALIAS, SparkplugType
from davylamp_wire.reading import Readings
from davylamp_wire.varint import varint

ALIAS_END = 1 << 21
TIMES = range(1 << 35, 1 << 42)
"""Timestamps of six varint bytes: 1971 to 2109."""

METRICS, ALIAS, TIMESTAMP, FLOAT, DOUBLE = b"\x12", b"\x10", b"\x18", b"\x65", b"\x69"
"""Tags of Sparkplug's fields: the payload's metrics; a metric's alias, timestamp, float and double."""

KINDS: dict[int | None, tuple[int, bytes, str]] = {
    SparkplugType.DOUBLE: (8, DOUBLE, "d"),
    SparkplugType.FLOAT: (4, FLOAT, "f"),
}
"""Datatypes whose metrics have one length: the bytes and the tag of the value, and how `struct` calls it."""

ALIAS_AT, ALIAS_BYTES, VALUE_AT = 3, 3, 14


Columns = tuple[bytes, bytes, bytes]


class Irregular(Exception):
    """An alias or a time whose varint has another length than in a regular metric."""


def only_type(aliases: Iterable[int], types: Mapping[int, int]) -> int | None:
    """Return the datatype that all of them have; None where they have several, or one has none."""
    kinds = set(map(types.get, aliases))
    return kinds.pop() if len(kinds) == 1 else None


def strides(readings: Readings, types: Mapping[int, int], only: int | None = None) -> bytes | None:
    """Return good doubles, or good floats, as metrics of one length; None where they are anything else.

    `only` is the datatype of all of them, where that is known already.

    All metrics are made at once and then filled, byte by byte of a metric: nothing is looked up for each reading.
    """
    aliases, count = readings.aliases, len(readings)
    kind = KINDS.get(only or only_type(aliases, types))
    if any(readings.qualities) or kind is None:
        return None
    size, tag, letter = kind
    try:
        values = _packer(count, letter)(*readings.values)
        empty = [_empty(time_ms, tag, size) * len(list(same)) for time_ms, same in groupby(readings.times_ms)]
        keys = _side_by_side(aliases) if isinstance(aliases, range) else _columns(aliases)
    except (Irregular, struct.error, OverflowError):
        return None
    body, stride = bytearray(b"".join(empty)), VALUE_AT + size
    for place, column in enumerate(keys, ALIAS_AT):
        body[place::stride] = column
    for place in range(size):
        body[VALUE_AT + place :: stride] = values[place::size]
    return bytes(body)


@lru_cache(maxsize=1 << 10)
def _empty(time_ms: int, tag: bytes, size: int) -> bytes:
    """Return a metric without its alias and its value."""
    if time_ms not in TIMES:
        raise Irregular
    inner = ALIAS + bytes(ALIAS_BYTES) + TIMESTAMP + varint(time_ms) + tag + bytes(size)
    return METRICS + varint(len(inner)) + inner


@lru_cache(maxsize=1 << 10)
def _side_by_side(aliases: range) -> Columns:
    """Return the aliases of a device's points, which were given all at once."""
    return _columns(aliases)


def _columns(aliases: Sequence[int]) -> Columns:
    """Return the first bytes of all aliases, their second bytes, and their third: varints of three bytes each."""
    if min(aliases) < FIRST_ALIAS or max(aliases) >= ALIAS_END:
        raise Irregular
    low = bytes([alias & 0x7F | 0x80 for alias in aliases])
    return low, bytes([alias >> 7 & 0x7F | 0x80 for alias in aliases]), bytes([alias >> 14 for alias in aliases])


@lru_cache(maxsize=256)
def _packer(count: int, letter: str) -> Callable[..., bytes]:
    return struct.Struct(f"<{count}{letter}").pack
