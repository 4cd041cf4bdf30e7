"""The OPC UA driver against a real asyncua server. Tests named after a trap pin what asyncua 2.1 was seen to do."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.status_codes import StatusCodes
from davylamp_edge.datavalue import DataValueDecoder
from davylamp_edge.deadband import Report, Suppressor
from davylamp_edge.drivers import DeviceRefused, DeviceUnreachable
from davylamp_edge.drivers.opcua import OpcuaDriver, OpcuaRequest
from davylamp_edge.drivers.opcua_namespaces import Namespaces
from davylamp_edge.drivers.opcua_session import CHUNK
from davylamp_edge.reply import Decoded
from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD, Reason, bad
from davylamp_wire.reading import Value
from support import services
from support.field import PLANT_URI, OpcuaPlant, opcua_plant, point, settings, wanted

in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[OpcuaPlant]:
    """One server for the tests that only read: it takes two seconds to start."""
    async with opcua_plant(services.free_port(), level=1.5, pressure=7.25, pump=True, label="E-101 氯气") as running:
        yield running


def at(name: str, **said: Any) -> Point:
    return point(address={"opcua": f"nsu={PLANT_URI};s={name}"}, **said)


def plan(points: Mapping[str, Point]) -> list[OpcuaRequest]:
    device = settings(driver="opcua", address="opc.tcp://127.0.0.1:4840")
    return list(OpcuaDriver.plan(device, wanted(points, "opcua")))


async def connected(address: str, timeout_s: float = 2.0) -> OpcuaDriver:
    driver = OpcuaDriver(address, timeout_s)
    await driver.connect()
    return driver


async def read(driver: OpcuaDriver, request: OpcuaRequest) -> Decoded:
    return request.decode(await driver.read(request), time.time_ns() // 1_000_000)


async def read_all(driver: OpcuaDriver, points: Mapping[str, Point]) -> dict[str, tuple[Value, int]]:
    names = list(points)
    found: dict[str, tuple[Value, int]] = {}
    for request in plan(points):
        decoded = await read(driver, request)
        for position, index in enumerate(request.points):
            found[names[index]] = decoded.values[position], decoded.doubts.get(position, GOOD)
    return found


@in_one_loop
async def test_numbers_bools_and_texts_are_read_by_namespace_uri(plant: OpcuaPlant) -> None:
    driver = await connected(plant.address)
    points = {"label": at("label", type="string"), "pump": at("pump", type="bool"), "level": at("level")}
    expected = {"label": ("E-101 氯气", GOOD), "pump": (True, GOOD), "level": (1.5, GOOD)}
    assert await read_all(driver, points) == expected
    await driver.close()


@in_one_loop
async def test_one_bad_node_does_not_harm_the_others(plant: OpcuaPlant) -> None:
    driver = await connected(plant.address)
    found = await read_all(driver, {"level": at("level"), "gone": at("gone"), "pressure": at("pressure")})
    assert found == {"level": (1.5, GOOD), "gone": (None, bad(Reason.DEVICE_EXCEPTION)), "pressure": (7.25, GOOD)}
    await driver.close()


@in_one_loop
async def test_a_namespace_the_server_does_not_have_costs_its_own_points_only(plant: OpcuaPlant) -> None:
    driver = await connected(plant.address)
    alien = point(address={"opcua": "nsu=urn:elsewhere;s=level"})
    found = await read_all(driver, {"level": at("level"), "alien": alien})
    assert found["level"] == (1.5, GOOD)
    assert found["alien"] == (None, bad(Reason.DEVICE_EXCEPTION))
    await driver.close()


@in_one_loop
async def test_bad_status_with_null_value_comes_with_its_reason(plant: OpcuaPlant) -> None:
    await plant.add("broken", 1.0, ua.VariantType.Double)
    broken = ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(StatusCodes.BadNoCommunication)))
    await plant.write("broken", broken)
    driver = await connected(plant.address)
    assert await read_all(driver, {"broken": at("broken")}) == {"broken": (None, bad(Reason.COMM))}
    await driver.close()


@in_one_loop
async def test_source_timestamps_are_carried(plant: OpcuaPlant) -> None:
    await plant.add("old", 1.0, ua.VariantType.Double)
    stamp = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    value = ua.Variant(42.0, ua.VariantType.Double)
    await plant.write("old", ua.DataValue(Value=value, SourceTimestamp=stamp))  # type: ignore[arg-type]  # any datetime does
    driver = await connected(plant.address)
    (request,) = plan({"old": at("old")})
    assert (await read(driver, request)).times_ms == [int(stamp.timestamp() * 1000)]
    now = time.time_ns() // 1_000_000
    confirmed = (await read(driver, request)).times_ms
    assert confirmed is not None
    assert abs(confirmed[0] - now) < 5_000
    await driver.close()


def test_s08_a_polled_stamp_that_stands_still_is_repeated_with_the_time_it_was_confirmed() -> None:
    """Its server lives and says the same again: no staleness, however old the stamp is."""
    gas = point(kind="gas", type="float64")
    decoder, suppressor = DataValueDecoder([gas]), Suppressor([0], [gas], period_ms=1000)
    yesterday = ua.DataValue(ua.Variant(1.5), SourceTimestamp=datetime(2026, 1, 1, tzinfo=UTC))  # type: ignore[arg-type]
    now, sent = 1_800_000_000_000, list[int]()
    for second in range(3600):
        report: Report = {}
        arrived_ms = now + 1000 * second
        suppressor.report(decoder.decode([yesterday], arrived_ms, 0), arrived_ms, report)
        for columns in report.values():
            assert (columns.values, columns.qualities) == ([1.5], [GOOD])
            assert second == 0 or columns.times_ms == [arrived_ms]
            sent.append(arrived_ms)
    assert max(after - before for before, after in pairwise(sent)) <= 10_000


@in_one_loop
async def test_reads_are_cut_to_chunks(plant: OpcuaPlant) -> None:
    for i in range(600):
        await plant.add(f"many{i}", float(i), ua.VariantType.Double)
    points = {f"many{i}": at(f"many{i}") for i in range(600)}
    assert [len(request.points) for request in plan(points)] == [CHUNK, CHUNK, 100]
    driver = await connected(plant.address)
    assert await read_all(driver, points) == {f"many{i}": (float(i), GOOD) for i in range(600)}
    await driver.close()


@in_one_loop
async def test_a_server_with_a_small_limit_is_asked_within_it(plant: OpcuaPlant) -> None:
    limit = plant.server.get_node(ua.NodeId(ua.Int32(11705)))
    await limit.write_value(ua.Variant(3, ua.VariantType.UInt32))
    asked = count_reads(plant)
    try:
        driver = await connected(plant.address)
        points = {name: at(name) for name in ("level", "pressure")} | {f"x{i}": at("level") for i in range(8)}
        found = await read_all(driver, points)
        assert all(quality == GOOD for _, quality in found.values())
        await driver.close()
    finally:
        await limit.write_value(ua.Variant(0, ua.VariantType.UInt32))
        asked.stop()
    assert max(asked.sizes) <= 3


class CountedReads:
    """The sizes of the Read requests a server got."""

    def __init__(self, sessions: Any) -> None:
        self._sessions = sessions
        self.original = sessions.read
        self.sizes: list[int] = []

    def stop(self) -> None:
        self._sessions.read = self.original


def count_reads(plant: OpcuaPlant) -> CountedReads:
    """Note the size of each Read that reaches the server's sessions."""
    sessions: Any = plant.server.iserver.isession.__class__
    counted = CountedReads(sessions)

    async def read(session: Any, parameters: Any, *rest: Any) -> Any:
        counted.sizes.append(len(parameters.NodesToRead))
        return await counted.original(session, parameters, *rest)

    sessions.read = read
    return counted


