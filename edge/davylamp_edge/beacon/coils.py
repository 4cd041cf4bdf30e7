"""Encodes the only frame of Davylamp's that changes anything: one coil of the beacon's relay module (SAFETY S28).

Everything that may write is in this file. Every other frame is made by `drivers.modbus_frames`, which refuses each
function that is no read. One coil a frame: a write of several would take along those that lie between ours.
Source: Modbus Application Protocol 1.1b3, 6.5.
"""

import struct

from davylamp_edge.beacon_settings import BeaconSettings
from davylamp_edge.drivers.modbus_frames import READS, Asked, Frames, crc

WRITE_COIL = 5
CLOSED, OPEN = 0xFF00, 0x0000


class NotOurCoil(Exception):
    """A write was asked for that is not a configured coil of the beacon: a mistake in our own code."""


class CoilFrames:
    """The frames of a line, and beside them the writes of the coils that a config allows."""

    def __init__(self, frames: Frames, settings: BeaconSettings) -> None:
        self._frames = frames
        self._unit = settings.unit
        self._coils = frozenset(settings.coils.all)
        self.numbered = frames.numbered

    @property
    def set_aside(self) -> int:
        """Whole frames that answered nobody."""
        return self._frames.set_aside

    def request(self, asked: Asked, start: int, count: int) -> bytes:
        """Return the frame of a read, or of a write to one of our coils. Raises: NotOurCoil."""
        if asked.function in READS:
            return self._frames.request(asked, start, count)
        self._refuse_others(asked, start, count)
        body = struct.pack(">BBHH", asked.unit, WRITE_COIL, start, count)
        if self.numbered:
            return struct.pack(">HHH", asked.transaction, 0, len(body)) + body
        return body + crc(body).to_bytes(2, "little")

    def answer(self, buffer: bytearray, asked: Asked) -> bytes | None:
        """Return the PDU that answers, as the line's frames find it."""
        return self._frames.answer(buffer, asked)

    def _refuse_others(self, asked: Asked, start: int, value: int) -> None:
        if asked.function != WRITE_COIL or value not in (CLOSED, OPEN):
            raise NotOurCoil(f"function {asked.function} with value {value:#06x} is no write of one coil")
        if asked.unit != self._unit or start not in self._coils:
            ours = ", ".join(map(str, sorted(self._coils)))
            raise NotOurCoil(f"coil {start} of unit {asked.unit} is not the beacon's: {ours} of unit {self._unit}")
