"""From a data folder to predictions: which warnings the configured rules would have given, when, in which file."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from davylamp_alarms.batch import Bools
from davylamp_alarms.watching.recorded import Recorded, follow
from davylamp_alarms.watching.watch import Plan, default_plan
from davylamp_wire.config import load

from benchmarks.warning.reading import REFERENCES, DataError, Entry, places, read, room

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


def predict(
    data: Path, entries: list[Entry], plan_of: Mapping[str, Plan], tell: Callable[[str], None]
) -> list[Prediction]:
    """Return the predictions of all files that are not for training alone.

    Each is trained on its own first rows; a file without any on those of its set that are for training alone.
    """
    found, at = [], ""
    for entry in entries:
        if entry.set not in plan_of or entry.train_rows >= entry.rows or entry.file.endswith(REFERENCES):
            continue
        if entry.set != at:
            at = entry.set
            tell(at)
        recorded = read(data, entry)
        lesson = _lesson(data, entries, entry)
        for place in places(entry):
            found.append(_at(place, plan_of[entry.set], room(recorded, place), entry.train_rows, lesson))
    return found


def _lesson(data: Path, entries: list[Entry], entry: Entry) -> Recorded | None:
    """Return the recording a file without training rows is trained on; None: it has some, or there is none."""
    if entry.train_rows:
        return None
    for other in entries:
        if other.set == entry.set and other.train_rows and other.train_rows >= other.rows:
            return read(data, other)
    return None


def _at(place: str, plan: Plan, recorded: Recorded, train_rows: int, lesson: Recorded | None) -> Prediction:
    history = recorded.part(0, train_rows) if lesson is None else lesson.before(recorded)
    if history.tags != recorded.tags:
        raise DataError(f"{place} has other columns than the file it is trained on")
    rest = recorded.part(train_rows)
    said = [one for one in follow(plan.watches, rest, history) if one.watch.use == "warning"]
    spans = [span for one in said for span in _spans(rest, one.standing)]
    return Prediction(place, sorted(spans), blind=all(one.blind for one in said))


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
