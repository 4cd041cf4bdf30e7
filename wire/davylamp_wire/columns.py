"""Data payloads as NumPy columns: what the cloud does with every reading, so nothing here runs once per reading.

A regular payload is one array of equal strides (see `davylamp_wire.encode`). That is believed only after every constant
byte of every stride was compared (`davylamp_wire.layout`). A payload of several shapes is read shape by shape, and what
still does not fit goes metric by metric through protobuf (`column_shapes`); all ways give the same columns.
"""

import numpy as np

from davylamp_wire.column_parts import Columns, Types, part
from davylamp_wire.column_shapes import by_metric, by_shape
from davylamp_wire.layout import layout_fitting

__all__ = ["Columns", "Types", "decode_columns"]

METRIC, SEQ = 0x12, 0x18


def decode_columns(payload: bytes, types: Types | None = None, arrival_ms: int = 0) -> Columns:
    """Return the readings of an NDATA, DDATA or birth payload.

    `types` is asked only where integers come without a datatype. Without it they are unsigned: a negative Int16 then
    reads as 65,535. `arrival_ms` stands in where a foreign edge gives no time at all.

    Raises: PayloadError (a ValueError) where the payload cannot be read.
    """
    return _regular(payload, types) or by_shape(payload, types, arrival_ms) or by_metric(payload, types, arrival_ms)


SHORTEST = 14
"""Bytes of the shortest metric with alias and time of ours."""


def _regular(payload: bytes, types: Types | None) -> Columns | None:
    """Return the columns of a payload whose readings all have one shape; None where they have not."""
    sent_ms, record, historical, start = _front(payload)
    size = len(payload)
    if not start or start + SHORTEST > size or payload[start] != METRIC or payload[start + 1] & 0x80:
        return None
    stride = payload[start + 1] + 2
    count, rest = divmod(size - start, stride)
    seq = _seq(payload[size - rest :]) if rest else None
    if stride < SHORTEST or not count or (rest and seq is None):
        return None
    flat = np.frombuffer(payload, np.uint8, count * stride, start)
    layout = layout_fitting(payload[start : start + stride], flat)
    if layout is None or (layout.transient and record is None):
        return None
    keys, values, qualities, texts = part(layout, flat, count, types)
    aliases, times_ms = keys
    return Columns(record, seq, sent_ms, aliases, times_ms, values, qualities, historical or layout.historical, texts)


def _pattern(shape: str) -> tuple[int, int, int]:
    """Return length, mask and wanted value of a byte pattern: ``..`` is any byte, ``+.`` goes on, ``-.`` ends."""
    marks = {"..": (0x00, 0), "+.": (0x80, 0x80), "-.": (0x80, 0)}
    pairs = [marks.get(part) or (0xFF, int(part, 16)) for part in shape.split()]
    mask, want = (int.from_bytes(bytes(column), "little") for column in zip(*pairs, strict=True))
    return len(pairs), mask, want


_TIME = "+. +. +. +. +. -."
_SENT = _pattern(f"08 {_TIME}")
_RECORD = _pattern(f"08 {_TIME} 12 .. 10 +. +. -. 18 {_TIME} 30 01 58")
_OLD_RECORD = _pattern(f"08 {_TIME} 12 .. 10 +. +. -. 18 {_TIME} 28 01 30 01 58")
_FRONT = _SENT[0]


def _front(payload: bytes) -> tuple[int, int | None, bool, int]:
    """Return when the payload was sent, its record number, whether that is backlog, and where the readings begin.

    They begin at 0 where the front is not what our edges write, and all of this has to be found otherwise.
    """
    for historical, (length, mask, want) in ((False, _RECORD), (True, _OLD_RECORD)):
        bits = int.from_bytes(payload[:length], "little")
        if bits & mask == want:
            number, end = _varint(payload, length)
            if end == _FRONT + 2 + payload[_FRONT + 1]:
                return _time(bits >> 8), number, historical, end
    length, mask, want = _SENT
    bits = int.from_bytes(payload[:length], "little")
    return (_time(bits >> 8), None, False, length) if bits & mask == want else (0, None, False, 0)


def _time(bits: int) -> int:
    """Return the varint of six bytes in the low bits of an integer."""
    return (
        bits & 0x7F
        | bits >> 1 & 0x3F80
        | bits >> 2 & 0x1FC000
        | bits >> 3 & 0xFE00000
        | bits >> 4 & 0x7F0000000
        | bits >> 5 & 0x3F800000000
    )


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    """Return a varint and where it ends; where it is none, an end where nothing can be."""
    value = shift = 0
    for place in range(at, min(at + 10, len(payload))):
        byte = payload[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    return 0, -1


def _seq(tail: bytes) -> int | None:
    """Return the seq that is all of a payload's tail; None where it is something else."""
    seq, end = _varint(tail, 1)
    return seq if tail[0] == SEQ and end == len(tail) else None
