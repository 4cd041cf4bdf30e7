"""The Modbus server on a real socket, read by pymodbus; what it answers is in the ledger, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from davylamp_simulators.framing import RtuFraming, crc16
from davylamp_simulators.ledger import Ledger, read_ledger
from davylamp_simulators.line import Line
from davylamp_simulators.modbus import ModbusServer, Unit
from davylamp_simulators.registers import Bank
from davylamp_simulators.sample import Sample
from davylamp_simulators.scenario import LineMode, LineState
from davylamp_wire.point import Point
from pymodbus.client import AsyncModbusTcpClient
from support.serial import rtu, rtu_reply

POINTS = {
    "a": Point(zh="一", en="a", unit="", address={"modbus": "holding:0"}),
    "b": Point(zh="二", en="b", unit="", address={"modbus": "holding:2"}),
    "on": Point.model_validate({"zh": "开", "en": "on", "unit": "", "type": "bool", "address": {"modbus": "coil:1"}}),
}


class Served:
    """A server with two points, its line and its ledger."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.jsonl"
        self.ledger = Ledger(self.path)
        self.line = Line()
        self.bank = Bank(POINTS)
        self.bank.load({"a": Sample(1.5), "b": Sample(-2.0), "on": Sample(True)})
        self.server = ModbusServer({7: Unit("d", self.bank, self.ledger)}, self.line)

    def counts(self) -> dict[str, int]:
        self.ledger.flush()
        return {point: len(replies) for (_, point), replies in read_ledger(self.path).items()}


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Served, AsyncModbusTcpClient]]:
    served = Served(folder)
    await served.server.start("127.0.0.1", 0)
    client = AsyncModbusTcpClient("127.0.0.1", port=served.server.port, timeout=0.3, retries=0, reconnect_delay=0)
    try:
        assert await client.connect()
        yield served, client
    finally:
        client.close()
        await served.server.stop()
        served.ledger.close()


async def test_registers_and_bits_are_read_and_noted(tmp_path: Path) -> None:
    async with serving(tmp_path) as (served, client):
        registers = await client.read_holding_registers(0, count=4, device_id=7)
        bits = await client.read_coils(0, count=2, device_id=7)
        assert client.convert_from_registers(registers.registers, client.DATATYPE.FLOAT32) == [1.5, -2.0]
        assert bits.bits[:2] == [False, True]
        assert served.counts() == {"a": 1, "b": 1, "on": 1}
        assert [one.value for one in read_ledger(served.path)["d", "b"]] == [-2.0]


@pytest.mark.parametrize(("address", "count"), [(4, 1), (3, 2), (0, 126)])
async def test_what_is_not_there_gets_an_exception_and_no_line(tmp_path: Path, address: int, count: int) -> None:
    async with serving(tmp_path) as (served, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        writer.write(bytes.fromhex("0001000000060703") + address.to_bytes(2, "big") + count.to_bytes(2, "big"))
        assert (await reader.readexactly(9)).hex() == "0001000000030783" + ("03" if count == 126 else "02")
        writer.close()
        await writer.wait_closed()
        assert served.counts() == {}


async def test_a_function_it_does_not_have_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, client):
        reply = await client.write_register(0, 1, device_id=7)
        assert (reply.isError(), reply.exception_code) == (True, 1)


async def test_frames_in_pieces_and_many_at_once_are_both_understood(tmp_path: Path) -> None:
    ask = bytes.fromhex("000100000006070300000002")
    async with serving(tmp_path) as (served, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        for at in range(len(ask)):
            writer.write(ask[at : at + 1])
            await writer.drain()
        writer.write(ask * 3)
        replies = await reader.readexactly(4 * 13)
        assert replies == bytes.fromhex("0001000000070703043fc00000") * 4
        writer.close()
        await writer.wait_closed()


async def test_what_is_no_modbus_ends_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path) as (served, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("unit", [0, 1, 255])
async def test_a_unit_that_is_not_there_is_silent(tmp_path: Path, unit: int) -> None:
    async with serving(tmp_path) as (served, client):
        with pytest.raises(Exception, match="No response"):
            await client.read_holding_registers(0, count=2, device_id=unit)
        assert served.counts() == {}


async def test_a_dead_device_answers_nothing_and_notes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as (served, client):
        served.line.move(LineState(mode=LineMode.DEAD), 0.0)
        with pytest.raises(Exception, match="No response"):
            await client.read_holding_registers(0, count=2, device_id=7)
        served.line.move(LineState(), 1.0)
        assert not (await client.read_holding_registers(0, count=2, device_id=7)).isError()
        assert served.counts() == {"a": 1}


async def test_a_slow_device_answers_each_request_with_its_own_number(tmp_path: Path) -> None:
    async with serving(tmp_path) as (served, _):
        served.line.move(LineState(mode=LineMode.SLOW, delay_s=0.1), 0.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        writer.write(bytes.fromhex("000100000006070300000002000200000006070300020002"))
        assert (await reader.readexactly(13)).hex() == "0001000000070703043fc00000"
        assert (await reader.readexactly(13)).hex() == "000200000007070304c0000000"
        writer.close()
        await writer.wait_closed()
        served.ledger.flush()
        late = read_ledger(served.path)
        assert [late["d", point][0].served_ms - late["d", point][0].asked_ms >= 99 for point in "ab"] == [True, True]


async def test_a_link_that_is_down_closes_what_is_open_and_what_comes(tmp_path: Path) -> None:
    async with serving(tmp_path) as (served, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        served.line.move(LineState(mode=LineMode.DOWN), 0.0)
        assert await reader.read() == b""
        writer.close()
        again, second = await asyncio.open_connection("127.0.0.1", served.server.port)
        assert await again.read() == b""
        second.close()


def test_a_flapping_line_is_down_and_up_in_turn() -> None:
    line, state = Line(), LineState(mode=LineMode.FLAPPING, period_s=4.0)
    seen = []
    for now_s in (10.0, 13.9, 14.1, 17.9, 18.1):
        line.move(state, now_s)
        seen.append(line.mode)
    down, ok = LineMode.DOWN, LineMode.OK
    assert seen == [down, down, ok, ok, down]


def test_the_delay_counts_only_while_the_line_is_slow() -> None:
    line = Line()
    line.move(LineState(mode=LineMode.DEAD, delay_s=2.0), 0.0)
    assert line.delay_s == 0.0
    line.move(LineState(mode=LineMode.SLOW, delay_s=2.0), 0.0)
    assert line.delay_s == 2.0


async def test_behind_a_serial_server_noise_is_passed_over_and_a_unit_that_is_not_there_is_silent() -> None:
    bank = Bank({"a": Point.model_validate(RTU_POINT)})
    bank.load({"a": Sample(258.0)})
    server = ModbusServer({1: Unit("d", bank, None)}, framing=RtuFraming())
    await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    nobody, ours = rtu(b"\x02\x03\0\0\0\1"), rtu(b"\x01\x03\0\0\0\1")
    writer.write(nobody + b"\xff\x00" + ours)
    assert await reader.readexactly(7) == rtu_reply(ours, b"\1\2")
    writer.close()
    await server.stop()


RTU_POINT = {"zh": "点", "en": "point", "unit": "", "type": "uint16", "address": {"modbus": "holding:0"}}


def test_the_crc_of_a_frame_with_its_own_is_zero() -> None:
    assert crc16(b"123456789") == 0x4B37
    assert crc16(b"123456789\x37\x4b") == 0
