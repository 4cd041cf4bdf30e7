"""Payloads: what is encoded comes back bit for bit, and protobuf itself would have written the same bytes."""

import math
import struct

import pytest
from davylamp_wire import sparkplug_pb2
from davylamp_wire.payload import (
    CONFIRM,
    BirthMetric,
    Message,
    PayloadError,
    SparkplugType,
    birth_payload,
    command_payload,
    data_payload,
    death_payload,
    decode,
    device_death_payload,
    mark_historical,
    metrics_body,
    record_metric,
)
from davylamp_wire.quality import GOOD, Level, Reason, bad, uncertain
from davylamp_wire.reading import Readings, Value
from hypothesis import given
from hypothesis import strategies as st
from support.readings import NOW, VALUES, qualities, typed_readings

T = SparkplugType
NO_VALUE, NOT_A_NUMBER = bad(Reason.NO_VALUE), bad(Reason.NOT_A_NUMBER)


def bits(value: Value) -> tuple[str, Value | bytes]:
    """A value such that equal means the same bits: -0.0 is not 0.0, and a NaN is itself."""
    return type(value).__name__, struct.pack("<d", value) if isinstance(value, float) else value


def expected_quality(value: Value, quality: int) -> int:
    if value is None:
        return quality or NO_VALUE
    nan = isinstance(value, float) and math.isnan(value)
    return NOT_A_NUMBER if nan and quality == GOOD else quality


@given(typed_readings(), st.integers(0, 255), st.booleans())
def test_any_readings_survive_encode_and_decode_bit_for_bit(
    given_readings: tuple[Readings, dict[int, int]], seq: int, historical: bool
) -> None:
    readings, types = given_readings
    body = metrics_body(readings, types)
    payload = data_payload(mark_historical(body) if historical else body, seq=seq, sent_ms=NOW)
    message = decode(payload, types)
    assert (message.timestamp, message.seq) == (NOW, seq)
    assert [metric.alias for metric in message.metrics] == list(readings.aliases)
    assert [metric.time_ms for metric in message.metrics] == list(readings.times_ms)
    assert [bits(metric.value) for metric in message.metrics] == [bits(value) for value in readings.values]
    expected = map(expected_quality, readings.values, readings.qualities)
    assert [metric.quality for metric in message.metrics] == list(expected)
    assert {metric.historical for metric in message.metrics} == {historical}


@given(typed_readings())
def test_bytes_written_by_hand_are_those_protobuf_writes(given_readings: tuple[Readings, dict[int, int]]) -> None:
    readings, types = given_readings
    payload = data_payload(metrics_body(readings, types), seq=200, sent_ms=NOW)
    assert sparkplug_pb2.Payload.FromString(payload).SerializeToString(deterministic=True) == payload


@given(st.integers(0, (1 << 64) - 1), st.integers(16_384, 1 << 22))
def test_a_record_number_is_a_transient_long(record: int, alias: int) -> None:
    (metric,) = decode(data_payload(record_metric(alias, record, NOW), seq=0, sent_ms=NOW)).metrics
    assert (metric.alias, metric.value, metric.time_ms, metric.transient) == (alias, record, NOW, True)


@given(
    st.sampled_from([T.DOUBLE, T.FLOAT]),
    st.sampled_from([range(20_000, 20_070), [*range(20_000, 20_030), *range(20_040, 20_080)], [20_007] * 70]),
    st.lists(st.integers(NOW, NOW + 2), min_size=70, max_size=70),
)
def test_a_scan_has_the_bytes_of_its_readings_one_by_one(
    datatype: SparkplugType, aliases: list[int], times_ms: list[int]
) -> None:
    types = dict.fromkeys(aliases, int(datatype))
    values: list[Value] = [n / 8 for n in range(70)]
    each = [
        metrics_body(Readings([alias], [time_ms], [value], [GOOD]), types)
        for alias, time_ms, value in zip(aliases, times_ms, values, strict=True)
    ]
    readings = Readings(aliases, times_ms, values, [GOOD] * 70)
    assert metrics_body(readings, types) == metrics_body(readings, types, int(datatype)) == b"".join(each)


