"""MQTT 3.1.1 packets as a tap on the wire sees them: what a checker must know of each, no more."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, SUBSCRIBE, DISCONNECT = 1, 2, 3, 8, 14


@dataclass(frozen=True, slots=True)
class Publish:
    """A message, or the will of a CONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """The first packet of a client."""

    level: int
    clean: bool
    keepalive_s: int
    client_id: str
    will: Publish | None


@dataclass(frozen=True, slots=True)
class Connack:
    """The broker's answer; 0 is welcome."""

    code: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Topics and the QoS asked for each."""

    topics: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A client's goodbye."""


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else; `kind` is its number."""

    kind: int


Packet = Publish | Connect | Connack | Subscribe | Disconnect | Other


def take_packets(buffer: bytearray) -> Iterator[Packet]:
    """Take every whole packet from the front of a buffer."""
    while (found := _frame(buffer)) is not None:
        begin, end = found
        first, body = buffer[0], bytes(buffer[begin:end])
        del buffer[:end]
        yield _packet(first >> 4, first & 0x0F, body)


def _frame(buffer: bytearray) -> tuple[int, int] | None:
    """Return where the body of the first packet begins and ends, or None while it is not whole."""
    length = 0
    for i, byte in enumerate(buffer[1:5]):
        length |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            end = i + 2 + length
            return (i + 2, end) if len(buffer) >= end else None
    return None


def _packet(kind: int, flags: int, body: bytes) -> Packet:
    if kind == CONNECT:
        return _connect(body)
    if kind == CONNACK:
        return Connack(body[1])
    if kind == PUBLISH:
        return _publish(flags, body)
    if kind == SUBSCRIBE:
        return Subscribe(tuple(_subscriptions(body[2:])))
    return Disconnect() if kind == DISCONNECT else Other(kind)


def _connect(body: bytes) -> Connect:
    _, at = _bytes(body, 0)
    level, flags, keepalive_s = struct.unpack_from(">BBH", body, at)
    client_id, at = _bytes(body, at + 4)
    will = None
    if flags & 0x04:
        topic, at = _bytes(body, at)
        payload, at = _bytes(body, at)
        will = Publish(topic.decode(), payload, flags >> 3 & 3, bool(flags & 0x20))
    return Connect(level, bool(flags & 0x02), keepalive_s, client_id.decode(), will)


def _publish(flags: int, body: bytes) -> Publish:
    topic, at = _bytes(body, 0)
    qos = flags >> 1 & 3
    return Publish(topic.decode(), body[at + (2 if qos else 0) :], qos, bool(flags & 1))


def _subscriptions(body: bytes) -> Iterator[tuple[str, int]]:
    at = 0
    while at < len(body):
        topic, at = _bytes(body, at)
        yield topic.decode(), body[at]
        at += 1


def _bytes(body: bytes, at: int) -> tuple[bytes, int]:
    """Return a length-prefixed string and where it ends."""
    (length,) = struct.unpack_from(">H", body, at)
    return body[at + 2 : at + 2 + length], at + 2 + length
