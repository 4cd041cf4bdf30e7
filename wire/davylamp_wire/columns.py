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

SENT, METRIC, SEQ = 0x08, 0x12, 0x18


def decode_columns(payload: bytes, types: Types | None = None, arrival_ms: int = 0) -> Columns:
    """Return the readings of an NDATA, DDATA or birth payload.

    `types` is asked only where integers come without a datatype. Without it they are unsigned: a negative Int16 then
    reads as 65,535. `arrival_ms` stands in where a foreign edge gives no time at all.

    Raises: PayloadError (a ValueError) where the payload cannot be read.
    """
    return _regular(payload, types) or by_shape(payload, types, arrival_ms) or by_metric(payload, types, arrival_ms)


SHORTEST = 14
"""Bytes of the shortest metric with a layout key: tag, length, alias and time."""


def _regular(payload: bytes, types: Types | None) -> Columns | None:
    """Return the columns of a payload whose readings all have one shape; None where they have not."""
    if len(payload) < SHORTEST or payload[0] != SENT:
        return None
    sent_ms, start = _varint(payload, 1)
    record, historical, start = _record(payload, start)
    if start + SHORTEST > len(payload) or payload[start] != METRIC or payload[start + 1] & 0x80:
        return None
    stride = payload[start + 1] + 2
    count, rest = divmod(len(payload) - start, stride)
    end = len(payload) - rest
    seq = _seq(payload, end)
    if stride < SHORTEST or not count or (rest and seq is None):
        return None
    flat = np.frombuffer(payload, np.uint8, count * stride, start)
    layout = layout_fitting(payload[start : start + stride], flat)
    if layout is None or (layout.transient and record is None):
        return None
    keys, values, qualities, texts = part(layout, flat, count, types)
    return Columns(record, seq, sent_ms, keys[0], keys[1], values, qualities, historical or layout.historical, texts)


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    """Return a varint and where it ends; beyond its tenth byte it is none, and what follows will not fit."""
    value = shift = 0
    for place in range(at, min(at + 10, len(payload))):
        byte = payload[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    return 0, len(payload)


def _pattern(shape: str) -> tuple[int, int, int]:
    """Return length, mask and wanted value of a byte pattern: ``..`` is any byte, ``+.`` goes on, ``-.`` ends."""
    marks = {"..": (0x00, 0), "+.": (0x80, 0x80), "-.": (0x80, 0)}
    pairs = [marks.get(part) or (0xFF, int(part, 16)) for part in shape.split()]
    mask, want = (int.from_bytes(bytes(column), "little") for column in zip(*pairs, strict=True))
    return len(pairs), mask, want


_KEYS = "12 .. 10 +. +. -. 18 +. +. +. +. +. -."
_RECORD = _pattern(f"{_KEYS} 30 01 58")
_OLD_RECORD = _pattern(f"{_KEYS} 28 01 30 01 58")


def _record(payload: bytes, start: int) -> tuple[int | None, bool, int]:
    """Return the record number, whether it is backlog, and where the readings begin; no number where none is seen."""
    for historical, (length, mask, want) in ((False, _RECORD), (True, _OLD_RECORD)):
        if int.from_bytes(payload[start : start + length], "little") & mask == want:
            number, end = _varint(payload, start + length)
            if end == start + 2 + payload[start + 1]:
                return number, historical, end
    return None, False, start


def _seq(payload: bytes, at: int) -> int | None:
    """Return the seq that ends a payload; None where something else does."""
    if at >= len(payload) or payload[at] != SEQ:
        return None
    seq, end = _varint(payload, at + 1)
    return seq if end == len(payload) and not payload[-1] & 0x80 else None
