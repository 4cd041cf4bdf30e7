"""The relay module: one connection, one request at a time; what was written is read back and compared."""

import asyncio
import struct
from collections.abc import Collection

from davylamp_edge.beacon.apart import polled_as
from davylamp_edge.beacon.coils import CLOSED, OPEN, WRITE_COIL, CoilFrames
from davylamp_edge.beacon_settings import BeaconSettings
from davylamp_edge.drivers.modbus import EXCEPTION_NAMES
from davylamp_edge.drivers.modbus_address import parse_address
from davylamp_edge.drivers.modbus_bus import Bus, frames_of
from davylamp_edge.drivers.modbus_frames import REFUSED, OutOfStep, Question

READ_COIL, READ_INPUT = 1, 2
BIT_BYTES = 1


class ModuleLost(Exception):
    """Nothing came back from the relay module, or nothing that makes sense: connect anew, and later."""


class ModuleDisobeys(Exception):
    """The module answers, and does not do as it is told: a relay is worn out, or an address is wrong."""


class Relay:
    """The module of one config. Used by one task."""

    def __init__(self, settings: BeaconSettings, polled: Collection[str] = ()) -> None:
        """`polled` are the addresses of Modbus devices: nothing is written to any of them."""
        self._settings = settings
        self.polled = polled
        self._address = parse_address(settings.address)
        self._bus: Bus | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._bus is not None and self._bus.is_open

    async def connect(self) -> None:
        """Connect anew. Raises: ModuleLost."""
        await self.close()
        plant = await polled_as(self._address, self.polled)
        if plant is not None:
            raise ModuleLost(f"{self._address} is where {plant} is polled, and nothing is written to a plant")
        bus = self._bus = Bus(self._address, CoilFrames(frames_of(self._address), self._settings))
        try:
            await bus.open(self._settings.timeout_s)
        except (OSError, TimeoutError) as error:
            await self.close()
            why = getattr(error, "strerror", None) or "nobody answers"
            raise ModuleLost(f"{self._address} does not accept a connection: {why}") from None
        except BaseException:
            await self.close()
            raise

    async def write(self, coil: int, is_closed: bool) -> None:
        """Close or open a coil. Raises: ModuleLost, ModuleDisobeys."""
        value = CLOSED if is_closed else OPEN
        await self._ask(WRITE_COIL, coil, value, struct.pack(">BHH", WRITE_COIL, coil, value))

    async def prove(self, coil: int, is_closed: bool) -> None:
        """Read a coil back. Raises: ModuleLost, ModuleDisobeys where it is not as it was written."""
        if await self._bit(READ_COIL, coil) != is_closed:
            was, found = ("closed", "open") if is_closed else ("open", "closed")
            raise ModuleDisobeys(f"coil {coil} was written {was} and reads {found}; does something else write it?")

    async def pressed(self, button: int) -> bool:
        """Return whether a button is closed. Raises: ModuleLost, ModuleDisobeys."""
        return await self._bit(READ_INPUT, button)

    async def close(self) -> None:
        """Close the line; its socket is closed when this returns."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()

    async def _bit(self, function: int, address: int) -> bool:
        pdu = await self._ask(function, address, 1)
        if len(pdu) != 2 + BIT_BYTES or pdu[0] != function:
            raise ModuleLost(f"function {function} of address {address} was answered with {len(pdu)} bytes")
        return bool(pdu[2] & 1)

    async def _ask(self, function: int, address: int, count: int, echo: bytes = b"") -> bytes:
        """Return the module's answer."""
        bus, timeout_s = self._bus, self._settings.timeout_s
        if bus is None:
            raise ModuleLost("is not connected")
        await bus.settle(timeout_s)
        if bus.silence_s:
            await asyncio.sleep(bus.silence_s)
        try:
            question = Question(self._settings.unit, function, address, count, BIT_BYTES, echo)
            pdu = await bus.ask(question, timeout_s)
        except (OSError, TimeoutError, OutOfStep) as error:
            raise ModuleLost(f"unit {self._settings.unit} at {self._address}: {error}") from None
        if pdu[0] & REFUSED:
            code = pdu[1] if len(pdu) > 1 else 0
            name = EXCEPTION_NAMES.get(code, "unknown")
            raise ModuleDisobeys(f"function {function} of address {address} was refused: exception {code} ({name})")
        if echo and pdu != echo:
            raise ModuleLost(f"coil {address}: the write was confirmed with other words")
        return pdu
