"""The MQTT client as the cloud uses it: many messages with one read of the socket.

paho reads a message's head byte by byte, each byte a system call, and asks `select` before every message. With a
thousand edges that is more than everything else done for a message. Here one read takes what has come, and messages
are handed on until it is used up; paho's own parsing, keepalive and reconnecting stay as they are.
"""

import socket
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode

READ_BYTES = 1 << 18
MOST = 500
"""Messages handed on before the socket may be written to again."""


class Buffered:
    """A socket that is read in bulk. It looks to paho like one of TLS, which may hold bytes as well."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._held = b""
        self._at = 0

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes of what was read, or read; b"" where the other side has closed."""
        if self._at == len(self._held):
            self._held, self._at = self._inner.recv(READ_BYTES), 0
        start, self._at = self._at, min(self._at + size, len(self._held))
        return self._held[start : self._at]

    def pending(self) -> int:
        """Return how many bytes can be had without the network."""
        inside = getattr(self._inner, "pending", None)
        return len(self._held) - self._at + (int(inside()) if inside else 0)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the socket's own."""
        return getattr(self._inner, name)


class BulkClient(Client):
    """paho's client over a `Buffered` socket."""

    def _create_socket(self) -> Any:
        return Buffered(super()._create_socket())  # type: ignore[arg-type]  # paho calls it SocketLike

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Hand on every message that is here; see paho for what it returns."""
        for _ in range(MOST):
            code = super().loop_read(max_packets)
            held = self._sock
            if code or not isinstance(held, Buffered) or not held.pending():
                return code
        return MQTTErrorCode.MQTT_ERR_SUCCESS
