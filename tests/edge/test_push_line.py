"""Servers that tell by themselves, on real sockets: every value in order, and every way a subscription can be dead."""

import asyncio
import itertools
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes
from davylamp_edge import push_line
from davylamp_edge.drivers import opcua_subscription
from davylamp_edge.drivers.opcua_subscription import Item
from davylamp_edge.scan import Scanner
from davylamp_wire.point import Point
from davylamp_wire.profile import Profile
from davylamp_wire.quality import GOOD, Reason, bad
from support import services
from support.field import (
    PLANT_URI,
    Collector,
    OpcuaPlant,
    device,
    edge_config,
    opcua_plant,
    point,
    profile,
    scanning,
)

in_one_loop = pytest.mark.asyncio(loop_scope="module")
COMM = bad(Reason.COMM)
MAX_ITEMS_PER_CALL = ua.NodeId(ua.Int32(11714))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[OpcuaPlant]:
    """One server for the tests that leave it standing: it takes two seconds to start."""
    async with opcua_plant(services.free_port(), level=1.5, pressure=7.25, pump=True, label="E-101 氯气") as running:
        yield running


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after sessions ten times a second: time is not waited for."""
    monkeypatch.setattr(push_line, "WATCH_S", 0.1)
    monkeypatch.setattr(push_line, "TICK_S", 0.05)


def at(name: str, **said: Any) -> Point:
    return point(**{"type": "float64", "address": {"opcua": f"nsu={PLANT_URI};s={name}"}, "scan_s": 0.05} | said)


def rig(**points: Point) -> Mapping[str, Profile]:
    return {"rig": profile(points)}


def server(address: str, **said: Any) -> dict[str, Any]:
    return device(address, driver="opcua", opcua={"publish_s": 0.05}, **said)


def told(collector: Collector, scanner: Scanner, name: str, place: int = 0) -> list[tuple[Any, int]]:
    """Return everything one point reported, as value and quality."""
    rows = collector.rows(scanner.devices[place])
    return [(value, quality) for point_name, value, quality in rows if point_name == name]


def states(collector: Collector, scanner: Scanner, name: str) -> list[tuple[Any, int]]:
    """Return what one point reported, repeats left out."""
    return [state for state, _ in itertools.groupby(told(collector, scanner, name))]


def times(collector: Collector) -> list[int]:
    """Return the times of everything the first point reported."""
    rows = [row for result in collector.results for row in zip(result.points, result.times_ms, strict=True)]
    return [time_ms for index, time_ms in rows if index == 0]


def double(value: float, status: int = 0, stamp: datetime | None = None) -> ua.DataValue:
    return ua.DataValue(
        ua.Variant(value, ua.VariantType.Double),
        ua.StatusCode(ua.UInt32(status)),
        SourceTimestamp=stamp,  # type: ignore[arg-type]  # any datetime does
    )


@in_one_loop
async def test_numbers_bools_and_texts_come_by_themselves_with_comm_ok(plant: OpcuaPlant) -> None:
    profiles = rig(level=at("level"), pump=at("pump", type="bool"), label=at("label", type="string"))
    async with scanning(edge_config(server(plant.address)), profiles) as (scanner, collector):
        await collector.until(lambda: told(collector, scanner, "label"))
    for name, value in {"level": 1.5, "pump": True, "label": "E-101 氯气", "comm_ok": True}.items():
        assert told(collector, scanner, name) == [(value, GOOD)], name


@in_one_loop
async def test_s08_every_value_between_two_responses_arrives_in_order_with_its_own_stamp(plant: OpcuaPlant) -> None:
    await plant.add("fast", 0.0, ua.VariantType.Double)
    began = datetime.now(UTC)
    stamps = [began + timedelta(milliseconds=n) for n in range(1, 51)]
    async with scanning(edge_config(server(plant.address)), rig(fast=at("fast"))) as (scanner, collector):
        await collector.until(lambda: told(collector, scanner, "fast"))
        for n, stamp in enumerate(stamps, 1):
            await plant.write("fast", double(float(n), stamp=stamp))
        await collector.until(lambda: (50.0, GOOD) in told(collector, scanner, "fast"))
    sent = list(zip(times(collector), told(collector, scanner, "fast"), strict=True))
    assert sent[-50:] == [(int(stamp.timestamp() * 1000), (float(n), GOOD)) for n, stamp in enumerate(stamps, 1)]
    assert scanner.statuses["rig1"].dropped == 0


@in_one_loop
async def test_a_node_the_server_does_not_have_harms_no_other_and_is_asked_for_again(
    plant: OpcuaPlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_line, "AGAIN_S", 0.1)
    alien = point(address={"opcua": "nsu=urn:elsewhere;s=level"})
    profiles = rig(late=at("late"), level=at("level"), alien=alien)
    async with scanning(edge_config(server(plant.address)), profiles) as (scanner, collector):
        await collector.until(lambda: told(collector, scanner, "level") and told(collector, scanner, "late"))
        assert (
            told(collector, scanner, "late")
            == told(collector, scanner, "alien")
            == [(None, bad(Reason.DEVICE_EXCEPTION))]
        )
        await plant.add("late", 4.0, ua.VariantType.Double)
        await collector.until(lambda: (4.0, GOOD) in told(collector, scanner, "late"))
    assert told(collector, scanner, "level") == [(1.5, GOOD)]
    assert scanner.statuses["rig1"].losses == 0


@in_one_loop
async def test_status_codes_are_qualities_and_an_overflow_of_the_servers_queue_is_counted(plant: OpcuaPlant) -> None:
    await plant.add("odd", 0.0, ua.VariantType.Double)
    async with scanning(edge_config(server(plant.address)), rig(odd=at("odd"))) as (scanner, collector):
        await collector.until(lambda: told(collector, scanner, "odd"))
        await plant.write("odd", double(1.0, StatusCodes.UncertainLastUsableValue))
        await plant.write("odd", ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(StatusCodes.BadSensorFailure))))
        await plant.write("odd", double(2.0, 0x0480))
        await collector.until(lambda: (2.0, GOOD) in told(collector, scanner, "odd"))
    stale, fault = 1 << 8 | Reason.STALE, bad(Reason.DEVICE_FAULT)
    assert states(collector, scanner, "odd") == [(0.0, GOOD), (1.0, stale), (None, fault), (2.0, GOOD)]
    assert scanner.statuses["rig1"].dropped == 1


@in_one_loop
async def test_the_servers_limits_on_items_are_kept(plant: OpcuaPlant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three in a call, ten in a subscription: all twenty-five come, through three subscriptions."""
    limit = plant.server.get_node(MAX_ITEMS_PER_CALL)
    await limit.write_value(ua.Variant(3, ua.VariantType.UInt32))
    service: Any = plant.server.iserver.subscription_service
    original = service.create_monitored_items
    sizes: list[int] = []
    held: dict[int, int] = {}

    async def ten_at_most(parameters: Any, *rest: Any) -> Any:
        sizes.append(len(parameters.ItemsToCreate))
        room = 10 - held.get(parameters.SubscriptionId, 0)
        refused = parameters.ItemsToCreate[max(0, room) :]
        parameters.ItemsToCreate = parameters.ItemsToCreate[: max(0, room)]
        held[parameters.SubscriptionId] = 10 - room + len(parameters.ItemsToCreate)
        full = ua.MonitoredItemCreateResult(ua.StatusCode(ua.UInt32(StatusCodes.BadTooManyMonitoredItems)))
        return [*await original(parameters, *rest), *([full] * len(refused))]

    monkeypatch.setattr(service, "create_monitored_items", ten_at_most)
    points = {f"x{n}": at("level") for n in range(25)}
    try:
        async with scanning(edge_config(server(plant.address)), rig(**points)) as (scanner, collector):
            await collector.until(lambda: all(told(collector, scanner, name) for name in points))
    finally:
        await limit.write_value(ua.Variant(0, ua.VariantType.UInt32))
    assert all(told(collector, scanner, name) == [(1.5, GOOD)] for name in points)
    assert max(sizes) == 3
    assert sorted(held.values()) == [5, 10, 10]


