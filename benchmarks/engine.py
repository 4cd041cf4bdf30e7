"""The alarm engine: one step gives every tag one changed sample; a quiet plant with 1 % of its tags over a limit.

``--peer prometheus`` lets Prometheus evaluate the same four limits over as many series, in the same run.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import FALLING, AlarmDef, Kind, Priority, Register, TagDef, alarm_id
from davylamp_alarms.engine import Engine
from davylamp_cloud.store.snapshots import packed

from benchmarks import prometheus
from benchmarks.processes import Stage, stage, until
from benchmarks.report import Figure, Report, at_least, at_most
from benchmarks.timing import median_s

SIZES = (10_000, 100_000, 1_000_000)
LIMITS = {Kind.LL: 10.0, Kind.L: 15.0, Kind.H: 85.0, Kind.HH: 90.0}
START_MS = 1_700_000_000_000

PEER_SIZE, PEER_PERIOD_S, PEER_FOR_S = 100_000, 5, 3
"""Prometheus needs seconds for so many series: asked more often it would skip evaluations."""
PEER_PATIENCE_S = 120.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--peer", choices=("prometheus",), help="measure it beside the engine, in the same run")


def run(peer: str | None = None) -> Report:
    """Measure the existing rule set: four limits with deadband and delays, stale, fault, lifecycle included."""
    report = Report("engine")
    if peer is None:
        for size in SIZES:
            _measure(report, size)
    elif gone := prometheus.missing():
        report.notes.append(f"{peer} is not installed: {gone}")
    else:
        with tempfile.TemporaryDirectory() as name, stage(Path(name)) as site:
            _beside_prometheus(report, site)
    return report


def register(size: int, first: int = 0) -> Register:
    """Return tags with four limits each, in hazard sources of a thousand tags."""
    tags = tuple(TagDef(f"g/n/d/{at}", "g/n", f"hs{at // 1000}") for at in range(first, first + size))
    alarms = tuple(
        AlarmDef(
            alarm_id(tag.id, kind), at, kind, Priority.YELLOW, tag.hazard_source, limit,
            deadband=1.0, on_delay_ms=5_000, off_delay_ms=30_000,
        )
        for at, tag in enumerate(tags, first)
        for kind, limit in LIMITS.items()
    )  # fmt: skip
    return Register(tags, alarms)


class Plant:
    """Readings of a quiet plant, one step after another."""

    def __init__(self, size: int) -> None:
        random = np.random.default_rng(3)
        self.size = size
        self.step = 0
        self._noise = random.normal(0, 1, size)
        self._level = np.where(np.arange(size) % 100 == 0, 95.0, 50.0)
        self._tags = np.arange(size, dtype=np.int32)
        self._good = np.zeros(size, np.uint16)
        self._live = np.zeros(size, np.bool_)

    def next(self) -> Batch:
        """Return the next second; every value differs from the one before."""
        self.step += 1
        at_ms = START_MS + self.step * 1000
        seq = np.repeat(np.arange((self.size + 99) // 100, dtype=np.int64), 100)[: self.size] + self.step * 1_000_000
        times = np.full(self.size, at_ms, np.int64)
        values = self._level + np.roll(self._noise, self.step)
        return Batch(seq, self._tags, times, values, self._good, self._live, times + 20)


def _measure(report: Report, size: int) -> None:
    engine, plant = Engine(register(size)), Plant(size)
    for _ in range(40):  # past on-delays, so that the 1 % stand
        engine.apply(plant.next())
    batches = iter([plant.next() for _ in range(9)])
    step_s = median_s(lambda: engine.apply(next(batches)), runs=7)
    small = iter([plant.next().part(0, size // 100) for _ in range(9)])
    small_s = median_s(lambda: engine.apply(next(small)), runs=7)
    limit = {100_000: 20.0, 1_000_000: 35.0}.get(size)
    nanoseconds = step_s / size * 1e9
    name = f"{size:,} tags: a step"
    report.add(at_most(name, nanoseconds, "ns a tag", limit) if limit else Figure(name, nanoseconds, "ns a tag"))
    report.add(Figure(f"{size:,} tags: a batch of 1 % of them", small_s / step_s * 100, "% of a step"))
    report.add(at_most(f"{size:,} tags: numeric state", engine.nbytes / size, "bytes a tag", 250))
    report.add(Figure(f"{size:,} doubles: copied in the same run", _copy_gb_s(size), "GB/s"))
    assert len(engine.standing()) == size // 100 * 2, "1 % of the tags stand over H and HH"


def _copy_gb_s(size: int) -> float:
    """Return this machine's copy bandwidth (read + write), as STREAM counts it."""
    source = np.ones(size)
    target = np.empty(size)
    return 2 * 8 * size / median_s(lambda: np.copyto(target, source), runs=21) / 1e9


