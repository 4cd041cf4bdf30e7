"""Data payloads as NumPy columns: what the cloud does with every reading, so nothing here runs once per reading.

A regular payload is one array of equal strides (see `davylamp_wire.encode`). That is believed only after every constant
byte of every stride was compared (`davylamp_wire.layout`). A payload of several shapes is read shape by shape, and what
still does not fit goes metric by metric through protobuf (`column_shapes`); all ways give the same columns.
"""

from collections.abc import Sequence

import numpy as np

from davylamp_wire.column_parts import WHOLE, Columns, Types, part
from davylamp_wire.column_shapes import by_metric, by_shape
from davylamp_wire.decode import PayloadError
from davylamp_wire.frame import front_of, seq_of
from davylamp_wire.layout import layout_fitting
from davylamp_wire.regular import METRIC, SHORTEST, regular

__all__ = ["Columns", "Types", "decode_columns", "decode_many"]


def decode_columns(payload: bytes, types: Types | None = None, arrival_ms: int = 0) -> Columns:
    """Return the readings of an NDATA, DDATA or birth payload.

    `types` is asked only where integers come without a datatype. Without it they are unsigned: a negative Int16 then
    reads as 65,535. `arrival_ms` stands in where a foreign edge gives no time at all.

    Raises: PayloadError (a ValueError) where the payload cannot be read.
    """
    return _regular(payload, types) or by_shape(payload, types) or by_metric(payload, types, arrival_ms)


def decode_many(
    payloads: Sequence[bytes], types: Sequence[Types | None], arrivals_ms: Sequence[int]
) -> list[Columns | PayloadError]:
    """Return what `decode_columns` returns for each payload, or the error it raises.

    Regular payloads of one shape are read as one array: most of what a payload costs is the same for a hundred. The
    columns of such a shape are views of one array and must not be written.
    """
    shapes: dict[tuple[int, int, int], list[int]] = {}
    fronts = [front_of(payload) for payload in payloads]
    for at, (payload, front) in enumerate(zip(payloads, fronts, strict=True)):
        start = front[3]
        if start and start + SHORTEST <= len(payload) and payload[start] == METRIC and payload[start + 1] < 0x80:
            stride = payload[start + 1] + 2
            shapes.setdefault((start, stride, (len(payload) - start) // stride), []).append(at)
    found: list[Columns | PayloadError | None] = [None] * len(payloads)
    for (start, stride, count), places in shapes.items():
        if len(places) > 1 and count and stride >= SHORTEST:
            same = [payloads[at] for at in places]
            _stacked(same, [fronts[at] for at in places], (start, stride, count), places, found)
    return [
        _one(payload, types[at], arrivals_ms[at]) if (got := found[at]) is None else got
        for at, payload in enumerate(payloads)
    ]


def _one(payload: bytes, types: Types | None, arrival_ms: int) -> Columns | PayloadError:
    try:
        return decode_columns(payload, types, arrival_ms)
    except PayloadError as error:
        return error


def _stacked(
    payloads: list[bytes],
    fronts: list[tuple[int, int | None, bool, int]],
    shape: tuple[int, int, int],
    places: list[int],
    found: list[Columns | PayloadError | None],
) -> None:
    """Read payloads of one shape as one array, where they are of one layout; what is not is left to its own."""
    start, stride, count = shape
    end = start + count * stride
    seqs = [seq_of(payload[end:]) if len(payload) > end else None for payload in payloads]
    if any(seq is None and len(payload) > end for seq, payload in zip(seqs, payloads, strict=True)):
        return
    flat = np.frombuffer(b"".join([payload[start:end] for payload in payloads]), np.uint8)
    layout = layout_fitting(payloads[0][start : start + stride], flat)
    if layout is None or layout.kind in WHOLE or (layout.transient and any(front[1] is None for front in fronts)):
        return
    keys, values, qualities, texts = part(layout, flat, count * len(payloads), None)
    aliases, times = keys.reshape(2, len(payloads), count)
    values, qualities = values.reshape(-1, count), qualities.reshape(-1, count)
    for n, at in enumerate(places):
        sent_ms, record, historical, _ = fronts[n]
        old = historical or layout.historical
        found[at] = Columns(record, seqs[n], sent_ms, aliases[n], times[n], values[n], qualities[n], old, texts)


def _regular(payload: bytes, types: Types | None) -> Columns | None:
    """Return the columns of a payload whose readings all have one shape; None where they have not."""
    found = regular(payload)
    if found is None:
        return None
    keys, values, qualities, texts = part(found.layout, found.flat, found.metrics, types)
    old = found.historical or found.layout.historical
    return Columns(found.record, found.seq, found.sent_ms, keys[0], keys[1], values, qualities, old, texts)
