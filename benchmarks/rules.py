"""Statistical rules: what each costs a tag and step, alone and together, and how much memory.

One step gives every tag one sample. The plant is noise around a level; one tag in a hundred drifts towards its limit.
Times are CPU time of the thread, the mean over whole rounds of what a rule does now and then.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from davylamp_alarms.batch import Floats, Ints
from davylamp_alarms.definition import AlarmDef, Changes, Kind, Priority, Register, alarm_id, said_rule
from davylamp_alarms.engine import Engine
from davylamp_alarms.warning import Bank, Samples, Suite, bank

from benchmarks import engine
from benchmarks.report import Figure, Report, at_most
from benchmarks.timing import Load, Machine, median_s

SIZES = (100_000, 1_000_000)
LIMITS_NS = {100_000: 25.0, 1_000_000: 40.0}
START_MS, LEVEL = 1_700_000_000_000, 50.0

BORN = 50_000
"""Tags that come into the live engine at once."""

WARM, STEPS = 66, 48
"""Steps until windows of 60 are full, and those measured: a whole number of looks, parts and groups."""

SINGLE: dict[str, dict[str, Any]] = {
    "rate": {"window_s": 60, "limit": 30},
    "frozen": {"still_s": 600},
    "quiet": {"window_s": 60, "least": 0.01},
    "ewma": {"tau_s": 10, "limit": 3, "adapt_s": 86_400},
    "cusum": {"period_s": 1, "limit": 40, "adapt_s": 86_400},
    "trend": {"high": 80, "low": 20, "samples": 60, "horizon_s": 900},
    "normal": {"percent": 30},
}
"""Rules over one tag, as they would stand on an analogue tag."""

SEVERAL: dict[str, tuple[int, dict[str, Any]]] = {
    "deviation": (2, {"inputs": 2, "limit": 10}),
    "command": (2, {"allow_s": 30}),
    "rollup": (8, {"inputs": 8}),
    "expression": (3, {"text": "a - b > 20 and c > 10 or a > 90", "inputs": ("a", "b", "c")}),
}
"""Rules over several tags, and how many."""

FULL = ("rate", "frozen", "ewma", "cusum", "trend")
"""The full set of a tag; the limits are the engine's (`python -m benchmarks engine`)."""

