"""OPC UA: values that all change each second, pushed by a real server, journal on, a real cloud confirming."""

import argparse
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.edge import NO_POINT
from benchmarks.opcua_plant import profile_text
from benchmarks.processes import Stage, edge_on, metrics, online, stage, until
from benchmarks.report import Figure, Report, at_least, at_most
from benchmarks.timing import Load, Machine

POINTS = 5_000
WINDOW_S = 30.0
WARM_S = 4.0
TARGET = 18
"""% of a core; asyncua's own client takes 12.8 % for receiving alone."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one run showed."""

    cores: float
    plant_cores: float
    busy: float
    rss_mb: float
    dropped: float
    losses: float
    served: int
    stored: int
    rate: float
    """Values the server managed to change a second."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a run can be told."""
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--seconds", type=float, default=WINDOW_S)
    parser.add_argument("--peer", choices=("asyncua",), help="measure a bare client beside it, one after the other")


def run(points: int = POINTS, seconds: float = WINDOW_S, peer: str | None = None) -> Report:
    """Measure one server with every value changed each second."""
    report = Report("opcua")
    if shutil.which("mosquitto") is None:
        report.notes.append("Mosquitto is not installed: apt-get install mosquitto")
        return report
    with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
        found = _measured(site, points, seconds)
    report.figures += [
        at_most(f"{points:,} items a second: CPU of the edge", found.cores * 100, "% of a core", TARGET),
        Figure(f"{points:,} items a second: CPU of the server, asyncua", found.plant_cores * 100, "% of a core"),
        Figure(f"{points:,} items a second: whole machine meanwhile", found.busy, "% of its cores"),
        Figure(f"{points:,} items a second: resident", found.rss_mb, "MB"),
        Figure(f"{points:,} items a second: values served", found.served, "values"),
        at_least(f"{points:,} items a second: in history", found.stored / found.served * 100, "% of served", 100),
        at_most(f"{points:,} items a second: queues of the server that overflowed", found.dropped, "times", 0),
        at_most(f"{points:,} items a second: server lost", found.losses, "times", 0),
    ]
    if peer is not None:
        with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
            cores, came = _bare(site, points, seconds)
        edge_us, bare_us = found.cores / found.rate * 1e6, cores / came * 1e6
        report.figures += [
            Figure("asyncua's client alone, receiving only: values", came, "a second"),
            Figure("asyncua's client alone, receiving only: CPU", bare_us, "us a value"),
            Figure("the edge, from socket to confirmed record: CPU", edge_us, "us a value"),
            at_least("the edge takes less than that client, by", bare_us / edge_us, "times", 1),
        ]
    return report


def _bare(site: Stage, points: int, seconds: float) -> tuple[float, float]:
    """Return the cores a bare client takes, and the values a second it gets."""
    plant = site.begin("plant", "benchmarks.opcua_plant", str(points))
    bare = site.begin("bare", "benchmarks.opcua_bare", f"opc.tcp://127.0.0.1:{plant.hear()['port']}/bench", str(points))
    bare.hear()
    plant.say("go")
    time.sleep(WARM_S)
    bare.say("count")
    before, load = bare.hear()["count"], Load.of(bare.pid)
    time.sleep(seconds)
    cores = load.cores()
    bare.say("count")
    came = (bare.hear()["count"] - before) / seconds
    plant.say("freeze")
    plant.hear()
    return cores, came


def _measured(site: Stage, points: int, seconds: float) -> Found:
    cloud = site.cloud()
    plant = site.begin("plant", "benchmarks.opcua_plant", str(points))
    address = f"opc.tcp://127.0.0.1:{plant.hear()['port']}/bench"
    edge, url = edge_on(site, [address], profile_text(points), driver="opcua")
    until(lambda: online(url) and metrics(url)["davylamp_edge_device_answers"] == 1, "the edge online and subscribed")
    plant.say("go")
    time.sleep(WARM_S)  # births and imports are not the steady state
    machine, load = Machine(), Load.of(edge.pid)
    time.sleep(seconds)
    busy, cores, rss_mb, after = machine.busy(), load.cores(), load.rss_mb(), metrics(url)
    plant.say("freeze")
    told = plant.hear()
    until(lambda: metrics(url)["davylamp_edge_backlog_records"] == 0, "every record confirmed")
    edge.end()
    until(cloud.settled, "the cloud's history")
    cloud.part.end()
    stored = cloud.stored(NO_POINT, "DISTINCT (tag, value)")  # repeats and what stood before a jump count once
    return Found(
        cores, told["cores"], busy, rss_mb, after["davylamp_edge_device_dropped_total"],
        after["davylamp_edge_device_losses_total"], int(told["served"]), stored, told["rate"],
    )  # fmt: skip
