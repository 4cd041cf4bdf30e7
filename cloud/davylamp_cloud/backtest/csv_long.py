"""The long CSV: a line a reading, in any order. It is held whole, 22 bytes a reading, and put in order of time."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from davylamp_alarms.batch import Batch, Codes, Floats, Indices, Ints
from davylamp_wire.quality import GOOD

from davylamp_cloud.backtest.cells import quality_in, value_in
from davylamp_cloud.backtest.csv_file import QUALITY, TAG, VALUE, CsvFile, CsvRows, Doubts, Progress, Span
from davylamp_cloud.backtest.periods import period_s

TOLD_EACH = 4096
READING = 0.9
"""Share of the work that reading the lines is."""


@dataclass(slots=True)
class Readings:
    """All readings of a file, in the order of its lines. `names` are its tags by their numbers."""

    names: dict[str, int] = field(default_factory=dict)
    tag: "array[int]" = field(default_factory=lambda: array("i"))
    time_ms: "array[int]" = field(default_factory=lambda: array("q"))
    value: "array[float]" = field(default_factory=lambda: array("d"))
    quality: "array[int]" = field(default_factory=lambda: array("H"))

    def periods_s(self) -> list[float]:
        """Return how far apart the readings of each tag usually are."""
        tag, time_ms = np.asarray(self.tag, np.int32), np.asarray(self.time_ms, np.int64)
        order = np.lexsort((time_ms, tag))
        edges = np.searchsorted(tag[order], np.arange(len(self.names) + 1))
        return [period_s(time_ms[order[a:b]]) for a, b in pairwise(edges.tolist())]


def read(file: CsvFile, span: Span, told: Progress, doubts: Doubts) -> Readings:
    """Return the readings in a span.

    Raises:
        ConfigError: A line cannot be read, or a quality in it; the message names it.
    """
    found, tag, value, quality = Readings(), file.place(TAG), file.place(VALUE), file.place(QUALITY)
    assert tag is not None
    assert value is not None
    time = next(place for place in range(len(file.header)) if place not in (tag, value, quality))
    with file.rows() as rows:
        for count, row in enumerate(rows):
            if count % TOLD_EACH == 0:
                told(rows.done * READING)
            at_ms, read = rows.time(row[time]), value_in(row[value])
            if read is None or not span.has(at_ms):
                continue
            if read[1] != GOOD:
                doubts.note(rows.line, row[tag], row[value])
            found.tag.append(found.names.setdefault(row[tag].strip(), len(found.names)))
            found.time_ms.append(at_ms)
            found.value.append(read[0])
            found.quality.append(max(read[1], _quality(rows, "" if quality is None else row[quality])))
    return found


def _quality(rows: CsvRows, cell: str) -> int:
    found = quality_in(cell)
    if found is None:
        raise rows.mistake(
            f"{cell!r} is no quality; write good, uncertain or bad", f"{cell!r} 不是质量；请写 好、可疑 或 坏"
        )
    return found


def moments(readings: Readings, tags: Sequence[str]) -> Iterator[Batch]:
    """Yield the readings of some tags, all of one moment at once; the tags are numbered as they are given."""
    number = np.full(len(readings.names), -1, np.int32)
    for place, tag in enumerate(tags):
        number[readings.names[tag]] = place
    chosen: Indices = number[np.asarray(readings.tag, np.int32)]
    time_ms, value, quality = _columns(readings)
    order = np.argsort(time_ms, kind="stable")
    order = order[chosen[order] >= 0]
    if not len(order):
        return
    edges = np.flatnonzero(np.diff(time_ms[order], prepend=time_ms[order[:1]] - 1))
    for start, stop in zip(edges.tolist(), [*edges[1:].tolist(), len(order)], strict=True):
        rows = order[start:stop]
        times = time_ms[rows]
        late = np.zeros(len(rows), np.bool_)
        yield Batch(times, chosen[rows], times, value[rows], quality[rows], late, times)


def _columns(of: Readings) -> tuple[Ints, Floats, Codes]:
    return np.asarray(of.time_ms, np.int64), np.asarray(of.value, np.float64), np.asarray(of.quality, np.uint16)
