"""Readings to Sparkplug bytes: what the edge does for every scan, so it is written by hand and measured.

A metric of a regular payload is 22 bytes, the same ones at the same place in every metric; that is what lets
`davylamp_wire.columns` read a payload as an array::

    12 14 | 10 aa aa aa | 18 tt tt tt tt tt tt | 69 vv vv vv vv vv vv vv vv
    tag,  | alias       | timestamp            | double_value
    length
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, repeat

from davylamp_wire import quality, sparkplug_pb2
from davylamp_wire.names import BITS, FIRST_ALIAS, OUR_QUALITY, QUALITY, SIGNED, TEXTS, SparkplugType
from davylamp_wire.quality import Reason
from davylamp_wire.reading import Readings, Value

NO_VALUE = quality.bad(Reason.NO_VALUE)

ALIAS_END = 1 << 21
TIMES = range(1 << 35, 1 << 42)
"""Timestamps of six varint bytes: 1971 to 2109."""

_METRICS, _ALIAS, _TIMESTAMP, _TRANSIENT = b"\x12", b"\x10", b"\x18", b"\x30\x01"
_NULL, _PROPERTIES = b"\x38\x01", b"\x4a"
_INT, _LONG, _FLOAT, _DOUBLE, _BOOL, _TEXT = b"\x50", b"\x58", b"\x65", b"\x69", b"\x70", b"\x7a"


_ONE_BYTE = [bytes((value,)) for value in range(0x80)]


def varint(value: int) -> bytes:
    """Return a non-negative integer as protobuf writes it: seven bits a byte, the low ones first."""
    if value < 0x80:
        return _ONE_BYTE[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def metrics_body(readings: Readings, types: Mapping[int, int]) -> bytes:
    """Return readings as concatenated ``metrics`` fields: alias, timestamp, value, and quality where it is not good.

    `types` gives the Sparkplug datatype of each alias; the data themselves carry none. A missing value is a null with
    a bad quality, whatever quality came with it. A bad value that is there is sent along.

    Raises: ValueError where a value does not fit its datatype or an alias has none: nothing is sent half.
    """
    return _regular(readings, types) or b"".join(_metrics(readings, types))


def _regular(readings: Readings, types: Mapping[int, int]) -> bytes | None:
    """Return good doubles, or good floats, of equal stride, packed in one call; None where they are anything else."""
    aliases, times = readings.aliases, readings.times_ms
    kinds = set(map(types.get, aliases))
    if any(readings.qualities) or len(kinds) != 1 or not kinds <= _REGULAR.keys():
        return None
    size, tag, letter = _REGULAR[kinds.pop()]
    try:
        heads = map(_regular_head, aliases, repeat(size))
        distinct = len(set(times)) > 1
        moments = (
            map(_regular_time, times, repeat(tag)) if distinct else repeat(_regular_time(times[0], tag), len(times))
        )
        pack = _packer(len(aliases), letter)
        return pack(*chain.from_iterable(zip(heads, moments, readings.values, strict=True)))
    except (_Irregular, struct.error, OverflowError):
        return None


_REGULAR: dict[int | None, tuple[bytes, bytes, str]] = {
    SparkplugType.DOUBLE: (b"\x14", _DOUBLE, "d"),
    SparkplugType.FLOAT: (b"\x10", _FLOAT, "f"),
}
"""Datatypes whose metrics have one length: that length, the tag of the value, and how `struct` calls it."""


class _Irregular(Exception):
    """An alias or a time whose varint has another length; '6s' would cut it in silence."""


@lru_cache(maxsize=1 << 17)
def _regular_head(alias: int, size: bytes) -> bytes:
    if not FIRST_ALIAS <= alias < ALIAS_END:
        raise _Irregular
    return _METRICS + size + _ALIAS + varint(alias)


@lru_cache(maxsize=1 << 10)
def _regular_time(time_ms: int, tag: bytes) -> bytes:
    if time_ms not in TIMES:
        raise _Irregular
    return _TIMESTAMP + varint(time_ms) + tag


@lru_cache(maxsize=256)
def _packer(count: int, letter: str) -> Callable[..., bytes]:
    return struct.Struct("<" + f"6s8s{letter}" * count).pack


def _metrics(readings: Readings, types: Mapping[int, int]) -> Iterator[bytes]:
    columns = (readings.aliases, readings.times_ms, readings.values, readings.qualities)
    for alias, time_ms, value, code in zip(*columns, strict=True):
        if value is None:
            tail = _NULL + properties(code or NO_VALUE)
        else:
            try:
                tail = _ENCODERS[types[alias]](value)
            except _UNFIT:
                raise _unfit(alias, value, types) from None
            if code:
                tail = properties(code) + tail
        inner = _alias(alias) + _time(time_ms) + tail
        yield _METRICS + varint(len(inner)) + inner


_UNFIT = (KeyError, TypeError, ValueError, struct.error, OverflowError)


def _unfit(alias: int, value: Value, types: Mapping[int, int]) -> ValueError:
    datatype = types.get(alias)
    if datatype not in _ENCODERS:
        return ValueError(f"alias {alias} has no datatype that can be sent ({datatype})")
    return ValueError(f"alias {alias}: {value!r} does not fit {SparkplugType(datatype).name}")


@lru_cache(maxsize=1 << 17)
def _alias(alias: int) -> bytes:
    return _ALIAS + varint(alias)


@lru_cache(maxsize=1 << 10)
def _time(time_ms: int) -> bytes:
    return _TIMESTAMP + varint(time_ms)


@lru_cache(maxsize=1 << 10)
def properties(code: int) -> bytes:
    """Return the ``properties`` field of a quality: Sparkplug's `Quality`, and our exact code beside it."""
    made = sparkplug_pb2.PropertySet(keys=[QUALITY, OUR_QUALITY])
    made.values.add(type=SparkplugType.INT32, int_value=quality.to_sparkplug(code))
    made.values.add(type=SparkplugType.INT32, int_value=code)
    inner = made.SerializeToString()
    return _PROPERTIES + varint(len(inner)) + inner


