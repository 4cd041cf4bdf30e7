"""Two RTU lines behind serial servers, side by side: 32 units polled, and the same with one of them dead.

Each line is a process of its own that answers one request at a time, and takes for each answer what its bytes take at
the line's speed. Side by side, because whatever else the machine does must slow both. The unit is dead from the start,
so that the first tries, the dearest ones, are in it.
"""

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from davylamp_edge.config import EdgeConfig
from davylamp_edge.scan import Scanner
from davylamp_simulators.fleet import profile_text
from davylamp_wire.profile import Profile, load_profile

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
    parser.add_argument("--seconds", type=float, default=WINDOW_S, help="how long both lines are polled")


def run(seconds: float = WINDOW_S) -> Report:
    """Measure the line whole, then with a dead unit."""
    whole, broken = asyncio.run(_side_by_side(seconds))
    others, slowest = (100 * rate / whole.scans_s for rate in (broken.scans_s, broken.slowest_s))
    report = Report("line")
    report.add(Figure("32 units alive: each polled", whole.scans_s, "scans/s"))
    report.add(Figure("1 of 32 dead: each other polled", broken.scans_s, "scans/s"))
    report.add(at_least("1 of 32 dead: rate of the others", others, "% of before", 90))
    report.add(at_least("1 of 32 dead: rate of the slowest other", slowest, "% of before", 90))
    report.add(at_most("1 of 32 dead: line time it took", 100 * broken.unanswered, "% of the line", 10))
    return report


async def _side_by_side(seconds: float) -> tuple[Found, Found]:
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        lines = []
        for dead in (NOBODY, DEAD):
            arguments = [str(UNITS), str(dead), str(REPLY_S)]
            lines.append(Part(folder, f"line{dead}", [sys.executable, "-m", "benchmarks.serial_line", *arguments]))
            undo.callback(lines[-1].end)
        path = folder / "bench" / "bench.toml"
        path.parent.mkdir()
        path.write_text(profile_text(POINTS), encoding="utf-8")
        whole, broken = (int(line.hear()["port"]) for line in lines)
        profile = load_profile(path)
        return await asyncio.gather(_scanned(profile, whole, seconds, NOBODY), _scanned(profile, broken, seconds, DEAD))


async def _scanned(profile: Profile, port: int, seconds: float, dead: int) -> Found:
    """Scan for so long, with the agent's own scanner and its default settings."""
    stop = asyncio.Event()
    scanner = Scanner(_config(port), {"bench": profile}, lambda result: None)
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
