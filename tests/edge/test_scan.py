"""The scanner against real sockets: on time, one dead device delays no other, and nothing read is thrown away."""

import asyncio
import itertools
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from davylamp_edge import poll as poll_module
from davylamp_edge.drivers.modbus import ModbusDriver
from davylamp_edge.scan import Scanner
from davylamp_wire.point import Point
from davylamp_wire.profile import Profile
from davylamp_wire.quality import GOOD, Reason, bad
from support.field import (
    Collector,
    asked,
    device,
    edge_config,
    exception_to,
    opcua_plant,
    plc,
    point,
    profile,
    registers,
    reply_to,
    rogue,
    scanning,
)

FAST = 0.05
COMM = bad(Reason.COMM)


def at(address: str, **said: Any) -> Point:
    return point(**{"address": {"modbus": address}, "type": "uint16", "scan_s": FAST} | said)


def rig(**points: Point) -> Mapping[str, Profile]:
    return {"rig": profile(points)}


def by_name(collector: Collector, scanner: Scanner, name: str, device_name: str = "rig1") -> list[tuple[Any, int]]:
    """Return everything one point reported, as value and quality."""
    installed = next(each for each in scanner.devices if each.name == device_name)
    return [(value, quality) for point_name, value, quality in collector.rows(installed) if point_name == name]


async def test_values_and_comm_ok_come_with_their_journal_class() -> None:
    async with plc(holding=[7], coils=[True]) as running:
        profiles = rig(level=at("holding:0"), pump=at("coil:0", type="bool", journal_class="event"))
        async with scanning(edge_config(device(running.address)), profiles) as (scanner, collector):
            await collector.until(lambda: by_name(collector, scanner, "comm_ok"))
    assert by_name(collector, scanner, "level") == [(7, GOOD)]
    assert by_name(collector, scanner, "pump") == [(True, GOOD)]
    assert by_name(collector, scanner, "comm_ok") == [(True, GOOD)]
    assert {result.journal_class: list(result.points) for result in collector.results} == {"live": [0], "event": [1, 2]}


async def test_only_what_changed_is_reported_and_the_held_back_value_before_it() -> None:
    async with plc(holding=[1, 5]) as running:
        profiles = rig(a=at("holding:0"), b=at("holding:1"))
        async with scanning(edge_config(device(running.address)), profiles) as (scanner, collector):
            await collector.until(lambda: by_name(collector, scanner, "a"))
            await scans(scanner, 3)
            await running.write("holding", 0, [2])
            await collector.until(lambda: (2, GOOD) in by_name(collector, scanner, "a"))
    assert by_name(collector, scanner, "a") == [(1, GOOD), (1, GOOD), (2, GOOD)]
    assert by_name(collector, scanner, "b") == [(5, GOOD)]
    for result in collector.results:
        assert list(result.times_ms) == sorted(result.times_ms)


