"""Topics and STATE, there and back, and what is refused."""

import pytest
from davylamp_wire.topic import HostState, MessageType, Topic, host_of, parse_topic, state_topic
from hypothesis import given
from hypothesis import strategies as st

ids = st.text(min_size=1, max_size=20).filter(lambda text: not set(text) & set("/+#\0"))


@given(st.sampled_from(MessageType), ids.filter(lambda group: group != "STATE"), ids, ids)
def test_any_topic_survives_text_and_back(kind: MessageType, group: str, node: str, device: str) -> None:
    topic = Topic(kind, group, node, device if kind.of_device else None)
    assert parse_topic(topic.text) == topic


def test_a_topic_reads_as_the_standard_has_it() -> None:
    assert Topic(MessageType.DDATA, "plant", "edge-1", "plc").text == "spBv1.0/plant/DDATA/edge-1/plc"
    assert Topic(MessageType.NBIRTH, "plant", "edge-1").text == "spBv1.0/plant/NBIRTH/edge-1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("spAv1.0/g/NDATA/n", "not in the namespace"),
        ("spBv1.0/STATE/davylamp", "a host's STATE"),
        ("spBv1.0/g/NDATA", "2 parts"),
        ("spBv1.0/g/DDATA/n/d/more", "5 parts"),
        ("spBv1.0/g/XDATA/n", "'XDATA' is no Sparkplug message type"),
        ("spBv1.0/g/NDATA/n/d", "NDATA has no device"),
        ("spBv1.0/g/DDATA/n", "DDATA needs device"),
        ("spBv1.0//NDATA/n", "'' cannot be an id"),
        ("spBv1.0/g/NDATA/+", "cannot be an id"),
        ("", "not in the namespace"),
    ],
)
def test_a_topic_that_is_none_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_topic(text)


def test_only_commands_come_from_hosts() -> None:
    assert [kind for kind in MessageType if kind.is_command] == [MessageType.NCMD, MessageType.DCMD]


def test_a_state_topic_names_its_host() -> None:
    assert host_of(state_topic("davylamp")) == "davylamp"
    assert host_of("spBv1.0/g/NDATA/n") is None


@given(st.booleans(), st.integers(0, 1 << 53))
def test_a_state_survives_encode_and_decode(online: bool, timestamp_ms: int) -> None:
    state = HostState(online, timestamp_ms)
    assert HostState.decode(state.encode()) == state


@pytest.mark.parametrize(
    "payload",
    [
        *(b"ONLINE", b"OFFLINE", b"", b"\xff", b"[]", b"1"),
        *(b'{"online":1,"timestamp":5}', b'{"online":true}'),
        *(b'{"online":true,"timestamp":true}', b'{"online":true,"timestamp":1.5}'),
    ],
)
def test_a_state_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="STATE payload"):
        HostState.decode(payload)
