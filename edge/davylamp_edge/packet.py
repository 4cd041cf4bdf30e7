"""MQTT's PUBLISH as bytes, so that many can be written as one (MQTT 3.1.1, 3.3)."""

from davylamp_wire.varint import varint

PUBLISH = b"\x30"
"""QoS 0, not retained: what Sparkplug asks of data (Sparkplug 3.0, 6.4)."""


def packet(topic: bytes, payload: bytes) -> bytes:
    """Return a PUBLISH packet of QoS 0, not retained."""
    return b"".join((PUBLISH, varint(2 + len(topic) + len(payload)), len(topic).to_bytes(2, "big"), topic, payload))
