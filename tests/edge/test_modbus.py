"""The Modbus driver against real servers, and against devices that do not behave."""

import asyncio
import struct
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from davylamp_edge.drivers import DeviceRefused, DeviceUnreachable
from davylamp_edge.drivers.modbus import ModbusDriver, ModbusRequest
from davylamp_wire.point import Point
from davylamp_wire.quality import Reason
from davylamp_wire.reading import Value
from support.field import asked, exception_to, plc, point, registers, reply_to, rogue, settings, wanted
from support.holds import holds


def plan(points: Mapping[str, Point], **said: Any) -> list[ModbusRequest]:
    return list(ModbusDriver.plan(settings(**said), wanted(points)))


async def read_all(driver: ModbusDriver, points: Mapping[str, Point], **said: Any) -> dict[str, Value]:
    names = list(points)
    found: dict[str, Value] = {}
    for request in plan(points, **said):
        decoded = request.decode(await driver.read(request), 0)
        found |= {names[index]: value for index, value in zip(request.points, decoded.values, strict=True)}
    return found


def at(address: str, **said: Any) -> Point:
    return point(address={"modbus": address}, **said)


async def connected(address: str, timeout_s: float = 0.3) -> ModbusDriver:
    driver = ModbusDriver(address, timeout_s)
    await driver.connect()
    return driver


async def test_all_four_areas_are_read_through_a_real_server() -> None:
    holding = [0, 0, *registers(">f", 12.5), 0b1000]
    async with plc(holding=holding, inputs=[7, 65535], coils=[False, True], discretes=[True]) as device:
        driver = await connected(device.address)
        points = {
            "pressure": at("holding:2"),
            "valve": at("holding:4.3", type="bool"),
            "count": at("input:0", type="uint16"),
            "signed": at("input:1", type="int16"),
            "pump": at("coil:1", type="bool"),
            "door": at("discrete:0", type="bool"),
        }
        expected = {"pressure": 12.5, "valve": True, "count": 7, "signed": -1, "pump": True, "door": True}
        assert await read_all(driver, points) == expected
        await driver.close()


async def test_ten_thousand_registers_come_in_as_few_blocks_as_the_limit_allows() -> None:
    async with plc(holding=[i & 0xFFFF for i in range(10_000)]) as device:
        driver = await connected(device.address, timeout_s=2.0)
        points = {f"r{i}": at(f"holding:{i}", type="uint16") for i in range(10_000)}
        assert len(plan(points, max_registers=125)) == 80
        assert await read_all(driver, points, max_registers=125) == {f"r{i}": i for i in range(10_000)}
        await driver.close()


async def test_units_behind_one_connection_are_told_apart() -> None:
    async def answer(frame: bytes) -> bytes:
        return reply_to(frame, struct.pack(">H", frame[6]))

    async with rogue(answer) as address:
        driver = await connected(address)
        points = {"who": at("holding:0", type="uint16")}
        assert await read_all(driver, points, unit=3) == {"who": 3}
        assert await read_all(driver, points, unit=200) == {"who": 200}
        await driver.close()


async def test_illegal_address_is_refused_and_may_be_asked_narrower() -> None:
    async with plc(holding=[1, 2, 3, 4]) as device:
        driver = await connected(device.address)
        (request,) = plan({"a": at("holding:0", type="uint16"), "b": at("holding:9", type="uint16")})
        with pytest.raises(DeviceRefused, match=r"exception 2 \(illegal address\)") as refused:
            await driver.read(request)
        assert refused.value.reason is Reason.DEVICE_EXCEPTION
        assert refused.value.narrower
        await driver.close()


@pytest.mark.parametrize(("code", "reason"), [(1, "DEVICE_EXCEPTION"), (4, "DEVICE_FAULT"), (6, "DEVICE_EXCEPTION")])
async def test_a_device_exception_is_a_refusal_that_names_itself(code: int, reason: str) -> None:
    async def answer(frame: bytes) -> bytes:
        return exception_to(frame, code)

    async with rogue(answer) as address:
        driver = await connected(address)
        (request,) = plan({"a": at("holding:0")})
        with pytest.raises(DeviceRefused, match=f"exception {code}") as refused:
            await driver.read(request)
        assert refused.value.reason is Reason[reason]
        assert not refused.value.narrower
        await driver.close()


@pytest.mark.parametrize("code", [10, 11])
async def test_a_gateway_that_reaches_no_device_is_a_device_that_does_not_answer(code: int) -> None:
    async def answer(frame: bytes) -> bytes:
        return exception_to(frame, code)

    async with rogue(answer) as address:
        driver = await connected(address)
        (request,) = plan({"a": at("holding:0")})
        with pytest.raises(DeviceUnreachable, match="gateway"):
            await driver.read(request)
        await driver.close()


