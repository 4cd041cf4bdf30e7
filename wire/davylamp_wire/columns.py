"""Data payloads as NumPy columns: what the cloud does with every reading, so nothing here runs once per reading.

A regular payload is one array of equal strides (see `davylamp_wire.encode`). That is believed only after every constant
byte of every stride was compared (`davylamp_wire.layout`). A payload of several shapes is read shape by shape, and what
still does not fit goes metric by metric through protobuf (`column_shapes`); all ways give the same columns.
"""

import numpy as np

from davylamp_wire.column_parts import Columns, Types, part
from davylamp_wire.column_shapes import by_metric, by_shape
from davylamp_wire.frame import front_of, seq_of
from davylamp_wire.layout import layout_fitting

__all__ = ["Columns", "Types", "decode_columns"]

METRIC = 0x12


def decode_columns(payload: bytes, types: Types | None = None, arrival_ms: int = 0) -> Columns:
    """Return the readings of an NDATA, DDATA or birth payload.

    `types` is asked only where integers come without a datatype. Without it they are unsigned: a negative Int16 then
    reads as 65,535. `arrival_ms` stands in where a foreign edge gives no time at all.

    Raises: PayloadError (a ValueError) where the payload cannot be read.
    """
    return _regular(payload, types) or by_shape(payload, types) or by_metric(payload, types, arrival_ms)


SHORTEST = 14
"""Bytes of the shortest metric with alias and time of ours."""


def _regular(payload: bytes, types: Types | None) -> Columns | None:
    """Return the columns of a payload whose readings all have one shape; None where they have not."""
    sent_ms, record, historical, start = front_of(payload)
    size = len(payload)
    if not start or start + SHORTEST > size or payload[start] != METRIC or payload[start + 1] & 0x80:
        return None
    stride = payload[start + 1] + 2
    count, rest = divmod(size - start, stride)
    seq = seq_of(payload[size - rest :]) if rest else None
    if stride < SHORTEST or not count or (rest and seq is None):
        return None
    flat = np.frombuffer(payload, np.uint8, count * stride, start)
    layout = layout_fitting(payload[start : start + stride], flat)
    if layout is None or (layout.transient and record is None):
        return None
    keys, values, qualities, texts = part(layout, flat, count, types)
    return Columns(record, seq, sent_ms, keys[0], keys[1], values, qualities, historical or layout.historical, texts)
