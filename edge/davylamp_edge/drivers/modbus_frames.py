"""Modbus frames, out and in: pure. What comes in is the answer to what was asked, or is set aside.

What goes out from here reads: a frame of any other function is refused, whoever asks for it (SAFETY S28).

    TCP   transaction · 0 · length · unit · PDU        the transaction's number tells replies apart
    RTU   unit · PDU · CRC                             nothing does: the bus must know that no other can come
Source: Modbus Messaging on TCP/IP 1.0b, 3.1.3; Modbus over Serial Line 1.02, 2.5.1.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple, Protocol

HEAD = struct.Struct(">HHHB")
"""Transaction, protocol (0), bytes after this field, unit."""
LONGEST = 254
"""Bytes of unit and PDU together."""
READS = frozenset({1, 2, 3, 4})
"""The functions that change nothing (Modbus Application Protocol 1.1b3, 6.1 to 6.4)."""
REFUSED = 0x80
"""Set in the function of an exception."""


class NotARead(Exception):
    """A frame was asked for that would change something in a device: a mistake in our own code."""


class OutOfStep(Exception):
    """What came in is no frame: where the next one begins is unknown."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask a unit for. ``size`` is the bytes the answer's data must have; ``echo`` as in `Asked`."""

    unit: int
    function: int
    start: int
    count: int
    size: int
    echo: bytes = b""


class Heard(NamedTuple):
    """What came of a question, the PDU or why there is none, and when by the loop's clock."""

    said: bytes | Exception
    at_s: float


class Asked(NamedTuple):
    """What was asked for last: the only thing an answer may answer. ``size`` is the bytes its data must have.

    Where an answer says the question again instead, ``echo`` is the PDU it must be.
    """

    transaction: int
    unit: int
    function: int
    size: int
    echo: bytes = b""


def fits(pdu: bytes, asked: Asked) -> bool:
    """Return whether a PDU is an exception, the echo, or carries as much of what was asked for as was asked for."""
    if pdu[0] & REFUSED:
        return True
    if asked.echo:
        return pdu == asked.echo
    return pdu[0] == asked.function and len(pdu) == 2 + asked.size == 2 + pdu[1]


def only_reads(function: int) -> None:
    """Raise NotARead for a function that may change something."""
    if function not in READS:
        raise NotARead(f"function {function} is no read, and Davylamp writes to no plant (SAFETY S28)")


class Frames(Protocol):
    """How requests and answers lie on one kind of line."""

    numbered: bool
    """True where an answer says which request it belongs to."""

    @property
    def set_aside(self) -> int:
        """Whole frames that answered nobody: late, or of a unit that was not asked. Only grows."""

    def request(self, asked: Asked, start: int, count: int) -> bytes:
        """Return the frame that asks for ``count`` addresses from ``start``. Raises: NotARead."""

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
        only_reads(asked.function)
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
        only_reads(asked.function)
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
            end = at + (3 if function & REFUSED else 1 + (len(asked.echo) or 2 + size))
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