async def test_reply_with_wrong_register_count_is_refused() -> None:
    async def answer(frame: bytes) -> bytes:
        return reply_to(frame, b"\0\1\0\2")

    async with rogue(answer) as address:
        driver = await connected(address)
        (request,) = plan({f"r{i}": at(f"holding:{i}", type="uint16") for i in range(10)})
        with pytest.raises(DeviceRefused, match="asked for 10 at holding:0 of unit 1, got function 3 with 4 bytes"):
            await driver.read(request)
        await driver.close()


async def test_reply_of_another_function_is_refused() -> None:
    async def answer(frame: bytes) -> bytes:
        return reply_to(frame, b"\0\1", function=4)

    async with rogue(answer) as address:
        driver = await connected(address)
        (request,) = plan({"a": at("holding:0", type="uint16")})
        with pytest.raises(DeviceRefused, match="got function 4"):
            await driver.read(request)
        await driver.close()


async def test_connect_failing_first_says_so_and_succeeds_later(free_port: Any) -> None:
    port = free_port()
    driver = ModbusDriver(f"127.0.0.1:{port}", 0.3)
    with pytest.raises(DeviceUnreachable, match="does not accept a connection"):
        await driver.connect()
    assert not driver.connected
    async with plc(holding=[5], port=port):
        await driver.connect()
        assert await read_all(driver, {"a": at("holding:0", type="uint16")}) == {"a": 5}
        await driver.close()


async def test_a_closed_connection_is_a_device_that_does_not_answer() -> None:
    async with plc(holding=[5]) as device:
        driver = await connected(device.address)
        (request,) = plan({"a": at("holding:0", type="uint16")})
    await _noticed(driver)
    with pytest.raises(DeviceUnreachable, match="the connection is closed"):
        await driver.read(request)
    await driver.close()


async def test_a_driver_that_was_never_connected_says_so() -> None:
    (request,) = plan({"a": at("holding:0")})
    with pytest.raises(DeviceUnreachable, match="is not connected"):
        await ModbusDriver("127.0.0.1:502", 0.3).read(request)


async def test_a_timeout_says_that_somebody_else_answered() -> None:
    """As where the unit in the config is not the one the device has."""

    async def answer(frame: bytes) -> bytes:
        reply = bytearray(reply_to(frame, b"\0\1"))
        reply[6] = 255
        return bytes(reply)

    async with rogue(answer) as address:
        driver = await connected(address)
        (request,) = plan({"a": at("holding:0", type="uint16")}, timeout_s=0.05)
        said = "no answer within 0.05 s; 1 came that answer another unit or an older request"
        with pytest.raises(DeviceUnreachable, match=said):
            await driver.read(request)
        await driver.close()


async def test_a_peer_that_hangs_up_in_the_middle_of_a_request_is_noticed_at_once() -> None:
    async def answer(frame: bytes) -> bytes:
        return b""

    async with rogue(answer) as address:
        driver = await connected(address, timeout_s=60.0)
        (request,) = plan({"a": at("holding:0")})
        with pytest.raises(DeviceUnreachable, match="the connection was closed"):
            await driver.read(request)
        await driver.close()


async def test_what_is_no_modbus_is_hung_up_on() -> None:
    async def answer(frame: bytes) -> bytes:
        return b"HTTP/1.1 400 Bad Request\r\n\r\n"

    async with rogue(answer) as address:
        driver = await connected(address, timeout_s=60.0)
        (request,) = plan({"a": at("holding:0")})
        with pytest.raises(DeviceUnreachable, match="sent something that is no Modbus TCP"):
            await driver.read(request)
        assert not driver.connected
        await driver.close()


async def test_a_device_gets_its_pause_before_each_request() -> None:
    came: list[float] = []

    async def answer(frame: bytes) -> bytes:
        came.append(asyncio.get_running_loop().time())
        return reply_to(frame, b"\0\1")

    async with rogue(answer) as address:
        driver = await connected(address)
        points = {"a": at("holding:0", type="uint16"), "b": at("holding:500", type="uint16")}
        for _ in range(2):
            await read_all(driver, points, pause_ms=20)
        await driver.close()
    assert min(later - earlier for earlier, later in pairwise(came)) >= 0.019


async def test_hung_peer_is_detected_within_one_timeout() -> None:
    async def answer(frame: bytes) -> None:
        return None

    async with rogue(answer) as address:
        driver = await connected(address)
        (request,) = plan({"a": at("holding:0")}, timeout_s=0.05)
        with pytest.raises(DeviceUnreachable, match=r"unit 1 at .*: no answer within 0.05 s"):
            await driver.read(request)
        await driver.close()


async def test_more_than_125_registers_are_never_asked_for() -> None:
    points = {f"r{i}": at(f"holding:{i}", type="uint16") for i in range(300)}
    assert max(request.block.count for request in plan(points, max_registers=125)) == 125


