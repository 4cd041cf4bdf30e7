"""Recorded runs: a table of real or published measurements, and how its columns and times are to be read.

A recording is described by one small TOML file, ``recordings/<name>.toml``, beside the unchanged, gzipped source
file. Missing cells, and columns that never change over the whole file, have no value: a sensor that shows one number
to the last digit for hours is not measuring.
"""

import csv
import gzip
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

from davylamp_wire.config import ConfigError, Section, parse, read_toml
from pydantic import Field

from davylamp_simulators.scenario import Slug

SHIPPED = Path(__file__).parent / "recordings"


class RecordingConfig(Section):
    """What must be known about a table to play it. Everything but `file` can be left to a look at the file."""

    name: Slug
    file: Path
    zh: str = ""
    en: str = ""
    profile: Slug | None = None
    protocol: Literal["modbus", "opcua"] = "modbus"
    columns: tuple[str, ...] = ()
    """Names of the columns, for a file without a head."""
    delimiter: str = ""
    """Empty: a comma, semicolon, or blanks, whichever the first line has."""
    time_column: str = ""
    """Empty: the first column called time, timestamp or datetime; none: rows are `period_s` apart."""
    period_s: float = Field(default=1.0, gt=0)
    start_s: float = Field(default=0.0, ge=0)
    speed: float = Field(default=1.0, gt=0)
    hazard_source: Slug = "recording"
    origin: str = ""
    licence: str = ""
    licence_file: str = ""
    sha256: str = ""
    """Of the unpacked file."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A table in columns. `times_s` ascends from 0; a cell without a value is NaN."""

    config: RecordingConfig
    times_s: Sequence[float]
    columns: dict[str, Sequence[float]]

    @property
    def dead(self) -> frozenset[str]:
        """Return the columns that never measure: empty, or one number from end to end."""
        return frozenset(name for name, values in self.columns.items() if _is_dead(values))


def _is_dead(values: Sequence[float]) -> bool:
    present = {value for value in values if not math.isnan(value)}
    return len(present) < 2


def recording_names() -> list[str]:
    """Return the names of the shipped recordings."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_config(name: str, base: Path | None = None) -> RecordingConfig:
    """Return how to read a recording: a shipped one by name, a ``.toml`` beside a table, or a bare table."""
    shipped = SHIPPED / f"{name}.toml"
    path = shipped if shipped.is_file() else (base or Path()) / name
    if not path.is_file():
        raise ConfigError([f"recording: there is no {name!r}; name a file, or one of {', '.join(recording_names())}"])
    if path.suffix != ".toml":
        return RecordingConfig(name=slug(path.name.split(".")[0]), file=path)
    config = parse(RecordingConfig, {"name": path.stem, **read_toml(path)}, path)
    return config.model_copy(update={"file": path.parent / config.file})


def load_recording(name: str, base: Path | None = None) -> Recording:
    """Return a recording with its table. Raises: ConfigError that names the file and line."""
    return read_table(load_config(name, base))


def slug(text: str) -> str:
    """Return a column's name as a point's: what a slug does not allow becomes an underscore."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in text)
    return kept.strip("_")[:64] or "column"


def read_table(config: RecordingConfig) -> Recording:
    """Return a file's numbers in columns; columns without a single number are dropped unless they are empty."""
    try:
        rows = list(_rows(config))
    except (OSError, UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise ConfigError([f"{config.file}: cannot be read ({error})"]) from None
    head, rows = _head(config, rows)
    width = len(head)
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise ConfigError([f"{config.file}: data row {number} has {len(row)} cells, the head {width}"])
    time_at = _time_column(config, head)
    cells = list(zip(*rows, strict=True)) if rows else [()] * width
    times = _times(config, cells[time_at] if time_at is not None else None, len(rows))
    columns: dict[str, Sequence[float]] = {}
    for at, name in enumerate(head):
        if at != time_at and (values := _numbers(cells[at])) is not None:
            columns[slug(name)] = values
    if not rows or not columns:
        raise ConfigError([f"{config.file}: no row of numbers found"])
    return Recording(config, times, columns)


def _rows(config: RecordingConfig) -> Iterator[list[str]]:
    opened = gzip.open if config.file.suffix == ".gz" else open
    with opened(config.file, "rt", encoding="utf-8", newline="") as file:
        lines = (line for line in file if line.strip())
        first = next(lines, "")
        delimiter = config.delimiter or next((sign for sign in ",;\t" if sign in first), " ")
        if delimiter == " ":
            yield first.split()
            yield from (line.split() for line in lines)
        else:
            yield from csv.reader([first], delimiter=delimiter)
            yield from csv.reader(lines, delimiter=delimiter)


def _head(config: RecordingConfig, rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Return the names, and the rows below them; a line of units between the two is left out."""
    if config.columns:
        return list(config.columns), rows
    if not rows:
        return [], []
    if all(_number(cell) is not None for cell in rows[0]):
        return [f"c{at}" for at in range(1, len(rows[0]) + 1)], rows
    body = rows[1:]
    units = bool(body) and all(_number(cell) is None or not cell.strip() for cell in body[0])
    return [name.strip() for name in rows[0]], body[1:] if units else body


def _number(cell: str) -> float | None:
    """Return a cell's number, NaN for an empty one, None for a text."""
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        return None


def _numbers(cells: Sequence[str]) -> list[float] | None:
    found = [_number(cell) for cell in cells]
    return None if any(number is None for number in found) else [n for n in found if n is not None]


def _time_column(config: RecordingConfig, head: Sequence[str]) -> int | None:
    wanted = {config.time_column.lower()} if config.time_column else {"time", "timestamp", "datetime"}
    found = next((at for at, name in enumerate(head) if name.lower() in wanted), None)
    if found is None and config.time_column:
        raise ConfigError([f"{config.file}: there is no column {config.time_column!r}; it has {', '.join(head)}"])
    return found


def _times(config: RecordingConfig, cells: Sequence[str] | None, rows: int) -> list[float]:
    """Return every row's time, seconds from the first; rows out of order are a mistake of the file."""
    if cells is None:
        return [row * config.period_s for row in range(rows)]
    absolute = [_time(config, cell) for cell in cells]
    times = [one - absolute[0] for one in absolute]
    for row, (before, after) in enumerate(pairwise(times), 2):
        if after < before:
            raise ConfigError([f"{config.file}: data row {row} is earlier than the one before it"])
    return times


def _time(config: RecordingConfig, cell: str) -> float:
    number = _number(cell)
    if number is not None and not math.isnan(number):
        return number
    try:
        stamp = datetime.fromisoformat(cell.strip())
    except ValueError:
        raise ConfigError([f"{config.file}: {cell!r} is neither seconds nor a date"]) from None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
