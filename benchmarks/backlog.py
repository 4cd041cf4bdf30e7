"""After a cut: 4 h of 1,000 tags at 1 Hz come from an edge's journal while the plant is watched on; all real processes.

Live latency is from a PLC's reply to the signed webhook of its alarm, while the backlog comes and after it.
"""

import argparse
import base64
import itertools
import secrets
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from davylamp_simulators.fleet import profile_text

from benchmarks.edge import NO_POINT
from benchmarks.latency import LIMIT, alarms_told, tell
from benchmarks.processes import CloudPart, Part, Stage, edge_config, metrics, online, run_edge, stage, until
from benchmarks.report import Figure, Report, at_most
from benchmarks.timing import Load, Machine

DEVICES, POINTS, HOURS = 10, 100, 4.0
TARGET_S, LIVE_MS = 300.0, 1000.0
CALM_S = 20.0
"""How long the plant is watched on when all has come."""
SILENT_S = 3.0
"""After which what was last answered is on disk."""
PATIENCE_S = 1800.0
FRESH_S = 10.0
"""The backlog has come once nothing older than this is unconfirmed."""
LIFT_S = 3.1
"""Each device's first point is over its limit once in so long, half of it: more than a scan, and no multiple of one."""
LIFTED = 10
"""Most devices whose points are lifted."""
SECRET = "webhook_secret"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--devices", type=int, default=DEVICES, help="devices; a record is one scan of one of them")
    parser.add_argument("--points", type=int, default=POINTS, help="points of a device, each at 1 Hz")
    parser.add_argument("--hours", type=float, default=HOURS, help="how long the cut was")
    parser.add_argument("--profile", action="store_true", help="look where the CPU goes; it costs some itself")
    parser.add_argument("--rate", type=float, default=None, help="backlog_rate of the edge, else its default")


def run(
    devices: int = DEVICES,
    points: int = POINTS,
    hours: float = HOURS,
    rate: float | None = None,
    profile: bool = False,
) -> Report:
    """Fill a journal, let the edge send it beside live readings, and hold the history against both ledgers."""
    report = Report("backlog")
    if shutil.which("mosquitto") is None:
        report.notes.append("Mosquitto is not installed: apt-get install mosquitto")
        return report
    with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
        cut = Cut(devices, points, round(hours * 3600))
        _run(report, site, cut, {} if rate is None else {"backlog_rate": rate}, profile)
    return report


@dataclass(frozen=True, slots=True)
class Cut:
    """So many devices of so many points, journaled for so many seconds."""

    devices: int
    points: int
    seconds: int


