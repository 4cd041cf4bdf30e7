"""Just enough MQTT 3.1.1 for load: one socket an edge, QoS 0 out in bulk, commands in. A client library would cost more
than what is measured."""

import selectors
import socket
import threading
from collections.abc import Callable

CONNACK, PUBLISH, SUBACK = 0x20, 0x30, 0x90


def length_of(size: int) -> bytes:
    """Return a remaining length as MQTT writes it."""
    out = bytearray()
    while True:
        size, low = size >> 7, size & 0x7F
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out)


def _text(words: str) -> bytes:
    raw = words.encode()
    return len(raw).to_bytes(2, "big") + raw


def publish(topic: str, payload: bytes) -> bytes:
    """Return a PUBLISH of QoS 0."""
    body = _text(topic) + payload
    return bytes((PUBLISH,)) + length_of(len(body)) + body


class Link:
    """One connection: with a will, subscribed to its commands. `heard(payload)` gets each of them."""

    def __init__(self, port: int, name: str, will: tuple[str, bytes], commands: str, heard: Callable[[bytes], None]):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = heard
        self._left = bytearray()
        topic, payload = will
        flags = 0x02 | 0x04 | 0x08  # clean session, will of QoS 1
        body = _text("MQTT") + bytes((4, flags, 0, 0)) + _text(name) + _text(topic)
        body += len(payload).to_bytes(2, "big") + payload
        self.socket.sendall(b"\x10" + length_of(len(body)) + body)
        self._expect(CONNACK)
        body = b"\x00\x01" + _text(commands) + b"\x01"
        self.socket.sendall(b"\x82" + length_of(len(body)) + body)
        self._expect(SUBACK)

    def _expect(self, kind: int) -> None:
        while (packet := self._packet()) is None or packet[0] & 0xF0 != kind:
            self._left += self.socket.recv(65536)

    def read(self) -> None:
        """Take what has come."""
        got = self.socket.recv(65536)
        self._left += got
        while packet := self._packet():
            if packet[0] & 0xF0 == PUBLISH:
                self._heard(_payload(packet))

    def _packet(self) -> bytes | None:
        size, shift = 0, 0
        for at in range(1, min(5, len(self._left))):
            size |= (self._left[at] & 0x7F) << shift
            shift += 7
            if not self._left[at] & 0x80:
                if len(self._left) < at + 1 + size:
                    return None
                packet = bytes(self._left[:1] + self._left[at + 1 : at + 1 + size])
                del self._left[: at + 1 + size]
                return packet
        return None


def _payload(packet: bytes) -> bytes:
    topic = int.from_bytes(packet[1:3], "big")
    return packet[3 + topic + (2 if packet[0] & 0x06 else 0) :]


def listen(links: list[Link]) -> None:
    """Read all links on a thread of its own, for as long as the process lives."""
    ready = selectors.DefaultSelector()
    for link in links:
        ready.register(link.socket, selectors.EVENT_READ, link)

    def run() -> None:
        while True:
            for key, _ in ready.select():
                key.data.read()

    threading.Thread(target=run, daemon=True).start()
