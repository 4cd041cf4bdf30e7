"""A CSV as rows to learn from; the file is read as a backtest reads it."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

import numpy as np
from davylamp_alarms.batch import Batch
from davylamp_alarms.watching.window import Readings, grid
from davylamp_wire.config import ConfigError
from davylamp_wire.quality import Level

from davylamp_cloud.backtest import csv_long, csv_wide
from davylamp_cloud.backtest.csv_file import Doubts, Progress, Span, look_at
from davylamp_cloud.training.window import Window, check_size, rows_of, some_of


@dataclass(slots=True)
class Columns:
    """Readings as they come, in columns."""

    tag: "array[int]" = field(default_factory=lambda: array("i"))
    time_ms: "array[int]" = field(default_factory=lambda: array("q"))
    value: "array[float]" = field(default_factory=lambda: array("d"))
    quality: "array[int]" = field(default_factory=lambda: array("H"))

    def add(self, batch: Batch) -> None:
        """Add the readings of a moment."""
        self.tag.frombytes(batch.tag.astype(np.int32).tobytes())
        self.time_ms.frombytes(batch.time_ms.astype(np.int64).tobytes())
        self.value.frombytes(batch.value.astype(np.float64).tobytes())
        self.quality.frombytes(batch.quality.astype(np.uint16).tobytes())

    def by_tag(self, tags: Sequence[str]) -> list[Readings]:
        """Return the readings of each tag, oldest first."""
        tag = np.asarray(self.tag, np.int32)
        order = np.argsort(tag, kind="stable")
        edges = np.searchsorted(tag[order], np.arange(len(tags) + 1))
        time_ms, value = np.asarray(self.time_ms, np.int64)[order], np.asarray(self.value, np.float64)[order]
        good = (np.asarray(self.quality, np.uint16)[order] >> 8 == Level.GOOD) & np.isfinite(value)
        cuts = [slice(start, stop) for start, stop in pairwise(edges.tolist())]
        return [Readings(name, time_ms[cut], value[cut], good[cut]) for name, cut in zip(tags, cuts, strict=True)]


def window(
    path: Path,
    zone: tzinfo,
    patterns: Sequence[str],
    span: Span,
    every_s: float | None,
    hold_s: float | None,
    told: Progress,
) -> Window:
    """Return what a CSV holds. It knows of no alarms: whether it is one to learn from in that, a person must know.

    Args:
        every_s: Between rows; None: as far apart as the file's readings usually are.
        hold_s: How long a reading counts until the next; None: one row.

    Raises:
        ConfigError: The file is wrong, has no such tag, or no reading in the span; the message says where.
    """
    tags, period_s, columns = _read(path, zone, patterns, span, told)
    if not columns.time_ms:
        raise ConfigError([f"{path}: has no reading of these tags in this span; widen --from and --to"])
    every_ms = max(round(1000 * (every_s or period_s)), 1)
    from_ms = min(columns.time_ms) if span.from_ms is None else span.from_ms
    to_ms = max(columns.time_ms) + every_ms if span.to_ms is None else span.to_ms
    rows = grid(from_ms, to_ms, every_ms)
    check_size(rows, len(tags))
    hold_ms = every_ms if hold_s is None else round(hold_s * 1000)
    return rows_of(rows, tags, ((one, hold_ms) for one in columns.by_tag(tags)))


def _read(
    path: Path, zone: tzinfo, patterns: Sequence[str], span: Span, told: Progress
) -> tuple[list[str], float, Columns]:
    """Return the tags meant, how far apart their readings usually are, and the readings."""
    file, columns = look_at(path, zone), Columns()
    if file.long:
        readings = csv_long.read(file, span, told, Doubts())
        periods_s = dict(zip(readings.names, readings.periods_s(), strict=True))
        tags = _meant(path, list(periods_s), patterns)
        batches = csv_long.moments(readings, tags)
    else:
        periods_s = dict(zip(csv_wide.names(file), csv_wide.periods_s(file, span), strict=True))
        tags = _meant(path, list(periods_s), patterns)
        batches = csv_wide.moments(file, tags, span, told, Doubts())
    for batch in batches:
        columns.add(batch)
    return tags, float(np.median([periods_s[tag] for tag in tags])) if tags else 0.0, columns


def _meant(path: Path, names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the tags that a pattern means; without patterns, all."""
    unknown = [one for one in patterns if not any(fnmatchcase(name, one) for name in names)]
    if unknown:
        some = some_of(names)
        raise ConfigError([f"--tags: {one!r} means no tag of {path}; there are {some}" for one in unknown])
    return [name for name in names if not patterns or any(fnmatchcase(name, one) for one in patterns)]
