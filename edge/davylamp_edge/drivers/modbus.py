"""Modbus over TCP, serial lines and serial servers: what to ask for, and what an answer says.

Frames, timeouts and late answers are the bus's business (`modbus_bus`), values are `davylamp_edge.decode`'s. The length
of every answer is checked: what does not fit what was asked is refused, never decoded.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self, cast

from davylamp_wire.config import Mistake, placed
from davylamp_wire.point import DataType, Point
from davylamp_wire.quality import Reason

from davylamp_edge.config import DeviceConfig
from davylamp_edge.decode import BitDecoder, Cell, RegisterDecoder
from davylamp_edge.drivers import Answer, DeviceRefused, DeviceUnreachable, Wanted
from davylamp_edge.drivers.modbus_address import SerialLine, numbers_answers, parse_address
from davylamp_edge.drivers.modbus_bus import Bus, GoesOn, never, silence_of
from davylamp_edge.drivers.modbus_frames import REFUSED, Heard, OutOfStep, Question
from davylamp_edge.plan import (
    ADDRESSES,
    BITS_PER_REGISTER,
    Area,
    Block,
    halves,
    joined,
    parse_place,
    plan_requests,
    plan_single_values,
    span_of,
    width_of,
)
from davylamp_edge.reply import Decoded
from davylamp_edge.shape import SIZES, Bits

FUNCTIONS = {Area.COIL: 1, Area.DISCRETE: 2, Area.HOLDING: 3, Area.INPUT: 4}

QUESTION, ANSWER = 8, 5
"""Characters of an RTU request, and of its answer beside the data (Modbus over Serial Line 1.02, 2.5.1)."""

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


@dataclass(frozen=True, slots=True)
class Unit:
    """A device behind a unit id, and how it wants to be asked: `pause_s` is the least time since the answer before."""

    number: int
    timeout_s: float
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ModbusRequest:
    """A block read of one unit, and how its reply decodes."""

    unit: Unit
    block: Block
    cells: Mapping[int, Cell]
    decoder: RegisterDecoder | BitDecoder
    size: int
    """Bytes the reply must carry."""
    question: Question

    @classmethod
    def of(cls, unit: Unit, block: Block, cells: Mapping[int, Cell]) -> Self:
        """Return a block's request. ``cells`` by point index, their offsets counted from address 0."""
        own = {span.index: cells[span.index] for span in block.spans}
        inside = [replace(cell, offset=cell.offset - block.start) for cell in own.values()]
        decoder = BitDecoder(inside) if block.area.bits else RegisterDecoder(inside)
        size = (block.count + 7) // 8 if block.area.bits else 2 * block.count
        question = Question(unit.number, FUNCTIONS[block.area], block.start, block.count, size)
        return cls(unit, block, own, decoder, size, question)

    @property
    def points(self) -> Sequence[int]:
        return self.decoder.points

    def decode(self, reply: bytes, arrived_ms: int) -> Decoded:
        """Return a reply in columns; Modbus carries no time of its own."""
        return self.decoder.decode(reply)

    def halves(self) -> tuple[Self, Self] | None:
        """Return the same points in two narrower blocks, or None where there is but one point."""
        both = halves(self.block)
        if both is None:
            return None
        return self.of(self.unit, both[0], self.cells), self.of(self.unit, both[1], self.cells)

    def joined(self, other: Self) -> Self | None:
        """Return one block for both's points."""
        return self.of(self.unit, joined(self.block, other.block), {**self.cells, **other.cells})

    def __str__(self) -> str:
        return f"{self.block.count} at {self.block.area}:{self.block.start} of unit {self.unit.number}"