@in_one_loop
async def test_devices_behind_one_server_share_a_session_and_keep_their_own_tags(plant: OpcuaPlant) -> None:
    profiles = {"a": profile({"x": at("level")}, "a"), "b": profile({"y": at("pressure"), "z": at("level")}, "b")}
    both = [server(plant.address, name="one") | {"profile": "a"}, server(plant.address, name="two") | {"profile": "b"}]
    subscriptions = plant.server.iserver.subscription_service.subscriptions
    before = len(subscriptions)
    async with scanning(edge_config(*both), profiles) as (scanner, collector):
        await collector.until(lambda: told(collector, scanner, "z", 1) and told(collector, scanner, "x"))
        assert len(subscriptions) == before + 1
    assert told(collector, scanner, "x") == [(1.5, GOOD)]
    assert told(collector, scanner, "y", 1) == [(7.25, GOOD)]


@in_one_loop
async def test_a_tag_its_subscription_has_forgotten_is_found_and_the_client_built_anew(plant: OpcuaPlant) -> None:
    """Trap: after a failed recreate asyncua reports a reconnect and 0 monitored items; keepalives go on."""
    await plant.add("lost", 1.0, ua.VariantType.Double)
    quiet = at("lost", max_silence_s=0.1)
    async with scanning(edge_config(server(plant.address)), rig(lost=quiet)) as (scanner, collector):
        await collector.until(lambda: told(collector, scanner, "lost"))
        for subscription in plant.server.iserver.subscription_service.subscriptions.values():
            subscription.monitored_item_srv.delete_all_monitored_items()
        await plant.write("lost", double(2.0))
        await collector.until(lambda: (2.0, GOOD) in told(collector, scanner, "lost"))
    assert scanner.statuses["rig1"].losses == 1
    assert (
        "rig1/lost reads 2.0 and was last told as 1.0: its subscription is dead" in scanner.statuses["rig1"].last_error
    )
    assert states(collector, scanner, "lost") == [(1.0, GOOD), (None, COMM), (2.0, GOOD)]


