"""What an edge says of its alarms, as it travels."""

import pytest
from davylamp_wire.local_alarm import EdgeWord, LocalAlarm, decode_word, encode_word
from davylamp_wire.payload import SparkplugType, data_payload, decode, metrics_body, record_metric, restamped
from davylamp_wire.quality import GOOD, Reason, uncertain
from davylamp_wire.reading import Readings

AT_MS = 1_795_500_000_000
RAISED = LocalAlarm(
    "cl2_1", "L2", 12, True, AT_MS, AT_MS, AT_MS - 60_000, 3.25, uncertain(Reason.CLOCK), 3.0, "a1b2c3d4"
)
NORMAL = LocalAlarm("cl2_1", "L1", 0, False, AT_MS, None, None, 0.5, GOOD, 1.0, "00ff00ff")

GOLDEN = (
    bytes.fromhex("0881868fe1a034")
    + bytes.fromhex("1210108080011880868fe1a034300158b960")
    + bytes.fromhex("12cc01109080011880868fe1a0347abe01")
    + b'{"life":"9f31a0c2","run":3,"alarms":[{"point":"cl2_1","kind":"L2","no":12,"active":true,"raised_ago_ms":0,'
    + b'"before_ago_ms":60000,"value":3.25,"quality":263,"limit":3.0,"version":"a1b2c3d4"}]}'
    + bytes.fromhex("1807")
)


def word(*alarms: LocalAlarm) -> EdgeWord:
    return EdgeWord("9f31a0c2", 3, alarms)


def test_what_is_said_comes_back_as_it_was() -> None:
    said = word(RAISED, NORMAL, RAISED._replace(found=True))
    assert decode_word(encode_word(said, AT_MS), AT_MS) == said
    assert decode_word(encode_word(word(), AT_MS), AT_MS) == word()


def test_times_move_with_the_metric_they_travel_in() -> None:
    """A wrong clock at the start is mended where records wait: the times within must follow (decision 0020)."""
    (moved,) = decode_word(encode_word(word(RAISED), AT_MS), AT_MS + 5_000).alarms
    assert (moved.time_ms, moved.raised_ms, moved.before_ms) == (AT_MS + 5_000, AT_MS + 5_000, AT_MS - 55_000)


def test_what_only_a_newer_edge_says_is_passed_over() -> None:
    text = encode_word(word(NORMAL), AT_MS).replace('"point"', '"wind":"north","point"').replace("{", '{"new":1,', 1)
    assert decode_word(text, AT_MS) == word(NORMAL)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("nothing", "Invalid JSON"),
        ('{"life":"x","run":-1}', "run"),
        ('{"life":"x","run":1,"alarms":[{"point":"a b","kind":"L2","no":1,"limit":1}]}', "alarms.0.point"),
        ('{"life":"x","run":1,"alarms":[{"point":"a","kind":"L2","no":-1,"limit":1}]}', "alarms.0.no"),
        ('{"life":"x","run":1,"alarms":[{"point":"a","kind":"L2","no":1,"limit":1,"ago_ms":1e300}]}', "ago_ms"),
        ('{"life":"x","run":1,"alarms":[{"point":"a","kind":"L2","no":1,"limit":1,"value":NaN}]}', "value"),
    ],
)
def test_what_does_not_fit_is_named(text: str, place: str) -> None:
    with pytest.raises(ValueError, match="local alarm: ") as refused:
        decode_word(text, AT_MS)
    assert place in str(refused.value)


def test_the_bytes_of_a_raise_are_these() -> None:
    """Golden: a record of class `alarm`, as it lies in the journal and goes over the wire."""
    alias = 16_400
    readings = Readings([alias], [AT_MS], [encode_word(word(RAISED), AT_MS)], [GOOD])
    body = record_metric(16_384, 12_345, AT_MS) + metrics_body(readings, {alias: SparkplugType.STRING})
    payload = data_payload(body, seq=7, sent_ms=AT_MS + 1)
    assert payload == GOLDEN
    _, said = decode(payload).metrics
    assert isinstance(said.value, str)
    assert decode_word(said.value, said.time_ms or 0) == word(RAISED)
    _, later = decode(data_payload(restamped(body, lambda at_ms: at_ms + 9), seq=7, sent_ms=AT_MS)).metrics
    assert isinstance(later.value, str)
    assert decode_word(later.value, later.time_ms or 0).alarms[0].raised_ms == AT_MS + 9