@in_one_loop
async def test_too_many_operations_is_asked_again_with_fewer(plant: OpcuaPlant) -> None:
    sessions: Any = plant.server.iserver.isession.__class__
    original = sessions.read

    async def refuse_many(session: Any, parameters: Any, *rest: Any) -> Any:
        if len(parameters.NodesToRead) > 4:
            raise ua.UaStatusCodeError(StatusCodes.BadTooManyOperations)  # type: ignore[attr-defined]  # re-exported
        return await original(session, parameters, *rest)

    driver = await connected(plant.address)
    sessions.read = refuse_many
    try:
        found = await read_all(driver, {f"x{i}": at("level") for i in range(20)})
    finally:
        sessions.read = original
        await driver.close()
    assert set(found.values()) == {(1.5, GOOD)}


@in_one_loop
async def test_a_service_fault_refuses_the_request_and_keeps_the_session(plant: OpcuaPlant) -> None:
    sessions: Any = plant.server.iserver.isession.__class__
    original = sessions.read

    async def refuse(session: Any, parameters: Any, *rest: Any) -> Any:
        raise ua.UaStatusCodeError(StatusCodes.BadUserAccessDenied)  # type: ignore[attr-defined]  # re-exported

    driver = await connected(plant.address)
    (request,) = plan({"level": at("level")})
    sessions.read = refuse
    try:
        with pytest.raises(DeviceRefused):
            await driver.read(request)
    finally:
        sessions.read = original
    assert driver.connected
    assert (await read(driver, request)).values == [1.5]
    await driver.close()