def _beside_prometheus(report: Report, site: Stage) -> None:
    """Let both evaluate the same limits; the engine runs in a process of its own, so that its memory can be told."""
    saved = site.folder / "engine.npz"
    saved.write_bytes(packed(Engine(register(PEER_SIZE)).snapshot()))
    engine = site.begin("engine", "benchmarks.engine_alone", str(saved), str(PEER_SIZE))
    ours = engine.hear()
    engine.end()
    source = prometheus.exporter(site, PEER_SIZE)
    rules = prometheus.rules_text({str(kind): _expression(kind) for kind in LIMITS}, PEER_FOR_S)
    peer = prometheus.Prometheus(site, source, rules, PEER_PERIOD_S, limits=True)
    prometheus.scraped(peer, {"pv": PEER_SIZE, "pv_hh": PEER_SIZE}, PEER_PATIENCE_S)
    firing = until(lambda: peer.count('ALERTS{alertstate="firing"}'), "Prometheus' alerts", PEER_PATIENCE_S)
    assert firing == ours["standing"], f"the engine has {ours['standing']} alarms standing, Prometheus {firing}"
    _compare(report, ours, firing, peer.rule_s(), peer.rss_mb())


def _expression(kind: Kind) -> str:
    """Return a limit as Prometheus asks it of each tag: the limit is a series of its own, as each tag has its own."""
    return f"pv {'<=' if kind in FALLING else '>='} on(id) pv_{kind.lower()}"


def _compare(report: Report, ours: dict[str, float], firing: int, rule_s: float, rss_mb: float) -> None:
    name = f"{PEER_SIZE:,} tags, four limits"
    report.add(Figure(f"{name}: alarms standing in both", firing, "alarms"))
    report.add(Figure(f"{name}: engine, a step", ours["step_s"] * 1e3, "ms"))
    report.add(Figure(f"{name}: Prometheus, its rule group", rule_s * 1e3, "ms"))
    report.add(at_least("Prometheus' time by the engine's", rule_s / ours["step_s"], "times", 500))
    report.add(Figure(f"{name}: engine's numeric state", ours["state_mb"], "MB"))
    report.add(Figure(f"{name}: engine's process, grown by", ours["grown_mb"], "MB"))
    report.add(Figure(f"{name}: engine's process, whole", ours["rss_mb"], "MB"))
    report.add(Figure(f"{name}: Prometheus, whole", rss_mb, "MB"))
    report.add(at_least("Prometheus' memory by the engine's numeric state", rss_mb / ours["state_mb"], "times", 50))
    report.add(Figure("Prometheus' memory by what the engine's process grew", rss_mb / ours["grown_mb"], "times"))
    report.add(Figure("Prometheus' memory by the engine's whole process", rss_mb / ours["rss_mb"], "times"))
    report.notes += [
        f"Prometheus evaluates each {PEER_PERIOD_S} s with for: {PEER_FOR_S} s; a tag's four limits are series of"
        " their own, scraped each minute; it reads a database and writes ALERTS series besides",
        "the engine was restored from a snapshot, as the cloud does; a step is one changed sample of every tag",
    ]
