"""The real agent as a process of its own, killed in the middle: what was journaled is not lost and goes on."""

import asyncio
import itertools
import json
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest
from davylamp_edge.journal import Journal
from davylamp_wire.payload import BD_SEQ, EPOCH
from davylamp_wire.topic import MessageType, Topic
from support.edge_host import EdgeHost, edge_host
from support.edge_process import EDGE, Process, came, config_of, counting, edge_process, fetch
from support.field import plc
from support.services import Broker, free_port, stop
from support.sparkplug.tap import tapped

NODE = Topic(MessageType.NCMD, "davylamp", "edge-1")


def counts(host: EdgeHost) -> list[Any]:
    """Return the values of the counter by record number, each record once."""
    once = {record.number: record for record in host.records if record.device == "rig"}
    return [value for _, record in sorted(once.items()) for value in record.values]


async def test_s26_sigkill_of_the_edge_loses_nothing_that_was_journaled(tmp_path: Path, mosquitto: Broker) -> None:
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, asyncio.TaskGroup() as group:
        plant = group.create_task(counting(rig))
        with (
            edge_host(mosquitto) as host,
            edge_process(config_of(tmp_path, mosquitto, rig.address, timeout_s=5)) as edge,
        ):
            await came(host, lambda: len(host.records) > 30, "records")
            edge.kill()
            on_disk = last_journaled(tmp_path)
            aliases = births(host, -1)
            edge.start()
            await came(host, lambda: len(host.of(MessageType.NBIRTH)) == 2, "the second birth")
            await came(host, lambda: (host.stored.highest or 0) > on_disk + 20, "what came after")
            await came(host, lambda: not host.stored.missing(1, on_disk), "what was journaled before")
            first, second = (seen.message for seen in host.of(MessageType.NBIRTH))
            assert second.value(EPOCH) == first.value(EPOCH)
            assert second.value(BD_SEQ) == (int(str(first.value(BD_SEQ))) + 1) % 256
            assert births(host, -1) == aliases
            assert await edge.terminate() == 0
            await came(host, lambda: len(host.of(MessageType.NDEATH)) == 2, "the will, and the goodbye")
        plant.cancel()


def last_journaled(folder: Path) -> int:
    """Return the highest number in a journal nobody has open."""
    with Journal.open(folder / "journal.db", 1 << 26) as journal:
        return journal.last_record


def births(host: EdgeHost, which: int) -> dict[str, int | None]:
    """Return the aliases of the newest device birth."""
    return {metric.name: metric.alias for metric in host.of(MessageType.DBIRTH)[which].message.metrics}


async def test_s26_three_kills_in_a_row_lose_nothing(tmp_path: Path, mosquitto: Broker) -> None:
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, asyncio.TaskGroup() as group:
        plant = group.create_task(counting(rig))
        with (
            edge_host(mosquitto) as host,
            edge_process(config_of(tmp_path, mosquitto, rig.address, timeout_s=5)) as edge,
        ):
            for life in range(1, 4):
                await came(host, lambda life=life: len(host.of(MessageType.NBIRTH)) == life, f"birth {life}")
                seen = len(host.records)
                await came(host, lambda seen=seen: len(host.records) > seen + 10, "records")
                edge.kill()
                edge.start()
            await came(host, lambda: len(host.of(MessageType.NBIRTH)) == 4, "the last birth")
            highest = host.stored.highest or 0
            await came(host, lambda: not host.stored.missing(1, highest), "every number")
            assert await edge.terminate() == 0
            await came(host, lambda: not host.stored.missing(1, host.stored.highest or 0), "every number to the end")
        plant.cancel()


async def test_s26_sigkill_of_the_broker_in_a_run_of_the_real_agent_loses_nothing(
    tmp_path: Path, mosquitto: Broker
) -> None:
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, asyncio.TaskGroup() as group:
        plant = group.create_task(counting(rig))
        with (
            edge_host(mosquitto) as host,
            edge_process(config_of(tmp_path, mosquitto, rig.address, timeout_s=5)) as edge,
        ):
            await came(host, lambda: len(host.records) > 20, "records")
            mosquitto.kill()
            before = host.stored.highest or 0
            await asyncio.sleep(0.5)  # the cut itself
            await asyncio.to_thread(mosquitto.start)
            await came(host, lambda: len(host.of(MessageType.NBIRTH)) == 2, "the second birth")
            await came(
                host, lambda: any(not r.historical and r.number > before for r in host.records), "live records again"
            )
            await came(host, lambda: not host.stored.missing(1, host.stored.highest or 0), "every number")
            assert await edge.terminate() == 0
            await came(host, lambda: not host.stored.missing(1, host.stored.highest or 0), "every number to the end")
        plant.cancel()
        values = [value for value in counts(host) if not isinstance(value, bool)]
        assert all((b - a) % 65_536 < 100 for a, b in itertools.pairwise(values))


