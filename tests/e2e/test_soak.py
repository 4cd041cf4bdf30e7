"""Long runs in small: a steady plant, a broker that goes now and then; memory stays flat, every queue stays bounded."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from davylamp_simulators.fleet import profile_text

from benchmarks.edge import NO_POINT
from benchmarks.processes import CloudPart, Part, Stage, edge_config, metrics, online, run_edge, stage, until
from benchmarks.timing import Load

DEVICES = 10


@dataclass(frozen=True)
class Run:
    """How long, how often the broker goes, how much is read, and how little is kept: confirmed records are let go."""

    seconds: int
    every_s: int
    points: int
    journal_bytes: int
    growth: float
    """Of a process, from its peak in the middle third to that in the last; after a minute some is still filling."""


SHORT = Run(60, 20, 200, 1 << 20, growth=0.1)
LONG = Run(1_800, 60, 1000, 1 << 24, growth=0.05)
"""Long and busy enough for all that is kept in memory to be as much as it may be within the first third."""

AWAY_S = 3
MOST_RECORDS = DEVICES * (AWAY_S + 60)
"""No queue holds more than a minute of the plant beside what an absence leaves."""

HISTORY_MB = 32
"""What DuckDB may take: little, that it is full soon."""

SILENT_S = 3.0


@dataclass(frozen=True)
class Look:
    """What could be seen at one moment."""

    rss_mb: dict[str, float]
    queues: dict[str, float]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    "run", [SHORT, pytest.param(LONG, marks=pytest.mark.torture)], ids=["a minute", "half an hour"]
)
def test_s26_a_long_run_loses_nothing_and_grows_nowhere(run: Run, tmp_path: Path) -> None:
    with stage(tmp_path) as site:
        cloud = site.cloud(historian={"memory_mb": HISTORY_MB})
        plant = site.begin("plant", "benchmarks.plant", str(DEVICES), str(run.points))
        ports = plant.hear()["ports"]
        profile = profile_text(run.points)
        config, url = edge_config(site, ports, profile, report="every", max_bytes=run.journal_bytes)
        edge = run_edge(site, config)
        until(lambda: online(url), "the edge online with its births confirmed")
        looks = watched(site, cloud, edge, url, run)
        served = ended(plant, edge, cloud, url)
        stored = [cloud.stored(NO_POINT, what) for what in ("*", "DISTINCT (tag, time_ms)")]
    assert stored == [served, served], "readings, and those that are there once"
    settled = looks[len(looks) // 2 :]
    for name, most in (
        ("journal_bytes", run.journal_bytes),
        ("records_lost_total", 0),
        ("journal_holes_unconfirmed", 0),
    ):
        assert max(look.queues.get(name, 0) for look in looks) <= most, name
    for name in looks[0].queues.keys() - {"journal_bytes"}:
        assert max(look.queues[name] for look in settled) <= MOST_RECORDS, name
    thirds = [looks[len(looks) * third // 3 : len(looks) * (third + 1) // 3] for third in range(3)]
    for name in looks[0].rss_mb:
        _, before, after = (max(look.rss_mb[name] for look in third) for third in thirds)
        assert after <= before * (1 + run.growth), name


def watched(site: Stage, cloud: CloudPart, edge: Part, url: str, run: Run) -> list[Look]:
    """Look twice a second; the broker is killed now and then, and back after a while."""
    loads = {"edge": Load.of(edge.pid), "cloud": Load.of(cloud.part.pid)}
    looks: list[Look] = []
    began_s, away = time.monotonic(), False
    while (now_s := time.monotonic() - began_s) < run.seconds:
        if away is not (away := run.every_s / 2 <= now_s % run.every_s < run.every_s / 2 + AWAY_S):
            site.broker.kill() if away else site.broker.start()
        looks.append(Look({who: load.rss_mb() for who, load in loads.items()}, queues(cloud, url)))
        with open(site.folder / "looks.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps([now_s, looks[-1].rss_mb, looks[-1].queues]) + "\n")
        time.sleep(0.5)  # the plant's own pace: nothing here can be moved
    return looks


def queues(cloud: CloudPart, url: str) -> dict[str, float]:
    """Return everything that waits somewhere, by the edge's and the cloud's own word."""
    edge, health = metrics(url), cloud.health()
    wanted = ("journal_bytes", "journal_waiting", "journal_holes_unconfirmed", "backlog_records", "uplink_in_flight")
    found = {name: edge[f"davylamp_edge_{name}"] for name in wanted}
    found["records_lost_total"] = edge.get("davylamp_edge_records_lost_total", 0)
    return found | {
        "monitor": health["monitor"]["lag_records"],
        "historian": health["historian"]["lag_records"],
        "outbox": health["outbox"]["unmarked"],
    }


def ended(plant: Part, edge: Part, cloud: CloudPart, url: str) -> int:
    """Stop the plant, wait for what is under way, end the others; return how many readings were served."""
    plant.say("silence")
    served: Any = plant.hear()["served"]
    time.sleep(SILENT_S)
    until(lambda: online(url) and metrics(url)["davylamp_edge_backlog_age_seconds"] < SILENT_S, "the last confirmation")
    edge.end()
    until(cloud.settled, "the cloud's history")
    cloud.part.end()
    return int(served)
