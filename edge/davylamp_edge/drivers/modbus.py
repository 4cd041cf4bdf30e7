"""Modbus TCP through pymodbus: frames and transactions are its business, values are ours (`davylamp_edge.decode`).

Traps stepped over here, each with its test in ``tests/edge/test_modbus.py``: no retries and no reconnecting of its
own (12 s and 300 s by default); exceptions are returned, not raised; a call on a lost connection raises before it can
be awaited; the length of a reply is not checked; a register list costs a struct call per register.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from davylamp_wire.profile import DataType, Point
from davylamp_wire.quality import Reason
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from davylamp_edge.config import DeviceConfig
from davylamp_edge.decode import BitDecoder, Cell, RegisterDecoder
from davylamp_edge.drivers import DeviceRefused, DeviceUnreachable, Wanted
from davylamp_edge.plan import (
    ADDRESSES,
    BITS_PER_REGISTER,
    Area,
    Block,
    halves,
    parse_place,
    plan_requests,
    span_of,
    width_of,
)
from davylamp_edge.reply import Decoded
from davylamp_edge.shape import SIZES, Bits

# pymodbus logs every timeout and every reconnect; the scanner says once that a device is lost and once that it is back.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

DEFAULT_PORT = 502
FUNCTIONS = {Area.COIL: 1, Area.DISCRETE: 2, Area.HOLDING: 3, Area.INPUT: 4}

ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, GATEWAY_PATH, GATEWAY_TARGET = 2, 3, 4, 10, 11
"""Exception codes (Modbus Application Protocol 1.1b3, 7)."""
EXCEPTION_NAMES = {
    1: "illegal function",
    ILLEGAL_ADDRESS: "illegal address",
    ILLEGAL_VALUE: "illegal value",
    DEVICE_FAILURE: "device failure",
    5: "acknowledged, still busy",
    6: "busy",
    8: "memory parity error",
    GATEWAY_PATH: "gateway has no path",
    GATEWAY_TARGET: "gateway's target does not answer",
}


class _RawReply(ModbusPDU):
    """A read's reply, left as bytes: pymodbus would make a list of it, one struct call per register."""

    payload: bytes = b""

    def decode(self, data: bytes) -> None:
        """Keep what the byte count covers; a short frame shows as a short payload."""
        self.payload = bytes(data[1 : 1 + data[0]])

    def __str__(self) -> str:
        """Say little: pymodbus formats every reply for a debug line it then does not write."""
        return f"reply of {len(self.payload)} bytes"


class _Coils(_RawReply):
    function_code = 1


class _Discretes(_RawReply):
    function_code = 2


class _Holdings(_RawReply):
    function_code = 3


class _Inputs(_RawReply):
    function_code = 4


