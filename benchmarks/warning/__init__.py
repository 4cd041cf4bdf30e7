"""Early warning on data nobody here made: the engine's rules over real recordings, scored by a scorer of others.

Writes the predictions, and prints our figures beside published and naive ones, for all files, for those the
configurations were tuned on and for those held out. One readable configuration per set lies beside this file;
--defaults takes defaults.toml for all. docs/early-warning.md tells what came out.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from davylamp_alarms.watching.training import WatchError
from davylamp_wire.config import ConfigError

from benchmarks.report import Figure, Report
from benchmarks.warning import measures, scoring
from benchmarks.warning.listing import DataError, Entry, Listing, listing
from benchmarks.warning.parts import Part, check, folder
from benchmarks.warning.predictions import Prediction, plans, predict, write
from benchmarks.warning.reading import FORMATS

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
        chosen = _chosen(listing(data), only)
        with tempfile.TemporaryDirectory() as work:
            _run(report, data, chosen, tools, Path(work), out, defaults, not without_naive)
    except (ConfigError, DataError, WatchError) as error:
        report.notes.append(str(error))
        report.code = 2
    return report


def _chosen(found: Listing, only: str) -> Listing:
    """Return what is listed of the sets named, or of all that have a reader."""
    sets = {name for name in only.split(",") if name}
    there = {entry.set for entry in found.entries}
    if unknown := sets - there:
        has = ", ".join(sorted(there))
        raise DataError(f"--only {only}: the folder has no set {', '.join(sorted(unknown))}; it has {has}")
    entries = [entry for entry in found.entries if not sets or entry.set in sets]
    known = ", ".join(FORMATS)
    odd = {one.file: f"{one.set!r} is none of the sets {known}" for one in entries if one.set not in FORMATS}
    return Listing([entry for entry in entries if entry.set in FORMATS], found.left_out | odd)


def _run(
    report: Report,
    data: Path,
    chosen: Listing,
    tools: Path,
    work: Path,
    out: Path | None,
    defaults: bool,
    with_naive: bool,
) -> None:
    sets = list(dict.fromkeys(entry.set for entry in chosen.entries))
    path = out or work / "predictions.csv"
    write([], path)  # a wrong --out is told of now, not in some minutes
    began_s = time.process_time()
    outcome = predict(data, chosen.entries, plans(sets, defaults), _tell)
    cpu_s = time.process_time() - began_s
    write(outcome.predictions, path)
    _tell_left_out(report, chosen.left_out | outcome.left_out)
    if not outcome.predictions:
        raise DataError(f"{data}: no file of it could be judged")
    entries = [entry for entry in chosen.entries if entry.file not in outcome.left_out]
    _compare(report, data, entries, tools, path, work, with_naive)
    report.add(Figure("rows judged", float(sum(e.rows - e.train_rows for e in entries)), "rows"))
    report.add(Figure("CPU for reading, training and judging", cpu_s, "s"))
    _tell_blind(report, outcome.predictions)


def _compare(
    report: Report, data: Path, entries: list[Entry], tools: Path, path: Path, work: Path, with_naive: bool
) -> None:
    """Score, and tell the figures; what cannot be scored is told, and the rest goes on."""
    sets = list(dict.fromkeys(entry.set for entry in entries))

    try:
        check(data)
    except DataError as error:
        _miss(report, "", str(error))
        return
    scores = {}
    for part in Part:
        some = folder(data, entries, part, work / part.name.lower())
        scores[part] = scoring.score_each(tools, some, path, work, sets, partial(_miss, report, f"{part}: "))
    naive: scoring.Scores = {}
    if with_naive:
        _tell("naive detectors")
        method_of = {name: measures.NAIVE[name] for name in sets}
        naive = scoring.naive(
            tools, partial(_of_set, data, entries, work), work, method_of, partial(_miss, report, "naive detector: ")
        )
    _tell_figures(report, sets, scores, naive)


def _of_set(data: Path, entries: list[Entry], work: Path, name: str) -> Path:
    """Make a data folder of one set, or of all there is for no name."""
    return folder(data, [one for one in entries if name in ("", one.set)], Part.ALL, work / f"chosen {name}")


def _miss(report: Report, of: str, what: str) -> None:
    """Tell of what could not be done; the rest goes on."""
    report.code = 1
    report.notes.append(f"{of}{what}")


def _tell_left_out(report: Report, why_of: dict[str, str]) -> None:
    for file, why in why_of.items():
        _miss(report, f"{file} is left out: ", why)


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
        why = "no watch had a tag that moved in training rows, or any to learn from"
        report.notes.append(f"{name}: {why}, in {len(where)}: {', '.join(where[:2])}; their silence says nothing")


def _tell(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)