SLOW = ("ewma", "cusum", "trend")
"""Those that look at minutes, and get the mean of ten seconds where tags come each second."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--tags", type=int, nargs="+", default=list(SIZES), help="how many tags; several are measured")


def run(tags: list[int] | None = None) -> Report:
    """Measure every rule at the first size, and the full set at each."""
    report, machine = Report("rules"), Machine()
    sizes = tags or list(SIZES)
    _each(report, sizes[0])
    for size in sizes:
        _full_set(report, size)
        _live(report, size)
        report.add(Figure(f"{size:,} doubles: copied in the same run", _copy_gb_s(size), "GB/s"))
    report.notes.append(f"the machine was {machine.busy():.0f} % busy; what else runs makes times worse")
    return report


@dataclass(slots=True)
class Plant:
    """Scans of a plant, one second after another; every value differs from the one before."""

    size: int
    inputs: tuple[int, ...] = ()

    def scans(self) -> Iterator[Samples]:
        random = np.random.default_rng(3)
        noise = random.normal(0, 1, (*self.inputs, self.size))
        drift = np.where(np.arange(self.size) % 100 == 0, 0.05, 0.0)
        level = np.zeros((*self.inputs, self.size), np.uint8)
        step = 0
        while True:
            step += 1
            time_ms: Ints = np.full(self.size, START_MS + step * 1000, np.int64)
            value: Floats = LEVEL + drift * step + np.roll(noise, step * 7, axis=-1)
            yield Samples(time_ms, value, level)


def _made(rule: str, options: dict[str, Any], size: int) -> Bank:
    rows = bank(rule, options, size)
    if rule in ("ewma", "cusum"):
        rows.state.train(slice(0, size), np.full(size, LEVEL), np.ones(size))
    if rule == "normal":
        rows.state.train(slice(0, size), np.full(size, LEVEL))
    return rows


def _each(report: Report, size: int) -> None:
    for rule, options in SINGLE.items():
        rows = _made(rule, options, size)
        _add(report, f"{size:,} tags: {rule}", _step_ns(rows.step, Plant(size)), rows.nbytes / size)
    for rule, (inputs, options) in SEVERAL.items():
        few = size // inputs
        rows = _made(rule, options, few)
        _add(report, f"{few:,} rows of {inputs}: {rule}", _step_ns(rows.step, Plant(few, (inputs,))), rows.nbytes / few)


def _add(report: Report, name: str, nanoseconds: float, memory: float) -> None:
    report.add(Figure(name, nanoseconds, "ns a row"))
    report.add(Figure(f"{name}, memory", memory, "bytes a row"))


def _full_set(report: Report, size: int) -> None:
    """Measure the full set with every sample a step, and with the slow rules on means of ten seconds."""
    for name, every_s in (("", 0.0), (", slow rules on means of 10 s", 10.0)):
        suite = Suite([_made(rule, _thinned(rule, every_s), size) for rule in FULL])
        said = f"{size:,} tags: rules alone, full set{name}"
        _limited(report, said, size, _step_ns(suite.step, Plant(size)), suite.nbytes / size)


def _limited(report: Report, name: str, size: int, nanoseconds: float, memory: float) -> None:
    limit = LIMITS_NS.get(size)
    report.add(at_most(name, nanoseconds, "ns a tag", limit) if limit else Figure(name, nanoseconds, "ns a tag"))
    report.add(at_most(f"{name}, memory", memory, "bytes a tag", 1200))


def _live(report: Report, size: int) -> None:
    """Measure the live engine's tick with the full set beside four limits, slow rules on means of ten seconds."""
    load, before_mb = Load.of(), Load.of().rss_mb()
    live, plant, spent_ns = _born(size), engine.Plant(size), 0
    for step in range(WARM + STEPS):
        live.apply(plant.next())
        now_ms, start_ns = START_MS + plant.step * 1000, time.thread_time_ns()
        live.tick(plant.step * 1_000_000 + 999_999, now_ms + 50, plant.step * 1000, "boot", {})
        spent_ns += time.thread_time_ns() - start_ns if step >= WARM else 0
    name = f"{size:,} tags: live engine, a tick of the full set"
    _limited(report, name, size, spent_ns / STEPS / size, live.nbytes / size)
    report.add(Figure(f"{name}, the process grown by", (load.rss_mb() - before_mb) * 1e6 / size, "bytes a tag"))


def _born(size: int) -> Engine:
    """Return the engine after births of some tags each, as they come in."""
    live, said = Engine(Register()), _said()
    for start in range(0, size, BORN):
        known = engine.register(min(BORN, size - start), start)
        warnings = (
            AlarmDef(alarm_id(tag.id, kind), start + at, kind, Priority.BLUE, tag.hazard_source, rule=rule)
            for at, tag in enumerate(known.tags)
            for kind, rule in said
        )
        born = live.redefine(start, Changes(START_MS, known.tags, (*known.alarms, *warnings)))
        assert isinstance(born, list), born
    return live


def _said() -> list[tuple[Kind, str]]:
    """Return the full set as definitions say it; each tag's level is what is usual for it."""
    usual = {"ewma": {"mean": LEVEL, "deviation": 1.0}, "cusum": {"mean": LEVEL, "deviation": 1.0}}
    return [(Kind(rule.upper()), said_rule(_thinned(rule, 10.0) | usual.get(rule, {}))) for rule in FULL]


def _thinned(rule: str, every_s: float) -> dict[str, Any]:
    return {**SINGLE[rule], "every_s": every_s} if rule in SLOW else SINGLE[rule]


def _step_ns(step: Callable[[Samples], object], plant: Plant) -> float:
    """Return the CPU time of a step per row, in nanoseconds; making the samples is not counted."""
    scans, spent_ns = plant.scans(), 0
    for _ in range(WARM):
        step(next(scans))
    for _ in range(STEPS):
        samples = next(scans)
        start_ns = time.thread_time_ns()
        step(samples)
        spent_ns += time.thread_time_ns() - start_ns
    return spent_ns / STEPS / plant.size


def _copy_gb_s(size: int) -> float:
    """Return this machine's copy bandwidth (read + write), as STREAM counts it."""
    source, target = np.ones(size), np.empty(size)
    return 2 * 8 * size / median_s(lambda: np.copyto(target, source), runs=21) / 1e9