async def test_report_every_gives_exactly_what_was_served() -> None:
    served = itertools.count()
    ledger: list[int] = []

    async def answer(frame: bytes) -> bytes:
        ledger.append(next(served) // 3)
        return reply_to(frame, struct.pack(">H", ledger[-1]))

    async with rogue(answer) as address:
        config = edge_config(device(address), report="every")
        async with scanning(config, rig(a=at("holding:0", scan_s=0.01))) as (scanner, collector):
            await collector.until(lambda: len(ledger) >= 30)
    assert [value for value, _ in by_name(collector, scanner, "a")] == ledger


async def test_what_is_being_read_when_the_edge_stops_is_not_thrown_away() -> None:
    ledger: list[int] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def answer(frame: bytes) -> bytes:
        begun.set()
        await go_on.wait()
        ledger.append(asked(frame)[0])
        return reply_to(frame, struct.pack(">H", asked(frame)[0]))

    async with rogue(answer) as address:
        profiles = rig(a=at("holding:1"), b=at("holding:500"))
        stop, collector = asyncio.Event(), Collector()
        scanner = Scanner(edge_config(device(address)), profiles, collector)
        running = asyncio.create_task(scanner.run(stop))
        await begun.wait()
        stop.set()
        await asyncio.sleep(0)
        go_on.set()
        await running
    assert ledger == [1]
    assert by_name(collector, scanner, "a") == [(1, GOOD)]
    assert by_name(collector, scanner, "b") == []


async def test_a_dead_device_yields_bad_comm_for_every_point_and_comm_ok_0(free_port: Callable[[], int]) -> None:
    profiles = rig(a=at("holding:0"), b=at("coil:0", type="bool"), slow=at("holding:9", scan_s=3600.0))
    config = edge_config(device(f"127.0.0.1:{free_port()}"))
    async with scanning(config, profiles) as (scanner, collector):
        await collector.until(lambda: by_name(collector, scanner, "comm_ok"))
    for name in ("a", "b", "slow"):
        assert by_name(collector, scanner, name) == [(None, COMM)], name
    assert by_name(collector, scanner, "comm_ok") == [(False, GOOD)]
    assert {result.journal_class: set(result.points) for result in collector.results} == {
        "live": {0, 1, 2},
        "event": {3},
    }
    status = scanner.statuses["rig1"]
    assert not status.connected
    assert status.lost_since_ms is not None
    assert "does not accept" in status.last_error


async def test_a_device_that_dies_turns_bad_at_once_and_comes_back_whole() -> None:
    profiles = rig(a=at("holding:0"), slow=at("holding:9", scan_s=3600.0))
    async with plc(holding=[1] * 10) as running:
        port = int(running.address.split(":")[1])
        scanner_and_sink = scanning(edge_config(device(running.address, timeout_s=0.3)), profiles, jitter=lambda: 0.0)
        scanner, collector = await scanner_and_sink.__aenter__()
        await collector.until(lambda: by_name(collector, scanner, "slow"))
        await scans(scanner, 2)
    try:
        await collector.until(lambda: (None, COMM) in by_name(collector, scanner, "a"))
        assert by_name(collector, scanner, "slow")[-1] == (None, COMM)
        async with plc(holding=[2] * 10, port=port):
            await collector.until(lambda: (2, GOOD) in by_name(collector, scanner, "slow"))
            assert by_name(collector, scanner, "a")[-1] == (2, GOOD)
            assert scanner.statuses["rig1"].losses == 1
            await scanner_and_sink.__aexit__(None, None, None)
    finally:
        assert [value for value, _ in by_name(collector, scanner, "comm_ok")] == [True, True, False, False, True]


async def test_a_rarely_polled_device_is_tried_again_as_soon_as_its_rest_is_over(free_port: Callable[[], int]) -> None:
    port = free_port()
    config = edge_config(device(f"127.0.0.1:{port}"))
    profiles = rig(a=at("holding:0", scan_s=3600.0))
    async with scanning(config, profiles, jitter=lambda: 0.0) as (scanner, collector):
        await collector.until(lambda: by_name(collector, scanner, "a"))
        async with plc(holding=[7], port=port):
            await collector.until(lambda: by_name(collector, scanner, "a")[-1] == (7, GOOD))


async def test_hung_and_dead_devices_delay_no_other(free_port: Callable[[], int]) -> None:
    async def silence(frame: bytes) -> None:
        return None

    async with plc(holding=[1]) as running, rogue(silence) as hung:
        config = edge_config(
            device(hung, name="hung"),
            device(f"127.0.0.1:{free_port()}", name="dead"),
            device(running.address, name="alive"),
            report="every",
        )
        async with scanning(config, rig(a=at("holding:0"))) as (scanner, collector):
            await collector.until(lambda: scanner.statuses["alive"].scans >= 40)
            # A busy machine costs a few; waiting for one hung device would cost twenty.
            assert scanner.statuses["alive"].late < 10
            assert scanner.statuses["hung"].scans == 0
        assert set(by_name(collector, scanner, "a", "hung")) == {(None, COMM)}
        assert set(by_name(collector, scanner, "a", "dead")) == {(None, COMM)}


async def test_one_dead_unit_takes_a_bounded_share_of_its_line() -> None:
    times: dict[int, list[float]] = {1: [], 2: []}
    clock = asyncio.get_running_loop().time

    async def answer(frame: bytes) -> bytes | None:
        times[frame[6]].append(clock())
        return reply_to(frame, b"\0\1") if frame[6] == 1 else None

    async with rogue(answer) as address:
        config = edge_config(
            device(address, name="alive", unit=1, timeout_s=0.1), device(address, name="silent", unit=2, timeout_s=0.1)
        )
        async with scanning(config, rig(a=at("holding:0")), jitter=lambda: 0.0) as (scanner, collector):
            await collector.until(lambda: scanner.statuses["silent"].losses)
            await scans(scanner, 60, "alive")
    spent = 0.1 * len(times[2])
    assert spent <= 0.2 * (times[1][-1] - times[1][0]) + 0.1
    assert set(by_name(collector, scanner, "a", "alive")) == {(1, GOOD)}


async def test_a_dead_device_is_not_hammered() -> None:
    knocks = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal knocks
        knocks += 1
        writer.transport.abort()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    config = edge_config(device(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=0.05), report="every")
    async with scanning(config, rig(a=at("holding:0", scan_s=0.01)), jitter=lambda: 0.5) as (scanner, collector):
        await collector.until(lambda: len(by_name(collector, scanner, "a")) > 150)
    server.close()
    await server.wait_closed()
    assert knocks <= 3


async def test_illegal_address_blinds_its_own_point_only_with_device_exception() -> None:
    async def no_register_5(frame: bytes) -> bytes:
        start, count = asked(frame)
        if start <= 5 < start + count:
            return exception_to(frame, 2)
        return reply_to(frame, struct.pack(f">{count}H", *range(start, start + count)))

    async with rogue(no_register_5) as address:
        profiles = rig(**{f"r{i}": at(f"holding:{i}") for i in range(12)})
        async with scanning(edge_config(device(address)), profiles) as (scanner, collector):
            await collector.until(lambda: by_name(collector, scanner, "comm_ok"))
            requests = scanner.statuses["rig1"].requests
            await scans(scanner, 4)
            again = scanner.statuses["rig1"].requests - requests
    for i in range(12):
        expected = (None, bad(Reason.DEVICE_EXCEPTION)) if i == 5 else (i, GOOD)
        assert set(by_name(collector, scanner, f"r{i}")) == {expected}
    assert again <= 4 * 2, "once narrowed down, a bad address must not be asked for again at every scan"
    assert by_name(collector, scanner, "comm_ok") == [(True, GOOD)]


@pytest.mark.parametrize("patience", ["ASK_AGAIN_S", "PLAN_AGAIN_S"])
async def test_a_block_split_while_the_plc_started_up_is_joined_again(
    monkeypatch: pytest.MonkeyPatch, patience: str
) -> None:
    monkeypatch.setattr(poll_module, patience, 0.2)
    counts: list[int] = []
    starting = True

    async def answer(frame: bytes) -> bytes:
        counts.append(asked(frame)[1])
        return exception_to(frame, 2) if starting else reply_to(frame, bytes(2 * counts[-1]))

    async with rogue(answer) as address:
        profiles = rig(**{f"r{i}": at(f"holding:{i}") for i in range(8)})
        async with scanning(edge_config(device(address)), profiles) as (scanner, collector):
            await collector.until(lambda: by_name(collector, scanner, "comm_ok"))
            starting = False
            await collector.until(lambda: by_name(collector, scanner, "r7")[-1:] == [(0, GOOD)])
            await scans(scanner, 2)
    assert counts[0] == 8
    assert counts[-1] == 8


async def test_a_busy_device_is_bad_for_this_scan_and_good_at_the_next() -> None:
    busy = itertools.chain([False, True], itertools.repeat(False))

    async def answer(frame: bytes) -> bytes:
        return exception_to(frame, 6) if next(busy) else reply_to(frame, b"\0\7")

    profiles = rig(a=at("holding:0"))
    async with rogue(answer) as address, scanning(edge_config(device(address)), profiles) as (scanner, collector):
        await collector.until(lambda: len(by_name(collector, scanner, "a")) >= 3)
    assert by_name(collector, scanner, "a") == [(7, GOOD), (None, bad(Reason.DEVICE_EXCEPTION)), (7, GOOD)]


async def test_each_reply_has_its_own_arrival() -> None:
    clock = itertools.count(1_000_000, 10)

    async with plc(holding=[1] * 400) as running:
        profiles = rig(a=at("holding:0"), b=at("holding:200"), c=at("holding:390"))
        async with scanning(edge_config(device(running.address)), profiles, now_ms=lambda: next(clock)) as (_, sink):
            await sink.until(lambda: sink.results)
    first = sink.results[0]
    assert list(first.points) == [0, 1, 2]
    assert len(set(first.times_ms)) == 3
    assert first.arrived_ms >= max(first.times_ms)


async def test_s01_a_slow_scan_hands_on_what_has_come_before_it_ends() -> None:
    gate = asyncio.Event()

    async def answer(frame: bytes) -> bytes:
        if asked(frame)[0] == 400:
            await gate.wait()
        else:
            await asyncio.sleep(0.06)
        return reply_to(frame, struct.pack(">H", asked(frame)[0]))

    async with rogue(answer) as address:
        profiles = rig(a=at("holding:0"), b=at("holding:200"), c=at("holding:400"))
        async with scanning(edge_config(device(address, timeout_s=5.0)), profiles) as (scanner, collector):
            await collector.until(lambda: by_name(collector, scanner, "b"))
            assert by_name(collector, scanner, "c") == []
            gate.set()
            await collector.until(lambda: by_name(collector, scanner, "c"))


async def test_points_are_polled_at_their_own_pace() -> None:
    asked_for: list[int] = []

    async def answer(frame: bytes) -> bytes:
        asked_for.append(asked(frame)[0])
        return reply_to(frame, b"\0\1")

    async with rogue(answer) as address:
        profiles = rig(fast=at("holding:0", scan_s=0.02), slow=at("holding:1", scan_s=0.2))
        async with scanning(edge_config(device(address)), profiles) as (scanner, _):
            await scans(scanner, 66)
    assert 5 <= asked_for.count(0) / asked_for.count(1) <= 14


async def test_late_scans_are_counted_and_not_made_up_for() -> None:
    async def slow(frame: bytes) -> bytes:
        await asyncio.sleep(0.05)
        return reply_to(frame, b"\0\1")

    profiles = rig(a=at("holding:0", scan_s=0.02))
    async with rogue(slow) as address, scanning(edge_config(device(address)), profiles) as (scanner, _):
        await scans(scanner, 5)
        status = scanner.statuses["rig1"]
        assert status.late >= 2 * (status.scans - 1)


async def test_a_line_that_is_asked_for_too_much_leaves_out_all_its_devices_alike() -> None:
    async def slow(frame: bytes) -> bytes:
        await asyncio.sleep(0.01)
        return reply_to(frame, b"\0\1")

    async with rogue(slow) as address:
        config = edge_config(*(device(address, name=f"u{unit}", unit=unit) for unit in range(1, 6)))
        async with scanning(config, rig(a=at("holding:0", scan_s=0.04))) as (scanner, _):
            await scans(scanner, 20, "u1")
            counts = [status.scans for status in scanner.statuses.values()]
    assert max(counts) - min(counts) <= 2


async def test_a_drivers_own_mistake_costs_its_request_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: ModbusDriver, requests: Any, goes_on: Any) -> bytes:
        raise ZeroDivisionError("oops")

    async with plc(holding=[1]) as running:
        monkeypatch.setattr(ModbusDriver, "read_in_turn", broken)
        async with scanning(edge_config(device(running.address)), rig(a=at("holding:0"))) as (scanner, collector):
            await collector.until(lambda: by_name(collector, scanner, "comm_ok"))
    assert by_name(collector, scanner, "a") == [(None, bad(Reason.DEVICE_FAULT))]


