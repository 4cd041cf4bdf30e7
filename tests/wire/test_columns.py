"""Columns equal what the plain decoder says, whichever of the three ways they were read."""

import math
import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from davylamp_wire import sparkplug_pb2
from davylamp_wire.column_shapes import by_metric, by_shape
from davylamp_wire.columns import Columns, Types, decode_columns, decode_many
from davylamp_wire.names import name_alias
from davylamp_wire.payload import (
    Message,
    PayloadError,
    SparkplugType,
    data_payload,
    decode,
    mark_historical,
    metrics_body,
    record_metric,
)
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from davylamp_wire.reading import Readings, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.readings import NOW, typed_readings

T = SparkplugType
RECORD_ALIAS = 16_384
FIRST = 16_400


def lookup(types: Mapping[int, int]) -> Types:
    """A birth's datatypes as the cloud keeps them."""
    return lambda aliases: np.array([types.get(alias & (1 << 64) - 1, 0) for alias in aliases.tolist()], np.int64)


def as_column(value: Value) -> float:
    return math.nan if value is None or isinstance(value, str) else float(value)


def text_of(value: Value) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 1 << 53 else None


def assert_says(columns: Columns, message: Message) -> None:
    """The obvious twin: every column, from the plain decoder."""
    read = [metric for at, metric in enumerate(message.metrics) if not (at == 0 and metric.transient)]
    assert columns.seq == message.seq
    assert columns.sent_ms == message.timestamp
    assert columns.aliases.view(np.uint64).tolist() == [metric.alias for metric in read]
    assert columns.times_ms.tolist() == [metric.time_ms for metric in read]
    expected = np.array([as_column(metric.value) for metric in read], np.float64)
    nan = np.isnan(expected)
    assert (np.isnan(columns.values) == nan).all()
    assert columns.values[~nan].tobytes() == expected[~nan].tobytes()
    assert columns.qualities.tolist() == [metric.quality for metric in read]
    assert columns.historical == any(metric.historical for metric in message.metrics)
    assert columns.texts == {at: text for at, m in enumerate(read) if (text := text_of(m.value)) is not None}
    kinds = [column.dtype for column in (columns.aliases, columns.times_ms, columns.values, columns.qualities)]
    assert kinds == [np.int64, np.int64, np.float64, np.uint16]


@given(typed_readings(), st.one_of(st.none(), st.integers(0, (1 << 64) - 1)), st.booleans(), st.integers(0, 255))
def test_columns_say_what_the_plain_decoder_says(
    drawn: tuple[Readings, dict[int, int]], record: int | None, historical: bool, seq: int
) -> None:
    readings, types = drawn
    body = (b"" if record is None else record_metric(RECORD_ALIAS, record, NOW)) + metrics_body(readings, types)
    payload = data_payload(mark_historical(body) if historical else body, seq=seq, sent_ms=NOW)
    for columns in (decode_columns(payload, lookup(types)), by_metric(payload, lookup(types), 0)):
        assert columns.record == record
        assert_says(columns, decode(payload, types))


def mixed(count: int) -> tuple[Readings, dict[int, int]]:
    """A long scan of many kinds, with doubt here and there."""
    kinds = [T.FLOAT, T.INT16, T.BOOLEAN, T.UINT32, T.DOUBLE, T.INT64]
    values: list[Value] = [-1.5, -7, True, 1 << 31, 2.5, -(1 << 60) - 1]
    places = range(count)
    types: dict[int, int] = {20_000 + at: kinds[at % 6] for at in places}
    types[20_000] = T.STRING
    said = ["长" * 60 if at == 0 else values[at % 6] for at in places]
    codes = [GOOD if at % 50 else uncertain(Reason.LOOP_HIGH) for at in places]
    return Readings(list(types), [NOW + at for at in places], said, codes), types


@pytest.mark.parametrize("historical", [False, True])
@pytest.mark.parametrize("record", [None, 77])
def test_a_long_payload_of_several_shapes_is_read_shape_by_shape(record: int | None, historical: bool) -> None:
    readings, types = mixed(600)
    body = (b"" if record is None else record_metric(RECORD_ALIAS, record, NOW)) + metrics_body(readings, types)
    payload = data_payload(mark_historical(body) if historical else body, seq=9, sent_ms=NOW)
    columns = by_shape(payload, lookup(types))
    assert columns is not None
    assert columns.record == record
    assert_says(columns, decode(payload, types))
    assert_says(decode_columns(payload, lookup(types)), decode(payload, types))


