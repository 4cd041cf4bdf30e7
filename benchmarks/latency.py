"""End to end at 10,000 tags a second: from a PLC's reply to the signed webhook, everything durable on the way.

``--peer prometheus`` lets Prometheus and Alertmanager tell of the same steps, over as many series, in the same run.
"""

import argparse
import base64
import itertools
import secrets
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from davylamp_simulators.fleet import profile_text
from davylamp_simulators.regulator import Received, read_received

from benchmarks import prometheus
from benchmarks.processes import Part, Stage, edge_on, online, stage, until
from benchmarks.report import Figure, Report, at_most
from benchmarks.timing import Machine

DEVICES, POINTS = 10, 1000
ROUNDS = 15
"""In each, every device's first point is lifted over its limit once, and lowered again."""
WARM_S = 5.0
STEP_S = 0.31
"""Between two lifts: no multiple of the scan period, so that every phase is met; each lasts longer than a scan."""
PEER_STEPS, PEER_STEP_S = 60, 0.63
SECRET = "webhook_secret"
LIMIT = """
[points.p0.limits.HH]
value = 15000.0
action = {zh = "核实现场", en = "Check the field"}
source = {standard = "benchmark", basis = "proposal"}
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--peer", choices=("prometheus",), help="measure it with Alertmanager, in the same run")


def run(peer: str | None = None) -> Report:
    """Measure ours, then the peer."""
    report = Report("latency")
    if shutil.which("mosquitto") is None:
        report.notes.append("Mosquitto is not installed: apt-get install mosquitto")
        return report
    with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
        _ours(report, site)
    if peer and (gone := prometheus.missing()):
        report.notes.append(f"{peer} is not installed: {gone}")
    elif peer:
        with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
            _theirs(report, site)
    return report


def _ours(report: Report, site: Stage) -> None:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    (site.folder / SECRET).write_text(secret + "\n", encoding="ascii")
    receiver, notices = site.regulator(SECRET)
    cloud = site.cloud(receiver)
    plant = site.begin("plant", "benchmarks.plant", str(DEVICES), str(POINTS))
    edge, url = edge_on(site, plant.hear()["ports"], profile_text(POINTS) + LIMIT)
    until(lambda: online(url), "the edge online with its births confirmed")
    time.sleep(WARM_S)  # first scans and imports are not the steady state
    machine = Machine()
    lifted = _lift(plant)
    busy = machine.busy()
    told = until(lambda: alarms_told(notices, len(lifted)), f"{len(lifted)} alarms told")
    edge.end()
    cloud.part.end()
    report.add(Figure("alarms told", len(told), "alarms"))
    report.add(Figure("whole machine meanwhile", busy, "% of its cores"))
    tell(report, "reply to webhook", [float(got.at_ms - got.data["time_ms"]) for got in told], 50, 200)
    tell(report, "value's step to webhook, 1 s poll", _from_steps(lifted, told))


def _lift(plant: Part) -> list[tuple[str, int]]:
    """Lift and lower every device's first point again and again; return device and time of each lift."""
    lifted = []
    for _, device in itertools.product(range(ROUNDS), range(DEVICES)):
        plant.say(f"lift {device}")
        lifted.append((f"d{device}", int(plant.hear()["at_ms"])))
        time.sleep(STEP_S)
        plant.say(f"lower {(device + DEVICES // 2) % DEVICES}")
        plant.hear()
    return lifted


def alarms_told(notices: Path, wanted: int = 0) -> list[Received]:
    """Return the alarms a regulator was told of, each once; none while they are fewer than wanted."""
    found = [notice for notice in read_received(notices) if notice.body["type"] == "alarm.raised" and not notice.again]
    return found if len(found) >= wanted else []


def _from_steps(lifted: list[tuple[str, int]], raised: list[Received]) -> list[float]:
    """Return how long each lift took to be told; the nth alarm of a device is that of its nth lift."""
    told: dict[str, list[int]] = {}
    for got in raised:
        told.setdefault(got.data["tag"].split("/")[2], []).append(got.at_ms)
    return [told[device].pop(0) - at_ms for device, at_ms in lifted]


def tell(report: Report, name: str, delays: list[float], p50: float = 0, p99: float = 0) -> None:
    """Report median and 99th percentile, held against limits where there are any; a note where too few were told."""
    if len(delays) < 2:
        report.notes.append(f"{name}: {len(delays)} told, too few to tell a percentile")
        return
    centiles = statistics.quantiles(delays, n=100, method="inclusive")
    for title, value, limit in (("p50", centiles[49], p50), ("p99", centiles[98], p99)):
        report.add(
            at_most(f"{name}, {title}", value, "ms", limit) if limit else Figure(f"{name}, {title}", value, "ms")
        )


def _theirs(report: Report, site: Stage) -> None:
    """Step one series after another; Prometheus scrapes and evaluates each second, nothing waits in Alertmanager."""
    size = DEVICES * POINTS
    hook = site.begin("hook", "benchmarks.hook")
    teller = prometheus.alertmanager(site, f"http://127.0.0.1:{hook.hear()['port']}/")
    source = prometheus.exporter(site, size, calm=True)
    rules = prometheus.rules_text({"HH": "pv >= 90"}, 0)
    peer = prometheus.Prometheus(site, source, rules, 1, alertmanager=teller)
    prometheus.scraped(peer, {"pv": size}, 60)
    stepped: dict[int, int] = {}
    for series in range(PEER_STEPS):
        source.part.say(f"step {series}")
        stepped[series] = int(source.part.hear()["at_ms"])
        time.sleep(PEER_STEP_S)
    told = [hook.hear() for _ in range(PEER_STEPS)]
    delays = [float(said["at_ms"] - stepped[said["tag"]]) for said in told]
    tell(report, "Prometheus and Alertmanager: value's step to webhook, 1 s scrape and rules", delays)
