"""How requests and replies lie on a device's line: the headers of Modbus TCP, or the CRC of RTU.

Written apart from the edge's frames, so that a mistake cannot hide in both.
Source: Modbus Messaging on TCP/IP 1.0b, 3.1.3; Modbus over Serial Line 1.02, 2.5.1.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

HEAD = struct.Struct(">HHHB")
"""Transaction, protocol (0), bytes after this field, unit."""
LONGEST = 254
"""Bytes of unit and request together."""
RTU_REQUEST = 8
"""Bytes of a read request with unit and CRC; there are no others here."""


class NotModbus(Exception):
    """What came is no frame; a device hangs up on such a client."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``transaction`` is 0 where the line knows none."""

    transaction: int
    unit: int
    request: bytes


class Framing(Protocol):
    """One kind of line."""

    def take(self, buffer: bytearray) -> Asked | None:
        """Return the next request and take it out of the buffer; None where it has not come whole."""

    def reply(self, asked: Asked, body: bytes) -> bytes:
        """Return the frame that answers."""


class TcpFraming:
    """Modbus TCP."""

    def take(self, buffer: bytearray) -> Asked | None:
        """Return the next request by its header. Raises: NotModbus."""
        if len(buffer) < HEAD.size:
            return None
        transaction, protocol, length, unit = HEAD.unpack_from(buffer)
        if protocol != 0 or not 2 <= length <= LONGEST:
            raise NotModbus
        end = HEAD.size + length - 1
        if len(buffer) < end:
            return None
        request = bytes(buffer[HEAD.size : end])
        del buffer[:end]
        return Asked(transaction, unit, request)

    def reply(self, asked: Asked, body: bytes) -> bytes:
        """Return the reply under the request's transaction."""
        return HEAD.pack(asked.transaction, 0, len(body) + 1, asked.unit) + body


class RtuFraming:
    """Modbus RTU, as behind a serial server. What has no right CRC is noise."""

    def take(self, buffer: bytearray) -> Asked | None:
        """Return the next request whose CRC is right."""
        while len(buffer) >= RTU_REQUEST:
            frame = bytes(buffer[:RTU_REQUEST])
            if crc16(frame) == 0:
                del buffer[:RTU_REQUEST]
                return Asked(0, frame[0], frame[1:-2])
            del buffer[:1]
        return None

    def reply(self, asked: Asked, body: bytes) -> bytes:
        """Return the reply with its CRC."""
        frame = bytes((asked.unit,)) + body
        return frame + struct.pack("<H", crc16(frame))


def crc16(data: bytes) -> int:
    """Return the CRC of bytes, bit by bit; over a frame with its own CRC it is 0."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register, out = register >> 1, register & 1
            register ^= 0xA001 * out
    return register
