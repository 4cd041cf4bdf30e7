"""The agent in this process: what a scan becomes, and how a value that does not fit is told."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from davylamp_edge.agent import Agent
from davylamp_edge.config import EdgeConfig
from davylamp_edge.records import JournalClass
from davylamp_edge.report import ScanResult
from davylamp_wire.payload import data_payload, decode
from davylamp_wire.quality import Reason, bad, uncertain
from support.edge_host import edge_host
from support.field import Plc, device, plc, point, profile, registers
from support.services import Broker

POINTS = {
    "level": point(type="float32", address={"modbus": "holding:0"}),
    "count": point(type="uint16", address={"modbus": "holding:2"}),
}


def agent_on(folder: Path, broker_port: int, address: str, **said: Any) -> Agent:
    table = {
        "node": "edge-1",
        "broker": {"host": "127.0.0.1", "port": broker_port},
        "journal": {"path": str(folder / "journal.db"), "max_bytes": 1 << 24},
        "devices": [device(address)],
        **said,
    }
    return Agent(EdgeConfig.model_validate(table), {"rig": profile(POINTS)})


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


@asynccontextmanager
async def idle(agent: Agent) -> AsyncIterator[Agent]:
    """An agent whose writer alone runs: no field, no broker."""
    agent.writer.start()
    try:
        yield agent
    finally:
        await asyncio.to_thread(agent.close)


def scan(points: list[int], values: list[Any], *, at_ms: int = 1_750_000_000_000, kind: str = "live") -> ScanResult:
    count = len(points)
    return ScanResult("rig1", kind, points, [at_ms] * count, values, [0] * count, at_ms)  # type: ignore[arg-type]  # a class


def journaled(agent: Agent) -> list[tuple[JournalClass, list[tuple[Any, int]]]]:
    agent.writer.stop()
    records = agent.journal.unconfirmed(0, 100)
    decoded = [(r.journal_class, decode(data_payload(r.body, seq=0, sent_ms=0)).metrics) for r in records]
    return [(kind, [(metric.value, metric.quality) for metric in metrics]) for kind, metrics in decoded]


async def test_a_scan_is_one_record_of_its_class(tmp_path: Path) -> None:
    async with idle(agent_on(tmp_path, 1, "127.0.0.1:1")) as agent:
        agent._take(scan([0, 1], [2.5, 7]))
        agent._take(scan([1], [8], kind="event"))
        # The graver goes first where both wait for the disk.
        assert sorted(journaled(agent)) == [
            (JournalClass.LIVE, [(2.5, 0), (7, 0)]),
            (JournalClass.EVENT, [(8, 0)]),
        ]


async def test_a_value_that_does_not_fit_is_bad_and_costs_nobody_else(tmp_path: Path) -> None:
    async with idle(agent_on(tmp_path, 1, "127.0.0.1:1")) as agent:
        agent._take(scan([0, 1], [2.5, 70_000]))
        assert journaled(agent) == [(JournalClass.LIVE, [(2.5, 0), (None, bad(Reason.DEVICE_FAULT))])]
        assert agent.snapshot().unfit == 1


async def test_a_machine_that_has_lost_its_clock_says_so_in_every_reading(tmp_path: Path) -> None:
    async with idle(agent_on(tmp_path, 1, "127.0.0.1:1")) as agent:
        agent._take(scan([0], [2.5], at_ms=86_400_000 * 500))
        assert journaled(agent) == [(JournalClass.LIVE, [(2.5, uncertain(Reason.CLOCK))])]


async def test_a_reading_goes_from_the_device_to_the_host(tmp_path: Path, mosquitto: Broker) -> None:
    async with plc(holding=[*registers(">fH", 2.5, 7), *[0] * 8]) as rig:
        with edge_host(mosquitto) as host:
            agent = agent_on(tmp_path, mosquitto.port, rig.address)
            async with running(agent):
                await asyncio.to_thread(host.wait, lambda: host.records, "a record")
                await changed_to(rig, 8)
                await asyncio.to_thread(host.wait, lambda: any(8 in r.values for r in host.records), "the change")
                assert not agent.snapshot().lost
            first = next(record for record in host.records if 2.5 in record.values)
            assert 7 in first.values


async def changed_to(rig: Plc, count: int) -> None:
    await rig.write("holding", 2, [count])


async def test_a_dead_broker_and_a_dead_device_still_stop_cleanly(tmp_path: Path, free_port: Any) -> None:
    agent = agent_on(tmp_path, free_port(), f"127.0.0.1:{free_port()}")
    async with running(agent):
        await asyncio.to_thread(wait_for_a_record, agent)
    assert agent.uplink.state != "online"


def wait_for_a_record(agent: Agent) -> None:
    """Return once something is journaled: a real device is being found dead, and nobody tells."""
    pause, deadline = threading.Event(), time.monotonic() + 10
    while not agent.journal.last_record and time.monotonic() < deadline:
        pause.wait(0.01)
    assert agent.journal.last_record
