"""The files of ../shared/data as recorded rows: what a plant's instruments said, and nothing a label says.

Formats are those of ../shared/data/README.md. A cell that holds no number is a value that was not read.
"""

import codecs
import csv
import gzip
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from davylamp_alarms.batch import Floats
from davylamp_alarms.watching.recorded import Recorded

from benchmarks.warning.listing import DataError, Entry

LABELS = frozenset({"anomaly", "changepoint", "class", "MM116_pred"})
"""Columns that a scorer knows and an engine may not."""

REFERENCES = ("_HR.csv", "_HRR.csv")
"""Tunnel files that hold the fire's measured power: what detectors are judged by, not what they see."""

ROOMS = "ABCDE"


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
        tags, time_s, value = FORMATS[entry.set](_text(path))
    except FileNotFoundError:
        plain = f"; {entry.file} is: gzip it" if path.with_suffix("").is_file() else ""
        raise DataError(f"{path} is not there, but files.csv lists it{plain}") from None
    except KeyError:
        raise DataError(f"{entry.file}: set {entry.set!r} has no reader; there are {', '.join(FORMATS)}") from None
    except (OSError, EOFError, zlib.error, ValueError, IndexError) as error:
        raise DataError(f"{path} cannot be read as {entry.set}: {error}") from None
    seen = [place for place, tag in enumerate(tags) if tag not in LABELS]
    if np.isnan(time_s[0]):
        time_s = np.arange(len(value), dtype=np.float64) * entry.period_s
    names = tuple(tags[place] for place in seen)
    return Recorded(names, np.round(time_s * 1000).astype(np.int64), value[:, seen], entry.period_s)


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).removeprefix(codecs.BOM_UTF8).decode("latin-1")


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


def _numbers(lines: list[str], delimiter: str | None, width: int | None = None) -> Floats:
    """Return a table of numbers, `width` columns of them; a cell that is none is NaN."""
    if delimiter is None:
        return np.loadtxt(lines, ndmin=2)
    gap = re.escape(delimiter)
    filled = re.sub(rf"(?m)(^|(?<={gap}))(?={gap}|$)", "nan", "\n".join(lines))
    with suppress(ValueError):
        value = np.loadtxt(filled.splitlines(), delimiter=delimiter, ndmin=2)
        if width in (None, value.shape[1]):
            return value
    rows = [[_number(cell) for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    width = width or max(map(len, rows))
    return np.array([(row + [np.nan] * width)[:width] for row in rows])


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


TIMES = frozenset({"datetime", "timestamp", "time"})
"""What the column of the times is called; the first is taken where none is."""


def _parted(text: str, delimiter: str, units: int = 0) -> tuple[list[str], int, list[str]]:
    """Return a table's names, which of them is the time, and its lines without those of units."""
    head, *lines = [line for line in text.splitlines() if line.strip()] or [""]
    names = [name.strip().strip('"') for name in head.split(delimiter)]
    if len(names) < 2:
        raise ValueError(f"its first line names no columns with {delimiter!r} between them: {head[:60]!r}")
    if not lines[units:]:
        raise ValueError("it holds no rows")
    place = next((place for place, name in enumerate(names) if name.lower() in TIMES), 0)
    return names, place, lines[units:]


def _dated(text: str, delimiter: str) -> Table:
    """Read a table with a column of dates."""
    names, place, lines = _parted(text, delimiter)
    cells = [line.split(delimiter, place + 1) for line in lines]
    dates = [row[place].strip(' "').replace(" ", "T") if len(row) > place else "" for row in cells]
    if "" in dates:
        raise ValueError(f"row {dates.index('') + 1} has no date")
    stamps = np.array(dates, "datetime64[ms]").astype(np.int64)
    rest = [delimiter.join(row[:place] + row[place + 1 :]) for row in cells]
    tags = names[:place] + names[place + 1 :]
    return tags, (stamps - stamps[0]) / 1000, _numbers(rest, delimiter, len(tags))


PLANT = (*(f"XMEAS{i}" for i in range(1, 42)), *(f"XMV{i}" for i in range(1, 12)))


def _plant(text: str) -> Table:
    """Read the Tennessee Eastman process: 52 columns without names; the training run lies on its side."""
    value = _numbers(text.splitlines(), None)
    value = value.T if len(value) == len(PLANT) else value
    if value.shape[1] != len(PLANT) or not len(value):
        raise ValueError(f"it has {value.shape[1]} columns, and a run of this plant has {len(PLANT)}")
    return list(PLANT), np.full(len(value), np.nan), value


def _arff(text: str) -> Table:
    lines = [line.strip() for line in text.splitlines()]
    start = next((i for i, line in enumerate(lines) if line.upper() == "@DATA"), None)
    if start is None:
        raise ValueError("it has no line @DATA")
    heads = [line.split(None, 1)[1] for line in lines[:start] if line.upper().startswith("@ATTRIBUTE ")]
    tags = [head.split("'")[1] if head.startswith("'") else head.split()[0].strip('"') for head in heads]
    rows = [line for line in lines[start + 1 :] if line and not line.startswith("%")]
    if not rows:
        raise ValueError("it holds no rows")
    value = _numbers(rows, ",", len(tags))
    return tags, np.full(len(value), np.nan), value


def _timed(text: str, units: int) -> Table:
    """Read a table with a column of seconds, and so many lines of units under its head."""
    names, place, lines = _parted(text, ",", units)
    value = _numbers(lines, ",", len(names))
    time_s = value[:, place]
    if np.isnan(time_s).any():
        raise ValueError(f"row {int(np.isnan(time_s).argmax()) + 1} has no time")
    tags = [tag or f"column {i}" for i, tag in enumerate(names)]
    return tags[:place] + tags[place + 1 :], time_s, np.delete(value, place, axis=1)


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
