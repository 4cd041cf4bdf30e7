"""The files of ../shared/data as recorded rows: what a plant's instruments said, and nothing a label says.

files.csv decides what there is; formats are those of ../shared/data/README.md.
"""

import csv
import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from davylamp_alarms.batch import Floats
from davylamp_alarms.watching.recorded import Recorded

LABELS = frozenset({"anomaly", "changepoint", "class", "MM116_pred"})
"""Columns that a scorer knows and an engine may not."""

REFERENCES = ("_HR.csv", "_HRR.csv")
"""Tunnel files that hold the fire's measured power: what detectors are judged by, not what they see."""

ROOMS = "ABCDE"


class DataError(Exception):
    """A data folder that is not as files.csv says; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of files.csv."""

    file: str
    set: str
    period_s: float
    train_rows: int
    rows: int


def entries(data: Path) -> list[Entry]:
    """Return what files.csv lists.

    Raises:
        DataError: There is no such file, or it lacks a column.
    """
    try:
        with (data / "files.csv").open(encoding="utf-8", newline="") as file:
            return [_entry(line) for line in csv.DictReader(file)]
    except FileNotFoundError:
        raise DataError(f"{data / 'files.csv'} is not there: name the data folder with --data") from None
    except (KeyError, ValueError) as error:
        raise DataError(f"{data / 'files.csv'}: {error}: its columns are described in the folder's README.md") from None


def _entry(line: dict[str, str]) -> Entry:
    return Entry(
        line["file"], line["dataset"], float(line["sampling_s"]), int(line["train_rows"] or 0), int(line["rows"])
    )


def places(entry: Entry) -> list[str]:
    """Return the names predictions of a file are given under: rooms of a house are scored one by one."""
    return [f"{entry.file}#{room}" for room in ROOMS] if entry.set == "nist_smoke" else [entry.file]


def read(data: Path, entry: Entry) -> Recorded:
    """Return all rows of a file.

    Raises:
        DataError: The file is missing, or not in its set's format.
    """
    path = data / f"{entry.file}.gz"
    try:
        text = gzip.decompress(path.read_bytes()).decode("latin-1")
        tags, time_s, value = FORMATS[entry.set](text)
    except FileNotFoundError:
        raise DataError(f"{path} is not there, but files.csv lists it") from None
    except KeyError:
        raise DataError(f"{entry.file}: set {entry.set!r} has no reader; there are {', '.join(FORMATS)}") from None
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} cannot be read as {entry.set}: {error}") from None
    seen = [place for place, tag in enumerate(tags) if tag not in LABELS]
    if np.isnan(time_s[0]):
        time_s = np.arange(len(value), dtype=np.float64) * entry.period_s
    names = tuple(tags[place] for place in seen)
    return Recorded(names, np.round(time_s * 1000).astype(np.int64), value[:, seen], entry.period_s)


def room(recorded: Recorded, place: str) -> Recorded:
    """Return what hangs in the room a place names; all there is where it names none."""
    _, _, letter = place.partition("#")
    if not letter:
        return recorded
    kept = [i for i, tag in enumerate(recorded.tags) if re.match(rf"(TC|SM|GAS){letter}_", tag)]
    tags = tuple(re.sub(rf"^(TC|SM|GAS){letter}_", r"\1_", recorded.tags[i]) for i in kept)
    return Recorded(tags, recorded.time_ms, recorded.value[:, kept], recorded.period_s)


Table = tuple[list[str], Floats, Floats]
"""Names, seconds from the first row (NaN: the set's period counts), values."""


def _numbers(text: str, delimiter: str | None) -> Floats:
    """Return a table of numbers; an empty cell is NaN."""
    if delimiter is not None:
        gap = re.escape(delimiter)
        text = re.sub(rf"(?m)(^|(?<={gap}))(?={gap}|$)", "nan", text)
    return np.loadtxt(text.splitlines(), delimiter=delimiter, ndmin=2)


def _dated(text: str, delimiter: str) -> Table:
    """Read a table whose first column is a date."""
    head, *lines = text.splitlines()
    dates, rest = zip(*(line.split(delimiter, 1) for line in lines), strict=True)
    stamps = np.array([date.strip().replace(" ", "T") for date in dates], "datetime64[ms]").astype(np.int64)
    return head.split(delimiter)[1:], (stamps - stamps[0]) / 1000, _numbers("\n".join(rest), delimiter)


def _plant(text: str) -> Table:
    """Read the Tennessee Eastman process: 52 columns without names; the training run lies on its side."""
    value = _numbers(text, None)
    value = value.T if len(value) == 52 else value
    tags = [f"XMEAS{i}" for i in range(1, 42)] + [f"XMV{i}" for i in range(1, 12)]
    return tags, np.full(len(value), np.nan), value


def _arff(text: str) -> Table:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().upper() == "@DATA")
    tags = [line.split("'")[1] for line in lines[:start] if line.upper().startswith("@ATTRIBUTE")]
    value = _numbers("\n".join(line for line in lines[start + 1 :] if line.strip()), ",")
    return tags, np.full(len(value), np.nan), value


def _timed(text: str, units: int) -> Table:
    """Read a table whose first column is seconds, with so many lines of units under its head."""
    head, *lines = text.splitlines()
    value = _numbers("\n".join(lines[units:]), ",")
    tags = [tag.strip() or f"column {i}" for i, tag in enumerate(head.split(","))]
    return tags[1 : value.shape[1]], value[:, 0], value[:, 1:]


FORMATS: dict[str, Callable[[str], Table]] = {
    "skab": lambda text: _dated(text, ";"),
    "nab": lambda text: _dated(text, ","),
    "tep": _plant,
    "methane": _arff,
    "threew": lambda text: _dated(text, ","),
    "nist_smoke": lambda text: _timed(text, 0),
    "tunnel": lambda text: _timed(text, 1),
}
"""Reader by set."""
