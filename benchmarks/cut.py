"""What an edge journals while its link is cut: ``python -m benchmarks.cut CONFIG SECONDS`` fills a config's journal.

Every device is scanned once in each second that has gone by until now; point n shows ``second + (n mod 997) / 1000``,
as a fleet's does. The edge's own writer and journal do the rest, bounds and checksums included.
"""

import json
import re
import sys
import time
from pathlib import Path

from davylamp_edge.birth import Births, Tags
from davylamp_edge.check import load_edge
from davylamp_edge.install import install
from davylamp_edge.journal import Journal
from davylamp_edge.records import Entry, JournalClass
from davylamp_edge.writer import Writer
from davylamp_simulators.fleet import PATTERN
from davylamp_wire.payload import metrics_body
from davylamp_wire.reading import Readings

SERVED = re.compile(r"p\d+")
TOGETHER = 20
"""Seconds submitted before the disk is waited for: the writer holds no more than it may."""


def fill(file: Path, seconds: int) -> dict[str, int]:
    """Fill the journal; return what went in, when it began, and what the journal had to give up."""
    config, profiles = load_edge(file)
    began_ms = (time.time_ns() // 1_000_000_000 - seconds) * 1000
    with Journal.open(config.journal.path, config.journal.max_bytes) as journal:
        births = Births(journal, install(config, profiles))
        writer = Writer(journal, lambda records: None)
        writer.start()
        for second in range(seconds):
            for device, tags in births.tags.items():
                writer.submit(scan(device, tags, second, began_ms + second * 1000))
            if second % TOGETHER == 0:
                writer.flush()
        writer.stop()
        each = sum(len(_served(tags)) for tags in births.tags.values())
        return {
            "records": writer.appended, "readings": seconds * each, "a_second": each, "began_ms": began_ms,
            "lost": sum(journal.lost.values()), "bytes": journal.size(),
        }  # fmt: skip


def scan(device: str, tags: Tags, second: int, time_ms: int) -> Entry:
    """Return one scan of a device as the edge journals it."""
    aliases = _served(tags)
    values = [second + (n % PATTERN) / 1000.0 for n in range(len(aliases))]
    readings = Readings(aliases, [time_ms] * len(aliases), values, [0] * len(aliases))
    return Entry(device, JournalClass.LIVE, metrics_body(readings, tags.types), time_ms)


def _served(tags: Tags) -> list[int]:
    """Return the aliases of what the device serves: the edge has a point or two of its own making."""
    return [alias for name, alias in zip(tags.installed.names, tags.aliases, strict=True) if SERVED.fullmatch(name)]


if __name__ == "__main__":
    print(json.dumps(fill(Path(sys.argv[1]), int(sys.argv[2]))), flush=True)