@dataclass(frozen=True, slots=True)
class ModbusRequest:
    """A block read of one unit, and how its reply decodes."""

    unit: int
    block: Block
    cells: Mapping[int, Cell]
    decoder: RegisterDecoder | BitDecoder
    size: int
    """Bytes the reply must carry."""

    @property
    def points(self) -> Sequence[int]:
        return self.decoder.points

    @classmethod
    def of(cls, unit: int, block: Block, cells: Mapping[int, Cell]) -> Self:
        """Return a block's request. ``cells`` by point index, their offsets counted from address 0."""
        own = {span.index: cells[span.index] for span in block.spans}
        inside = [replace(cell, offset=cell.offset - block.start) for cell in own.values()]
        if block.area.bits:
            return cls(unit, block, own, BitDecoder(inside), (block.count + 7) // 8)
        return cls(unit, block, own, RegisterDecoder(inside), 2 * block.count)

    def decode(self, reply: bytes, arrived_ms: int) -> Decoded:
        """Return a reply in columns; Modbus carries no time of its own."""
        return self.decoder.decode(reply)

    def halves(self) -> tuple[Self, Self] | None:
        """Return the same points in two narrower blocks, or None where there is but one point."""
        both = halves(self.block)
        if both is None:
            return None
        return self.of(self.unit, both[0], self.cells), self.of(self.unit, both[1], self.cells)

    def __str__(self) -> str:
        return f"{self.block.count} at {self.block.area}:{self.block.start} of unit {self.unit}"


class ModbusDriver:
    """One Modbus TCP connection; the units behind it share it, one request at a time."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self._host, self._port = _host_port(address)
        self._timeout_s = timeout_s
        self._client: AsyncModbusTcpClient | None = None

    @classmethod
    def of(cls, device: DeviceConfig, timeout_s: float) -> Self:
        """Return the driver for a device's address."""
        return cls(device.address, timeout_s)

    @staticmethod
    def wrong_settings(device: DeviceConfig) -> Iterator[str]:
        """Yield nothing: there is no setting that its model does not check."""
        return iter(())

    @staticmethod
    def wrong_address(address: str) -> str | None:
        """Return what is wrong with a ``host:port``, or None."""
        try:
            _host_port(address)
        except ValueError:
            return f"{address!r} is no address of a Modbus device; write host:port, for example 192.168.1.20:502"
        return None

    @staticmethod
    def wrong_point(address: str, point: Point, device: DeviceConfig) -> str | None:
        """Return why a point cannot be read at an address, or None."""
        try:
            place = parse_place(address)
        except ValueError as error:
            return str(error)
        width = 1 if place.area.bits else width_of(point)
        if place.area.bits and point.type is not DataType.BOOL:
            return f"{address!r} is a bit and the point is {point.type}; bits carry bool only"
        if place.bits is not None and (wrong := _wrong_bits(place.bits, point)):
            return f"{address!r}: {wrong}"
        if place.start + width > ADDRESSES:
            return f"{point.type} at {address!r} reaches beyond address {ADDRESSES - 1}"
        if not place.area.bits and width > device.max_registers:
            return f"{point.type} takes {width} registers and max_registers is {device.max_registers}; raise it"
        return None

    @staticmethod
    def plan(device: DeviceConfig, wanted: Sequence[Wanted]) -> Sequence[ModbusRequest]:
        """Return the fewest block reads for the wanted points."""
        spans, cells = [], {}
        for want in wanted:
            place = parse_place(want.address)
            spans.append(span_of(want.index, place, want.point))
            cells[want.index] = Cell(want.index, place.start, want.point, place.bits)
        blocks = plan_requests(spans, gap=device.gap_registers, max_registers=device.max_registers)
        return [ModbusRequest.of(device.unit, block, cells) for block in blocks]

    async def connect(self) -> None:
        """Connect with a client of its own. A client is never used again after it was lost."""
        await self.close()
        client = AsyncModbusTcpClient(
            self._host, port=self._port, timeout=self._timeout_s, retries=0, reconnect_delay=0
        )
        for reply in (_Coils, _Discretes, _Holdings, _Inputs):
            client.register(reply)
        if not await client.connect():
            client.close()
            raise DeviceUnreachable(f"{self._host}:{self._port} does not accept a connection")
        self._client = client

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._client is not None and self._client.connected

    async def read(self, request: ModbusRequest) -> bytes:
        """Return a block's bytes. Raises: DeviceUnreachable after ``timeout_s``, DeviceRefused on an exception."""
        client = self._client
        if client is None:
            raise DeviceUnreachable(f"{self._host}:{self._port} is not connected")
        try:
            # The call itself raises on a lost connection, before there is anything to await.
            reply = await _ask(client, request)
        except (ModbusException, OSError) as error:
            raise DeviceUnreachable(f"unit {request.unit} at {self._host}:{self._port}: {error}") from None
        if reply.isError():
            raise _refusal(request, reply.exception_code)
        return _payload(request, reply)

    async def close(self) -> None:
        """Close the connection; its socket is closed when this returns."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
            # The transport closes its socket in the loop's next round.
            await asyncio.sleep(0)


def _ask(client: AsyncModbusTcpClient, request: ModbusRequest) -> Awaitable[ModbusPDU]:
    block, unit = request.block, request.unit
    if block.area is Area.HOLDING:
        return client.read_holding_registers(block.start, count=block.count, device_id=unit)
    if block.area is Area.INPUT:
        return client.read_input_registers(block.start, count=block.count, device_id=unit)
    if block.area is Area.COIL:
        return client.read_coils(block.start, count=block.count, device_id=unit)
    return client.read_discrete_inputs(block.start, count=block.count, device_id=unit)


def _payload(request: ModbusRequest, reply: ModbusPDU) -> bytes:
    """Return the reply's bytes. A reply of another length or function answers something that was not asked."""
    payload = reply.payload if isinstance(reply, _RawReply) else b""
    if reply.function_code != FUNCTIONS[request.block.area] or len(payload) != request.size:
        got = f"function {reply.function_code} with {len(payload)} bytes"
        raise DeviceRefused(f"asked for {request}, got {got}", Reason.DEVICE_FAULT)
    return payload


def _refusal(request: ModbusRequest, code: int) -> DeviceRefused | DeviceUnreachable:
    """Return a device's exception as ours. A gateway that reaches no device is a device that does not answer."""
    message = f"asked for {request}: exception {code} ({EXCEPTION_NAMES.get(code, 'unknown')})"
    if code in (GATEWAY_PATH, GATEWAY_TARGET):
        return DeviceUnreachable(message)
    reason = Reason.DEVICE_FAULT if code == DEVICE_FAILURE else Reason.DEVICE_EXCEPTION
    return DeviceRefused(message, reason, narrower=code in (ILLEGAL_ADDRESS, ILLEGAL_VALUE))


def _wrong_bits(bits: Bits, point: Point) -> str | None:
    """Return why a value cannot be cut out of its registers so, or None."""
    first, last = bits
    most = BITS_PER_REGISTER * width_of(point)
    if point.type is DataType.BOOL:
        most, size = BITS_PER_REGISTER, 1
    elif point.type in SIZES:
        size = SIZES[point.type]
    else:
        return f"is a part of a register and the point is {point.type}; only bool and whole numbers have parts"
    if last >= most:
        return f"there is no bit {last}; {point.type} takes bits 0 to {most - 1}"
    if last - first + 1 > size:
        return f"{last - first + 1} bits do not fit {point.type}; name at most {size}"
    return None


def _host_port(address: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, ``host`` or ``[ipv6]:port``. Raises: ValueError."""
    parts = urlsplit(f"//{address}")
    if not parts.hostname or parts.path or parts.query or parts.username or " " in address:
        raise ValueError(address)
    return parts.hostname, parts.port or DEFAULT_PORT