async def test_s26_what_went_into_a_dead_line_before_anybody_noticed_is_sent_again(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """The cable is pulled and neither end is told: for up to 1.5 keepalives the edge sends into nothing."""
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, tapped(mosquitto) as line, asyncio.TaskGroup() as group:
        plant = group.create_task(counting(rig))
        config = config_of(tmp_path, line, rig.address, keepalive_s=1, timeout_s=5)
        with edge_host(mosquitto) as host, edge_process(config) as edge:
            await came(host, lambda: len(host.records) > 10, "records")
            line.pull()
            before = host.stored.highest or 0
            await came(host, lambda: "broker lost" in edge.log.read_text(), "that the edge notices")
            line.plug()
            await came(
                host, lambda: any(not r.historical and r.number > before for r in host.records), "live data again"
            )
            unheard = (host.stored.highest or 0) - 1
            await came(host, lambda: not host.stored.missing(1, unheard), "what went into the dead line")
            assert [record for record in host.records if record.historical and record.number > before]
            assert await edge.terminate() == 0
            await came(host, lambda: not host.stored.missing(1, host.stored.highest or 0), "every number")
        plant.cancel()
        values = [value for value in counts(host) if not isinstance(value, bool)]
        assert all((b - a) % 65_536 < 100 for a, b in itertools.pairwise(values))


async def test_s26_a_full_disk_is_said_live_data_flow_on_and_no_number_is_missing(
    tmp_path: Path, mosquitto: Broker
) -> None:
    port = free_port()
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, asyncio.TaskGroup() as group:
        plant = group.create_task(counting(rig))
        config = config_of(tmp_path, mosquitto, rig.address, status=port)
        with edge_host(mosquitto) as host, edge_process(config) as edge:
            await came(host, lambda: host.records, "a record")
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(edge.running.pid, resource.RLIMIT_FSIZE, (16_384, resource.RLIM_INFINITY))
            await came(host, lambda: "journal refused" in edge.log.read_text(), "the refusal")
            status, text = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/healthz")
            assert (status, json.loads(text)["uplink"]) == (503, "online")
            seen = host.stored.highest or 0
            await came(host, lambda: (host.stored.highest or 0) > seen + 20, "live data without a disk")
            assert not host.records[-1].historical
            resource.prlimit(edge.running.pid, resource.RLIMIT_FSIZE, unlimited)
            await came(host, lambda: "journal takes records again" in edge.log.read_text(), "the disk's return")
            assert await edge.terminate() == 0
            await came(host, lambda: not host.stored.missing(1, host.stored.highest or 0), "every number")
        plant.cancel()
    with Journal.open(tmp_path / "journal.db", 1 << 26) as journal:
        assert journal.last_record == host.stored.highest
        assert journal.holes == []


async def test_the_status_pages_tell_how_it_is(tmp_path: Path, mosquitto: Broker) -> None:
    port = free_port()
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig:
        config = config_of(tmp_path, mosquitto, rig.address, status=port)
        with edge_host(mosquitto) as host, edge_process(config) as edge:
            await came(host, lambda: host.records, "a record")
            _, text = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/healthz")
            assert json.loads(text) == {
                "node": "edge-1",
                "uplink": "online",
                "journal": "ok",
                "devices_silent": [],
                "clock": "ok",
                "config": "ok",
            }
            _, metrics = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/metrics")
            assert 'davylamp_edge_uplink_online{node="edge-1"} 1' in metrics
            assert 'davylamp_edge_device_answers{node="edge-1",device="rig"} 1' in metrics
            assert await edge.terminate() == 0


async def test_a_device_that_falls_silent_turns_bad_and_stays_born(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host:
        async with plc(holding=[7] * 8, coils=[True] * 8) as rig:
            config = config_of(tmp_path, mosquitto, rig.address, report="changes")
            process = Process(config)
            await came(host, lambda: host.records, "a record")
        try:
            await came(host, lambda: any(bad(seen) for seen in host.of(MessageType.DDATA)), "bad quality")
            assert host.of(MessageType.DDEATH) == []
        finally:
            stop(process.running)


def bad(seen: Any) -> bool:
    return any(metric.quality >> 8 == 2 for metric in seen.message.metrics)


def test_a_second_agent_on_the_same_journal_is_refused(tmp_path: Path, mosquitto: Broker) -> None:
    config = config_of(tmp_path, mosquitto, "127.0.0.1:1")
    with Journal.open(tmp_path / "journal.db", 1 << 26):
        done = subprocess.run(
            [*EDGE, "run", str(config)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert "another process" in done.stderr


@pytest.mark.torture
async def test_s26_kills_at_random_moments_lose_nothing(tmp_path: Path, mosquitto: Broker) -> None:
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, asyncio.TaskGroup() as group:
        plant = group.create_task(counting(rig))
        with (
            edge_host(mosquitto) as host,
            edge_process(config_of(tmp_path, mosquitto, rig.address, timeout_s=5)) as edge,
        ):
            for life in range(40):
                await asyncio.sleep(0.3 + (life * 7919 % 100) / 50)  # a different moment each time
                if life % 4 == 3:
                    mosquitto.kill()
                    await asyncio.to_thread(mosquitto.start)
                else:
                    edge.kill()
                    edge.start()
            highest = host.stored.highest or 0
            # The last life has begun: until it listens for a signal, one just ends it.
            await came(host, lambda: (host.stored.highest or 0) > highest, "a record of the last life")
            await asyncio.to_thread(host.wait, lambda: not host.stored.missing(1, highest), "every number", 60.0)
            assert await edge.terminate() == 0
        plant.cancel()
