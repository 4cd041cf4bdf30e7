"""Long runs in small: a steady plant, a broker that goes now and then; memory stays flat, every queue stays bounded."""

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from davylamp_simulators.fleet import profile_text

from benchmarks.edge import NO_POINT
from benchmarks.processes import CloudPart, Part, Stage, edge_config, metrics, online, run_edge, stage, until
from benchmarks.timing import Load

DEVICES, POINTS = 10, 200
JOURNAL_BYTES = 1 << 20
"""So little that confirmed records are let go all the time, within the shortest of runs."""

AWAY_S = 3
MOST_RECORDS = DEVICES * (AWAY_S + 60)
"""No queue holds more than a minute of the plant beside what an absence leaves."""

GROWTH = 0.1
"""Of a process, by the trend over the second half of a run: what leaks does so at 1,000 readings a second."""

COMPARED = 120
SILENT_S = 3.0


@dataclass(frozen=True)
class Look:
    """What could be seen at one moment."""

    at_s: float
    rss_mb: dict[str, float]
    queues: dict[str, float]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("seconds", "every_s"), [(27, 9), pytest.param(1_800, 60, marks=pytest.mark.torture)], ids=["short", "half an hour"]
)
def test_s26_a_long_run_loses_nothing_and_grows_nowhere(seconds: int, every_s: int, tmp_path: Path) -> None:
    with stage(tmp_path) as site:
        cloud = site.cloud()
        plant = site.begin("plant", "benchmarks.plant", str(DEVICES), str(POINTS))
        ports = plant.hear()["ports"]
        config, url = edge_config(site, ports, profile_text(POINTS), report="every", max_bytes=JOURNAL_BYTES)
        edge = run_edge(site, config)
        until(lambda: online(url), "the edge online with its births confirmed")
        looks = watched(site, cloud, edge, url, seconds, every_s)
        served = ended(plant, edge, cloud, url)
        stored = [cloud.stored(NO_POINT, what) for what in ("*", "DISTINCT (tag, time_ms)")]
    assert stored == [served, served], "readings, and those that are there once"
    settled = looks[len(looks) // 2 :]
    for name, most in (("journal_bytes", JOURNAL_BYTES), ("records_lost_total", 0), ("journal_holes_unconfirmed", 0)):
        assert max(look.queues.get(name, 0) for look in looks) <= most, name
    for name in looks[0].queues.keys() - {"journal_bytes"}:
        assert max(look.queues[name] for look in settled) <= MOST_RECORDS, name
    for name in looks[0].rss_mb:
        sizes = [(look.at_s, look.rss_mb[name]) for look in settled]
        assert trend(sizes) * (sizes[-1][0] - sizes[0][0]) <= GROWTH * sizes[0][1], f"{name}: {sizes}"


def watched(site: Stage, cloud: CloudPart, edge: Part, url: str, seconds: int, every_s: int) -> list[Look]:
    """Look twice a second; the broker is killed now and then, and back after a while."""
    loads = {"edge": Load.of(edge.pid), "cloud": Load.of(cloud.part.pid)}
    looks: list[Look] = []
    began_s, away = time.monotonic(), False
    while (now_s := time.monotonic() - began_s) < seconds:
        if away is not (away := every_s / 2 <= now_s % every_s < every_s / 2 + AWAY_S):
            site.broker.kill() if away else site.broker.start()
        looks.append(Look(now_s, {who: load.rss_mb() for who, load in loads.items()}, queues(cloud, url)))
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


def trend(sizes: Sequence[tuple[float, float]]) -> float:
    """Return the median slope between any two points (Theil-Sen), which single jumps do not move."""
    some = sizes[:: max(1, len(sizes) // COMPARED)]
    return statistics.median((b - a) / (at_b - at_a) for (at_a, a), (at_b, b) in itertools.combinations(some, 2))