def _float(value: Value) -> bytes:
    """Return a Float; a double beyond its range is the infinity IEEE 754 rounds it to, and raises what it must."""
    try:
        return _FLOAT + _pack_float(value)
    except OverflowError:
        return _FLOAT + _pack_float(math.copysign(math.inf, float(value or 0)))


def _double(value: Value) -> bytes:
    return _DOUBLE + _pack_double(value)


_pack_float, _pack_double = struct.Struct("<f").pack, struct.Struct("<d").pack


def _boolean(value: Value) -> bytes:
    if value not in (0, 1):
        raise ValueError
    return _BOOL + (b"\x01" if value else b"\x00")


def _text(value: Value) -> bytes:
    if not isinstance(value, str):
        raise TypeError
    said = value.encode()
    return _TEXT + varint(len(said)) + said


def bounds(datatype: SparkplugType) -> tuple[int, int, int]:
    """Return lowest value, highest value and mask of an integer datatype."""
    full = 1 << BITS[datatype]
    return (-full // 2, full // 2 - 1, full - 1) if datatype in SIGNED else (0, full - 1, full - 1)


def _encoder(datatype: SparkplugType) -> Callable[[Value], bytes]:
    low, high, mask = bounds(datatype)
    tag = _LONG if BITS[datatype] == 64 else _INT

    def encode(value: Value) -> bytes:
        if not isinstance(value, int):
            raise TypeError
        if not low <= value <= high:
            raise ValueError
        return tag + varint(value & mask)

    return encode


_ENCODERS: dict[int, Callable[[Value], bytes]] = {
    **{datatype: _encoder(datatype) for datatype in BITS},
    **dict.fromkeys(TEXTS, _text),
    SparkplugType.FLOAT: _float,
    SparkplugType.DOUBLE: _double,
    SparkplugType.BOOLEAN: _boolean,
}


def data_payload(body: bytes, *, seq: int, sent_ms: int) -> bytes:
    """Return an NDATA or DDATA payload around a body. `seq` is 0 to 255."""
    return b"\x08" + varint(sent_ms) + body + b"\x18" + varint(seq)


def mark_historical(body: bytes) -> bytes:
    """Return a body with every metric marked as history: the host must not take it for live (Sparkplug 3.0, 6.4.10)."""
    payload = sparkplug_pb2.Payload.FromString(body)
    for metric in payload.metrics:
        metric.is_historical = True
    return payload.SerializeToString()


def restamped(body: bytes, moved: Callable[[int], int]) -> bytes:
    """Return a body with every metric's time moved: it was made under a clock that has been set since."""
    payload = sparkplug_pb2.Payload.FromString(body)
    for metric in payload.metrics:
        metric.timestamp = moved(metric.timestamp)
    return payload.SerializeToString()


def record_metric(alias: int, record: int, time_ms: int) -> bytes:
    """Return the `Davylamp/Record` metric, the first of every body of ours.

    It is transient (Sparkplug 3.0, 6.4.11): a host that stores values should not store it, and a decoder tells it
    from a reading by that flag.
    """
    inner = _alias(alias) + _time(time_ms) + _TRANSIENT + _LONG + varint(record)
    return _METRICS + varint(len(inner)) + inner
