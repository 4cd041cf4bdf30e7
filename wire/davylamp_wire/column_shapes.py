"""Payloads that are not one shape: read shape by shape where that pays, else metric by metric through protobuf."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from davylamp_wire import sparkplug_pb2
from davylamp_wire.column_parts import Columns, Part, Types, part, whole_values
from davylamp_wire.decode import is_record, parse, quality_of, value_of
from davylamp_wire.layout import layout_fitting
from davylamp_wire.names import name_alias

FEW = 12
"""Fewer metrics of one shape are not worth an array."""
WORTH = 48
"""Shorter payloads are not worth sorting by shape."""
METRIC = 0x12
KEY_AT = 13
"""Where the tag behind alias and time lies in our metrics; it and the length tell shapes apart."""


def by_metric(payload: bytes, types: Types | None, arrival_ms: int) -> Columns:
    """Return the columns of any payload.

    Raises: PayloadError where it cannot be read.
    """
    read = parse(payload)
    sent_ms = read.timestamp if read.HasField("timestamp") else None
    first = read.metrics[0] if read.metrics else None
    record = first.long_value if first is not None and is_record(first) else None
    metrics = read.metrics if record is None else read.metrics[1:]
    keys, values, qualities, texts = _each(metrics, types, arrival_ms if sent_ms is None else sent_ms)
    seq = read.seq if read.HasField("seq") else None
    historical = any(metric.is_historical for metric in read.metrics)
    return Columns(record, seq, sent_ms, keys[0], keys[1], values, qualities, historical, texts)


def _each(metrics: Sequence[sparkplug_pb2.Metric], types: Types | None, sent_ms: int) -> Part:
    unsigned = [_alias(metric) for metric in metrics]
    times = [metric.timestamp if metric.HasField("timestamp") else sent_ms for metric in metrics]
    keys = np.array([unsigned, times], np.uint64).reshape(2, len(metrics)).view(np.int64)
    known = [metric.datatype for metric in metrics]
    if types is not None and not all(known):
        born = types(keys[0]).tolist()
        known = [said or meant for said, meant in zip(known, born, strict=True)]
    values = np.full(len(metrics), np.nan)
    qualities = np.zeros(len(metrics), np.uint16)
    wholes: dict[int, int] = {}
    texts: dict[int, str] = {}
    for at, metric in enumerate(metrics):
        value, _ = value_of(metric, 0)
        qualities[at] = quality_of(metric, value)
        if isinstance(value, str):
            texts[at] = value
        elif isinstance(value, int) and not isinstance(value, bool):
            wholes[at] = value
        elif value is not None:
            values[at] = value
    if wholes:
        places = list(wholes)
        datatypes = np.array([known[at] for at in places], np.int64)
        values[places], exact = whole_values(np.array(list(wholes.values()), np.uint64), datatypes)
        texts.update((places[at], text) for at, text in exact.items())
    return keys, values, qualities, texts


def _alias(metric: sparkplug_pb2.Metric) -> int:
    return metric.alias if metric.HasField("alias") else name_alias(str(metric.name))


def by_shape(payload: bytes, types: Types | None, arrival_ms: int) -> Columns | None:
    """Return the columns of a payload of few shapes; None where it is better read metric by metric."""
    places = _places(payload)
    if places is None:
        return None
    starts, ends = places
    outside = payload[: starts[0]] + payload[ends[-1] :]
    first = sparkplug_pb2.Payload.FromString(payload[starts[0] : ends[0]]).metrics[0]
    frame = by_metric(outside + payload[starts[0] : ends[0]], types, arrival_ms)
    if is_record(first):
        starts, ends = starts[1:], ends[1:]
    sent_ms = arrival_ms if frame.sent_ms is None else frame.sent_ms
    found = _Gathered(payload, np.array(starts), np.array(ends), types, sent_ms)
    found.fill()
    return Columns(
        frame.record,
        frame.seq,
        frame.sent_ms,
        found.keys[0],
        found.keys[1],
        found.values,
        found.qualities,
        frame.historical or found.historical,
        found.texts,
    )


def _places(payload: bytes) -> tuple[list[int], list[int]] | None:
    """Return where each metric begins and ends; None where they do not lie together, or are too few."""
    at, size = 0, len(payload)
    while at < size and payload[at] != METRIC:
        at += 1
        if payload[at - 1] not in (0x08, 0x18):
            return None
        while at < size and payload[at] & 0x80:
            at += 1
        at += 1
    starts, ends = [], []
    while at + 2 < size and payload[at] == METRIC:
        starts.append(at)
        length = payload[at + 1]
        if length & 0x80:
            if payload[at + 2] & 0x80:
                return None
            length = (length & 0x7F) + (payload[at + 2] << 7) + 1
        at += length + 2
        ends.append(at)
    return (starts, ends) if len(starts) >= WORTH and at <= size else None


class _Gathered:
    """The columns of metrics at known places, filled shape by shape."""

    def __init__(
        self, payload: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], types: Types | None, sent_ms: int
    ) -> None:
        count = len(starts)
        self._payload, self._starts, self._ends, self._types, self._sent_ms = payload, starts, ends, types, sent_ms
        self.keys = np.zeros((2, count), np.int64)
        self.values = np.full(count, np.nan)
        self.qualities = np.zeros(count, np.uint16)
        self.texts: dict[int, str] = {}
        self.historical = False

    def fill(self) -> None:
        raw = np.frombuffer(self._payload, np.uint8)
        strides = self._ends - self._starts
        shapes = strides << 8 | raw[np.minimum(self._starts + KEY_AT, len(raw) - 1)]
        order = np.argsort(shapes, kind="stable")
        rest = []
        for group in np.split(order, np.flatnonzero(np.diff(shapes[order])) + 1):
            if len(group) < FEW or not self._shape(raw, group, int(strides[group[0]])):
                rest.append(group)
        if rest:
            self._one_by_one(np.sort(np.concatenate(rest)))

    def _shape(self, raw: NDArray[np.uint8], group: NDArray[np.intp], stride: int) -> bool:
        """Read a group as one array; False where it is not of one shape after all."""
        start = int(self._starts[group[0]])
        flat = raw[self._starts[group][:, None] + np.arange(stride)].reshape(-1)
        layout = layout_fitting(self._payload[start : start + stride], flat)
        if layout is None:
            return False
        self.historical |= layout.historical
        self._put(group, part(layout, flat, len(group), self._types))
        return True

    def _one_by_one(self, rest: NDArray[np.intp]) -> None:
        pieces = [self._payload[self._starts[at] : self._ends[at]] for at in rest.tolist()]
        metrics = parse(b"".join(pieces)).metrics
        self.historical |= any(metric.is_historical for metric in metrics)
        self._put(rest, _each(metrics, self._types, self._sent_ms))

    def _put(self, places: NDArray[np.intp], found: Part) -> None:
        keys, values, qualities, texts = found
        self.keys[:, places] = keys
        self.values[places] = values
        self.qualities[places] = qualities
        self.texts.update((int(places[at]), text) for at, text in texts.items())
