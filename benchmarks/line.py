"""One RTU line behind a serial server: 32 units polled, then the same with one of them dead.

The line is a process of its own that answers one request at a time, and takes for each answer what its bytes take at
the line's speed. Each run begins with the unit dead or alive, so that the first tries, the dearest ones, are in it.
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from davylamp_edge.config import EdgeConfig
from davylamp_edge.scan import Scanner
from davylamp_simulators.fleet import profile_text
from davylamp_wire.profile import load_profile

from benchmarks.processes import Part
from benchmarks.report import Figure, Report, at_least, at_most

UNITS = 32
DEAD = 17
NOBODY = 0
POINTS = 10
BAUD = 19_200
CHARACTERS = 8 + 5 + 4 * POINTS
"""Of a request and its answer: ten float32."""
REPLY_S = CHARACTERS * 11 / BAUD
WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """One run: scans a second of the living units, mean and slowest, and what the dead one cost."""

    scans_s: float
    slowest_s: float
    unanswered: float
    """Part of the time that the line waited in vain."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--seconds", type=float, default=WINDOW_S, help="how long each of the two runs lasts")


def run(seconds: float = WINDOW_S) -> Report:
    """Measure the line whole, then with a dead unit."""
    whole, broken = _measured(seconds, NOBODY), _measured(seconds, DEAD)
    others, slowest = (100 * rate / whole.scans_s for rate in (broken.scans_s, broken.slowest_s))
    report = Report("line")
    report.add(Figure("32 units alive: each polled", whole.scans_s, "scans/s"))
    report.add(Figure("1 of 32 dead: each other polled", broken.scans_s, "scans/s"))
    report.add(at_least("1 of 32 dead: rate of the others", others, "% of before", 90))
    report.add(at_least("1 of 32 dead: rate of the slowest other", slowest, "% of before", 90))
    report.add(at_most("1 of 32 dead: line time it took", 100 * broken.unanswered, "% of the line", 10))
    return report


def _measured(seconds: float, dead: int) -> Found:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = [str(UNITS), str(dead), str(REPLY_S)]
        line = Part(folder, "line", [sys.executable, "-m", "benchmarks.serial_line", *arguments])
        try:
            return asyncio.run(_scanned(folder, int(line.hear()["port"]), seconds, dead))
        finally:
            line.end()


async def _scanned(folder: Path, port: int, seconds: float, dead: int) -> Found:
    """Scan for so long, with the agent's own scanner and its default settings."""
    path = folder / "bench" / "bench.toml"
    path.parent.mkdir()
    path.write_text(profile_text(POINTS), encoding="utf-8")
    stop = asyncio.Event()
    scanner = Scanner(_config(port), {"bench": load_profile(path)}, lambda result: None)
    running = asyncio.create_task(scanner.run(stop), name="scanner")
    await asyncio.sleep(seconds)
    rates = [status.scans / seconds for name, status in scanner.statuses.items() if name != f"u{dead}"]
    vain_s = sum(status.unanswered_ms for status in scanner.statuses.values()) / 1000
    stop.set()
    await running
    return Found(sum(rates) / len(rates), min(rates), vain_s / seconds)


def _config(port: int) -> EdgeConfig:
    address = {"driver": "modbus", "address": f"rtu-tcp://127.0.0.1:{port}"}
    devices = [
        {"name": f"u{unit}", "unit": unit, "profile": "bench", "hazard_source": "bench", **address}
        for unit in range(1, UNITS + 1)
    ]
    own = {"node": "edge-1", "broker": {"host": "127.0.0.1"}, "journal": {"path": "journal.db"}}
    return EdgeConfig.model_validate({**own, "devices": devices})
