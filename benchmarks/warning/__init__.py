"""Early warning on data nobody here made: the engine's rules over real recordings, scored by a scorer of others.

Writes the predictions, and prints our figures beside published and naive ones, for all files, for those the
configurations were tuned on and for those held out. One readable configuration per set lies beside this file;
--defaults takes defaults.toml for all. docs/early-warning.md tells what came out.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from davylamp_alarms.watching.training import WatchError
from davylamp_wire.config import ConfigError

from benchmarks.report import Figure, Report
from benchmarks.warning import measures, scoring
from benchmarks.warning.parts import Part, folder
from benchmarks.warning.predictions import Prediction, plans, predict, write
from benchmarks.warning.reading import DataError, Entry, entries

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder with files.csv; any files of the same sets")
    parser.add_argument("--out", type=Path, help="where the predictions go (file,start,end); default: nowhere")
    parser.add_argument("--tools", type=Path, help="folder of score.py and baselines.py; default: DATA/../tools")
    parser.add_argument("--only", default="", help="sets, with commas: skab,tep")
    parser.add_argument("--defaults", action="store_true", help="one configuration for all sets: defaults.toml")
    parser.add_argument("--without-naive", action="store_true", help="do not run the naive detectors beside")


def run(
    data: Path = DATA,
    out: Path | None = None,
    tools: Path | None = None,
    only: str = "",
    defaults: bool = False,
    without_naive: bool = False,
) -> Report:
    """Predict, write, score and compare."""
    report = Report("warning, defaults" if defaults else "warning")
    tools = tools or data.parent / "tools"
    try:
        scoring.check(tools)
        chosen = _chosen(entries(data), only)
        with tempfile.TemporaryDirectory() as work:
            _run(report, data, chosen, tools, Path(work), out, defaults, not without_naive)
    except (ConfigError, DataError, WatchError) as error:
        report.notes.append(str(error))
    return report


def _chosen(found: list[Entry], only: str) -> list[Entry]:
    sets = {name for name in only.split(",") if name}
    there = {entry.set for entry in found}
    if unknown := sets - there:
        has = ", ".join(sorted(there))
        raise DataError(f"--only {only}: the folder has no set {', '.join(sorted(unknown))}; it has {has}")
    return [entry for entry in found if not sets or entry.set in sets]


def _run(
    report: Report,
    data: Path,
    chosen: list[Entry],
    tools: Path,
    work: Path,
    out: Path | None,
    defaults: bool,
    with_naive: bool,
) -> None:
    sets = list(dict.fromkeys(entry.set for entry in chosen))
    path = out or work / "predictions.csv"
    write([], path)  # a wrong --out is told of now, not in some minutes
    began_s = time.process_time()
    predictions = predict(data, chosen, plans(sets, defaults), _tell)
    cpu_s = time.process_time() - began_s
    write(predictions, path)
    scores = {part: _score(tools, data, chosen, part, path, work, sets) for part in Part}
    naive = _naive(tools, folder(data, chosen, Part.ALL, work / "chosen"), work, sets) if with_naive else {}
    _tell_figures(report, sets, scores, naive)
    report.add(Figure("rows judged", float(sum(e.rows - e.train_rows for e in chosen)), "rows"))
    report.add(Figure("CPU for reading, training and judging", cpu_s, "s"))
    _tell_blind(report, predictions)


def _score(
    tools: Path, data: Path, chosen: list[Entry], part: Part, path: Path, work: Path, sets: list[str]
) -> scoring.Scores:
    some = folder(data, chosen, part, work / part.name.lower())
    return scoring.score(tools, some, path, work, ",".join(sets))


def _naive(tools: Path, data: Path, work: Path, sets: list[str]) -> scoring.Scores:
    _tell("naive detectors")
    return scoring.naive(tools, data, work, {name: measures.NAIVE[name] for name in sets if name in measures.NAIVE})


def _tell_figures(report: Report, sets: list[str], scores: dict[Part, scoring.Scores], naive: scoring.Scores) -> None:
    for measure in measures.MEASURES:
        if measure.set not in sets:
            continue
        for part in Part:
            value = measure.of(scores[part])
            if value is not None:
                report.add(measure.figure(value, "" if part is Part.ALL else f", {part}"))
        if measure.of(scores[Part.ALL]) is None:
            report.notes.append(f"{measure.set}: {measure.name}: these files give nothing to measure it on")
        others = "; ".join(measures.beside(measure, naive))
        if others:
            report.notes.append(f"{measure.set}: {measure.name}: {others}")


def _tell_blind(report: Report, predictions: list[Prediction]) -> None:
    """Say at how many places no watch had anything to look at, and name some."""
    blind: dict[str, list[str]] = {}
    for one in predictions:
        if one.blind:
            blind.setdefault(one.place.partition("/")[0], []).append(one.place)
    for name, where in blind.items():
        report.notes.append(f"{name}: no watch had a tag to look at in {len(where)}: {', '.join(where[:2])}")


def _tell(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)
