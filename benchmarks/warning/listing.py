"""What a data folder holds: its files.csv decides. What it says wrongly of one file leaves out that file."""

import csv
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("file", "dataset", "sampling_s", "train_rows", "rows")


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


@dataclass(frozen=True, slots=True)
class Listing:
    """The lines that can be read, and why others cannot, by file."""

    entries: list[Entry]
    left_out: dict[str, str]


def listing(data: Path) -> Listing:
    """Return what files.csv lists.

    Raises:
        DataError: There is no such file, or it lacks a column.
    """
    path = data / "files.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            lines = list(table)
    except FileNotFoundError:
        raise DataError(f"{path} is not there: name the data folder with --data") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}: its columns are described in the folder's README.md")
    found: dict[str, Entry] = {}
    left_out: dict[str, str] = {}
    for number, line in enumerate(lines, start=2):
        try:
            entry = _entry(line)
        except (TypeError, ValueError) as error:
            left_out[line["file"] or f"line {number}"] = f"files.csv, line {number}: {error}"
        else:
            found.setdefault(entry.file, entry)
    return Listing(list(found.values()), left_out)


def _entry(line: dict[str, str]) -> Entry:
    entry = Entry(
        line["file"], line["dataset"], float(line["sampling_s"]), int(line["train_rows"] or 0), int(line["rows"])
    )
    if not (entry.file and entry.period_s > 0 and entry.rows > 0 and entry.train_rows >= 0):
        raise ValueError("a file has a name, sampling_s and rows above 0, and train_rows of 0 or more")
    return entry