class ModbusDriver:
    """One line to Modbus devices; the units behind it share it, one request at a time."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address = parse_address(address)
        self._timeout_s = timeout_s
        self._bus: Bus | None = None
        self._free_s = 0.0
        self._slowest_s = 0.0

    @classmethod
    def of(cls, device: DeviceConfig, timeout_s: float) -> Self:
        """Return the driver for a device's address."""
        return cls(device.address, timeout_s)

    @staticmethod
    def wrong_settings(device: DeviceConfig) -> Iterator[str]:
        """Yield what the device's line does not carry."""
        with suppress(ValueError):  # said of the address itself
            if device.unit == 0 and not numbers_answers(parse_address(device.address)):
                en = "unit: 0 is every device of a serial line, and nobody answers; give the device's own, 1 to 247"
                yield Mistake(en, "unit：0 表示串行线上的所有设备，无人应答；请写设备自己的站号，1 至 247")

    @staticmethod
    def wrong_address(address: str) -> str | None:
        """Return what is wrong with an address, or None."""
        try:
            parse_address(address)
        except ValueError as error:
            return cast(str, error.args[0])
        return None

    @staticmethod
    def wrong_point(address: str, point: Point, device: DeviceConfig) -> str | None:
        """Return why a point cannot be read at an address, or None."""
        try:
            place = parse_place(address)
        except ValueError as error:
            return cast(str, error.args[0])
        width = 1 if place.area.bits else width_of(point)
        if place.area.bits and point.type is not DataType.BOOL:
            en = f"{address!r} is a bit and the point is {point.type}; bits carry bool only"
            return Mistake(en, f"{address!r} 是一位，而测点类型为 {point.type}；位只能是 bool")
        if place.bits is not None and (wrong := _wrong_bits(place.bits, point)):
            return placed(repr(address), wrong)
        if place.start + width > ADDRESSES:
            en = f"{point.type} at {address!r} reaches beyond address {ADDRESSES - 1}"
            return Mistake(en, f"{address!r} 处的 {point.type} 超出最大地址 {ADDRESSES - 1}")
        if not place.area.bits and width > device.max_registers:
            en = f"{point.type} takes {width} registers and max_registers is {device.max_registers}; raise it"
            return Mistake(en, f"{point.type} 占 {width} 个寄存器，而 max_registers 为 {device.max_registers}；请加大")
        return None

    @staticmethod
    def plan(device: DeviceConfig, wanted: Sequence[Wanted]) -> Sequence[ModbusRequest]:
        """Return the fewest block reads for the wanted points."""
        spans, cells = [], {}
        for want in wanted:
            place = parse_place(want.address)
            spans.append(span_of(want.index, place, want.point))
            cells[want.index] = Cell(want.index, place.start, want.point, place.bits)
        unit = Unit(device.unit, device.timeout_s, device.pause_ms / 1000)
        if device.read == "values":
            blocks = plan_single_values(spans)
        else:
            blocks = plan_requests(spans, gap=device.gap_registers, max_registers=device.max_registers)
        return [ModbusRequest.of(unit, block, cells) for block in blocks]

    @staticmethod
    def takes_s(device: DeviceConfig, request: ModbusRequest) -> float:
        """Return how long a request keeps its line busy: characters, silence or pause, and the device's own time."""
        line = parse_address(device.address)
        silence_s, characters_s = 0.0, 0.0
        if isinstance(line, SerialLine):
            silence_s = silence_of(line)
            characters_s = (QUESTION + ANSWER + request.size) * line.character_s
        return characters_s + max(request.unit.pause_s, silence_s) + device.round_trip_ms / 1000

    @property
    def trusted_until_ms(self) -> int | None:
        """Return None: Modbus shows no certificate."""
        return None

    async def connect(self) -> None:
        """Open the line anew. One that was lost is never used again."""
        await self.close()
        bus = self._bus = Bus(self._address)
        bus.slowest_s = self._slowest_s
        try:
            await bus.open(self._timeout_s)
        except (OSError, TimeoutError) as error:
            await self.close()
            raise DeviceUnreachable(f"{self._address} does not accept a connection: {_why(error)}") from None
        except BaseException:
            await self.close()
            raise

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._bus is not None and self._bus.is_open

    async def read(self, request: ModbusRequest) -> bytes:
        """Return a block's bytes.

        Raises: DeviceUnreachable after the device's timeout, DeviceRefused on an exception and on an answer that does
        not fit what was asked.
        """
        (answer,) = await self.read_in_turn([request], never)
        if isinstance(answer.said, DeviceUnreachable | DeviceRefused):
            raise answer.said
        reply: bytes = answer.said
        return reply

    async def read_in_turn(self, requests: Sequence[ModbusRequest], goes_on: GoesOn) -> Sequence[Answer]:
        """Return what came of the first requests, each asked as soon as the one before was answered.

        One at a time where the line or the device wants its pause in between.
        """
        first = requests[0]
        bus, unit = self._bus, first.unit
        if bus is None or not bus.is_settled or bus.silence_s or unit.pause_s:
            try:
                bus = await self._ready(first)
            except DeviceUnreachable as error:
                return [Answer(error, asyncio.get_running_loop().time())]
            if bus.silence_s or unit.pause_s:
                requests = requests[:1]
        try:
            heard = await bus.ask_in_turn([each.question for each in requests], unit.timeout_s, goes_on)
        finally:
            self._free_s = asyncio.get_running_loop().time()
        last = heard[-1].said
        if isinstance(last, OSError | OutOfStep) and not isinstance(last, TimeoutError):
            await self.close()
        return [Answer(self._said(*both), both[1].at_s) for both in zip(requests, heard, strict=False)]

    def _said(self, request: ModbusRequest, heard: Heard) -> bytes | DeviceUnreachable | DeviceRefused:
        if isinstance(heard.said, bytes):
            return _payload(request, heard.said)
        return self._unreachable(request, str(heard.said))

    async def settle(self) -> None:
        """Wait until no answer to an unanswered request can come any more; close a line that cannot be trusted."""
        bus = self._bus
        if bus is not None and not bus.is_settled:
            usable = await bus.settle(self._timeout_s)
            self._slowest_s = bus.slowest_s
            if not usable:
                await self.close()

    async def close(self) -> None:
        """Close the line; its socket is closed when this returns."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()

    async def _ready(self, request: ModbusRequest) -> Bus:
        """Return the line once the next request may go out: settled, and after the device's pause."""
        await self.settle()
        bus = self._bus
        if bus is None:
            raise self._unreachable(request, "is not connected")
        pause_s = max(request.unit.pause_s, bus.silence_s)
        rest_s = self._free_s + pause_s - asyncio.get_running_loop().time() if pause_s else 0.0
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        return bus

    def _unreachable(self, request: ModbusRequest, why: str) -> DeviceUnreachable:
        return DeviceUnreachable(f"unit {request.unit.number} at {self._address}: {why}")


