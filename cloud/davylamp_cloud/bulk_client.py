"""The MQTT client as the cloud uses it: many messages with one read of the socket.

```
socket ─► Buffered ─┬─ PUBLISH, QoS 0 and 1 ─► on_messages(all of them at once), one write of PUBACKs
                    └─ everything else ─► paho's own parsing, one packet at a time
```

paho reads a message's head byte by byte, asks `select` before every message and makes an object of each. With a
hundred edges that is more than everything else done for a message (docs/decisions/0017). Keepalive, reconnecting and
all that is sent stay paho's.
"""

import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MessageType, MQTTErrorCode

from davylamp_cloud.packets import Message, Taken, publishes

READ_BYTES = 1 << 18

OnMessages = Callable[[Sequence[Message]], None]


class Buffered:
    """A socket that is read in bulk. It looks to paho like one of TLS, which may hold bytes as well."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._held = b""
        self._at = 0

    def fill(self) -> bool:
        """Read what has come behind what is held; False where the other side has closed."""
        got = self._inner.recv(READ_BYTES)
        self._held, self._at = self._held[self._at :] + got, 0
        return bool(got)

    def take(self) -> Taken:
        """Return the messages that are held whole, and hold them no more."""
        taken = publishes(self._held, self._at)
        self._at = taken.end
        return taken

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes of what was read, or read; b"" where the other side has closed."""
        if self._at == len(self._held):
            self._held, self._at = self._inner.recv(READ_BYTES), 0
        start, self._at = self._at, min(self._at + size, len(self._held))
        return self._held[start : self._at]

    def pending(self) -> int:
        """Return how many bytes can be had that `select` does not know of; a packet half here is none of them."""
        inside = getattr(self._inner, "pending", None)
        return int(inside()) if inside else 0

    def __getattr__(self, name: str) -> Any:
        """Everything else is the socket's own."""
        return getattr(self._inner, name)


class BulkClient(Client):
    """paho's client over a `Buffered` socket. `on_messages` gets topics and payloads, and has no exception to raise.

    `on_stored` gets those that the broker has kept.
    """

    on_messages: OnMessages = staticmethod(lambda _: None)
    on_stored: OnMessages = staticmethod(lambda _: None)

    def _create_socket(self) -> Any:
        return Buffered(super()._create_socket())  # type: ignore[arg-type]  # paho calls it SocketLike

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Hand on every message that is here; see paho for what it returns."""
        held = self._sock
        if isinstance(held, Buffered) and (self._midway or _filled(held)):
            return self._read_on(held, max_packets)
        return super().loop_read(max_packets)  # paho meets the same end, and knows what to do

    def _read_on(self, held: Buffered, max_packets: int) -> MQTTErrorCode:
        while self._midway or self._hand_on(held.take()):
            code = super().loop_read(max_packets)
            if code or self._midway or self._sock is not held:
                return code
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    @property
    def _midway(self) -> bool:
        """Whether paho has begun to read a packet of its own: then what is held is the rest of it."""
        return bool(self._in_packet["command"])

    def _hand_on(self, taken: Taken) -> bool:
        """Tell of messages, then acknowledge them; return whether a packet for paho follows."""
        if taken.messages or taken.stored:
            with self._msgtime_mutex:
                self._last_bytes_received = time.monotonic()
        if taken.stored:
            self.on_stored(taken.stored)
        if taken.messages:
            self.on_messages(taken.messages)
        if taken.acknowledgements:
            self._packet_queue(MessageType.PUBACK, taken.acknowledgements, 0, 1)
        return taken.other

    def _handle_on_message(self, message: MQTTMessage) -> None:
        """What paho itself took comes the same way; not `message.topic`, which raises where it is no UTF-8."""
        take = self.on_stored if message.retain else self.on_messages
        take([(message._topic, bytes(message.payload))])


def _filled(held: Buffered) -> bool:
    """Read; return whether anything came."""
    try:
        return held.fill()
    except OSError:
        return False
