"""The whole cloud: points a second over MQTT into history and alarms; broker, edges, receiver real, on one machine.

Each rate of ``--rates`` is held for ``--seconds``; a rate is held where nothing is lost, the monitor keeps up and an
alarm is told within a second. Devices send ``--points`` each at 1 Hz, so a rate is a number of devices.
"""

import argparse
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
from benchmarks.sampler import Profile
from benchmarks.timing import Load, Machine

EDGES, POINTS, SECONDS, RATES = 100, 100, 20, (100_000,)
PROFILE_S = 5
STAGES = {
    "paho-mqtt-client": "receive",
    "group-commit": "log",
    "monitor": "decode, engine, alarms",
    "snapshot": "decode, engine, alarms",
    "historian-feed": "history",
    "libraries": "history",
    "outbox": "notices",
}
"""What the cloud's threads do, by the beginning of their names; DuckDB's threads have none of their own."""
BIRTHS_S = 900.0
DRAIN_S = 30.0
SECRET = "webhook_secret"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--edges", type=int, default=EDGES, help="edge nodes")
    parser.add_argument("--points", type=int, default=POINTS, help="tags of a device")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long each rate is held, 20 at least")
    parser.add_argument("--rates", type=_rates, default=RATES, help="points a second, ascending: 100000,250000")


def _rates(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(part) for part in text.split(",")))


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


def run(edges: int = EDGES, points: int = POINTS, seconds: int = SECONDS, rates: tuple[int, ...] = RATES) -> Report:
    """Measure births and a steady load at each rate, then count what was lost."""
    report = Report("cloud")
    if shutil.which("mosquitto") is None:
        report.notes.append("Mosquitto is not installed: apt-get install mosquitto")
        return report
    with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
        _run(report, site, Shape(edges, points, seconds), rates)
    return report


@dataclass(frozen=True, slots=True)
class Shape:
    """How many edges, tags a device, and seconds a rate is held."""

    edges: int
    points: int
    seconds: int


