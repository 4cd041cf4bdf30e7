"""A gateway with two uplinks, the one in use cut in silence: how long until the other carries on, and what is lost.

Network namespaces, veth cables, Mosquitto, a host that confirms, and a real agent with default settings but quick
probes. The way that carries the session is cut in turn. Needs root.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from davylamp_wire.topic import MessageType
from support.edge_host import Delivered
from support.two_ways import EVENT, Site, since, two_ways

from benchmarks.report import Figure, Report, at_most

ROUNDS, IDLE_ROUNDS = 8, 3
TARGET_S = 10.0
WAYS = {"first": "fibre", "standby": "mobile"}
NEVER_S = 600.0
"""The scan period of an edge that has nothing to send."""


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds from each cut to the birth and to the first record after it, and what became of the records."""

    births_s: Sequence[float]
    firsts_s: Sequence[float]
    numbers: int = 0
    lost: int = 0
    twofold: int = 0
    again: int = 0
    behind: int = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="how often the way in use is cut while readings flow"
    )
    parser.add_argument("--idle-rounds", type=int, default=IDLE_ROUNDS, help="and while there is nothing to send")


def run(rounds: int = ROUNDS, idle_rounds: int = IDLE_ROUNDS) -> Report:
    """Cut the way in use again and again, with readings on it and without."""
    report = Report("failover")
    try:
        busy = asyncio.run(_measured(rounds, 0.1))
        idle = asyncio.run(_measured(idle_rounds, NEVER_S))
    except pytest.skip.Exception as missing:
        report.notes.append(str(missing))
        return report
    report.add(Figure("30 records/s: cut to first record, median", statistics.median(busy.firsts_s), "s"))
    report.add(at_most("30 records/s: cut to first record, worst", max(busy.firsts_s), "s", TARGET_S))
    report.add(at_most("nothing to send: cut to birth, worst", max(idle.births_s), "s", TARGET_S))
    report.add(Figure("records journaled", busy.numbers, ""))
    report.add(at_most("records lost", busy.lost, "", 0))
    report.add(at_most("record numbers with two contents", busy.twofold, "", 0))
    report.add(at_most("backlog records behind a lower class", busy.behind, "", 0))
    report.add(Figure("records that came again and were dropped by number", busy.again, ""))
    return report


async def _measured(rounds: int, scan_s: float) -> Found:
    births_s: list[float] = []
    firsts_s: list[float] = []
    behind = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with two_ways(folder, scan_s, keepalive_s=15, probe_s=0.5, back_after_s=3600.0) as site:
            for turn in range(1, rounds + 1):
                carrying, idle = ("first", "standby") if turn % 2 else ("standby", "first")
                await site.fares(**{carrying: "ok, taken", idle: "ok"})
                await asyncio.sleep(1 + random.random())  # cuts come at any moment of the kernel's timers
                began_s = time.monotonic()
                site.gateway.cut(WAYS[carrying])
                await site.born(turn + 1)
                births_s.append(site.host.of(MessageType.NBIRTH)[turn].at_s - began_s)
                if scan_s < NEVER_S:
                    await site.caught_up(turn)
                    backlog, live = (since(site.host, turn, historical) for historical in (True, False))
                    firsts_s.append(min(records[0].seen.at_s for records in (backlog, live) if records) - began_s)
                    behind += _behind(backlog)
                site.gateway.mend(WAYS[carrying])
            await site.edge.terminate()
            last = await asyncio.to_thread(site.last_journaled)
            return _counted(site, last, Found(births_s, firsts_s, behind=behind))


def _behind(backlog: Sequence[Delivered]) -> int:
    """Return how many records of a backlog came behind one of a lower class."""
    lowest, count = EVENT, 0
    for record in backlog:
        value = int(str(record.values[0]))
        count += value > lowest
        lowest = min(lowest, value)
    return count


def _counted(site: Site, last: int, found: Found) -> Found:
    told: dict[int, set[object]] = {}
    for record in site.host.records:
        told.setdefault(record.number, set()).add(record.values)
    return Found(
        found.births_s,
        found.firsts_s,
        numbers=last,
        lost=site.host.stored.missing(1, last).count,
        twofold=sum(len(contents) > 1 for contents in told.values()),
        again=len(site.host.records) - len(told),
        behind=found.behind,
    )
