"""The wide CSV: a row a moment, a column a tag. It is read as it goes, and never held whole."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import itemgetter

import numpy as np
from davylamp_alarms.batch import Batch, Codes, Floats, Indices
from davylamp_wire.quality import GOOD

from davylamp_cloud.backtest.cells import value_in
from davylamp_cloud.backtest.csv_file import CsvFile, CsvRows, Doubts, Progress, Span
from davylamp_cloud.backtest.periods import period_s

FIRST_ROWS = 200
"""So many rows tell how often a tag reports."""

TOLD_EACH = 64
Pick = Callable[[list[str]], Sequence[str]]


def names(file: CsvFile) -> tuple[str, ...]:
    """Return the tags: every column but the first, which is the time."""
    return file.header[1:]


def periods_s(file: CsvFile, span: Span) -> list[float]:
    """Return how far apart the readings of each tag usually are."""
    times: list[list[int]] = [[] for _ in names(file)]
    with file.rows() as rows:
        for at_ms, row in islice(_wanted(rows, span), FIRST_ROWS):
            for place, cell in enumerate(row[1:]):
                if cell:
                    times[place].append(at_ms)
    return [period_s(np.array(mine, np.int64)) for mine in times]


def moments(file: CsvFile, tags: Sequence[str], span: Span, told: Progress, doubts: Doubts) -> Iterator[Batch]:
    """Yield each row's readings of some tags, which are numbered as they are given.

    Raises:
        ConfigError: A line cannot be read, or its time lies before that of the line above it.
    """
    pick = _picker([file.header.index(tag, 1) for tag in tags])
    numbers, good = np.arange(len(tags), dtype=np.int32), np.full(len(tags), GOOD, np.uint16)
    with file.rows() as rows:
        for count, (at_ms, row) in enumerate(_wanted(rows, span)):
            cells = pick(row)
            try:
                value = np.fromiter(map(float, cells), np.float64, len(tags))
                plain = bool(np.isfinite(value).all())
            except ValueError:
                plain = False
            if plain:
                yield _batch(at_ms, numbers, value, good)
            elif (found := _careful(cells, tags, rows.line, at_ms, doubts)) is not None:
                yield found
            if count % TOLD_EACH == 0:
                told(rows.done)


def _wanted(rows: CsvRows, span: Span) -> Iterator[tuple[int, list[str]]]:
    before_ms, before = None, ""
    for row in rows:
        at_ms = rows.time(row[0])
        if before_ms is not None and at_ms < before_ms:
            raise rows.mistake(f"{row[0]} comes after {before}; sort the lines by time, the oldest first")
        before_ms, before = at_ms, row[0]
        if span.after(at_ms):
            return
        if span.has(at_ms):
            yield at_ms, row


def _picker(places: list[int]) -> Pick:
    if len(places) == 1:
        place = places[0]
        return lambda row: (row[place],)
    if places == list(range(1, len(places) + 1)):
        return lambda row: row[1 : len(places) + 1]
    return itemgetter(*places)


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
