"""A Modbus device on a real socket, on asyncio alone.

Not on pymodbus, and apart from the edge's own frames: a second implementation shows what both would hide, a reply is in
the ledger exactly when it was written, and a device can be silent, late or gone. pymodbus 3.16.1 cannot do the last
three: it answers an unknown unit with exception 4, and a late reply carries the newest request's transaction id.
Source: Modbus Application Protocol 1.1b3 (functions 1 to 4, exceptions).
"""

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import Protocol

from davylamp_wire.point import Point

from davylamp_simulators.clock import now_ms
from davylamp_simulators.framing import Asked, Framing, NotModbus, TcpFraming
from davylamp_simulators.ledger import Ledger
from davylamp_simulators.line import Line
from davylamp_simulators.plant import DeviceConfig
from davylamp_simulators.registers import Area, Bank, Block, Told
from davylamp_simulators.sample import Sample
from davylamp_simulators.scenario import LineMode

ASK = struct.Struct(">BHH")
FUNCTIONS = {1: Area.COIL, 2: Area.DISCRETE, 3: Area.HOLDING, 4: Area.INPUT}
MOST = {Area.COIL: 2000, Area.DISCRETE: 2000, Area.HOLDING: 125, Area.INPUT: 125}
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3


class Registers(Protocol):
    """What a unit serves: a `Bank`, or something cheaper for benchmarks."""

    def read(self, area: Area, start: int, count: int) -> bytes | None:
        """Return the bytes of a reply, or None for an illegal address."""

    def block(self, area: Area, start: int, count: int) -> Block:
        """Return which points such a reply tells about."""

    def told(self, block: Block) -> list[Told]:
        """Return what a right reader makes of them now."""


class Answers(Protocol):
    """What lies behind a unit id."""

    def answer(self, request: bytes) -> tuple[bytes, Block | None]:
        """Return the reply to a request, and which points it tells about (None where the ledger has no use for it)."""

    def note(self, block: Block, asked_ms: int, served_ms: int) -> None:
        """Put a reply into the ledger; to be called in the same breath as `answer`."""


class Unit:
    """A device behind a unit id: its registers, and its name in the ledger."""

    def __init__(self, device: str, registers: Registers, ledger: Ledger | None) -> None:
        self._device = device
        self._registers = registers
        self._ledger = ledger

    def answer(self, request: bytes) -> tuple[bytes, Block | None]:
        """Return the reply to a request, and which points it tells about (None for an exception)."""
        function = request[0]
        area = FUNCTIONS.get(function)
        if area is None:
            return bytes((function | 0x80, ILLEGAL_FUNCTION)), None
        if len(request) != ASK.size:
            return bytes((function | 0x80, ILLEGAL_VALUE)), None
        _, start, count = ASK.unpack(request)
        if not 1 <= count <= MOST[area]:
            return bytes((function | 0x80, ILLEGAL_VALUE)), None
        payload = self._registers.read(area, start, count)
        if payload is None:
            return bytes((function | 0x80, ILLEGAL_ADDRESS)), None
        return bytes((function, len(payload))) + payload, self._registers.block(area, start, count)

    def note(self, block: Block, asked_ms: int, served_ms: int) -> None:
        """Put a reply into the ledger; to be called in the same breath as `answer`."""
        if self._ledger is not None:
            self._ledger.record(self._device, block.names, asked_ms, served_ms, self._registers.told(block))


class _Connection(asyncio.Protocol):
    """One client. Requests are answered one after the other, as a device with one processor does."""

    def __init__(self, server: "ModbusServer") -> None:
        self._server = server
        self._buffer = bytearray()
        self._waiting: list[tuple[Asked, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.remember(self)
        if self._server.line.mode is LineMode.DOWN:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        asked_ms = now_ms()
        try:
            while asked := self._server.framing.take(self._buffer):
                self._take(asked, asked_ms)
        except NotModbus:
            self.close()

    def _take(self, asked: Asked, asked_ms: int) -> None:
        if self._server.line.mode is LineMode.DEAD:
            return
        self._server.on_read()
        if not self._waiting and not self._server.line.delay_s:
            self._reply(asked, asked_ms)
            return
        self._waiting.append((asked, asked_ms))
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._server.line.delay_s, self._reply_next)

    def _reply_next(self) -> None:
        self._timer = None
        if self._server.line.mode is LineMode.DEAD:
            self._waiting.clear()
            return
        self._reply(*self._waiting.pop(0))
        if self._waiting:
            self._wait()

    def _reply(self, asked: Asked, asked_ms: int) -> None:
        unit = self._server.units.get(asked.unit)
        if unit is None or self.transport is None or self.transport.is_closing():
            return  # a unit that is not there is silent, as on a serial line behind a gateway
        body, block = unit.answer(asked.request)
        served_ms = now_ms()
        self.transport.write(self._server.framing.reply(asked, body))
        if block is not None:
            unit.note(block, asked_ms, served_ms)

    def close(self) -> None:
        """Close after what was written has gone out: a reply in the ledger is a reply on its way."""
        if self.transport is not None:
            self.transport.close()


def _nothing() -> None:
    """Ignore a read."""


class ModbusServer:
    """Listens for one device or several units behind one address."""

    def __init__(
        self,
        units: Mapping[int, Answers],
        line: Line | None = None,
        on_read: Callable[[], None] = _nothing,
        framing: Framing | None = None,
    ) -> None:
        self.units = units
        self.framing: Framing = framing or TcpFraming()
        self.line = line or Line()
        self.on_read = on_read
        self._connections: set[_Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None
        self.line.watch(self._line_moved)

    def remember(self, connection: _Connection) -> None:
        """Count a connection in."""
        self._connections.add(connection)
        self._empty.clear()

    def forget(self, connection: _Connection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _line_moved(self) -> None:
        if self.line.mode is LineMode.DOWN:
            self._close_all()

    def _close_all(self) -> None:
        for connection in tuple(self._connections):
            connection.close()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises: OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), host, port, reuse_address=True)

    async def stop(self) -> None:
        """Close every connection and the port."""
        if self._server is None:
            return
        self._server.close()
        self._close_all()
        await self._empty.wait()
        await self._server.wait_closed()
        self._server = None


class ModbusDevice:
    """One device of a plant: its registers behind one unit id and one port."""

    def __init__(
        self,
        config: DeviceConfig,
        points: Mapping[str, Point],
        ledger: Ledger | None,
        line: Line,
        on_read: Callable[[], None] = _nothing,
    ) -> None:
        self._config = config
        self._bank = Bank(points)
        self._server = ModbusServer({config.unit: Unit(config.name, self._bank, ledger)}, line, on_read)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    def load(self, samples: Mapping[str, Sample]) -> None:
        """Show these samples from now on; a point without one has no value."""
        self._bank.load(samples)

    async def start(self) -> None:
        """Listen. Raises: OSError where the port is taken."""
        await self._server.start(self._config.host, self._config.port)

    async def stop(self) -> None:
        """Close every connection and the port."""
        await self._server.stop()
