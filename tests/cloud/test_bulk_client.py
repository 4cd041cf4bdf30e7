"""The bulk client beside paho's own: the same bytes, cut anywhere, bring the same messages and the same answers."""

import itertools
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from davylamp_cloud.bulk_client import Buffered, BulkClient
from davylamp_cloud.packets import LARGEST, Message, publishes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

TOPICS = st.sampled_from([b"spBv1.0/g/DDATA/n/d", b"a", b"\xff"])
PINGRESP = b"\xd0\x00"


def length_of(size: int) -> bytes:
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size])


def packet(head: int, body: bytes) -> bytes:
    return bytes([head]) + length_of(len(body)) + body


def publish(topic: bytes, payload: bytes, qos: int = 0, mid: int = 7) -> bytes:
    identifier = mid.to_bytes(2, "big") if qos else b""
    return packet(0x30 | qos << 1, len(topic).to_bytes(2, "big") + topic + identifier + payload)


PUBLISHES = st.builds(publish, TOPICS, st.binary(max_size=300), st.integers(0, 2), st.integers(1, 65535))
STREAMS = st.lists(st.one_of(PUBLISHES, st.just(PINGRESP)), max_size=12).map(b"".join)
MALFORMED = st.sampled_from([packet(0x30, b"\x00\x00x"), b"\x30\xff\xff\xff\xff\x01"])


@contextmanager
def reading(client: Client, *, bulk: bool) -> Iterator[socket.socket]:
    """A client connected to the other end of a pair of sockets."""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.setblocking(False)
        theirs.setblocking(False)
        client._sock = Buffered(ours) if bulk else ours
        yield theirs
        client._sock = None


def heard_by(client: Client, parts: list[bytes], *, bulk: bool) -> tuple[list[bytes], MQTTErrorCode]:
    """Return what the client writes when it reads bytes in parts, and what its last reading says."""
    code, written = MQTTErrorCode.MQTT_ERR_SUCCESS, []
    with reading(client, bulk=bulk) as theirs:
        for part in parts:
            theirs.sendall(part)
            for _ in range(60):
                code = code or client.loop_read()
            client.loop_write()
        with suppress(BlockingIOError):
            while got := theirs.recv(65536):
                written.append(got)
    return written, code


def by_paho(parts: list[bytes]) -> tuple[list[Message], bytes, bool]:
    heard: list[Message] = []
    client = Client(CallbackAPIVersion.VERSION2)

    def note(_client: Client, _data: object, message: MQTTMessage) -> None:
        heard.append((message._topic, bytes(message.payload)))

    client.on_message = note
    written, code = heard_by(client, parts, bulk=False)
    return heard, b"".join(written), bool(code)


def in_bulk(parts: list[bytes]) -> tuple[list[Message], bytes, bool]:
    heard: list[Message] = []
    client = BulkClient(CallbackAPIVersion.VERSION2)
    client.on_messages = heard.extend
    written, code = heard_by(client, parts, bulk=True)
    return heard, b"".join(written), bool(code)


@given(STREAMS, st.lists(st.integers(0, 4000), max_size=6))
@example(publish(b"a", b"x" * 300_000) + publish(b"a", b"y"), [100, 150_000])
def test_bytes_cut_anywhere_bring_what_they_bring_to_paho(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parts = [stream[start:stop] for start, stop in itertools.pairwise(places) if stop > start]
    assert in_bulk(parts) == by_paho(parts)


@settings(max_examples=20)
@given(STREAMS, MALFORMED)
def test_a_malformed_packet_ends_the_connection_as_paho_ends_it(stream: bytes, malformed: bytes) -> None:
    assert in_bulk([stream, malformed])[2]


def test_acknowledgements_of_one_reading_go_out_in_one_write() -> None:
    said = b"".join(publish(b"a", b"", qos=1, mid=mid) for mid in (1, 2, 3))
    assert publishes(said, 0).acknowledgements == b"\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\x00\x03"


def test_a_packet_larger_than_a_reading_is_left_to_paho() -> None:
    assert publishes(publish(b"a", bytes(LARGEST))[:100], 0).other


def test_the_end_of_a_connection_is_noticed_with_half_a_packet_here() -> None:
    client = BulkClient(CallbackAPIVersion.VERSION2)
    with reading(client, bulk=True) as theirs:
        theirs.sendall(publish(b"a", b"x")[:4])
        assert client.loop_read() is MQTTErrorCode.MQTT_ERR_SUCCESS
        theirs.close()
        assert client.loop_read() is MQTTErrorCode.MQTT_ERR_CONN_LOST
