"""What every driver owes the scanner. A new protocol adds itself to `RIGS` and must pass (docs/how-to/protocol.md)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from davylamp_edge.config import DeviceConfig
from davylamp_edge.drivers import DRIVERS, DeviceRefused, DeviceUnreachable, Driver, driver_class
from davylamp_edge.reply import Decoded
from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD, Level, level
from davylamp_wire.reading import Value
from support import services
from support.field import PLANT_URI, opcua_plant, plc, point, registers, settings, wanted

TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Rig:
    """A protocol's plant with three values in it, and how to ask for them."""

    protocol: str
    level: str
    pump: str
    gone: str
    malformed: str
    address: Callable[[int], str]
    serve: Callable[[int], AbstractAsyncContextManager[Any]]

    def points(self, *names: str) -> dict[str, Point]:
        kinds = {"pump": "bool"}
        return {
            name: point(type=kinds.get(name, "float32"), address={self.protocol: getattr(self, name)}) for name in names
        }

    def device(self, port: int) -> DeviceConfig:
        return settings(driver=self.protocol, address=self.address(port))

    def driver(self, port: int) -> Driver[Any]:
        return driver_class(self.protocol).of(self.device(port), TIMEOUT_S)

    def plan(self, port: int, *names: str) -> Sequence[Any]:
        points = self.points(*names)
        return driver_class(self.protocol).plan(self.device(port), wanted(points, self.protocol))


@asynccontextmanager
async def _modbus(port: int, rtu: bool = False) -> AsyncIterator[None]:
    async with plc(holding=registers(">f", 1.5), coils=[False, False, True], port=port, rtu=rtu):
        yield


@asynccontextmanager
async def _opcua(port: int) -> AsyncIterator[None]:
    async with opcua_plant(port, level=1.5, pump=True):
        yield


RIGS = {
    "modbus": Rig(
        "modbus", "holding:0", "coil:2", "holding:900", "register 0", lambda port: f"127.0.0.1:{port}", _modbus
    ),
    "modbus-rtu": Rig(
        "modbus",
        "holding:0",
        "coil:2",
        "holding:900",
        "register 0",
        lambda port: f"rtu-tcp://127.0.0.1:{port}",
        partial(_modbus, rtu=True),
    ),
    "opcua": Rig(
        "opcua",
        f"nsu={PLANT_URI};s=level",
        f"nsu={PLANT_URI};s=pump",
        f"nsu={PLANT_URI};s=gone",
        "level",
        lambda port: f"opc.tcp://127.0.0.1:{port}/plant",
        _opcua,
    ),
}


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest) -> Rig:
    """Every rig."""
    return RIGS[request.param]