async def test_a_late_reply_is_not_taken_for_the_answer_to_the_next_request() -> None:
    frames: list[bytes] = []

    async def answer(frame: bytes) -> bytes | None:
        frames.append(frame)
        if len(frames) == 1:
            return None
        late = reply_to(frames[0], struct.pack(">H", asked(frames[0])[0]))
        return late + reply_to(frame, struct.pack(">H", asked(frame)[0]))

    async with rogue(answer) as address:
        driver = await connected(address, timeout_s=0.2)
        with pytest.raises(DeviceUnreachable):
            await read_all(driver, {"a": at("holding:1000", type="uint16")}, timeout_s=0.05)
        assert await read_all(driver, {"b": at("holding:2000", type="uint16")}) == {"b": 2000}
        await driver.close()


async def test_a_reply_in_pieces_is_put_together() -> None:
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply = reply_to(await reader.readexactly(12), bytes(range(20)))
        for part in (reply[:3], reply[3:9], reply[9:]):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        await pieces.get()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    driver = await connected(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    points = {f"r{i}": at(f"holding:{i}", type="uint16") for i in range(10)}
    found = await read_all(driver, points)
    assert found["r9"] == 18 * 256 + 19
    pieces.put_nowait(b"")
    await driver.close()
    server.close()
    await server.wait_closed()


async def test_the_client_is_rebuilt_after_a_loss() -> None:
    async with plc(holding=[1]) as device:
        driver = await connected(device.address)
        port = int(device.address.rpartition(":")[2])
    await _noticed(driver)
    async with plc(holding=[2], port=port):
        await driver.connect()
        assert await read_all(driver, {"a": at("holding:0", type="uint16")}) == {"a": 2}
        await driver.close()


async def test_nobody_reconnects_behind_the_scanners_back() -> None:
    async with plc(holding=[1]) as device:
        driver = await connected(device.address)
        port = int(device.address.rpartition(":")[2])
    await _noticed(driver)
    async with plc(holding=[1], port=port):
        await asyncio.sleep(0)
        assert not driver.connected
    await driver.close()


async def _noticed(driver: ModbusDriver) -> None:
    """Wait until the driver has seen the peer close its end."""
    async with asyncio.timeout(5.0):
        while driver.connected:  # noqa: ASYNC110 - the driver is polled, it has no event for it
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("address", "kind", "says"),
    [
        ("coil:3", "uint16", "bits carry bool only"),
        ("holding:3.4-7", "bool", "4 bits do not fit bool; name at most 1"),
        ("holding:3.16", "bool", "there is no bit 16; bool takes bits 0 to 15"),
        ("holding:3.0-15", "int8", "16 bits do not fit int8; name at most 8"),
        ("holding:3.20-33", "uint32", "there is no bit 33; uint32 takes bits 0 to 31"),
        ("holding:3.4-7", "bcd16", "only bool and whole numbers have parts"),
        ("holding:3.high", "float32", "only bool and whole numbers have parts"),
        ("holding:65535", "bcd32", "reaches beyond address 65535"),
    ],
)
def test_a_point_that_cannot_lie_there_says_why(address: str, kind: str, says: str) -> None:
    wrong = ModbusDriver.wrong_point(address, point(type=kind), settings())
    assert wrong is not None
    assert says in wrong


async def test_a_late_answer_that_comes_in_two_halves_around_the_next_request_costs_no_connection() -> None:
    """The half that came in between was thrown away, and the other half was no frame."""
    late = b""

    async def answer(frame: bytes) -> bytes:
        nonlocal late
        if not late:
            late = reply_to(frame, b"\0\1")
            await asyncio.sleep(0.4)
            return late[:8]
        return late[8:] + reply_to(frame, b"\0\2")

    async with rogue(answer) as address:
        driver = await connected(address)
        (request,) = plan({"a": at("holding:0", type="uint16")}, timeout_s=0.3)
        with pytest.raises(DeviceUnreachable):
            await driver.read(request)
        await asyncio.sleep(0.3)
        assert request.decode(await driver.read(request), 0).values == [2]
        await driver.close()


async def test_a_device_that_talks_without_end_between_requests_is_hung_up_on() -> None:
    """After one request without an answer everything was kept until the next one: a gigabit of it in a minute."""

    async def answer(frame: bytes) -> bytes:
        await asyncio.sleep(0.4)
        return bytes(1 << 22)

    async with rogue(answer) as address:
        driver = await connected(address)
        (request,) = plan({"a": at("holding:0")}, timeout_s=0.3)
        with pytest.raises(DeviceUnreachable):
            await driver.read(request)
        await holds(lambda: not driver.connected)
        await driver.close()
