"""Readings to Sparkplug bytes: what the edge does for every scan, so it is written by hand and measured."""

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from davylamp_wire import quality, sparkplug_pb2
from davylamp_wire.names import BITS, OUR_QUALITY, QUALITY, SIGNED, TEXTS, SparkplugType
from davylamp_wire.quality import Reason
from davylamp_wire.reading import Readings, Value
from davylamp_wire.strides import ALIAS, DOUBLE, FLOAT, METRICS, TIMESTAMP, strides
from davylamp_wire.varint import varint

NO_VALUE = quality.bad(Reason.NO_VALUE)

_TRANSIENT, _NULL, _PROPERTIES = b"\x30\x01", b"\x38\x01", b"\x4a"
_INT, _LONG, _BOOL, _TEXT = b"\x50", b"\x58", b"\x70", b"\x7a"


def metrics_body(readings: Readings, types: Mapping[int, int], only: int | None = None) -> bytes:
    """Return readings as concatenated ``metrics`` fields: alias, timestamp, value, and quality where it is not good.

    `types` gives the Sparkplug datatype of each alias, `only` that of all of them where it is known (`only_type`); the
    data themselves carry none. A missing value is a null with
    a bad quality, whatever quality came with it. A bad value that is there is sent along.

    Raises: ValueError where a value does not fit its datatype or an alias has none: nothing is sent half.
    """
    return strides(readings, types, only) or b"".join(_metrics(readings, types))


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
        yield METRICS + varint(len(inner)) + inner


_UNFIT = (KeyError, TypeError, ValueError, struct.error, OverflowError)


def _unfit(alias: int, value: Value, types: Mapping[int, int]) -> ValueError:
    datatype = types.get(alias)
    if datatype not in _ENCODERS:
        return ValueError(f"alias {alias} has no datatype that can be sent ({datatype})")
    return ValueError(f"alias {alias}: {value!r} does not fit {SparkplugType(datatype).name}")


@lru_cache(maxsize=1 << 17)
def _alias(alias: int) -> bytes:
    return ALIAS + varint(alias)


@lru_cache(maxsize=1 << 10)
def _time(time_ms: int) -> bytes:
    return TIMESTAMP + varint(time_ms)


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
        return FLOAT + _pack_float(value)
    except OverflowError:
        return FLOAT + _pack_float(math.copysign(math.inf, float(value or 0)))


def _double(value: Value) -> bytes:
    return DOUBLE + _pack_double(value)


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
    return METRICS + varint(len(inner)) + inner
