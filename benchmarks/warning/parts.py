"""What the configurations were tuned on, by name, and what was held out: fixed here, not by the results.

Whatever is not named was not tuned on, so other files of the same sets are held out by themselves.
"""

import csv
import gzip
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from benchmarks.warning.listing import DataError, Entry

TUNED_ON = frozenset(
    {
        *(f"skab/valve1_{n}.csv" for n in (0, 4, 8, 12)),
        *(f"skab/other_{n}.csv" for n in (1, 6, 10, 14)),
        "skab/valve2_0.csv",
        "nab/machine_temperature_system_failure.csv",
        *(f"tep/d{n}_te.dat" for n in ("01", "04", "08", "13", "16", "20")),
        "threew/0_WELL-00001_20170219170053.csv",
        "threew/0_WELL-00002_20170215030259.csv",
        "threew/0_WELL-00003_20170807100000.csv",
        "threew/0_WELL-00005_20170402230127.csv",
        "threew/0_WELL-00006_20170222150000.csv",
        "threew/0_WELL-00008_20170612190111.csv",
        "threew/1_WELL-00001_20140124213136.csv",
        "threew/2_WELL-00003_20141122214325.csv",
        "threew/2_WELL-00009_20170313160804.csv",
        "threew/2_WELL-00011_20140530100015.csv",
        "threew/2_WELL-00011_20140720120102.csv",
        "threew/2_WELL-00011_20140824000118.csv",
        "threew/5_WELL-00015_20170620160349.csv",
        "threew/5_WELL-00016_20180426142005.csv",
        "threew/6_WELL-00002_20140212170333.csv",
        "threew/6_WELL-00004_20171031181509.csv",
        "threew/8_WELL-00021_20170509013517.csv",
        "nist_smoke/SDC02.csv",
        "nist_smoke/SDC33.csv",
        *(f"tunnel/{test}" for test in ("101CR", "202", "301A", "502")),
    }
)

ALWAYS = frozenset({"tep/d00.dat", "tep/d00_te.dat", "skab/anomaly-free.csv"})
"""In both parts: training runs, and the normal run that false alarms are counted on."""

SPLIT = "methane/methane-train.arff"
SPLIT_ROW = 9000
"""The one file that is tuned on up to a row and held out from there on."""


class Part(StrEnum):
    """Which files a figure is of."""

    ALL = "all"
    TUNED = "tuned on"
    HELD = "held out"


TABLES = ("files.csv", "events.csv")


def belongs(file: str, part: Part) -> bool:
    """Return whether a file is in a part."""
    if part is Part.ALL or file in ALWAYS or file == SPLIT:
        return True
    name = file.partition("_")[0] if file.startswith("tunnel/") else file
    return (name in TUNED_ON) == (part is Part.TUNED)


def folder(data: Path, entries: list[Entry], part: Part, into: Path) -> Path:
    """Make a data folder that holds one part, and return it: links, and a files.csv and events.csv of their own."""
    into.mkdir()
    kept = {entry.file for entry in entries if belongs(entry.file, part)}
    for name in TABLES:
        _copy(data / name, into / name, kept, part)
    for file in kept:
        target = into / f"{file}.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        _bring(data / f"{file}.gz", target, cut=file == SPLIT and part is Part.TUNED)
    return into


def check(data: Path) -> None:
    """Say which table of a data folder scoring would miss.

    Raises:
        DataError: The message names it.
    """
    for name in TABLES:
        try:
            with (data / name).open(encoding="utf-8-sig", newline="") as file:
                columns = csv.DictReader(file).fieldnames or ()
        except OSError as error:
            raise DataError(f"{data / name} cannot be read: {error.strerror}; nothing is scored without it") from None
        if "file" not in columns:
            raise DataError(f"{data / name} has no column file; nothing is scored without it")


def _copy(source: Path, target: Path, kept: set[str], part: Part) -> None:
    """Copy a table with the lines of the files kept; files.csv names each file once."""
    listed: set[str] = set()
    with source.open(encoding="utf-8-sig", newline="") as file, target.open("w", encoding="utf-8", newline="") as out:
        lines = csv.DictReader(file)
        table = csv.DictWriter(out, lines.fieldnames or [])
        table.writeheader()
        for line in lines:
            name = line["file"].partition("#")[0]
            if not _concerns(name, kept, source.name) or (source.name == "files.csv" and name in listed):
                continue
            listed.add(name)
            if name == SPLIT and part is Part.HELD and "train_rows" in line:
                line["train_rows"] = str(SPLIT_ROW)
            table.writerow(line)


def _concerns(name: str, kept: set[str], table: str) -> bool:
    """Return whether a line is of a file kept; an event of a tunnel test is one of all its files."""
    if table == "events.csv" and name.startswith("tunnel/"):
        test = name.partition("_")[0]
        return any(file.partition("_")[0] == test for file in kept)
    return name in kept


def _bring(source: Path, target: Path, cut: bool) -> None:
    if not cut:
        target.symlink_to(source.resolve())
        return
    with gzip.open(source, "rt", encoding="latin-1") as file, gzip.open(target, "wt", encoding="latin-1") as out:
        out.writelines(_first_rows(file))


def _first_rows(lines: Iterator[str]) -> Iterator[str]:
    """Yield the head of an ARFF file and its rows up to the split."""
    for line in lines:
        yield line
        if line.strip().upper() == "@DATA":
            break
    for _, line in zip(range(SPLIT_ROW), lines, strict=False):
        yield line
