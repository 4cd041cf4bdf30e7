"""The wide CSV: a row a moment, a column a tag. It is read as it goes, and never held whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from davylamp_alarms.batch import Batch, Codes, Floats, Indices
from davylamp_wire.quality import GOOD

from davylamp_cloud.backtest.cells import value_in
from davylamp_cloud.backtest.csv_file import CsvFile, CsvRows, Doubts, Progress, Span
from davylamp_cloud.backtest.periods import period_s

FIRST_ROWS = 200
"""So many rows tell how often a tag reports."""

BLOCK = 64
"""Lines that are turned into numbers together."""


def names(file: CsvFile) -> tuple[str, ...]:
    """Return the tags: every column but the first, which is the time."""
    return file.header[1:]


def periods_s(file: CsvFile, span: Span) -> list[float]:
    """Return how far apart the readings of each tag usually are."""
    times: list[list[int]] = [[] for _ in names(file)]
    with file.rows() as rows:
        for at_ms, row in islice(_timed(rows, span), FIRST_ROWS):
            for place, cell in enumerate(row[1:]):
                if cell:
                    times[place].append(at_ms)
    return [period_s(np.array(mine, np.int64)) for mine in times]


def moments(file: CsvFile, tags: Sequence[str], span: Span, told: Progress, doubts: Doubts) -> Iterator[Batch]:
    """Yield each row's readings of some tags, which are numbered as they are given.

    Raises:
        ConfigError: A line cannot be read, or its time lies before that of the line above it.
    """
    places = [file.header.index(tag, 1) for tag in tags]
    numbers, good = np.arange(len(tags), dtype=np.int32), np.full(len(tags), GOOD, np.uint16)
    with file.rows() as rows:
        order = _Order(rows)
        for block in rows.blocks(BLOCK):
            told(rows.done)
            values = _numbers_in(block, file, places)
            found: Iterator[tuple[str, Floats | list[str]]]
            if values is None:
                found = ((row[0], [row[place] for place in places]) for row in rows.rows_in(block))
            else:
                found = zip(_times_in(rows, block), values, strict=True)
            for cell, row in found:
                at_ms = order.time(cell)
                if span.after(at_ms):
                    return
                if not span.has(at_ms):
                    continue
                if isinstance(row, list):
                    batch = _careful(row, tags, rows.line, at_ms, doubts)
                    if batch is not None:
                        yield batch
                else:
                    yield _batch(at_ms, numbers, row, good)


@dataclass(slots=True)
class _Order:
    """Reads times, each of which must not lie before the last."""

    rows: CsvRows
    before_ms: int | None = None
    before: str = ""

    def time(self, cell: str) -> int:
        at_ms = self.rows.time(cell)
        if self.before_ms is not None and at_ms < self.before_ms:
            raise self.rows.mistake(
                f"{cell} comes after {self.before}; sort the lines by time, the oldest first",
                f"{cell} 排在 {self.before} 之后；请按时间排序，最早的在前",
            )
        self.before_ms, self.before = at_ms, cell
        return at_ms


def _numbers_in(block: Sequence[str], file: CsvFile, places: Sequence[int]) -> Floats | None:
    """Return some columns of lines in which each cell is a plain number; None where one is not, or a line is odd.

    This is most of most files, and three times faster than cell by cell.
    """
    between = len(file.header) - 1
    if any('"' in line or line.count(file.delimiter) != between for line in block):
        return None
    try:
        found = np.loadtxt(block, delimiter=file.delimiter, usecols=places, comments=None, ndmin=2)
    except ValueError:
        return None
    return found if len(found) == len(block) and bool(np.isfinite(found).all()) else None


def _times_in(rows: CsvRows, block: Sequence[str]) -> Iterator[str]:
    """Yield the time of each line, and count the lines."""
    for line in block:
        rows.line += 1
        yield line[: line.index(rows.of.delimiter)]


def _timed(rows: CsvRows, span: Span) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a span with their times."""
    order = _Order(rows)
    for row in rows:
        at_ms = order.time(row[0])
        if span.after(at_ms):
            return
        if span.has(at_ms):
            yield at_ms, row


def _careful(cells: Sequence[str], tags: Sequence[str], line: int, at_ms: int, doubts: Doubts) -> Batch | None:
    """Return the readings of a row in which cells are empty or hold no number."""
    found = [(place, *read) for place, cell in enumerate(cells) if (read := value_in(cell)) is not None]
    for place, _, quality in found:
        if quality != GOOD:
            doubts.note(line, tags[place], cells[place])
    if not found:
        return None
    places, values, qualities = (np.array(column) for column in zip(*found, strict=True))
    return _batch(at_ms, places.astype(np.int32), values, qualities.astype(np.uint16))


def _batch(at_ms: int, numbers: Indices, value: Floats, quality: Codes) -> Batch:
    times = np.full(len(numbers), at_ms)
    return Batch(times, numbers, times, value, quality, np.zeros(len(numbers), np.bool_), times)