def test_a_regular_double_takes_twenty_two_bytes() -> None:
    readings = Readings([20_000] * 5, [NOW] * 5, [1.5] * 5, [GOOD] * 5)
    assert len(metrics_body(readings, {20_000: T.DOUBLE})) == 5 * 22


@pytest.mark.parametrize("datatype", [T.INT8, T.INT16, T.INT32, T.INT64, T.UINT8, T.UINT16, T.UINT32, T.UINT64])
def test_an_integer_beyond_its_width_is_refused_by_name(datatype: SparkplugType) -> None:
    with pytest.raises(ValueError, match=f"alias 20000: {1 << 64} does not fit {datatype.name}"):
        metrics_body(Readings([20_000], [NOW], [1 << 64], [GOOD]), {20_000: datatype})


@pytest.mark.parametrize(
    ("value", "datatype"),
    [("12", T.DOUBLE), (1.5, T.INT16), (3, T.STRING), (7, T.BOOLEAN), (10**400, T.DOUBLE)],
)
def test_a_value_of_another_kind_is_refused(value: Value, datatype: SparkplugType) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        metrics_body(Readings([20_000], [NOW], [value], [GOOD]), {20_000: datatype})


@pytest.mark.parametrize(("value", "sent"), [(1e39, math.inf), (-1e39, -math.inf)])
def test_a_double_beyond_a_float_is_sent_as_the_infinity_it_rounds_to(value: float, sent: float) -> None:
    body = metrics_body(Readings([20_000], [NOW], [value], [GOOD]), {20_000: T.FLOAT})
    assert decode(data_payload(body, seq=0, sent_ms=NOW)).metrics[0].value == sent


def test_an_alias_without_datatype_is_refused() -> None:
    with pytest.raises(ValueError, match="alias 20000 has no datatype"):
        metrics_body(Readings([20_000], [NOW], [1.0], [GOOD]), {})


def test_no_readings_make_no_bytes() -> None:
    assert metrics_body(Readings([], [], [], []), {}) == b""


def test_s04_a_missing_value_is_never_good() -> None:
    body = metrics_body(Readings([20_000], [NOW], [None], [GOOD]), {20_000: T.DOUBLE})
    (metric,) = decode(data_payload(body, seq=0, sent_ms=NOW)).metrics
    assert (metric.is_null, metric.quality) == (True, NO_VALUE)


def test_s09_a_doubtful_value_is_bad_to_strangers_and_keeps_its_value_and_reason_for_us() -> None:
    doubt = uncertain(Reason.LOOP_HIGH)
    body = metrics_body(Readings([20_000], [NOW], [101.5], [doubt]), {20_000: T.DOUBLE})
    (metric,) = decode(data_payload(body, seq=0, sent_ms=NOW)).metrics
    assert (metric.value, metric.quality) == (101.5, doubt)
    assert metric.properties == {"Quality": 0, "Davylamp/Quality": doubt}


@pytest.mark.parametrize(("stated", "level"), [(0x1FF, Level.UNCERTAIN), (0x2FF, Level.BAD), (0x300, Level.BAD)])
def test_a_quality_of_a_newer_version_never_passes_for_good(stated: int, level: Level) -> None:
    payload = sparkplug_pb2.Payload()
    metric = payload.metrics.add(alias=1, double_value=1.0)
    metric.properties.keys.append("Davylamp/Quality")
    metric.properties.values.add(type=3, int_value=stated)
    assert decode(payload.SerializeToString()).metrics[0].quality >> 8 == level


@pytest.mark.parametrize(("stated", "expected"), [(192, GOOD), (0, bad(Reason.DEVICE_FAULT)), (500, bad(Reason.STALE))])
def test_a_foreign_quality_is_read_by_the_standard(stated: int, expected: int) -> None:
    payload = sparkplug_pb2.Payload()
    metric = payload.metrics.add(alias=1, double_value=1.0)
    metric.properties.keys.append("Quality")
    metric.properties.values.add(type=3, int_value=stated)
    assert decode(payload.SerializeToString()).metrics[0].quality == expected


