"""Two uplinks in a network namespace of their own, cut and mended in silence under a real agent and a real broker."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

from davylamp_wire.payload import BD_SEQ
from davylamp_wire.topic import MessageType
from support.edge_host import Delivered, EdgeHost
from support.edge_process import came, fetch
from support.two_ways import BULK, EVENT, LIVE, since, two_ways


async def test_s26_a_cut_fibre_loses_nothing_and_the_gravest_comes_first_over_the_other_way(tmp_path: Path) -> None:
    async with two_ways(tmp_path, scan_s=0.1, silence_s=2, probe_s=0.5, back_after_s=1.0) as site:
        await came(site.host, lambda: len(site.host.records) > 30, "records over the fibre")
        await site.fares(first="ok, taken", standby="ok")
        site.gateway.cut("fibre")
        await site.born(2)
        await site.caught_up(1)
        await site.fares(first="lost", standby="ok, taken")
        assert_gravest_first(since(site.host, 1, historical=True))

        site.gateway.mend("fibre")
        await site.born(3)
        await site.fares(first="ok, taken", standby="ok")
        assert bd_seqs(site.host) == [0, 1, 2], "one CONNECT for each session, whatever the probes did"
        assert bd_seqs(site.host, MessageType.NDEATH) == [0, 1], "the will of the cut one, a goodbye from the other"

        site.gateway.cut("mobile")
        await site.fares(first="ok, taken", standby="lost: no answer")
        await came(site.host, lambda: site.host.newest("_edge", "ways_lost") == 1, "the reading that raises its alarm")
        site.gateway.mend("mobile")
        await site.fares(standby="ok")
        await came(site.host, lambda: site.host.newest("_edge", "ways_lost") == 0, "the reading that ends it")
        assert len(site.host.of(MessageType.NBIRTH)) == 3, "a dead standby is no reason to leave the first way"
        assert await site.edge.terminate() == 0
        said = site.edge.log.read_text()
        await asyncio.to_thread(site.last_journaled)
    assert_none_twofold(site.host)
    assert 'event="way to the broker lost" way=standby' in said
    assert 'event="way to the broker back" way=standby' in said


async def test_a_cut_is_noticed_where_nothing_is_being_sent(tmp_path: Path) -> None:
    """The kernel's keepalive probes find it: no reading, no heartbeat and no MQTT ping is due for minutes."""
    async with two_ways(tmp_path, scan_s=600.0, silence_s=2, probe_s=0.5) as site:
        await came(site.host, lambda: len(site.host.records) >= 3, "the first readings")
        site.gateway.cut("fibre")
        await site.born(2)
        await site.fares(standby="ok, taken")
        _, text = await asyncio.to_thread(fetch, f"{site.pages}/metrics")
        assert 'davylamp_edge_way_well{node="edge-1",way="first"} 0' in text
        assert 'davylamp_edge_way_taken{node="edge-1",way="standby"} 1' in text
        assert 'davylamp_edge_way_changes_total{node="edge-1"} 1' in text


def assert_gravest_first(backlog: list[Delivered]) -> None:
    """Assert that a backlog has all classes, and each graver one wholly before the next."""
    kinds = [kind for kind, _ in itertools.groupby(record.values[0] for record in backlog)]
    assert kinds == [EVENT, LIVE, BULK], kinds


def assert_none_twofold(host: EdgeHost) -> None:
    """Assert that no record number stands for two readings."""
    told: dict[int, tuple[Any, ...]] = {}
    assert all(told.setdefault(record.number, record.values) == record.values for record in host.records)


def bd_seqs(host: EdgeHost, kind: MessageType = MessageType.NBIRTH) -> list[object]:
    return [int(str(seen.message.value(BD_SEQ))) for seen in host.of(kind)]
