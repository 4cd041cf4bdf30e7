"""The edge: Modbus TCP polled at 1 Hz, every value changed, journal on, a real cloud confirming; all real processes.

``--peer thingsboard`` lets thingsboard-gateway poll the same devices after it, on the same broker, in the same run.
"""

import argparse
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from davylamp_simulators.fleet import profile_text

from benchmarks import thingsboard
from benchmarks.processes import Stage, edge_on, metrics, online, stage, until
from benchmarks.report import Figure, Report, at_least, at_most
from benchmarks.sampler import Profile
from benchmarks.timing import Load, Machine

PROFILE_S = 8.0
WARM_S = 4.0
NO_POINT = "quality = 0 AND text IS NULL AND tag NOT IN (SELECT tag FROM readings GROUP BY tag HAVING max(value) <= 1)"
"""Leaves out what the edge makes itself (comm_ok is 0 or 1): the plant did not serve it."""


@dataclass(frozen=True, slots=True)
class Case:
    """So many devices of so many points each, for how long, and what the edge may take of a core and of memory."""

    devices: int
    points: int
    window_s: float
    percent: float
    mb: float


BESIDE: tuple[tuple[int, int, float | None], ...] = ((10, 1000, 20.0), (1, 10_000, 20.0), (4, 500, None))
"""Devices, points, and how many times the edge's CPU a peer should take; the last is one a peer has time for."""
BESIDE_S = 10.0

CASES = (Case(10, 1_000, 30.0, 5, 90), Case(1, 10_000, 10.0, 5, 90), Case(100, 1_000, 30.0, 45, 300))


@dataclass(frozen=True, slots=True)
class Found:
    """What one run showed."""

    cores: float
    busy: float
    rss_mb: float
    peak_mb: float
    late: float
    lost: float
    served: int
    stored: int
    unconfirmed: float
    requests_s: float
    """Modbus requests a second: one may ask for 125 registers at most."""
    read_s: float
    profile: Profile


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--peer", choices=("thingsboard",), help="measure it after the edge, in the same run")


def run(peer: str | None = None) -> Report:
    """Measure ten devices of a thousand points, one of ten thousand, and a hundred of a thousand."""
    report = Report("edge")
    if shutil.which("mosquitto") is None:
        report.notes.append("Mosquitto is not installed: apt-get install mosquitto")
        return report
    if peer is not None:
        _beside_thingsboard(report)
        return report
    for case in CASES:
        _tell(report, case, _measured(case.devices, case.points, case.window_s))
    return report


def _beside_thingsboard(report: Report) -> None:
    """Measure both; the gateway with its points asked for one by one, then in blocks."""
    try:
        gateway = thingsboard.python()
    except thingsboard.NotInstalled as missing:
        report.notes.append(str(missing))
        return
    for devices, points, times in BESIDE:
        with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
            own = _run(site, devices, points, BESIDE_S)
            delivered_s = own.read_s * own.stored / own.served
            ours = thingsboard.Found(own.cores, own.busy, own.rss_mb, own.read_s, delivered_s)
            one_by_one, blocks = (
                thingsboard.measured(site, gateway, devices, points, BESIDE_S, blocks=blocks)
                for blocks in (False, True)
            )
        report.figures += thingsboard.compared(devices, points, ours, one_by_one, blocks, times)
    report.notes += thingsboard.NOTES


def _tell(report: Report, case: Case, found: Found) -> None:
    name = f"{case.devices} x {case.points:,} tags"
    figures = [
        at_most(f"{name}: CPU", found.cores * 100, "% of a core", case.percent),
        at_most(f"{name}: resident", found.rss_mb, "MB", case.mb),
        Figure(f"{name}: whole machine meanwhile", found.busy, "% of its cores"),
        Figure(f"{name}: resident, peak", found.peak_mb, "MB"),
        at_most(f"{name}: late scans", found.late, "scans", 0),
        at_most(f"{name}: devices lost", found.lost, "times", 0),
        Figure(f"{name}: readings served", found.served, "readings"),
        at_least(f"{name}: delivered", found.stored / found.served * 100, "% of served", 100),
        at_most(f"{name}: unconfirmed at the end", found.unconfirmed, "records", 0),
    ]
    report.figures += figures
    if any(figure.met is False for figure in figures):
        each_us = found.cores / found.requests_s * 1e6
        report.notes.append(f"{name}: {found.requests_s:.0f} Modbus requests a second, {each_us:.0f} us of CPU each")
        report.notes += found.profile.notes(f"{name}, the edge")


def _measured(devices: int, points: int, window_s: float) -> Found:
    with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
        return _run(site, devices, points, window_s)


def _run(site: Stage, devices: int, points: int, window_s: float) -> Found:
    cloud = site.cloud()
    plant = site.begin("plant", "benchmarks.plant", str(devices), str(points))
    edge, url = edge_on(site, plant.hear()["ports"], profile_text(points))
    until(lambda: online(url), "the edge online with its births confirmed")
    time.sleep(WARM_S)  # first scans, births and imports are not the steady state
    before, machine, load = metrics(url), Machine(), Load.of(edge.pid)
    time.sleep(window_s)
    busy, cores, rss_mb, peak_mb, after = machine.busy(), load.cores(), load.rss_mb(), edge.peak_mb(), metrics(url)
    edge.process.send_signal(signal.SIGUSR1)
    time.sleep(PROFILE_S)
    plant.say("freeze")
    served = int(plant.hear()["served"])
    unconfirmed = _unconfirmed(url)
    edge.end()
    until(cloud.settled, "the cloud's history")
    cloud.part.end()

    def grown(name: str) -> float:
        return after[f"davylamp_edge_device_{name}_total"] - before[f"davylamp_edge_device_{name}_total"]

    return Found(
        cores, busy, rss_mb, peak_mb, grown("late"), grown("losses"), served, cloud.stored(NO_POINT), unconfirmed,
        grown("requests") / window_s, grown("scans") * points / window_s, edge.profile(),
    )  # fmt: skip


def _unconfirmed(url: str) -> float:
    """Return what is left once nothing changes any more: 0, or what stays after ten seconds."""
    deadline = time.monotonic() + 10
    while (left := metrics(url)["davylamp_edge_backlog_records"]) and time.monotonic() < deadline:
        time.sleep(0.2)  # the cloud confirms twice a second
    return left
