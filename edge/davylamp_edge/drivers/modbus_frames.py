"""Modbus frames, out and in: pure. What comes in is the answer to what was asked, or is set aside.

    TCP   transaction · 0 · length · unit · PDU        the transaction's number tells replies apart
    RTU   unit · PDU · CRC                             nothing does: the bus must know that no other can come
Source: Modbus Messaging on TCP/IP 1.0b, 3.1.3; Modbus over Serial Line 1.02, 2.5.1.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

HEAD = struct.Struct(">HHHB")
"""Transaction, protocol (0), bytes after this field, unit."""
LONGEST = 254
"""Bytes of unit and PDU together."""
REFUSED = 0x80
"""Set in the function of an exception."""


class OutOfStep(Exception):
    """What came in is no frame: where the next one begins is unknown."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for last: the only thing an answer may answer. ``size`` is the bytes its data must have."""

    transaction: int
    unit: int
    function: int
    size: int


def fits(pdu: bytes, asked: Asked) -> bool:
    """Return whether a PDU is an exception or carries as much of what was asked for as was asked for."""
    return bool(pdu[0] & REFUSED) or (pdu[0] == asked.function and len(pdu) == 2 + asked.size == 2 + pdu[1])


class Frames(Protocol):
    """How requests and answers lie on one kind of line."""

    numbered: bool
    """True where an answer says which request it belongs to."""
    set_aside: int
    """Whole frames that answered nobody: late, or of a unit that was not asked. Only grows."""

    def request(self, asked: Asked, start: int, count: int) -> bytes:
        """Return the frame that asks for ``count`` addresses from ``start``."""

    def answer(self, buffer: bytearray, asked: Asked) -> bytes | None:
        """Return the PDU that answers, taking it and all before it out of the buffer; None until it has come whole.

        Raises: OutOfStep.
        """


class TcpFrames:
    """Modbus TCP."""

    numbered = True

    def __init__(self) -> None:
        self.set_aside = 0

    def request(self, asked: Asked, start: int, count: int) -> bytes:
        """Return a frame with the header of Modbus TCP."""
        return struct.pack(">HHHBBHH", asked.transaction, 0, 6, asked.unit, asked.function, start, count)

    def answer(self, buffer: bytearray, asked: Asked) -> bytes | None:
        """Return the PDU with the transaction and the unit asked for; others are late or not for us."""
        while len(buffer) >= HEAD.size:
            transaction, protocol, length, unit = HEAD.unpack_from(buffer)
            if protocol != 0 or not 2 <= length <= LONGEST:
                raise OutOfStep("sent something that is no Modbus TCP")
            end = HEAD.size + length - 1
            if len(buffer) < end:
                return None
            pdu = bytes(buffer[HEAD.size : end])
            del buffer[:end]
            if transaction == asked.transaction and unit == asked.unit:
                return pdu
            self.set_aside += 1
        return None


class RtuFrames:
    """Modbus RTU, on a serial line or through a serial server's TCP port."""

    numbered = False

    def __init__(self) -> None:
        self.set_aside = 0

    def request(self, asked: Asked, start: int, count: int) -> bytes:
        """Return a frame with a CRC, its low byte first."""
        body = struct.pack(">BBHH", asked.unit, asked.function, start, count)
        return body + crc(body).to_bytes(2, "little")

    def answer(self, buffer: bytearray, asked: Asked) -> bytes | None:
        """Return the PDU of the unit and function asked for.

        Noise before it is passed over, as the turning of an RS-485 line makes some: the CRC says where a frame begins.
        """
        for at in range(len(buffer) - 4):
            unit, function, size = buffer[at : at + 3]
            if unit != asked.unit or function & ~REFUSED != asked.function:
                continue
            end = at + (3 if function & REFUSED else 3 + size)
            if len(buffer) >= end + 2 and crc(buffer[at:end]) == int.from_bytes(buffer[end : end + 2], "little"):
                pdu = bytes(buffer[at + 1 : end])
                del buffer[: end + 2]
                return pdu
        return None


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRCS = [_crc_of(byte) for byte in range(256)]


def crc(data: bytes | bytearray) -> int:
    """Return the CRC-16 of Modbus RTU."""
    found = 0xFFFF
    for byte in data:
        found = found >> 8 ^ _CRCS[(found ^ byte) & 0xFF]
    return found
