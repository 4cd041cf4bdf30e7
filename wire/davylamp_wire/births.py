"""Births, deaths and commands as Sparkplug payloads: rare messages, built metric by metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from davylamp_wire import quality, sparkplug_pb2
from davylamp_wire.decode import NO_VALUE, Property
from davylamp_wire.encode import bounds
from davylamp_wire.names import BD_SEQ, BITS, OUR_QUALITY, QUALITY, TEXTS, SparkplugType
from davylamp_wire.quality import GOOD
from davylamp_wire.reading import Value


@dataclass(frozen=True, slots=True)
class BirthMetric:
    """One metric of a birth or a command: a name, what it is and what it was last.

    `alias` is None where data will never name it (bdSeq, Node Control/Rebirth); `time_ms` None means when sent.
    """

    name: str
    datatype: int
    alias: int | None
    value: Value
    properties: Mapping[str, Property] = field(default_factory=dict)
    quality: int = GOOD
    time_ms: int | None = None


def birth_payload(metrics: Sequence[BirthMetric], *, seq: int, sent_ms: int) -> bytes:
    """Return an NBIRTH or DBIRTH. An NBIRTH has seq 0 and holds `bd_seq_metric` and `rebirth_metric`."""
    payload = _payload(metrics, sent_ms)
    payload.seq = seq
    return payload.SerializeToString()


def death_payload(bd_seq: int, sent_ms: int) -> bytes:
    """Return an NDEATH: what the broker publishes for an edge that is gone. It has no seq (Sparkplug 3.0, 6.4.21)."""
    return _payload([bd_seq_metric(bd_seq)], sent_ms).SerializeToString()


def device_death_payload(*, seq: int, sent_ms: int) -> bytes:
    """Return a DDEATH: the device was taken out of the edge's config. A lost device only turns bad (docs/wire.md)."""
    payload = _payload([], sent_ms)
    payload.seq = seq
    return payload.SerializeToString()


def command_payload(metrics: Sequence[BirthMetric], sent_ms: int) -> bytes:
    """Return an NCMD or DCMD; it has no seq."""
    return _payload(metrics, sent_ms).SerializeToString()


def bd_seq_metric(bd_seq: int) -> BirthMetric:
    """Return the metric that ties a birth to the will of its connection. `bd_seq` is 0 to 255."""
    return BirthMetric(BD_SEQ, SparkplugType.INT64, None, bd_seq)


def _payload(metrics: Sequence[BirthMetric], sent_ms: int) -> sparkplug_pb2.Payload:
    payload = sparkplug_pb2.Payload(timestamp=sent_ms)
    for metric in metrics:
        _fill(payload.metrics.add(), metric, sent_ms)
    return payload


def _fill(made: sparkplug_pb2.Metric, metric: BirthMetric, sent_ms: int) -> None:
    made.name = metric.name
    if metric.alias is not None:
        made.alias = metric.alias
    made.timestamp = sent_ms if metric.time_ms is None else metric.time_ms
    made.datatype = metric.datatype
    _set_properties(made, metric)
    if metric.value is None:
        made.is_null = True
        return
    try:
        _set_value(made, metric.datatype, metric.value)
    except (TypeError, ValueError):
        raise ValueError(f"{metric.name}: {metric.value!r} does not fit datatype {metric.datatype}") from None


def _set_value(made: sparkplug_pb2.Metric, datatype: int, value: Value) -> None:
    if datatype in BITS:
        kind = SparkplugType(datatype)
        _set_whole(made, BITS[kind] == 64, _whole(value, kind))
    elif datatype in TEXTS and isinstance(value, str):
        made.string_value = value
    elif datatype == SparkplugType.BOOLEAN and not isinstance(value, str):
        made.boolean_value = bool(value)
    elif datatype == SparkplugType.FLOAT and isinstance(value, float | int):
        made.float_value = value
    elif datatype == SparkplugType.DOUBLE and isinstance(value, float | int):
        made.double_value = value
    else:
        raise TypeError


def _set_whole(made: sparkplug_pb2.Metric | sparkplug_pb2.PropertyValue, wide: bool, raw: int) -> None:
    if wide:
        made.long_value = raw
    else:
        made.int_value = raw


def _whole(value: Value, datatype: SparkplugType) -> int:
    if isinstance(value, float | str) or value is None:
        raise TypeError
    low, high, mask = bounds(datatype)
    if not low <= value <= high:
        raise ValueError
    return value & mask


def _set_properties(made: sparkplug_pb2.Metric, metric: BirthMetric) -> None:
    for key, value in metric.properties.items():
        made.properties.keys.append(key)
        _set_property(made.properties.values.add(), value)
    code = metric.quality or (NO_VALUE if metric.value is None else GOOD)
    if code == GOOD:
        return
    for key, number in ((QUALITY, quality.to_sparkplug(code)), (OUR_QUALITY, code)):
        made.properties.keys.append(key)
        made.properties.values.add(type=SparkplugType.INT32, int_value=number)


def _set_property(made: sparkplug_pb2.PropertyValue, value: Property) -> None:
    if isinstance(value, bool):
        made.type, made.boolean_value = SparkplugType.BOOLEAN, value
    elif isinstance(value, int):
        made.type, made.long_value = SparkplugType.INT64, value & (1 << 64) - 1
    elif isinstance(value, float):
        made.type, made.double_value = SparkplugType.DOUBLE, value
    else:
        made.type, made.string_value = SparkplugType.STRING, value
