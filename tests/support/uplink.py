"""An uplink with its journal and writer on a real broker, without a scanner."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from davylamp_edge.birth import Births
from davylamp_edge.config import EdgeConfig
from davylamp_edge.install import install
from davylamp_edge.journal import Journal
from davylamp_edge.records import Entry, JournalClass
from davylamp_edge.uplink import Uplink
from davylamp_edge.writer import Writer
from davylamp_wire.payload import metrics_body
from davylamp_wire.profile import load_profiles, shipped_profiles
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType, Topic

from support.edge_host import EdgeHost
from support.services import Broker

DEVICE = "cl2-store"
LONG_MS = 60_000
"""Longer than an edge may be silent."""
NODE = Topic(MessageType.NCMD, "davylamp", "edge-1")
DATA = (MessageType.NDATA, MessageType.DDATA)


class Edge:
    """An uplink with its journal and writer, without a scanner: tests say what was read."""

    def __init__(self, folder: Path, broker: Broker, **settings: Any) -> None:
        table = {
            "node": "edge-1",
            "broker": {
                "host": broker.host,
                "port": broker.port,
                "keepalive_s": settings.pop("keepalive_s", 15),
                **settings.pop("login", {}),
            },
            "journal": {"path": str(folder / "journal.db"), "max_bytes": settings.pop("max_bytes", 1 << 26)},
            "devices": [
                {
                    "name": DEVICE,
                    "profile": "cl2-store",
                    "driver": "modbus",
                    "hazard_source": "cl2-1",
                    "address": "192.0.2.1:502",
                }
            ],
            "backlog_rate": 20_000,
            **settings,
        }
        config = EdgeConfig.model_validate(table)
        self.journal = Journal.open(config.journal.path, config.journal.max_bytes)
        self.births = Births(self.journal, install(config, load_profiles(shipped_profiles())))
        self.uplink = Uplink(config, self.journal, self.births)
        self.writer = Writer(self.journal, self.uplink.offer)
        self.writer.start()
        self.uplink.start()

    def read(self, value: float, kind: JournalClass = JournalClass.LIVE, times: int = 1, ago_ms: int = 0) -> None:
        """Journal one reading of the level, so many times in one record."""
        tags = self.births.tags[DEVICE]
        now = int(time.time() * 1000) - ago_ms
        at = tags.installed.names.index("level")
        body = metrics_body(Readings([tags.aliases[at]], [now], [value], [0]), tags.types)
        self.writer.submit(Entry(DEVICE, kind, body * times, now))

    def written(self, host: EdgeHost, count: int) -> None:
        """Wait until so many records are on disk and handed on: one that is not goes out as live, and rightly."""
        host.wait(lambda: self.writer.appended == count, f"{count} records on disk")

    def close(self) -> None:
        self.writer.stop()
        self.uplink.stop()
        self.journal.close()


@contextmanager
def edge_on(folder: Path, broker: Broker, **settings: Any) -> Iterator[Edge]:
    running = Edge(folder, broker, **settings)
    try:
        yield running
    finally:
        running.close()


def born(host: EdgeHost, times: int = 1) -> None:
    host.wait(lambda: len(host.of(MessageType.DBIRTH)) >= times, f"birth {times}")


def values(host: EdgeHost) -> list[float]:
    return [round(float(str(record.values[0])), 3) for record in host.records]
