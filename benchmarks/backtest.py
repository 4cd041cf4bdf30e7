"""A backtest, beginning to end: how many times faster than the plant it is, with both sets of rules.

Over a wide CSV, or with `--over` over the log or the history of a cloud, which are made first; `--warnings` tries the
statistical rules of a full set, too, on every tag.

1,000 tags report each second. They wander slowly and noisily between their limits, four of which each has; one in
fifty goes over its high limit every ten minutes, and comes back. Reading the file, both engines, spans, floods and
figures are in the time; writing the file is not. Times are CPU time of the process.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import TypeVar

import numpy as np
from davylamp_alarms.backtest.run import run as run_engine
from davylamp_alarms.backtest.ticks import with_ticks
from davylamp_alarms.batch import Batch, Floats
from davylamp_cloud.backtest import csv_wide
from davylamp_cloud.backtest.answer import Answer, Source
from davylamp_cloud.backtest.asked import Asked
from davylamp_cloud.backtest.csv_file import Doubts, Span, look_at
from davylamp_cloud.backtest.csv_trial import AskedOfCsv, over_csv
from davylamp_cloud.backtest.over_cloud import over_cloud
from davylamp_cloud.backtest.plant import Column, register_of
from davylamp_cloud.backtest.rules import NO_RULES, Rules, rules_of
from davylamp_cloud.config import HistorianConfig
from davylamp_wire.point import DataType, Limit, LimitKind, Point

from benchmarks.backtest_past import build
from benchmarks.generator import GROUP, SOURCE
from benchmarks.report import Figure, Report, at_least
from benchmarks.timing import Machine

T = TypeVar("T")

TAGS, SECONDS, TARGET = 1_000, 1_800, 1_000.0
START_S = 1_760_000_000
BEGINNING_S = 60
UPSET_S, UPSET_OVER_S, ONE_IN = 600, 60, 50

USUAL = {"every_s": 10, "adapt_s": 86_400, "mean": 50.0, "deviation": 6.0}
WARNINGS = {
    "rate": {"settings": {"window_s": 60, "limit": 30}},
    "frozen": {"settings": {"still_s": 600}},
    "ewma": {"settings": {"tau_s": 10, "limit": 3, **USUAL}},
    "cusum": {"settings": {"period_s": 1, "limit": 40, **USUAL}},
    "trend": {"settings": {"samples": 60, "horizon_s": 900, "every_s": 10}, "towards": ["H", "L"]},
}
"""The full set of `python -m benchmarks rules`, slow rules on means of ten seconds."""

ACTION = {"zh": "现场核实", "en": "Check on site"}
LIMITS = {"LL": (5.0, 0.0), "L": (10.0, 0.0), "H": (85.0, 2.0), "HH": (95.0, 0.0)}
POINT = Point(
    zh="液位",
    en="level",
    unit="%",
    type=DataType.FLOAT64,
    range=(0.0, 200.0),
    limits={
        LimitKind(kind): Limit(value=value, deadband=deadband, source=SOURCE, action=ACTION)  # type: ignore[arg-type]  # as a profile says it
        for kind, (value, deadband) in LIMITS.items()
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--tags", type=int, default=TAGS)
    parser.add_argument("--over", choices=[*Source], default="csv", help="log and history are made first: 4 GB a day")
    parser.add_argument("--warnings", action="store_true", help="a full set of statistical rules on every tag, too")
    parser.add_argument(
        "--seconds", type=int, default=SECONDS, help="of the plant; 86400 is a day, and a file of 0.6 GB"
    )


def run(tags: int = TAGS, seconds: int = SECONDS, over: str = "csv", warnings: bool = False) -> Report:
    """Measure the whole; over a CSV its parts alone, too."""
    if over != "csv":
        return _over_cloud(tags, seconds, Source(over), warnings)
    report, machine = Report("backtest"), Machine()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plant.csv"
        _write(path, tags, seconds)
        begin_s, _ = _cpu_s(lambda: _whole(path, BEGINNING_S, warnings))
        spent_s, answer = _cpu_s(lambda: _whole(path, seconds, warnings))
        ratio = (seconds - BEGINNING_S) / (spent_s - begin_s)
        report.add(at_least(f"{tags:,} tags: real time", ratio, "times faster", TARGET))
        report.add(Figure(f"before that: rules, engines, the first {BEGINNING_S} s", begin_s, "s"))
        report.add(Figure("both together", seconds / spent_s, "times faster"))
        report.add(Figure("alarms before", len(answer.trial.before.spans), "times"))
        report.add(Figure("alarms after", len(answer.trial.after.spans), "times"))
        part = min(seconds, SECONDS)  # held in memory
        read_s, batches = _cpu_s(lambda: list(_batches(path, tags, part)))
        report.add(Figure("reading the file alone", part / read_s, "times faster"))
        register = register_of([Column(_name(tag), 1.0) for tag in range(tags)], _rules(85.0))
        engine_s, _ = _cpu_s(lambda: list(run_engine(register, with_ticks(["csv/csv"], iter(batches)))))
        report.add(Figure("one engine alone", part / engine_s, "times faster"))
    report.notes.append(f"{seconds:,} s of the plant; the machine was {machine.busy():.0f} % busy")
    return report


def _over_cloud(tags: int, seconds: int, over: Source, warnings: bool) -> Report:
    report, machine = Report(f"backtest over {over}"), Machine()
    with tempfile.TemporaryDirectory() as name:
        build(Path(name), POINT, _rows(tags, seconds), tags, START_S * 1000)
        said = {"limits": {"H": {"value": 80.0}}, **({"warnings": WARNINGS} if warnings else {})}
        rules = rules_of({f"{GROUP}/*": said}, "rules")
        begin_s, _ = _cpu_s(lambda: _first(Path(name), rules, BEGINNING_S, over))
        spent_s, answer = _cpu_s(lambda: _first(Path(name), rules, seconds, over))
    ratio = (seconds - BEGINNING_S) / (spent_s - begin_s)
    report.add(at_least(f"{tags:,} tags: real time", ratio, "times faster", TARGET))
    report.add(Figure(f"before that: rules, engines, the first {BEGINNING_S} s", begin_s, "s"))
    report.add(Figure("both together", seconds / spent_s, "times faster"))
    report.add(Figure("alarms before", len(answer.trial.before.spans), "times"))
    report.add(Figure("alarms after", len(answer.trial.after.spans), "times"))
    report.notes.append(f"{seconds:,} s of the plant; the machine was {machine.busy():.0f} % busy")
    return report


def _first(folder: Path, rules: Rules, seconds: int, over: Source) -> Answer:
    """Do a whole backtest of the first so many seconds of a cloud."""
    asked = Asked(rules, NO_RULES, START_S * 1000, (START_S + seconds) * 1000)
    return over_cloud(folder, HistorianConfig(), asked, lambda done: None, over)


def _whole(path: Path, seconds: int, warnings: bool) -> Answer:
    """Do a whole backtest of the first so many seconds."""
    span = Span(None, (START_S + seconds) * 1000)
    return over_csv(AskedOfCsv(path, UTC, span, _rules(80.0, warnings), _rules(85.0)), lambda done: None)


def _cpu_s(step: Callable[[], T]) -> tuple[float, T]:
    start_s = time.process_time()
    found = step()
    return time.process_time() - start_s, found


def _batches(path: Path, tags: int, seconds: int) -> Iterator[Batch]:
    names, span = [_name(tag) for tag in range(tags)], Span(None, (START_S + seconds) * 1000)
    return csv_wide.moments(look_at(path, UTC), names, span, lambda done: None, Doubts())


def _rules(high: float, warnings: bool = False) -> Rules:
    limits = {"LL": {"value": 5}, "L": {"value": 10}, "H": {"value": high, "deadband": 2}, "HH": {"value": 95}}
    return rules_of({"TT-*": {"limits": limits, **({"warnings": WARNINGS} if warnings else {})}}, "rules")


def _name(tag: int) -> str:
    return f"TT-{tag:04}"


def _write(path: Path, tags: int, seconds: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(["time", *map(_name, range(tags))]) + "\n")
        for second, values in enumerate(_rows(tags, seconds)):
            file.write(",".join([str(START_S + second), *(f"{value:.2f}" for value in values.tolist())]) + "\n")


def _rows(tags: int, seconds: int) -> Iterator[Floats]:
    random = np.random.default_rng(5)
    level = np.full(tags, 50.0)
    upset = np.arange(tags) % ONE_IN == 0
    for second in range(seconds):
        level += 0.001 * (50.0 - level) + random.normal(0, 0.2, tags)
        over = upset & ((second + np.arange(tags)) % UPSET_S < UPSET_OVER_S)
        yield level + random.normal(0, 0.5, tags) + np.where(over, 40.0, 0.0)