async def answers(rig: Rig, driver: Driver[Any], port: int, *names: str) -> dict[str, tuple[Value, int]]:
    """Return what the scanner would make of points: a refusal is the quality of every point that was asked for."""
    found: dict[str, tuple[Value, int]] = {}
    for request in rig.plan(port, *names):
        try:
            decoded: Decoded = request.decode(await driver.read(request), time.time_ns() // 1_000_000)
        except DeviceRefused as refusal:
            doubt = Level.BAD << 8 | refusal.reason
            decoded = Decoded([None] * len(request.points), dict.fromkeys(range(len(request.points)), doubt))
        for position, index in enumerate(request.points):
            found[names[index]] = decoded.values[position], decoded.doubts.get(position, GOOD)
    return found


def test_every_registered_driver_has_a_rig() -> None:
    assert {rig.protocol for rig in RIGS.values()} == set(DRIVERS)


async def test_connect_and_read_give_values_of_the_profiles_types(rig: Rig) -> None:
    port = services.free_port()
    driver = rig.driver(port)
    async with rig.serve(port):
        await driver.connect()
        assert driver.connected
        assert await answers(rig, driver, port, "level", "pump") == {"level": (1.5, GOOD), "pump": (True, GOOD)}
        await driver.close()


async def test_a_plan_asks_for_every_point_exactly_once(rig: Rig) -> None:
    requests = rig.plan(502, "level", "pump", "gone")
    assert sorted(index for request in requests for index in request.points) == [0, 1, 2]


async def test_columns_are_parallel_to_the_requests_points(rig: Rig) -> None:
    port = services.free_port()
    driver = rig.driver(port)
    async with rig.serve(port):
        await driver.connect()
        for request in rig.plan(port, "pump", "level"):
            decoded = request.decode(await driver.read(request), 0)
            assert len(decoded.values) == len(request.points)
            assert decoded.times_ms is None or len(decoded.times_ms) == len(request.points)
        await driver.close()


async def test_nobody_there_is_unreachable_and_can_be_tried_again(rig: Rig) -> None:
    port = services.free_port()
    driver = rig.driver(port)
    for _ in range(2):
        with pytest.raises(DeviceUnreachable):
            await driver.connect()
        assert not driver.connected
    async with rig.serve(port):
        await driver.connect()
        assert await answers(rig, driver, port, "level") == {"level": (1.5, GOOD)}
        await driver.close()


async def test_a_read_before_connecting_is_unreachable(rig: Rig) -> None:
    (request, *_) = rig.plan(502, "level")
    with pytest.raises(DeviceUnreachable):
        await rig.driver(services.free_port()).read(request)


async def test_a_device_that_went_away_is_unreachable_soon(rig: Rig) -> None:
    port = services.free_port()
    driver = rig.driver(port)
    (request, *_) = rig.plan(port, "level")
    async with rig.serve(port):
        await driver.connect()
        await driver.read(request)
    began = time.monotonic()
    with pytest.raises(DeviceUnreachable):
        await driver.read(request)
    assert time.monotonic() - began < 2 * TIMEOUT_S
    await driver.close()


async def test_a_device_that_hangs_is_unreachable_after_its_timeout(rig: Rig) -> None:
    """A relay before the real server stops passing bytes on, as a firewall or a dying switch does."""
    behind, port = services.free_port(), services.free_port()
    async with rig.serve(behind), _relay(port, behind) as hang:
        driver = rig.driver(port)
        await driver.connect()
        (request, *_) = rig.plan(port, "level")
        await driver.read(request)
        hang()
        began = time.monotonic()
        with pytest.raises(DeviceUnreachable):
            await driver.read(request)
        assert time.monotonic() - began < 2 * TIMEOUT_S
        await driver.close()


async def test_a_wrong_address_costs_the_wrong_point_only(rig: Rig) -> None:
    port = services.free_port()
    driver = rig.driver(port)
    async with rig.serve(port):
        await driver.connect()
        found = await answers(rig, driver, port, "level", "pump", "gone")
        assert found["level"] == (1.5, GOOD)
        assert found["pump"] == (True, GOOD)
        assert found["gone"][0] is None
        assert level(found["gone"][1]) is Level.BAD
        await driver.close()


async def test_after_a_loss_the_same_driver_connects_again(rig: Rig) -> None:
    port = services.free_port()
    driver = rig.driver(port)
    for _ in range(2):
        async with rig.serve(port):
            await driver.connect()
            assert await answers(rig, driver, port, "level") == {"level": (1.5, GOOD)}
        with pytest.raises(DeviceUnreachable):
            await answers(rig, driver, port, "level")
    await driver.close()


async def test_close_leaves_no_task_and_no_socket_and_may_be_called_twice(rig: Rig) -> None:
    port = services.free_port()
    async with rig.serve(port):
        before = asyncio.all_tasks()
        driver = rig.driver(port)
        await driver.connect()
        await answers(rig, driver, port, "level")
        ours = {task for task in asyncio.all_tasks() - before if "erver" not in repr(task)}
        await driver.close()
        await driver.close()
        assert not driver.connected
        assert not [task for task in ours if not task.done()]


async def test_a_cancelled_connect_leaves_nothing_open(rig: Rig) -> None:
    async with _silent() as port:
        driver = rig.driver(port)
        connecting = asyncio.create_task(driver.connect())
        await asyncio.sleep(0.01)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await driver.close()


def test_addresses_that_make_no_sense_say_what_would(rig: Rig) -> None:
    driver = driver_class(rig.protocol)
    assert driver.wrong_address(rig.address(502)) is None
    assert driver.wrong_address("http://plant/") is not None
    assert driver.wrong_point(rig.level, point(), settings()) is None
    assert driver.wrong_point(rig.malformed, point(), settings()) is not None


@asynccontextmanager
async def _relay(port: int, behind: int) -> AsyncIterator[Callable[[], None]]:
    """Relay bytes between two ports until told to hang."""
    passing = True
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            if passing:
                writer.write(chunk)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", behind)
        writers.extend((writer, inner_writer))
        try:
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        except ConnectionError:
            pass
        finally:
            writer.close()
            inner_writer.close()

    def hang() -> None:
        nonlocal passing
        passing = False

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield hang
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def _silent() -> AsyncIterator[int]:
    """Accept connections and say nothing."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