async def test_first_connect_is_not_retried_by_asyncua_and_says_so(free_port: Callable[[], int]) -> None:
    driver = OpcuaDriver(f"opc.tcp://127.0.0.1:{free_port()}/plant", 0.5)
    with pytest.raises(DeviceUnreachable, match=r"OPC UA server 127\.0\.0\.1"):
        await driver.connect()
    assert not driver.connected


async def test_a_server_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    writers: list[asyncio.StreamWriter] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    driver = OpcuaDriver(f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}/", 0.3)
    began = time.monotonic()
    with pytest.raises(DeviceUnreachable):
        await driver.connect()
    assert time.monotonic() - began < 3.0
    server.close()
    await server.wait_closed()


async def test_the_client_is_rebuilt_after_a_loss_with_the_servers_new_namespaces(free_port: Callable[[], int]) -> None:
    port = free_port()
    points = {"level": at("level")}
    async with opcua_plant(port, level=1.0) as running:
        driver = await connected(running.address)
        assert await read_all(driver, points) == {"level": (1.0, GOOD)}
    with pytest.raises(DeviceUnreachable):
        await read_all(driver, points)
    async with opcua_plant(port, before=("urn:one", "urn:two"), level=2.0):
        await driver.connect()
        assert await read_all(driver, points) == {"level": (2.0, GOOD)}
        await driver.close()


async def test_an_address_by_number_follows_its_namespace_and_says_so(
    free_port: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It read whatever had the number after the server's restart, without a word."""
    port = free_port()
    async with opcua_plant(port, level=1.0) as running:
        points = {"level": point(address={"opcua": f"ns={running.namespace};s=level"})}
        driver = await connected(running.address)
        assert await read_all(driver, points) == {"level": (1.0, GOOD)}
    with pytest.raises(DeviceUnreachable):
        await read_all(driver, points)
    async with opcua_plant(port, before=("urn:one", "urn:two"), level=2.0):
        await driver.connect()
        assert await read_all(driver, points) == {"level": (2.0, GOOD)}
        await driver.close()
    assert "namespaces have moved" in "".join(capsys.readouterr())


def test_a_namespace_that_gave_its_number_to_another_is_gone_and_one_that_is_called_otherwise_is_not() -> None:
    namespaces = Namespaces()
    assert namespaces.learn(["ua", "urn:host-1", "urn:a", "urn:b", "urn:c"]) == []
    moved = namespaces.learn(["ua", "urn:host-2", "urn:b", "urn:a", "urn:c/v2"])
    assert moved == ["ns=2 (urn:a): now ns=3", "ns=3 (urn:b): now ns=2"]
    assert [namespaces.number(at) for at in range(6)] == [0, 1, 3, 2, 4, 5]
    assert namespaces.learn(["ua", "urn:host-2", "urn:b"]) == [
        "ns=2 (urn:a): gone",
    ]
    assert namespaces.number(3) == 2


@in_one_loop
async def test_trap_asyncua_reconnects_only_when_told_to(plant: OpcuaPlant) -> None:
    assert Client(plant.address)._auto_reconnect is False


@pytest.mark.parametrize("node", ["nsu=urn:plant;s=Tank 1;Level", "ns=2;i=1001", "i=2258", "ns=3;g=" + "0" * 32])
def test_node_ids_in_any_of_their_forms_are_addresses(node: str) -> None:
    assert OpcuaDriver.wrong_point(node, point(), settings()) is None
