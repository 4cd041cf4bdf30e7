"""Alarm storm: 10,000 alarms raised within 10 s; broker, edges, receiver real, on one machine.

Arrival is the log's own time of the record; commit is when another process first sees the transition in state.db.
"""

import argparse
import base64
import secrets
import shutil
import signal
import sqlite3
import statistics
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from davylamp_simulators.regulator import Received, read_received

from benchmarks.burst import POINTS
from benchmarks.processes import CloudPart, Part, Stage, stage, until
from benchmarks.report import Figure, Report, at_most
from benchmarks.timing import Load, Machine

EDGES, DEVICES = 100, 1000
CALM_S = 5
DRAIN_S = 120.0
TARGET_MS = 2000
SECRET = "webhook_secret"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--profile", action="store_true", help="look where the cloud's CPU goes; it costs some itself")


def run(profile: bool = False) -> Report:
    """Let the storm blow once, then account for every alarm."""
    report = Report("storm")
    if shutil.which("mosquitto") is None:
        report.notes.append("Mosquitto is not installed: apt-get install mosquitto")
        return report
    with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
        _run(report, site, profile)
    return report


@dataclass(frozen=True, slots=True)
class Seen:
    """A transition of a limit, and when it was first seen on disk."""

    id: str
    tag: str
    arrived_ms: int
    seen_ms: int


@dataclass(slots=True)
class Disk:
    """Looks at state.db every few milliseconds, on a thread, as any other process may."""

    path: Path
    seen: list[Seen] = field(default_factory=list)
    backlog: int = 0
    """Most notices that waited at once."""

    pending: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until told that it is over."""
        db, last, rounds = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True), 0, 0
        query = "SELECT rowid, id, tag_id, at_ms FROM transitions WHERE rowid > ? AND kind = 'H' ORDER BY rowid"
        while not self.over.wait(0.005):
            found = db.execute(query, (last,)).fetchall()
            now_ms = time.time_ns() // 1_000_000
            self.seen += [Seen(name, tag, at_ms, now_ms) for _, name, tag, at_ms in found]
            last = found[-1][0] if found else last
            if rounds % 20 == 0:
                self.pending = db.execute("SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()[0]
                self.backlog = max(self.backlog, self.pending)
            rounds += 1
        db.close()


def _run(report: Report, site: Stage, profile: bool) -> None:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    (site.folder / SECRET).write_text(secret + "\n", encoding="ascii")
    receiver, notices = site.regulator(SECRET)
    cloud = site.cloud(receiver)
    edges = site.begin("burst", "benchmarks.burst", str(site.broker.port), str(EDGES), str(DEVICES))
    edges.hear()
    edges.say(f"calm {CALM_S}")
    edges.hear()
    until(cloud.settled, "the devices in the register", 120)
    disk = Disk(site.folder / "cloud" / "state.db")
    watching = threading.Thread(target=disk.run)
    watching.start()
    try:
        said = _storm(report, cloud, edges, profile)
        until(lambda: _over(disk, notices, said["raised"]) or None, "every notice at the receiver", DRAIN_S, 0.5)
    except TimeoutError as error:
        report.notes.append(str(error))
    finally:
        disk.over.set()
        watching.join()
    edges.end()
    cloud.part.end()
    received = [got for got in read_received(notices) if got.data.get("kind") == "H"]
    _account(report, round(said["raised"]), disk, received)
    _latencies(report, disk, received)
    if profile:
        report.notes += cloud.part.profile().notes("the cloud")


def _storm(report: Report, cloud: CloudPart, edges: Part, profile: bool) -> dict[str, float]:
    if profile:
        cloud.part.process.send_signal(signal.SIGUSR1)
    loads, machine = {"cloud": Load.of(cloud.part.pid), "edges": Load.of(edges.pid)}, Machine()
    edges.say("storm")
    said: dict[str, float] = edges.hear()
    for who, load in loads.items():
        report.add(Figure(f"CPU of the {who}", load.cores(), "cores"))
    report.add(Figure("whole machine meanwhile", machine.busy(), "% of its cores"))
    report.add(Figure("alarms raised", said["raised"], "alarms"))
    report.add(at_most("within", said["seconds"], "s", POINTS * 1.05))
    return said


def _over(disk: Disk, notices: Path, wanted: float) -> bool:
    """True once everything is on disk and nothing waits for its receiver."""
    return len(disk.seen) >= wanted and disk.pending == 0 and len(read_received(notices)) >= wanted


def _account(report: Report, raised: int, disk: Disk, received: list[Received]) -> None:
    tags, ids = Counter(one.tag for one in disk.seen), {one.id for one in disk.seen}
    told = {got.id for got in received}
    report.add(Figure("transitions stored", len(disk.seen), "transitions"))
    report.add(at_most("transitions lost", raised - len(tags), "transitions", 0))
    report.add(at_most("transitions stored twice", len(disk.seen) - len(tags), "transitions", 0))
    report.add(at_most("notices lost", len(ids - told), "notices", 0))
    report.add(at_most("notices told twice", len(received) - len(told), "notices", 0))
    report.add(Figure("largest backlog of the outbox", disk.backlog, "notices"))


def _latencies(report: Report, disk: Disk, received: list[Received]) -> None:
    commits = [float(one.seen_ms - one.arrived_ms) for one in disk.seen]
    _tell(report, "arrival to commit", commits, TARGET_MS)
    for name, red in (("red", True), ("other", False)):
        delays = [float(g.at_ms - g.data["time_ms"]) for g in received if (g.data["priority"] == "red") is red]
        _tell(report, f"value to receiver, {len(delays)} {name} notices", delays)


def _tell(report: Report, name: str, delays: list[float], target: float | None = None) -> None:
    if len(delays) < 2:
        return
    centiles = statistics.quantiles(delays, n=100, method="inclusive")
    report.add(Figure(f"{name}, p50", centiles[49], "ms"))
    p99 = f"{name}, p99"
    report.add(Figure(p99, centiles[98], "ms") if target is None else at_most(p99, centiles[98], "ms", target))
    report.add(Figure(f"{name}, max", max(delays), "ms"))
