"""From a data folder to predictions: which warnings the configured rules would have given, when, in which file."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from davylamp_alarms.batch import Bools
from davylamp_alarms.watching.recorded import Recorded, follow
from davylamp_alarms.watching.watch import Plan, default_plan
from davylamp_wire.config import load

from benchmarks.warning.listing import DataError, Entry
from benchmarks.warning.reading import REFERENCES, places, read, room

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Prediction:
    """When warnings stood at one place, in seconds as the file counts them; `blind`: no rule could look at it."""

    place: str
    spans: list[tuple[float, float]]
    blind: bool


def plans(sets: Iterable[str], defaults: bool) -> dict[str, Plan]:
    """Return the configuration of each set: its own, or the defaults for all.

    Raises:
        ConfigError: A configuration is missing or wrong; the message names file and key.
    """
    return {name: default_plan() if defaults else load(Plan, HERE / f"{name}.toml") for name in sets}


@dataclass(slots=True)
class Outcome:
    """What was predicted, and why some files were left out, by file."""

    predictions: list[Prediction] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def predict(data: Path, entries: list[Entry], plan_of: Mapping[str, Plan], tell: Callable[[str], None]) -> Outcome:
    """Return the predictions of all files that are not for training alone.

    Each is trained on its own first rows; a file without any on those of its set that are for training alone. A file
    that cannot be read or judged is left out, and the others go on.
    """
    outcome, at = Outcome(), ""
    wanted = [entry for entry in entries if entry.set in plan_of and not entry.file.endswith(REFERENCES)]
    lessons = _lessons(data, wanted, outcome)
    for entry in wanted:
        if _to_learn_from(entry):
            continue
        if entry.set != at:
            at = entry.set
            tell(at)
        try:
            outcome.predictions += _of_file(data, entry, lessons.get(entry.set), plan_of[entry.set])
        except FAULTS as error:
            outcome.left_out[entry.file] = str(error) or type(error).__name__
    return outcome


FAULTS = (DataError, ValueError, ArithmeticError, LookupError)
"""What a file can bring about that is not as its set's files are."""


def _to_learn_from(entry: Entry) -> bool:
    return entry.train_rows >= entry.rows


def _lessons(data: Path, entries: Iterable[Entry], outcome: Outcome) -> dict[str, Recorded]:
    """Return the first recording of each set that is for training alone; a file without training rows takes it."""
    found: dict[str, Recorded] = {}
    for entry in entries:
        if _to_learn_from(entry):
            try:
                recorded = read(data, entry)
            except DataError as error:
                outcome.left_out[entry.file] = str(error)
            else:
                found.setdefault(entry.set, recorded)
    return found


def _of_file(data: Path, entry: Entry, lesson: Recorded | None, plan: Plan) -> list[Prediction]:
    recorded = read(data, entry)
    rows = len(recorded.time_ms)
    if rows <= entry.train_rows:
        raise DataError(f"{entry.file} holds {rows} rows, and files.csv gives the first {entry.train_rows} to training")
    own = None if entry.train_rows else lesson
    return [_at(place, plan, room(recorded, place), entry.train_rows, own) for place in places(entry)]


def _at(place: str, plan: Plan, recorded: Recorded, train_rows: int, lesson: Recorded | None) -> Prediction:
    history = recorded.part(0, train_rows) if lesson is None else _as_in(lesson, recorded).before(recorded)
    rest = recorded.part(train_rows)
    said = [one for one in follow(plan.watches, rest, history) if one.watch.use == "warning"]
    spans = [span for one in said for span in _spans(rest, one.standing)]
    return Prediction(place, sorted(spans), blind=all(one.blind for one in said))


def _as_in(lesson: Recorded, recorded: Recorded) -> Recorded:
    """Return a lesson with the tags of a recording, in its order; NaN where the lesson has no such tag."""
    if lesson.tags == recorded.tags:
        return lesson
    value = np.full((len(lesson.time_ms), len(recorded.tags)), np.nan)
    for place, tag in enumerate(recorded.tags):
        if tag in lesson.tags:
            value[:, place] = lesson.value[:, lesson.tags.index(tag)]
    return Recorded(recorded.tags, lesson.time_ms, value, lesson.period_s)


def _spans(recorded: Recorded, standing: Bools) -> list[tuple[float, float]]:
    """Return from when to when it stands, first and last row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], standing.astype(np.int8), [0]])))
    time_s = recorded.time_ms / 1000
    return [(float(time_s[a]), float(time_s[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def write(predictions: Iterable[Prediction], path: Path) -> None:
    """Write predictions as the scorer reads them: ``file,start,end``.

    Raises:
        DataError: There is no such folder, or it may not be written to.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("file", "start", "end"))
            table.writerows((one.place, start, end) for one in predictions for start, end in one.spans)
    except OSError as error:
        raise DataError(f"--out {path} cannot be written: {error.strerror}") from None