def _run(report: Report, site: Stage, shape: Shape, rates: tuple[int, ...]) -> None:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    (site.folder / SECRET).write_text(secret + "\n", encoding="ascii")
    receiver, notices = site.regulator(SECRET)
    cloud = site.cloud(receiver)
    most = max(rates) // shape.points
    each = -(-most // shape.edges)
    edges = site.begin("generator", "benchmarks.generator", str(site.broker.port), str(shape.edges), str(each),
                       str(shape.points))  # fmt: skip
    edges.hear()
    born = sent = 0
    for rate in rates:
        devices = rate // shape.points
        _born(report, cloud, edges, devices, shape)
        told = _raises(notices)
        went, held = _steady(report, cloud, edges, rate, shape, site)
        sent += went
        raised = _told(notices, told, crossings(born, devices))
        held = _latency(report, rate, raised) and held
        missing = crossings(born, devices) - len(raised)
        report.add(at_most(f"{rate:,}/s: alarms not told", missing, "alarms", 0))
        confirmed = _confirmed(edges, sent)
        report.add(at_most(f"{rate:,}/s: sent and not confirmed", sent - confirmed, "payloads", 0))
        born = devices
        if not held or confirmed < sent:
            report.notes.append(f"{rate:,} points a second were not held: higher rates were not tried")
            break
    cloud.part.process.send_signal(signal.SIGUSR1)
    went, _, _ = _sent(edges, PROFILE_S, born)
    confirmed = _confirmed(edges, sent + went)
    until(cloud.settled, "the cloud's history", 120)
    peak_mb = cloud.part.peak_mb()
    edges.end()
    cloud.part.end()
    lost = (sent + went) * shape.points - cloud.stored()
    report.add(at_most("sent and not in history, all in all", lost, "readings", 0))
    report.add(Figure("peak resident", peak_mb, "MB"))
    profile = cloud.part.profile()
    report.notes += [*profile.notes("the cloud"), _shares(profile)]


def _shares(profile: Profile) -> str:
    """Return each stage's share of the cloud's CPU, and which is the next bottleneck: the one that holds most of it."""
    found: dict[str, float] = {}
    for thread, used in profile.threads.items():
        stage = next((stage for name, stage in STAGES.items() if thread.startswith(name)), "all else")
        found[stage] = found.get(stage, 0.0) + used
    total = sum(found.values()) or 1.0
    ordered = sorted(found.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{stage} {used / total:.0%}" for stage, used in ordered)
    bottleneck = next((stage for stage, _ in ordered if stage != "all else"), "unknown")
    return f"stages of the cloud: {shares}; next bottleneck: {bottleneck}"


def _born(report: Report, cloud: CloudPart, edges: Part, devices: int, shape: Shape) -> None:
    """Let devices be born; a register of this size is taken on once in a site's life."""
    began_s, load = time.monotonic(), Load.of(cloud.part.pid)
    before = cloud.health()["log_seq"]
    edges.say(f"born {devices}")
    edges.hear()
    until(lambda: _all_known(cloud, before), f"{devices} devices in the register", BIRTHS_S)
    tags = devices * shape.points
    report.add(Figure(f"{tags:,} tags born after", time.monotonic() - began_s, "s"))
    report.add(Figure(f"{tags:,} tags: cloud's CPU while they are", load.cores(), "cores"))


def _all_known(cloud: CloudPart, before: int) -> bool:
    now = cloud.health()
    return bool(now["log_seq"] > before and now["monitor"]["lag_records"] < 10)


def _steady(report: Report, cloud: CloudPart, edges: Part, rate: int, shape: Shape, site: Stage) -> tuple[int, bool]:
    """Hold a rate; return how many payloads went out, and whether the cloud kept up."""
    watch, machine = Watch(cloud), Machine()
    loads = {"cloud": Load.of(cloud.part.pid), "generator": Load.of(edges.pid)}
    if site.broker.process is not None:
        loads["broker"] = Load.of(site.broker.process.pid)
    watching = threading.Thread(target=watch.run)
    watching.start()
    try:
        sent, a_second, late_s = _sent(edges, shape.seconds, rate // shape.points)
    finally:
        watch.over.set()
        watching.join()
    name = f"{rate:,}/s"
    for who, load in loads.items():
        report.add(Figure(f"{name}: CPU of the {who}", load.cores(), "cores"))
    report.add(Figure(f"{name}: whole machine meanwhile", machine.busy(), "% of its cores"))
    report.add(at_least(f"{name}: points sent a second", a_second * shape.points, "points/s", 0.98 * rate))
    report.add(Figure(f"{name}: generator behind its own clock, at most", late_s * 1000, "ms"))
    report.add(Figure(f"{name}: monitor's lag, at most", watch.records, "records"))
    report.add(at_most(f"{name}: monitor's lag, at most, in time", watch.ms, "ms", 1000))
    return sent, a_second * shape.points >= 0.98 * rate and watch.ms <= 1000


def _sent(edges: Part, seconds: int, devices: int) -> tuple[int, float, float]:
    edges.say(f"run {seconds} {devices}")
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


def _raises(notices: Path) -> int:
    """Return how many alarms of points the receiver was told of so far."""
    return len([got for got in read_received(notices) if _is_raise(got)])


def _is_raise(got: Received) -> bool:
    return got.body["type"] == "alarm.raised" and not got.again and got.data["tag"].rpartition("/")[2] in ("p0", "p1")


def _told(notices: Path, before: int, wanted: int) -> list[Received]:
    """Return the alarms the receiver was told of since, once all are there or nothing more comes."""
    deadline = time.monotonic() + DRAIN_S
    while True:
        found = [got for got in read_received(notices) if _is_raise(got)][before:]
        if len(found) >= wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.2)  # real processes are at work: there is no clock to move


def _latency(report: Report, rate: int, raised: list[Received]) -> bool:
    """Tell the time from a sample, or from the end of its on-delay, to the receipt of the signed notice."""
    held = True
    for name, point in (("at once", "p0"), (f"after {DELAY_S:g} s on-delay", "p1")):
        alarms = [got for got in raised if got.data["tag"].endswith(f"/{point}")]
        delays = [got.at_ms - max(got.data["time_ms"], got.data.get("due_ms") or 0) for got in alarms]
        if len(delays) < 2:
            continue
        centiles = statistics.quantiles(delays, n=100, method="inclusive")
        report.add(Figure(f"{rate:,}/s: {len(delays)} alarms, latency {name}, p50", centiles[49], "ms"))
        report.add(at_most(f"{rate:,}/s: alarm latency, {name}, p99", centiles[98], "ms", 1000))
        held = held and centiles[98] <= 1000
    return held
