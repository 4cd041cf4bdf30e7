"""Data payloads as NumPy columns: what the cloud does with every reading, so nothing here runs once per reading.

A regular payload is one array of equal strides (`davylamp_wire.strides`). That is believed only after every constant
byte of every stride was compared (`davylamp_wire.layout`). A payload of several shapes is read shape by shape, and what
still does not fit goes metric by metric through protobuf (`column_shapes`); all ways give the same columns.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from davylamp_wire.column_parts import WHOLE, Columns, Types, part
from davylamp_wire.column_shapes import by_metric, by_shape
from davylamp_wire.decode import PayloadError
from davylamp_wire.regular import Pattern, pattern_like, regular

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

    Regular payloads of one kind are read as one array: most of what a payload costs is the same for a hundred. The
    columns of such a kind are views of one array and must not be written.
    """
    kinds: dict[Pattern, list[int]] = {}
    for at, payload in enumerate(payloads):
        pattern = pattern_like(payload)
        if pattern is not None:
            kinds.setdefault(pattern, []).append(at)
    found: list[Columns | PayloadError | None] = [None] * len(payloads)
    for pattern, places in kinds.items():
        if len(places) > 1 and pattern.layout.kind not in WHOLE:
            _stacked(pattern, [payloads[at] for at in places], places, found)
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
    pattern: Pattern, payloads: list[bytes], places: list[int], found: list[Columns | PayloadError | None]
) -> None:
    """Read payloads as one array, as far as they are of one kind; what is not is left to its own."""
    rows, fits = pattern.rows(payloads)
    if not fits.all():
        rows, places = rows[fits], [at for at, fit in zip(places, fits.tolist(), strict=True) if fit]
    count, start, end = pattern.metrics, pattern.start, pattern.end
    flat = np.ascontiguousarray(rows[:, start:end]).reshape(-1)
    if not len(flat):
        return
    keys, values, qualities, texts = part(pattern.layout, flat, count * len(places), None)
    aliases, times = keys.reshape(2, len(places), count)
    values, qualities = values.reshape(-1, count), qualities.reshape(-1, count)
    old = pattern.historical or pattern.layout.historical
    sent = _varints(rows[:, 1:7])
    nothing = [None] * len(places)
    records = nothing if pattern.record is None else _varints(rows[:, pattern.record : start])
    seqs = _varints(rows[:, end + 1 :]) if end < rows.shape[1] else nothing
    columns = zip(places, records, seqs, sent, aliases, times, values, qualities, strict=True)
    for at, record, seq, sent_ms, alias, time_ms, value, quality in columns:
        found[at] = Columns(record, seq, sent_ms, alias, time_ms, value, quality, old, texts)


def _varints(rows: NDArray[np.uint8]) -> list[int]:
    """Return the varint each row is; like protobuf's it has 64 bits."""
    found = np.zeros(len(rows), np.uint64)
    for place in range(rows.shape[1]):
        found |= (rows[:, place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    numbers: list[int] = found.tolist()
    return numbers


def _regular(payload: bytes, types: Types | None) -> Columns | None:
    """Return the columns of a payload whose readings all have one shape; None where they have not."""
    found = regular(payload)
    if found is None:
        return None
    keys, values, qualities, texts = part(found.layout, found.flat, found.metrics, types)
    old = found.historical or found.layout.historical
    return Columns(found.record, found.seq, found.sent_ms, keys[0], keys[1], values, qualities, old, texts)