async def test_s28_nothing_but_reads_ever_reaches_a_plc() -> None:
    """Every frame of a scan, a loss, a refusal and a recovery is one of the four read functions."""
    frames: list[bytes] = []
    moods = itertools.cycle(["answer"] * 9 + ["refuse", "silence"] + ["answer"] * 9 + ["hang up"])

    async def answer(frame: bytes) -> bytes | None:
        frames.append(frame)
        mood = next(moods)
        size = 2 * asked(frame)[1] if frame[7] > 2 else 1
        replies = {"answer": reply_to(frame, bytes(size)), "refuse": exception_to(frame, 6), "hang up": b""}
        return replies.get(mood)

    async with rogue(answer) as address:
        profiles = rig(a=at("holding:0"), b=at("input:0"), c=at("coil:0", type="bool"), d=at("discrete:0", type="bool"))
        config = edge_config(device(address, timeout_s=0.1))
        async with scanning(config, profiles, jitter=lambda: -0.5) as (scanner, collector):
            await collector.until(lambda: len(frames) >= 60 and scanner.statuses["rig1"].losses >= 3)
    assert {frame[7] for frame in frames} == {1, 2, 3, 4}


async def test_two_protocols_are_scanned_side_by_side(free_port: Callable[[], int]) -> None:
    async with plc(holding=registers(">f", 2.5)) as running, opcua_plant(free_port(), level=1.5) as server:
        both = point(address={"modbus": "holding:0", "opcua": "nsu=urn:davylamp:plant;s=level"}, scan_s=FAST)
        config = edge_config(
            device(running.address, name="m"), device(server.address, name="o", driver="opcua", timeout_s=5.0)
        )
        async with scanning(config, rig(level=both)) as (scanner, collector):
            await collector.until(lambda: by_name(collector, scanner, "level", "o"))
            await collector.until(lambda: by_name(collector, scanner, "level", "m"))
    assert by_name(collector, scanner, "level", "m") == [(2.5, GOOD)]
    assert by_name(collector, scanner, "level", "o") == [(1.5, GOOD)]


def test_a_gateway_without_opc_ua_never_imports_asyncua_nor_numpy() -> None:
    program = (
        "import sys, davylamp_edge.check, davylamp_edge.scan, davylamp_edge.drivers.modbus;"
        "sys.exit(bool({'asyncua', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0


async def scans(scanner: Scanner, more: int, name: str = "rig1") -> None:
    """Wait for some more scans of a device, held back or not."""
    goal = scanner.statuses[name].scans + more
    async with asyncio.timeout(10.0):
        while scanner.statuses[name].scans < goal:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.005)
