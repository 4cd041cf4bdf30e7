"""Two uplinks in a network namespace of their own, cut and mended in silence under a real agent and a real broker."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from davylamp_edge.journal import Journal
from davylamp_wire.payload import BD_SEQ
from davylamp_wire.topic import MessageType
from support.edge_host import Delivered, EdgeHost, edge_host
from support.edge_process import Process, came, config_of, edge_process, fetch
from support.field import plc
from support.two_ways import PROFILE, Gateway, broker_of, gateway, two_ways_of

EVENT, LIVE, BULK = 1, 2, 3
"""What each point reads: it tells a record's class."""

OWN = '[self_monitoring]\nhazard_source = "gateways"\n[self_monitoring.points.ways_lost]\nscan_s = 0.2\n'


@dataclass
class Fibre:
    """Where the first way leads to."""

    host: str
    port: int


@dataclass
class Site:
    """Everything that runs, and where the agent's pages are."""

    gateway: Gateway
    host: EdgeHost
    edge: Process
    pages: str

    def ways(self) -> dict[str, str]:
        """Return how the ways fare, as the agent says."""
        found: dict[str, str] = json.loads(fetch(f"{self.pages}/healthz")[1])["ways"]
        return found

    async def fares(self, **expected: str) -> None:
        """Wait until each way fares as these words say."""

        def as_expected() -> bool:
            ways = self.ways()
            return all(words in ways[way] for way, words in expected.items())

        await came(self.host, as_expected, f"ways {expected}")

    async def born(self, times: int) -> None:
        await came(self.host, lambda: len(self.host.of(MessageType.NBIRTH)) == times, f"birth {times}")

    async def caught_up(self, birth: int) -> None:
        """Wait for the first live record after a birth, and for everything before it."""
        await came(self.host, lambda: since(self.host, birth, historical=False), "a live record")
        live = since(self.host, birth, historical=False)[0].number
        await came(self.host, lambda: not self.host.stored.missing(1, live), f"every record up to {live}")


@asynccontextmanager
async def two_ways(folder: Path, scan_s: float, **standby: float) -> AsyncIterator[Site]:
    """An agent with two ways, MQTT's own keepalive far too long to notice anything."""
    with gateway() as cables, broker_of(folder / "broker", cables) as broker:
        field, registers = cables.cables["field"], [EVENT, *[0] * 9, LIVE, *[0] * 9, BULK]
        async with plc(holding=registers, host=field.here) as rig:
            config = config_of(
                folder,
                Fibre(cables.cables["fibre"].here, broker.port),
                rig.address,
                profile=PROFILE.format(scan_s=scan_s),
                keepalive_s=600,
                status=8081,
                status_host=field.there,
                more=OWN,
                broker=two_ways_of(cables, silence_s=2, probe_s=0.5, **standby),
            )
            with edge_host(broker) as host, edge_process(config, cables.within) as edge:
                yield Site(cables, host, edge, f"http://{field.there}:8081")


async def test_s26_a_cut_fibre_loses_nothing_and_the_gravest_comes_first_over_the_other_way(tmp_path: Path) -> None:
    async with two_ways(tmp_path, scan_s=0.1, back_after_s=1.0) as site:
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
        assert site.edge.terminate() == 0
        said = site.edge.log.read_text()
    assert_all_once(site.host, tmp_path)
    assert 'event="way to the broker lost" way=standby' in said
    assert 'event="way to the broker back" way=standby' in said


async def test_a_cut_is_noticed_where_nothing_is_being_sent(tmp_path: Path) -> None:
    """The kernel's keepalive probes find it: no reading, no heartbeat and no MQTT ping is due for minutes."""
    async with two_ways(tmp_path, scan_s=600.0) as site:
        await came(site.host, lambda: len(site.host.records) >= 3, "the first readings")
        site.gateway.cut("fibre")
        await site.born(2)
        await site.fares(standby="ok, taken")
        _, text = await asyncio.to_thread(fetch, f"{site.pages}/metrics")
        assert 'davylamp_edge_way_well{node="edge-1",way="first"} 0' in text
        assert 'davylamp_edge_way_taken{node="edge-1",way="standby"} 1' in text
        assert 'davylamp_edge_way_changes_total{node="edge-1"} 1' in text


def since(host: EdgeHost, birth: int, historical: bool) -> list[Delivered]:
    """Return what came as backlog, or live, since a birth."""
    born_s = host.of(MessageType.NBIRTH)[birth].at_s
    return [record for record in list(host.records) if record.historical is historical and record.seen.at_s >= born_s]


def assert_gravest_first(records: list[Delivered]) -> None:
    """Assert that a backlog has all classes, and each graver one wholly before the next."""
    kinds = [
        kind
        for kind, _ in itertools.groupby(
            record.values[0] for record in records if record.device == "rig" and not isinstance(record.values[0], bool)
        )
    ]
    assert kinds == [EVENT, LIVE, BULK], kinds


def assert_all_once(host: EdgeHost, folder: Path) -> None:
    """Assert that every record of the journal came, and that no number stands for two readings."""
    with Journal.open(folder / "journal.db", 1 << 26) as journal:
        last = journal.last_record
    host.wait(lambda: not host.stored.missing(1, last), f"every record up to {last}")
    told: dict[int, tuple[Any, ...]] = {}
    assert all(told.setdefault(record.number, record.values) == record.values for record in host.records)


def bd_seqs(host: EdgeHost, kind: MessageType = MessageType.NBIRTH) -> list[object]:
    return [int(str(seen.message.value(BD_SEQ))) for seen in host.of(kind)]
