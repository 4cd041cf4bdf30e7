"""PUBLISH packets out of bytes as they were read from a broker (MQTT 3.1.1, 2.2 and 3.3). Pure."""

from typing import NamedTuple

LARGEST = 1 << 18
"""Bytes of the largest packet that is waited for here."""

PUBLISH, QOS, RETAIN = 0x30, 0x06, 0x01
PUBACK = b"\x40\x02"
LENGTH_BYTES = 4

Message = tuple[bytes, bytes]
"""Topic and payload."""


class Taken(NamedTuple):
    """The messages at the front of some bytes, what acknowledges those of QoS 1, and where they end.

    `stored` are those that the broker has kept for whoever comes (MQTT 3.1.1, 3.3.1.3); what it passes on as it is said
    is not marked. `other` says that what follows is nothing to wait for here: another kind of packet, QoS 2, or a very
    large one.
    """

    messages: list[Message]
    stored: list[Message]
    acknowledgements: bytes
    end: int
    other: bool


def publishes(held: bytes, at: int) -> Taken:
    """Return the whole PUBLISH packets of QoS 0 and 1 from a place on, up to the first that is none or not all here."""
    messages: list[Message] = []
    stored: list[Message] = []
    identifiers: list[bytes] = []
    size, other = len(held), False
    while at < size:
        qos = held[at] & QOS
        if held[at] & 0xF0 != PUBLISH or qos > 2:
            other = True
            break
        start, length = _length(held, at + 1)
        if length > LARGEST:
            other = True
            break
        end = start + length
        if not start or end > size:
            break
        words = start + 2 + (held[start] << 8 | held[start + 1]) if length >= 2 else end + 1
        body = words + qos
        if words == start + 2 or body > end:
            other = True  # malformed: no topic, or one longer than its packet
            break
        found = stored if held[at] & RETAIN else messages
        found.append((held[start + 2 : words], held[body:end]))
        if qos:
            identifiers.append(held[words:body])
        at = end
    return Taken(messages, stored, b"".join([PUBACK + identifier for identifier in identifiers]), at, other)


def _length(held: bytes, at: int) -> tuple[int, int]:
    """Return where a packet's content begins and how long it is: 0 and 0 where that is not all here.

    A length of more than four bytes is none, and counts as larger than all.
    """
    if at < len(held) and held[at] < 0x80:
        return at + 1, held[at]
    length = 0
    for place, byte in enumerate(held[at : at + LENGTH_BYTES]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return at + place + 1, length
    return 0, LARGEST + 1 if len(held) >= at + LENGTH_BYTES else 0