@dataclass(slots=True)
class Lifting:
    """Lifts and lowers every device's first point in turn, on a thread, until told that it is over."""

    plant: Part
    devices: int
    lifts: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Lift each device once in `LIFT_S`, and lower it half of that later."""
        slots = self.devices + self.devices % 2
        for slot in itertools.cycle(range(slots)):
            self.lifts += self._say("lift", slot)
            self._say("lower", (slot + slots // 2) % slots)
            if self.over.wait(LIFT_S / slots):
                return

    def _say(self, what: str, device: int) -> bool:
        if device < self.devices:
            self.plant.say(f"{what} {device}")
            self.plant.hear()
        return device < self.devices


def _run(report: Report, site: Stage, cut: Cut, more: dict[str, Any], profile: bool) -> None:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    (site.folder / SECRET).write_text(secret + "\n", encoding="ascii")
    receiver, notices = site.regulator(SECRET)
    plant = site.begin("plant", "benchmarks.plant", str(cut.devices), str(cut.points))
    ports = plant.hear()["ports"]
    config, url = edge_config(site, ports, profile_text(cut.points) + LIMIT, report="every", **more)
    cut_off = site.begin("cut", "benchmarks.cut", config, str(cut.seconds))
    filled = cut_off.hear()
    cut_off.end()
    report.add(Figure("backlog", filled["readings"], "readings"))
    report.add(Figure("backlog, records", filled["records"], "records"))
    report.add(Figure("backlog, journal", filled["bytes"] / 1e6, "MB"))
    cloud = site.cloud(receiver)
    edge = run_edge(site, config)
    until(lambda: online(url), "the edge online with its births confirmed")
    lifting = Lifting(plant, min(cut.devices, LIFTED))
    thread = threading.Thread(target=lifting.run)
    thread.start()
    try:
        began_ms, ended_ms = _replayed(report, cloud, edge, url, profile)
        time.sleep(CALM_S)
    finally:
        lifting.over.set()
        thread.join()
    time.sleep(LIFT_S)  # the last one is read
    plant.say("silence")
    served = int(plant.hear()["served"])
    time.sleep(SILENT_S)
    until(lambda: metrics(url)["davylamp_edge_backlog_age_seconds"] < SILENT_S, "the last confirmation")
    edge.end()
    until(cloud.settled, "the cloud's history", 600)
    cloud.part.end()
    told = [got for got in alarms_told(notices) if got.data["kind"] == "HH"]
    report.add(at_most("lifts not told", lifting.lifts - len(told), "alarms", 0))
    delays = [(got.data["time_ms"], float(got.at_ms - got.data["time_ms"])) for got in told]
    tell(report, "live, while it comes", [ms for at_ms, ms in delays if began_ms <= at_ms <= ended_ms], 0, LIVE_MS)
    tell(report, "live, afterwards", [ms for at_ms, ms in delays if at_ms > ended_ms])
    _account(report, cloud, filled, served)
    if profile:
        report.notes += cloud.part.profile().notes("the cloud") + edge.profile().notes("the edge")


def _replayed(report: Report, cloud: CloudPart, edge: Part, url: str, profile: bool) -> tuple[int, int]:
    """Wait until the backlog has come; return from when to when that was."""
    for part in (cloud.part, edge) if profile else ():
        part.process.send_signal(signal.SIGUSR1)
    began_s, began_ms, sent = time.monotonic(), _now_ms(), metrics(url)["davylamp_edge_published_historical_total"]
    loads, machine = {"cloud": Load.of(cloud.part.pid), "edge": Load.of(edge.pid)}, Machine()
    until(lambda: metrics(url)["davylamp_edge_backlog_age_seconds"] < FRESH_S, "the backlog", PATIENCE_S, 0.5)
    took_s, ended_ms, now = time.monotonic() - began_s, _now_ms(), metrics(url)
    report.add(at_most("backlog confirmed within", took_s, "s", TARGET_S))
    sent = now["davylamp_edge_published_historical_total"] - sent
    report.add(Figure("backlog sent", sent / took_s, "records a second"))
    rate = now["davylamp_edge_uplink_backlog_rate"]
    report.add(Figure("backlog, what the way takes at its end", rate, "records of 512 bytes a second"))
    report.add(Figure("records sent again", now["davylamp_edge_uplink_resent"], "records"))
    for who, load in loads.items():
        report.add(Figure(f"CPU of the {who}", load.cores(), "cores"))
    report.add(Figure("whole machine meanwhile", machine.busy(), "% of its cores"))
    until(cloud.settled, "the cloud's history", PATIENCE_S, 0.5)
    report.add(Figure("in history after", time.monotonic() - began_s, "s"))
    return began_ms, ended_ms


def _account(report: Report, cloud: CloudPart, filled: dict[str, int], served: int) -> None:
    """Hold the history against what was journaled and what was served."""
    ended_ms = filled["began_ms"] + 1000 * (filled["readings"] // filled["a_second"])
    of_cut = f"quality = 0 AND time_ms < {ended_ms}"
    once = cloud.stored(of_cut, "DISTINCT (tag, time_ms)")
    report.add(at_most("backlog lost", filled["readings"] - once, "readings", 0))
    report.add(at_most("backlog stored twice", cloud.stored(of_cut) - once, "readings", 0))
    step = f"floor(value) <> (time_ms - {filled['began_ms']}) // 1000"
    report.add(at_most("backlog stored with another value", cloud.stored(f"{of_cut} AND {step}"), "readings", 0))
    live = cloud.stored(f"{NO_POINT} AND time_ms >= {ended_ms}")
    report.add(at_most("live readings lost", max(0, served - live), "readings", 0))
    report.add(at_most("live readings stored twice", max(0, live - served), "readings", 0))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