def test_an_integer_written_longer_than_it_is_reads_alike_however_many_come() -> None:
    """Some stacks send a negative int_value with 64 bits, of which protobuf keeps 32."""
    types = {20_000 + at: int(T.UINT32 if at % 2 else T.INT32) for at in range(40)}
    metrics = [sparkplug_pb2.Metric(alias=alias, timestamp=NOW).SerializeToString() for alias in types]
    long = [metric + b"\x50" + b"\xfe" + b"\xff" * 8 + b"\x01" for metric in metrics]
    payload = data_payload(b"".join(b"\x12" + bytes([len(body)]) + body for body in long), seq=9, sent_ms=NOW)
    assert_says(decode_columns(payload, lookup(types)), decode(payload, types))
    assert_says(by_metric(payload, lookup(types), 0), decode(payload, types))


ONE_SHAPE: dict[str, tuple[SparkplugType, Callable[[int], Value], int]] = {
    "doubles": (T.DOUBLE, lambda at: at * 0.1, GOOD),
    "floats": (T.FLOAT, lambda at: at * 0.5, GOOD),
    "booleans": (T.BOOLEAN, lambda at: at % 2 == 0, GOOD),
    "integers": (T.INT16, lambda at: -at - 1, GOOD),
    "longs": (T.INT64, lambda at: -(1 << 60) - at, GOOD),
    "nulls": (T.DOUBLE, lambda at: None, bad(Reason.COMM)),
    "doubt": (T.DOUBLE, lambda at: at * 0.1, uncertain(Reason.OVER_RANGE)),
}


