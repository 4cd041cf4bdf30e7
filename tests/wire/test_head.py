"""The head of a payload is the same, whether it is read off regular bytes or by protobuf."""

from davylamp_wire.decode import PayloadError
from davylamp_wire.head import Head, _parsed, head_of
from davylamp_wire.payload import SparkplugType, data_payload, mark_historical, metrics_body, record_metric
from davylamp_wire.reading import Readings
from hypothesis import given
from hypothesis import strategies as st
from support.readings import NOW, typed_readings

ALIASES = [16_400 + n for n in range(5)]
CALM = Readings(ALIASES, [NOW] * 5, [1.5] * 5, [0] * 5)
BODY = metrics_body(CALM, dict.fromkeys(ALIASES, int(SparkplugType.DOUBLE)))
REGULAR = data_payload(record_metric(16_399, 70_000, NOW) + BODY, seq=200, sent_ms=NOW)


@given(typed_readings(), st.one_of(st.none(), st.integers(0, (1 << 64) - 1)), st.booleans(), st.integers(0, 255))
def test_a_head_says_what_protobuf_says(
    said: tuple[Readings, dict[int, int]], record: int | None, historical: bool, seq: int
) -> None:
    readings, types = said
    body = metrics_body(readings, types)
    body = body if record is None else record_metric(16_384, record, NOW) + body
    payload = data_payload(mark_historical(body) if historical else body, seq=seq, sent_ms=NOW)
    assert head_of(payload) == _parsed(payload)


@given(st.integers(0, len(REGULAR) - 1), st.integers(0, 255))
def test_one_changed_byte_anywhere_is_read_as_protobuf_reads_it(place: int, byte: int) -> None:
    broken = REGULAR[:place] + bytes([byte]) + REGULAR[place + 1 :]
    assert _outcome(head_of, broken) == _outcome(_parsed, broken)


def _outcome(read: object, payload: bytes) -> Head | str:
    assert callable(read)
    try:
        found: Head = read(payload)
    except PayloadError:
        return "refused"
    return found
