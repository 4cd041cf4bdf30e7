"""Payloads that are not one shape: read shape by shape where that pays, else metric by metric through protobuf."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from davylamp_wire import sparkplug_pb2
from davylamp_wire.column_parts import Columns, Part, Types, part, whole_values
from davylamp_wire.decode import is_record, parse, quality_of, value_of
from davylamp_wire.frame import front_of, seq_of
from davylamp_wire.layout import Bytes, layout_fitting
from davylamp_wire.names import name_alias
from davylamp_wire.quality import GOOD

FEW = 24
"""Fewer metrics of one shape are not worth an array."""
WORTH = 6_000
"""Shorter payloads, in bytes, are not worth sorting by shape."""
LONG = 0x81
"""Metrics from this length on have a length of two bytes: texts, mostly."""
METRIC, TRANSIENT = 0x12, 0x30
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
    """Read metrics one by one. Here every attribute counts, so this is written out."""
    unsigned = [metric.alias or _alias(metric) for metric in metrics]
    times = [metric.timestamp or _time(metric, sent_ms) for metric in metrics]
    keys = np.array([unsigned, times], np.uint64).reshape(2, len(metrics)).view(np.int64)
    values = [math.nan] * len(metrics)
    qualities = [GOOD] * len(metrics)
    wholes: dict[int, int] = {}
    texts: dict[int, str] = {}
    for at, metric in enumerate(metrics):
        kind = metric.WhichOneof("value")
        if kind == "float_value":
            values[at] = metric.float_value
        elif kind == "double_value":
            values[at] = metric.double_value
        elif kind == "boolean_value":
            values[at] = metric.boolean_value
        elif kind == "int_value":
            wholes[at] = metric.int_value
        elif kind == "long_value":
            wholes[at] = metric.long_value
        elif kind == "string_value" and isinstance(metric.string_value, str):
            texts[at] = metric.string_value
        if values[at] != values[at] or metric.HasField("properties") or metric.is_null:
            _doubt(at, metric, values, qualities, wholes, texts)
    found = np.array(values, np.float64)
    if wholes:
        _put_wholes(wholes, keys[0], metrics, types, found, texts)
    return keys, found, np.array(qualities, np.uint16), texts


def _doubt(
    at: int,
    metric: sparkplug_pb2.Metric,
    values: list[float],
    qualities: list[int],
    wholes: dict[int, int],
    texts: dict[int, str],
) -> None:
    """Settle a metric that may be null, unreadable or not good; only `decode` says what that means."""
    value, _ = value_of(metric, 0)
    qualities[at] = quality_of(metric, value)
    if value is None:
        values[at] = math.nan
        wholes.pop(at, None)
        texts.pop(at, None)


def _put_wholes(
    wholes: dict[int, int],
    aliases: NDArray[np.int64],
    metrics: Sequence[sparkplug_pb2.Metric],
    types: Types | None,
    values: NDArray[np.float64],
    texts: dict[int, str],
) -> None:
    places = np.fromiter(wholes, np.intp, len(wholes))
    datatypes = np.array([metrics[at].datatype for at in wholes], np.int64)
    if types is not None and not datatypes.all():
        datatypes = np.where(datatypes, datatypes, types(aliases[places]))
    values[places], exact = whole_values(np.array(list(wholes.values()), np.uint64), datatypes)
    texts.update((int(places[at]), text) for at, text in exact.items())


def _time(metric: sparkplug_pb2.Metric, sent_ms: int) -> int:
    return 0 if metric.HasField("timestamp") else sent_ms


def _alias(metric: sparkplug_pb2.Metric) -> int:
    return 0 if metric.HasField("alias") else name_alias(str(metric.name))


def by_shape(payload: bytes, types: Types | None) -> Columns | None:
    """Return the columns of a long payload of ours; None where it is better read metric by metric."""
    sent_ms, record, historical, start = front_of(payload)
    found = _walk(payload, start) if start and len(payload) - start > WORTH else None
    if found is None:
        return None
    groups, count, end = found
    seq = seq_of(payload[end:]) if end < len(payload) else None
    if seq is None and end < len(payload):
        return None
    gathered = _Gathered(payload, count, types, sent_ms)
    gathered.fill(groups)
    keys, old = gathered.keys, historical or gathered.historical
    return Columns(record, seq, sent_ms, keys[0], keys[1], gathered.values, gathered.qualities, old, gathered.texts)


_Group = tuple[list[int], list[int]]
"""Places and starts of metrics of one shape."""


def _walk(payload: bytes, at: int) -> tuple[dict[int, _Group], int, int] | None:
    """Return metrics by shape, how many they are and where they end; None where the first is a record number."""
    groups: dict[int, _Group] = {}
    count, size = 0, len(payload) - KEY_AT
    transient = payload[at + KEY_AT] == TRANSIENT
    while at < size and payload[at] == METRIC:
        length = payload[at + 1]
        if length & 0x80:
            if payload[at + 2] & 0x80:
                return None
            length = (length & 0x7F) + (payload[at + 2] << 7) + 1
        shape = length << 8 | payload[at + KEY_AT]
        group = groups.get(shape)
        if group is None:
            group = groups[shape] = ([], [])
        group[0].append(count)
        group[1].append(at)
        count += 1
        at += length + 2
    return None if not count or transient or at > len(payload) else (groups, count, at)


class _Gathered:
    """The columns of metrics at known places, filled shape by shape."""

    def __init__(self, payload: bytes, count: int, types: Types | None, sent_ms: int) -> None:
        self._payload, self._types, self._sent_ms = payload, types, sent_ms
        self.keys = np.zeros((2, count), np.int64)
        self.values = np.full(count, np.nan)
        self.qualities = np.zeros(count, np.uint16)
        self.texts: dict[int, str] = {}
        self.historical = False

    def fill(self, groups: dict[int, _Group]) -> None:
        raw = np.frombuffer(self._payload, np.uint8)
        rest: list[tuple[int, int, int]] = []
        for shape, (places, starts) in groups.items():
            stride = (shape >> 8) + 2
            if len(places) < FEW or stride > LONG or not self._shape(raw, places, starts, stride):
                rest += [(place, start, start + stride) for place, start in zip(places, starts, strict=True)]
        if rest:
            self._one_by_one(sorted(rest))

    def _shape(self, raw: Bytes, places: list[int], starts: list[int], stride: int) -> bool:
        """Read a group as one array; False where it is not of one shape after all."""
        first = self._payload[starts[0] : starts[0] + stride]
        flat = raw[np.array(starts)[:, None] + np.arange(stride)].reshape(-1)
        layout = layout_fitting(first, flat)
        if layout is None:
            return False
        self.historical |= layout.historical
        self._put(np.array(places), part(layout, flat, len(places), self._types))
        return True

    def _one_by_one(self, rest: list[tuple[int, int, int]]) -> None:
        metrics = parse(b"".join(self._payload[start:end] for _, start, end in rest)).metrics
        self.historical |= any(metric.is_historical for metric in metrics)
        self._put(np.array([place for place, _, _ in rest]), _each(metrics, self._types, self._sent_ms))

    def _put(self, places: NDArray[np.intp], found: Part) -> None:
        keys, values, qualities, texts = found
        self.keys[:, places] = keys
        self.values[places] = values
        self.qualities[places] = qualities
        self.texts.update((int(places[at]), text) for at, text in texts.items())