def _why(error: OSError | TimeoutError) -> str:
    """Return why a line did not open, and what to do where that is known."""
    if isinstance(error, PermissionError):
        return "the agent may not open it; add its user to the port's group, on most systems dialout"
    return error.strerror or "nobody answers"


def _payload(request: ModbusRequest, pdu: bytes) -> bytes | DeviceUnreachable | DeviceRefused:
    """Return the answer's data, or a refusal. Another length or function answers something that was not asked."""
    function = pdu[0]
    if function & REFUSED and len(pdu) >= 2:
        return _refusal(request, pdu[1])
    payload = pdu[2:]
    if function != request.question.function or len(payload) != request.size or pdu[1] != request.size:
        got = f"function {function} with {len(payload)} bytes"
        return DeviceRefused(f"asked for {request}, got {got}", Reason.DEVICE_FAULT)
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
        en = f"is a part of a register and the point is {point.type}; only bool and whole numbers have parts"
        return Mistake(en, f"是寄存器的一部分，而测点类型为 {point.type}；只有 bool 和整数可取部分")
    if last >= most:
        en = f"there is no bit {last}; {point.type} takes bits 0 to {most - 1}"
        return Mistake(en, f"没有第 {last} 位；{point.type} 为第 0 至 {most - 1} 位")
    if last - first + 1 > size:
        en = f"{last - first + 1} bits do not fit {point.type}; name at most {size}"
        return Mistake(en, f"{last - first + 1} 位放不进 {point.type}；至多 {size} 位")
    return None
