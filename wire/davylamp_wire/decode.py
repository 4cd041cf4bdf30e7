"""Sparkplug bytes to plain values, one metric at a time: for births, commands and tests. Data in bulk: `columns`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from davylamp_wire import quality, sparkplug_pb2
from davylamp_wire.names import OUR_QUALITY, QUALITY, SparkplugType, signed
from davylamp_wire.quality import GOOD, Level, Reason
from davylamp_wire.reading import Value

NO_VALUE = quality.bad(Reason.NO_VALUE)
NOT_A_NUMBER = quality.bad(Reason.NOT_A_NUMBER)
UNSTATED = quality.bad(Reason.DEVICE_FAULT)
"""A quality whose code this version does not know: bad, because doubt must not pass for good."""

Property = str | float | int | bool


class PayloadError(ValueError):
    """A payload that cannot be read; its text is the reason it goes to quarantine with."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it was sent. `datatype` is 0 where the payload did not say; `value` None where it is null.

    `time_ms` is None where neither the metric nor the payload carries a time. `readable` is False for values Davylamp
    carries no further (data sets, templates, arrays, bytes).
    """

    name: str
    alias: int | None
    datatype: int
    value: Value
    time_ms: int | None
    is_null: bool
    historical: bool
    transient: bool
    quality: int
    properties: Mapping[str, Property]
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded payload. `timestamp` is when it was sent, UTC milliseconds; None where it does not say."""

    timestamp: int | None
    seq: int | None
    metrics: tuple[Metric, ...]
    _by_name: Mapping[str, Metric] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {metric.name: metric for metric in self.metrics if metric.name})

    def find(self, name: str) -> Metric | None:
        """Return the metric of a name, the last one where it comes twice."""
        return self._by_name.get(name)

    def value(self, name: str) -> Value:
        """Return the value of a metric, None where it is null or absent."""
        found = self._by_name.get(name)
        return None if found is None else found.value


def parse(payload: bytes) -> sparkplug_pb2.Payload:
    """Return a payload as protobuf.

    Raises: PayloadError where it is none.
    """
    try:
        return sparkplug_pb2.Payload.FromString(payload)
    except (DecodeError, UnicodeDecodeError) as error:
        raise PayloadError(f"not a Sparkplug payload: {error}") from None


def is_record(metric: sparkplug_pb2.Metric) -> bool:
    """Return whether a payload's first metric is our record number: transient, and a long (docs/wire.md)."""
    return metric.is_transient and metric.HasField("long_value") and metric.HasField("alias")


def decode(payload: bytes, types: Mapping[int, int] | None = None) -> Message:
    """Return a payload as plain values.

    `types` gives datatypes by alias, from the birth: data carry none, and only the datatype tells a negative integer
    from a large one. Without it an integer is read as unsigned.

    Raises: PayloadError where it cannot be read.
    """
    read = parse(payload)
    sent = read.timestamp if read.HasField("timestamp") else None
    metrics = tuple(_metric(metric, sent, types or {}) for metric in read.metrics)
    return Message(sent, read.seq if read.HasField("seq") else None, metrics)


def _metric(metric: sparkplug_pb2.Metric, sent: int | None, types: Mapping[int, int]) -> Metric:
    alias = metric.alias if metric.HasField("alias") else None
    datatype = metric.datatype or (types.get(alias, 0) if alias is not None else 0)
    value, readable = value_of(metric, datatype)
    return Metric(
        name=_text(metric.name),
        alias=alias,
        datatype=datatype,
        value=value,
        time_ms=metric.timestamp if metric.HasField("timestamp") else sent,
        is_null=value is None,
        historical=metric.is_historical,
        transient=metric.is_transient,
        quality=quality_of(metric, value),
        properties=_properties(metric),
        readable=readable,
    )


def value_of(metric: sparkplug_pb2.Metric, datatype: int) -> tuple[Value, bool]:
    """Return a metric's value, and whether it is of a kind that can be read at all."""
    kind = metric.WhichOneof("value")
    if metric.is_null or kind is None:
        return None, True
    if kind in ("int_value", "long_value"):
        return _whole(int(getattr(metric, kind)), datatype), True
    if kind in ("float_value", "double_value", "boolean_value", "string_value"):
        value: Value | bytes = getattr(metric, kind)
        # upb hands out a text that is not UTF-8 as bytes.
        return (None, False) if isinstance(value, bytes) else (value, True)
    return None, False


def _text(said: str | bytes) -> str:
    """Return a text as it is; one that is not UTF-8 comes from upb as bytes, and is shown with its bytes escaped."""
    return said.decode(errors="backslashreplace") if isinstance(said, bytes) else said


def _whole(raw: int, datatype: int) -> Value:
    """Return an integer; a stack that sends a Boolean as integer means a Boolean."""
    return bool(raw) if datatype == SparkplugType.BOOLEAN else signed(raw, datatype)


def quality_of(metric: sparkplug_pb2.Metric, value: Value) -> int:
    """Return a metric's quality: our exact code where it travels, else Sparkplug's, else good.

    A null or a NaN is never good, whoever says so: a sensor that sends nothing must not look healthy.
    """
    code = stated_quality(metric)
    if code != GOOD:
        return code
    if value is None:
        return NO_VALUE
    return NOT_A_NUMBER if isinstance(value, float) and value != value else GOOD


def stated_quality(metric: sparkplug_pb2.Metric) -> int:
    """Return the quality a metric states: our exact code where it travels, else Sparkplug's, else good."""
    if not metric.HasField("properties"):
        return GOOD
    found = dict(zip(metric.properties.keys, metric.properties.values, strict=False))
    ours, theirs = found.get(OUR_QUALITY), found.get(QUALITY)
    if ours is not None:
        return known(_whole_property(ours))
    return GOOD if theirs is None else quality.from_sparkplug(_whole_property(theirs))


def _whole_property(value: sparkplug_pb2.PropertyValue) -> int:
    """Return an integer property; stacks put the Quality into int_value or long_value."""
    return value.long_value if value.HasField("long_value") else value.int_value


def known(code: int) -> int:
    """Return a quality code this version knows; one it does not know keeps its level, and its reason is a fault."""
    if code == GOOD:
        return GOOD
    try:
        quality.reason(code)
        return quality.code(Level(code >> 8), quality.reason(code)) if code >> 8 else UNSTATED
    except ValueError:
        return quality.uncertain(Reason.DEVICE_FAULT) if code >> 8 == Level.UNCERTAIN else UNSTATED


_SIMPLE = ("int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value")


def _properties(metric: sparkplug_pb2.Metric) -> dict[str, Property]:
    if not metric.HasField("properties"):
        return {}
    pairs = zip(metric.properties.keys, metric.properties.values, strict=False)
    return {_text(key): _property(value) for key, value in pairs if value.WhichOneof("value") in _SIMPLE}


def _property(value: sparkplug_pb2.PropertyValue) -> Property:
    raw: Property | bytes = getattr(value, str(value.WhichOneof("value")))
    if isinstance(raw, str | bytes):
        return _text(raw)
    return signed(raw, value.type) if isinstance(raw, int) and not isinstance(raw, bool) else raw