@pytest.mark.parametrize("historical", [False, True])
@pytest.mark.parametrize("shape", list(ONE_SHAPE))
def test_every_regular_shape_is_read_as_one_array(
    shape: str, historical: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    datatype, value, quality = ONE_SHAPE[shape]
    aliases = list(range(20_000, 20_200))
    readings = Readings(aliases, [NOW + at for at in range(200)], [value(at) for at in range(200)], [quality] * 200)
    types = dict.fromkeys(aliases, int(datatype))
    body = record_metric(RECORD_ALIAS, 5, NOW) + metrics_body(readings, types)
    payload = data_payload(mark_historical(body) if historical else body, seq=9, sent_ms=NOW)
    expected = decode(payload, types)
    monkeypatch.setattr("davylamp_wire.columns.by_shape", lambda *_: pytest.fail("was not read as one array"))
    columns = decode_columns(payload, lookup(types))
    assert columns.record == 5
    assert_says(columns, expected)


def regular(count: int) -> bytes:
    aliases = list(range(20_000, 20_000 + count))
    readings = Readings(aliases, [NOW] * count, [float(at) for at in range(count)], [GOOD] * count)
    return data_payload(metrics_body(readings, dict.fromkeys(aliases, T.DOUBLE)), seq=200, sent_ms=NOW)


REGULAR = regular(30)


@given(st.integers(0, len(REGULAR) - 1), st.integers(0, 255))
def test_one_changed_byte_anywhere_is_read_as_protobuf_reads_it_or_refused(place: int, byte: int) -> None:
    broken = REGULAR[:place] + bytes([byte]) + REGULAR[place + 1 :]
    try:
        expected = decode(broken)
    except PayloadError:
        with pytest.raises(PayloadError):
            decode_columns(broken)
        return
    columns = decode_columns(broken)
    assert columns.times_ms.tolist() == [metric.time_ms or 0 for metric in expected.metrics]
    assert len(columns.aliases) == len(expected.metrics)
    values = np.array([as_column(metric.value) for metric in expected.metrics])
    assert np.array_equal(columns.values, values, equal_nan=True)


def test_a_payload_longer_than_one_proof_is_read_whole() -> None:
    payload = regular(5_000)
    assert decode_columns(payload).values.tolist() == [float(at) for at in range(5_000)]


def test_a_signalling_nan_is_not_a_number_and_warns_nobody() -> None:
    aliases = [20_000, 20_001]
    body = metrics_body(Readings(aliases, [NOW] * 2, [1.0, 2.0], [GOOD] * 2), dict.fromkeys(aliases, T.FLOAT))
    body = body[:-4] + b"\x01\x00\x80\x7f"
    columns = decode_columns(data_payload(body, seq=0, sent_ms=NOW))
    assert columns.qualities.tolist() == [GOOD, bad(Reason.NOT_A_NUMBER)]


def test_integers_without_datatypes_are_unsigned() -> None:
    body = metrics_body(Readings([20_000], [NOW], [-1], [GOOD]), {20_000: T.INT16})
    assert decode_columns(data_payload(body, seq=0, sent_ms=NOW)).values.tolist() == [65_535.0]


def test_a_datatype_in_the_payload_beats_the_births() -> None:
    payload = sparkplug_pb2.Payload(timestamp=NOW, seq=1)
    payload.metrics.add(alias=20_000, timestamp=NOW, datatype=T.INT8, int_value=0xE9)
    assert decode_columns(payload.SerializeToString(), lookup({20_000: T.UINT8})).values.tolist() == [-23.0]


def test_a_foreign_metric_without_alias_has_the_alias_of_its_name() -> None:
    payload = sparkplug_pb2.Payload(seq=1)
    payload.metrics.add(name="Tank/Level", double_value=4.5)
    columns = decode_columns(payload.SerializeToString(), arrival_ms=NOW)
    assert columns.aliases.view(np.uint64).tolist() == [name_alias("Tank/Level")]
    assert columns.times_ms.tolist() == [NOW]
    assert columns.sent_ms is None


def test_a_metric_without_a_time_has_the_payloads() -> None:
    payload = sparkplug_pb2.Payload(timestamp=NOW, seq=1)
    payload.metrics.add(alias=20_000, double_value=4.5)
    assert decode_columns(payload.SerializeToString()).times_ms.tolist() == [NOW]


@pytest.mark.parametrize("broken", [b"\x12\xff", b"\x08", b"no payload at all", REGULAR[:-5]])
def test_bytes_that_are_no_payload_are_refused(broken: bytes) -> None:
    with pytest.raises(PayloadError, match="not a Sparkplug payload"):
        decode_columns(broken)


def test_an_empty_payload_has_empty_columns() -> None:
    columns = decode_columns(data_payload(b"", seq=3, sent_ms=NOW))
    shapes: list[NDArray[np.generic]] = [columns.aliases, columns.times_ms, columns.values, columns.qualities]
    assert [len(column) for column in shapes] == [0, 0, 0, 0]
    assert (columns.seq, columns.record) == (3, None)


KINDS = ["doubles", "floats", "typed", "broken", "short"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 4)), max_size=12),
    st.data(),
)
def test_many_payloads_say_what_each_says_alone(kinds: list[tuple[str, int]], data: st.DataObject) -> None:
    payloads = [_payload(kind, count, n, data) for n, (kind, count) in enumerate(kinds)]
    arrivals = [NOW + n for n in range(len(payloads))]
    together = decode_many(payloads, [None] * len(payloads), arrivals)
    for payload, found, arrival_ms in zip(payloads, together, arrivals, strict=True):
        if isinstance(found, PayloadError):
            with pytest.raises(PayloadError, match=re.escape(str(found))):
                decode_columns(payload, None, arrival_ms)
            continue
        alone = decode_columns(payload, None, arrival_ms)
        assert found[:3] == alone[:3]
        assert (found.historical, found.texts) == (alone.historical, alone.texts)
        for name in ("aliases", "times_ms", "values", "qualities"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
            assert getattr(found, name).dtype == getattr(alone, name).dtype


def _payload(kind: str, count: int, n: int, data: st.DataObject) -> bytes:
    if kind in ("doubles", "floats"):
        datatype = SparkplugType.DOUBLE if kind == "doubles" else SparkplugType.FLOAT
        aliases = list(range(FIRST + 10 * n, FIRST + 10 * n + count))
        value = data.draw(st.sampled_from([1.5, 0.0, float("nan"), float("inf")]))
        readings = Readings(aliases, [NOW + n] * count, [value] * count, [0] * count)
        body = record_metric(FIRST - 1, data.draw(st.integers(0, 1 << 22)), NOW)
        body += metrics_body(readings, dict.fromkeys(aliases, int(datatype)))
        return data_payload(body, seq=data.draw(st.integers(0, 255)), sent_ms=NOW + n)
    if kind == "typed":
        readings, types = data.draw(typed_readings())
        return data_payload(metrics_body(readings, types), seq=n, sent_ms=NOW)
    whole = _payload("doubles", count, n, data)
    return whole[:-1] if kind == "short" else whole[:20] + bytes([data.draw(st.integers(0, 255))]) + whole[21:]