@in_one_loop
async def test_s08_a_value_that_stands_is_read_back_and_never_taken_for_dead(
    plant: OpcuaPlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stamp stands still for ever; what confirms the value is the living subscription."""
    monkeypatch.setattr(opcua_subscription, "KEEPALIVES", 1)
    monkeypatch.setattr("davylamp_edge.changes.REPEAT_EARLY_MS", 0)
    still = at("level", max_silence_s=0.1)
    async with scanning(edge_config(server(plant.address)), rig(level=still)) as (scanner, collector):
        await collector.until(lambda: len(told(collector, scanner, "level")) >= 8)
    assert set(told(collector, scanner, "level")) == {(1.5, GOOD)}
    assert scanner.statuses["rig1"].losses == 0
    times = [
        ms
        for result in collector.results
        for index, ms in zip(result.points, result.times_ms, strict=True)
        if index == 0
    ]
    assert times == sorted(set(times))


@in_one_loop
async def test_a_subscription_without_keepalives_is_dead_though_the_server_answers(
    plant: OpcuaPlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua_subscription, "KEEPALIVES", 1)
    async with scanning(edge_config(server(plant.address)), rig(level=at("level"))) as (scanner, collector):
        await collector.until(lambda: told(collector, scanner, "level"))
        for subscription in plant.server.iserver.subscription_service.subscriptions.values():
            await subscription.stop()
        await collector.until(lambda: (None, COMM) in told(collector, scanner, "level"))
        assert "has been silent for" in scanner.statuses["rig1"].last_error
        await collector.until(lambda: told(collector, scanner, "level")[-1] == (1.5, GOOD))


SERVE = """
import asyncio, sys
from support.field import opcua_plant
async def main(port, level, *before):
    async with opcua_plant(int(port), before=before, level=float(level)):
        print("up", flush=True)
        await asyncio.Event().wait()
asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def serving(port: int, level: float, *before: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server in a process of its own, for a test that kills it."""
    command = [sys.executable, "-c", SERVE, str(port), str(level), *before]
    folder = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


async def test_a_killed_server_is_lost_at_once_and_found_with_its_new_namespaces(
    free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("davylamp_edge.backoff.FIRST_S", 0.1)
    monkeypatch.setattr("davylamp_edge.backoff.LONGEST_S", 0.5)
    port = free_port()
    profiles = rig(level=at("level"), other=at("level"))
    config = edge_config(server(f"opc.tcp://127.0.0.1:{port}/plant"))
    with serving(port, 1.0) as process:
        async with scanning(config, profiles) as (scanner, collector):
            await collector.until(lambda: told(collector, scanner, "other"))
            process.kill()
            await collector.until(lambda: (None, COMM) in told(collector, scanner, "other"))
            with serving(port, 2.0, "urn:one", "urn:two"):
                await collector.until(lambda: (2.0, GOOD) in told(collector, scanner, "other"))
    for name in ("level", "other"):
        assert states(collector, scanner, name)[:3] == [(1.0, GOOD), (None, COMM), (2.0, GOOD)]
    assert states(collector, scanner, "comm_ok")[:3] == [(True, GOOD), (False, GOOD), (True, GOOD)]


async def test_a_server_that_hangs_is_lost_after_its_heartbeat_and_comes_back(
    free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("davylamp_edge.backoff.FIRST_S", 0.1)
    monkeypatch.setattr("davylamp_edge.backoff.LONGEST_S", 0.5)
    monkeypatch.setattr(push_line, "SETUP_S", 1.0)
    port = free_port()
    with serving(port, 1.0) as process:
        async with scanning(edge_config(server(f"opc.tcp://127.0.0.1:{port}/plant")), rig(level=at("level"))) as pair:
            scanner, collector = pair
            await collector.until(lambda: (1.0, GOOD) in told(collector, scanner, "level"))
            process.send_signal(signal.SIGSTOP)
            await collector.until(lambda: (None, COMM) in told(collector, scanner, "level"))
            process.send_signal(signal.SIGCONT)
            await collector.until(lambda: told(collector, scanner, "level")[-1] == (1.0, GOOD))


async def test_nobody_there_is_bad_at_once_and_tried_again(
    free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("davylamp_edge.backoff.FIRST_S", 0.05)
    config = edge_config(server(f"opc.tcp://127.0.0.1:{free_port()}/plant"))
    async with scanning(config, rig(level=at("level", max_silence_s=0.1))) as (scanner, collector):
        await collector.until(lambda: told(collector, scanner, "level"))
        assert told(collector, scanner, "comm_ok") == [(False, GOOD)]
    assert told(collector, scanner, "level")[0] == (None, COMM)
    assert "OPC UA server 127.0.0.1" in scanner.statuses["rig1"].last_error


@pytest.mark.parametrize(
    ("sampling_s", "publish_s", "queue"), [(1.0, 0.5, 5), (0.1, 0.5, 50), (0.05, 10.0, 200), (60.0, 0.5, 1)]
)
def test_a_queue_holds_every_sample_between_responses_and_through_a_stall(
    sampling_s: float, publish_s: float, queue: int
) -> None:
    assert Item(0, ua.NodeId(), sampling_s).queue(publish_s) == queue


@in_one_loop
async def test_s08_local_points_are_seen_with_every_value_and_again_while_the_server_lives(plant: OpcuaPlant) -> None:
    seen: list[Any] = []
    enough = asyncio.Event()

    def see(device: str, points: Any, values: Any, qualities: Any, times_ms: Any) -> None:
        seen.extend(zip(points, values, qualities, strict=True))
        if len(seen) > 3:
            enough.set()

    source = {"standard": "t", "basis": "proposal"}
    limits = {"H": {"value": 8, "action": {"zh": "查", "en": "look"}, "source": source}}
    profiles = rig(level=at("level"), pressure=at("pressure", local=True, limits=limits))
    config = edge_config(server(plant.address))
    async with scanning(config, profiles, see=see), asyncio.timeout(10):
        await enough.wait()
    assert set(seen[:3]) == {(1, 7.25, GOOD)}