@pytest.mark.parametrize("raw", [0xE9, 0xFFFFFFE9])
def test_a_small_negative_is_read_whether_masked_or_sign_extended(raw: int) -> None:
    payload = sparkplug_pb2.Payload()
    payload.metrics.add(alias=1, datatype=T.INT8, int_value=raw)
    assert decode(payload.SerializeToString()).metrics[0].value == -23


@pytest.mark.parametrize("broken", [b"\x12\xff", b"\x08", b"no payload at all", b"\x12\x02\x10"])
def test_bytes_that_are_no_payload_are_refused_with_a_reason(broken: bytes) -> None:
    with pytest.raises(PayloadError, match="not a Sparkplug payload"):
        decode(broken)


def test_a_text_that_is_not_utf8_is_no_value_and_breaks_nothing() -> None:
    broken = b"\x12\x0c" + b"\x10\x05" + b"\x18" + b"\x80\x80\x80\x80\x80\x01" + b"\x7a\x01\xff"[:3]
    (metric,) = decode(broken[:1] + bytes([len(broken) - 2]) + broken[2:]).metrics
    assert (metric.value, metric.readable, metric.quality) == (None, False, NO_VALUE)


named = st.builds(
    BirthMetric,
    name=st.text(min_size=1),
    datatype=st.just(T.DOUBLE),
    alias=st.one_of(st.none(), st.integers(0, (1 << 64) - 1)),
    value=VALUES[T.DOUBLE],
    properties=st.dictionaries(
        st.text(min_size=1).filter(lambda key: "Quality" not in key),
        st.one_of(st.text(), st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats(allow_nan=False)),
    ),
    quality=qualities,
    time_ms=st.integers(0, 1 << 42),
)


@given(st.lists(named, max_size=8, unique_by=lambda metric: metric.name), st.integers(0, 255))
def test_a_birth_says_everything_and_is_read_back(metrics: list[BirthMetric], seq: int) -> None:
    message = decode(birth_payload(metrics, seq=seq, sent_ms=NOW))
    assert (message.seq, message.timestamp) == (seq, NOW)
    for said in metrics:
        read = message.find(said.name)
        assert read is not None
        assert (read.alias, read.datatype, read.time_ms) == (said.alias, said.datatype, said.time_ms)
        assert bits(read.value) == bits(said.value)
        assert read.quality == expected_quality(said.value, said.quality)
        assert {key: read.properties[key] for key in said.properties} == said.properties


@pytest.mark.parametrize("datatype", list(VALUES))
def test_births_of_every_datatype_come_back(datatype: SparkplugType) -> None:
    @given(VALUES[datatype])
    def comes_back(value: Value) -> None:
        payload = birth_payload([BirthMetric("m", datatype, 5, value)], seq=0, sent_ms=NOW)
        assert bits(decode(payload).metrics[0].value) == bits(value)

    comes_back()


def test_a_birth_of_an_unknown_value_is_null_and_bad() -> None:
    message = decode(birth_payload([BirthMetric("m", T.FLOAT, 5, None)], seq=0, sent_ms=NOW))
    assert message.metrics[0].is_null
    assert message.metrics[0].quality == NO_VALUE
    assert message.value("m") is None
    assert message.value("n") is None


def test_a_death_carries_its_bdseq_and_no_seq() -> None:
    message = decode(death_payload(17, NOW))
    assert message == Message(NOW, None, message.metrics)
    assert message.value("bdSeq") == 17


def test_a_device_death_carries_a_seq_and_nothing_else() -> None:
    assert decode(device_death_payload(seq=255, sent_ms=NOW)) == Message(NOW, 255, ())


def test_a_command_carries_names_and_no_seq() -> None:
    message = decode(command_payload([BirthMetric(CONFIRM, T.STRING, None, "a:1-5")], NOW))
    assert (message.seq, message.value(CONFIRM)) == (None, "a:1-5")


@pytest.mark.parametrize(("datatype", "value"), [(T.INT8, 200), (T.STRING, 5), (T.DOUBLE, "x"), (T.INT32, 1.5)])
def test_a_birth_refuses_a_value_of_another_kind_by_name(datatype: SparkplugType, value: Value) -> None:
    with pytest.raises(ValueError, match=r"m: .* does not fit datatype"):
        birth_payload([BirthMetric("m", datatype, 5, value)], seq=0, sent_ms=NOW)
