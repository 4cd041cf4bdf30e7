"""A gateway with two uplinks: a network namespace with three cables to this machine, of which two lead to the broker.

    this machine                     gateway (namespace)
    plant   198.18.N.1 ────────────  198.18.N.2    field
    broker  198.18.N.5 ────────────  198.18.N.6    fibre
    broker  198.18.N.9 ────────────  198.18.N.10   mobile

A cut leaves the carrier up and drops every packet in silence, as a digger does three switches away: each end sends to
a hardware address nobody has. 198.18.0.0/15 is for benchmarks (RFC 2544).
"""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from davylamp_edge.journal import Journal
from davylamp_wire.topic import MessageType

from support.edge_host import Delivered, EdgeHost, edge_host
from support.edge_process import Process, came, config_of, edge_process, fetch
from support.field import plc
from support.services import Broker, binary, free_port

NOBODY = "02:00:00:00:00:99"
CABLES = ("field", "fibre", "mobile")


@dataclass(frozen=True)
class Cable:
    """One cable: this machine's end and the gateway's."""

    near: str
    far: str
    here: str
    there: str


class Gateway:
    """A namespace and its cables by name."""

    def __init__(self, number: int) -> None:
        self.name = f"davylamp-{number}"
        self.within = [binary("ip", "iproute2"), "netns", "exec", self.name]
        net = f"198.18.{number % 250}"
        self.cables = {
            name: Cable(f"dl{number}{name[:5]}", name, f"{net}.{4 * at + 1}", f"{net}.{4 * at + 2}")
            for at, name in enumerate(CABLES)
        }

    def lay(self, name: str) -> None:
        """Lay a cable, both ends up and addressed."""
        cable = self.cables[name]
        ip("link", "add", cable.near, "type", "veth", "peer", "name", cable.far, "netns", self.name)
        for end, address, where in ((cable.near, cable.here, ()), (cable.far, cable.there, ("-n", self.name))):
            ip(*where, "address", "add", f"{address}/30", "dev", end)
            ip(*where, "link", "set", end, "up")

    def cut(self, name: str) -> None:
        """Let every packet on a cable vanish, both ways."""
        cable = self.cables[name]
        silent = ("lladdr", NOBODY, "nud", "permanent", "dev")
        ip("neigh", "replace", cable.there, *silent, cable.near)
        ip("-n", self.name, "neigh", "replace", cable.here, *silent, cable.far)

    def mend(self, name: str) -> None:
        """Let packets through again."""
        cable = self.cables[name]
        ip("neigh", "del", cable.there, "dev", cable.near)
        ip("-n", self.name, "neigh", "del", cable.here, "dev", cable.far)


def ip(*arguments: str) -> None:
    """Run iproute2's `ip`; its words are in the error where it fails."""
    done = subprocess.run([binary("ip", "iproute2"), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@contextmanager
def gateway() -> Iterator[Gateway]:
    """A gateway for the length of a with block. Skips where this process may make no network namespace."""
    made = Gateway(os.getpid())
    with ExitStack() as undo:
        try:
            ip("netns", "add", made.name)
        except RuntimeError as error:
            pytest.skip(f"needs root and CAP_SYS_ADMIN to make a network namespace: {error}")
        # The cables end with the namespace; this end of each goes with the other.
        undo.callback(ip, "netns", "del", made.name)
        ip("-n", made.name, "link", "set", "lo", "up")
        for name in CABLES:
            made.lay(name)
        yield made


PROFILE = """
zh = "试验台"
en = "rig"
[points.event]
zh = "事件"
en = "event"
unit = ""
type = "uint16"
scan_s = {scan_s}
journal_class = "event"
address = {{modbus = "holding:0"}}
[points.live]
zh = "实时"
en = "live"
unit = ""
type = "uint16"
scan_s = {scan_s}
address = {{modbus = "holding:10"}}
[points.bulk]
zh = "批量"
en = "bulk"
unit = ""
type = "uint16"
scan_s = {scan_s}
journal_class = "bulk"
address = {{modbus = "holding:20"}}
"""
"""A point of each class that a profile may name."""


@contextmanager
def broker_of(folder: Path, site: Gateway) -> Iterator[Broker]:
    """A broker on loopback and at the near end of both uplinks."""
    port = free_port()
    ends = "".join(f"listener {port} {site.cables[name].here}\n" for name in ("fibre", "mobile"))
    folder.mkdir()
    running = Broker(folder, port, extra=ends)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def two_ways_of(site: Gateway, **standby: float) -> str:
    """Return the rest of a `[broker]` table whose host is the near end of the fibre."""
    other = {"host": f'"{site.cables["mobile"].here}"', "interface": '"mobile"', **standby}
    return 'interface = "fibre"\n[broker.standby]\n' + "".join(f"{key} = {value}\n" for key, value in other.items())


BULK, LIVE, EVENT = 1, 2, 3
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
        try:
            found: dict[str, str] = json.loads(fetch(f"{self.pages}/healthz")[1])["ways"]
        except OSError:
            return {}  # it is starting
        return found

    async def fares(self, **expected: str) -> None:
        """Wait until each way fares as these words say."""

        def as_expected() -> bool:
            ways = self.ways()
            return all(words in ways.get(way, "") for way, words in expected.items())

        await came(self.host, as_expected, f"ways {expected}")

    def last_journaled(self) -> int:
        """Return the number of the last record of the journal, once the agent has ended and all of it has come."""
        with Journal.open(self.edge.config.parent / "journal.db", 1 << 26) as journal:
            last = journal.last_record
        self.host.wait(lambda: not self.host.stored.missing(1, last), f"every record up to {last}")
        return last

    async def born(self, times: int) -> None:
        await came(self.host, lambda: len(self.host.of(MessageType.NBIRTH)) == times, f"birth {times}")

    async def caught_up(self, birth: int) -> None:
        """Wait for the first live record after a birth, and for everything before it."""
        await came(self.host, lambda: since(self.host, birth, historical=False), "a live record")
        live = since(self.host, birth, historical=False)[0].number
        await came(self.host, lambda: not self.host.stored.missing(1, live), f"every record up to {live}")


@asynccontextmanager
async def two_ways(folder: Path, scan_s: float, keepalive_s: int = 600, **standby: float) -> AsyncIterator[Site]:
    """An agent with two ways, its host and its plant; MQTT's own keepalive is by default too long to notice."""
    with gateway() as cables, broker_of(folder / "broker", cables) as broker:
        field, registers = cables.cables["field"], [EVENT, *[0] * 9, LIVE, *[0] * 9, BULK]
        async with plc(holding=registers, host=field.here) as rig:
            config = config_of(
                folder,
                Fibre(cables.cables["fibre"].here, broker.port),
                rig.address,
                profile=PROFILE.format(scan_s=scan_s),
                keepalive_s=keepalive_s,
                status=8081,
                status_host=field.there,
                more=OWN,
                broker=two_ways_of(cables, **standby),
            )
            with edge_host(broker) as host, edge_process(config, cables.within) as edge:
                yield Site(cables, host, edge, f"http://{field.there}:8081")


def since(host: EdgeHost, birth: int, historical: bool) -> list[Delivered]:
    """Return the readings that came as backlog, or live, since a birth."""
    born_s = host.of(MessageType.NBIRTH)[birth].at_s
    return [
        record
        for record in list(host.records)
        if record.device == "rig" and record.values[0] is not True
        if record.historical is historical and record.seen.at_s >= born_s
    ]
