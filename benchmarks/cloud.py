"""The whole cloud: 100,000 points a second over MQTT into history and alarms; broker, edges, receiver all real."""

import base64
import secrets
import shutil
import signal
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from davylamp_simulators.regulator import Received, read_received

from benchmarks.generator import DELAY_S, crossings
from benchmarks.processes import CloudPart, Part, Stage, stage, until
from benchmarks.report import Figure, Report, at_least, at_most
from benchmarks.timing import Load, Machine

EDGES, DEVICES, POINTS = 10, 100, 100
TAGS = EDGES * DEVICES * POINTS
SECONDS = 20
PROFILE_S = 5
BIRTHS_S = 90.0
DRAIN_S = 15.0
SECRET = "webhook_secret"


@dataclass(slots=True)
class Watch:
    """Looks at the cloud's own word on its lag now and then, on a thread."""

    cloud: CloudPart
    records: int = 0
    ms: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Keep the largest lag until told that it is over."""
        while not self.over.wait(0.5):
            lag = self.cloud.health()["monitor"]
            self.records, self.ms = max(self.records, lag["lag_records"]), max(self.ms, lag["lag_ms"])


def run() -> Report:
    """Measure births, then a steady load, then what is left of it."""
    report = Report("cloud")
    if shutil.which("mosquitto") is None:
        report.notes.append("Mosquitto is not installed: apt-get install mosquitto")
        return report
    with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
        _run(report, site)
    return report


def _run(report: Report, site: Stage) -> None:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    (site.folder / SECRET).write_text(secret + "\n", encoding="ascii")
    receiver, notices = site.regulator(SECRET)
    cloud = site.cloud(receiver)
    edges = _born(report, site, cloud)
    sent = _steady(report, cloud, edges)
    raised = until(lambda: _raised(notices, crossings(EDGES * DEVICES)), "the alarms", DRAIN_S)
    cloud.part.process.send_signal(signal.SIGUSR1)
    sent += _sent(edges, PROFILE_S)[0]
    confirmed = _confirmed(edges, sent)
    until(cloud.settled, "the cloud's history")
    peak_mb = cloud.part.peak_mb()
    edges.end()
    cloud.part.end()
    _account(report, cloud, sent, confirmed)
    report.add(Figure("peak resident", peak_mb, "MB"))
    _latency(report, raised)
    report.notes += cloud.part.profile().notes("the cloud")


def _born(report: Report, site: Stage, cloud: CloudPart) -> Part:
    """Let all edges be born; a register of this size is taken on once in a site's life."""
    began_s, load = time.monotonic(), Load.of(cloud.part.pid)
    shape = map(str, (site.broker.port, EDGES, DEVICES, POINTS))
    edges = site.begin("generator", "benchmarks.generator", *shape)
    edges.hear()
    until(lambda: _all_known(cloud), f"{TAGS} tags in the register", BIRTHS_S)
    report.add(Figure(f"{TAGS:,} tags born", time.monotonic() - began_s, "s"))
    report.add(Figure("cloud's CPU while they are", load.cores(), "cores"))
    return edges


def _all_known(cloud: CloudPart) -> bool:
    now = cloud.health()
    births = EDGES * (DEVICES + 1)
    return bool(now["log_seq"] > births and now["monitor"]["lag_records"] < 10)


def _steady(report: Report, cloud: CloudPart, edges: Part) -> int:
    """Send at the full rate; return how many payloads went out."""
    watch, machine, load = Watch(cloud), Machine(), Load.of(cloud.part.pid)
    watching = threading.Thread(target=watch.run)
    watching.start()
    try:
        sent, rate, late_s = _sent(edges, SECONDS)
    finally:
        watch.over.set()
        watching.join()
    report.add(Figure("cloud's CPU at that rate", load.cores(), "cores"))
    report.add(Figure("whole machine meanwhile", machine.busy(), "% of its cores"))
    report.add(at_least("points sent a second", rate * POINTS, "points/s", 0.98 * TAGS))
    report.add(Figure("generator behind its own clock, at most", late_s * 1000, "ms"))
    report.add(Figure("monitor's lag, at most", watch.records, "records"))
    report.add(at_most("monitor's lag, at most, in time", watch.ms, "ms", 1000))
    return sent


def _sent(edges: Part, seconds: int) -> tuple[int, float, float]:
    edges.say(f"run {seconds}")
    said = edges.hear()
    return int(said["sent"]), said["sent"] / said["seconds"], float(said["late_s"])


def _confirmed(edges: Part, sent: int) -> int:
    """Return how many payloads are confirmed once all are, or after a while."""
    deadline = time.monotonic() + DRAIN_S
    while True:
        edges.say("confirmed")
        confirmed = int(edges.hear()["confirmed"])
        if confirmed >= sent or time.monotonic() > deadline:
            return confirmed
        time.sleep(0.2)  # the cloud confirms twice a second


def _account(report: Report, cloud: CloudPart, sent: int, confirmed: int) -> None:
    """Hold what was sent against what was confirmed and what lies in the day files."""
    report.add(Figure("payloads sent", sent, "payloads"))
    report.add(at_most("sent and not confirmed", sent - confirmed, "payloads", 0))
    report.add(at_most("sent and not in history", sent * POINTS - cloud.stored(), "readings", 0))


def _raised(notices: Path, wanted: int) -> list[Received]:
    """Return the alarms the receiver was told of; nothing until all are there."""
    found = [notice for notice in read_received(notices) if notice.body["type"] == "alarm.raised" and not notice.again]
    return found if len(found) >= wanted else []


def _latency(report: Report, raised: list[Received]) -> None:
    """Tell the time from a sample, or from the end of its on-delay, to the receipt of the signed notice."""
    report.add(Figure("alarms told", len(raised), "alarms"))
    for name, point in (("at once", "p0"), (f"after {DELAY_S:g} s on-delay", "p1")):
        alarms = [got for got in raised if got.data["tag"].endswith(f"/{point}")]
        delays = [got.at_ms - max(got.data["time_ms"], got.data.get("due_ms") or 0) for got in alarms]
        centiles = statistics.quantiles(delays, n=100, method="inclusive")
        report.add(Figure(f"alarm latency, {name}, p50", centiles[49], "ms"))
        report.add(at_most(f"alarm latency, {name}, p99", centiles[98], "ms", 1000))
