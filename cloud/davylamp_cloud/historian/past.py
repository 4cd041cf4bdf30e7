"""What was stored, read in the order of its times beside a cloud that may run: nothing is changed, and nobody waits.

A store on a server is asked tag by tag, as anybody may. One whose files belong to a single process has its own way
(`look`, duckdb_past.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import Codes, Floats, Historian, Int32s, Int64s, Names, class_of

HOUR_MS = 3_600_000
MOST_HOURS = 24
WANTED = 1_000_000
"""Readings of one a second to ask for in one stretch."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Readings of many tags by source time, as parallel columns; of one tag and time in the order they were stored."""

    tags: Int32s
    times_ms: Int64s
    values: Floats
    qualities: Codes

    def __len__(self) -> int:
        return len(self.tags)


class Past(Protocol):
    """Stored readings of many tags, oldest first."""

    def stretches(self, tags: Sequence[int], from_ms: int, to_ms: int) -> Iterator[Stretch]:
        """Yield the readings of these tags with from <= source time < to; both are whole seconds.

        Stretches follow each other and begin at whole seconds. Raises HistorianUnavailable.
        """

    def close(self) -> None:
        """Let go of files and connections."""


def open_past(config: HistorianConfig, data_dir: Path, names: Names) -> Past:
    """Return what reads the store the config names."""
    kind = class_of(config.kind)
    look = getattr(kind, "look", None)
    found: Past = ByTag(kind.open(config, data_dir, names)) if look is None else look(config, data_dir)
    return found


class ByTag:
    """A store that is asked tag by tag, an hour at a time; of few tags up to a day."""

    def __init__(self, historian: Historian) -> None:
        self._historian = historian

    def stretches(self, tags: Sequence[int], from_ms: int, to_ms: int) -> Iterator[Stretch]:
        """Yield some hours after others."""
        step_ms = HOUR_MS * min(max(WANTED * 1000 // (HOUR_MS * max(len(tags), 1)), 1), MOST_HOURS)
        while from_ms < to_ms:
            until_ms = min(to_ms, from_ms - from_ms % step_ms + step_ms)
            yield self._between(tags, from_ms, until_ms)
            from_ms = until_ms

    def close(self) -> None:
        """Close the store."""
        self._historian.close()

    def _between(self, tags: Sequence[int], from_ms: int, to_ms: int) -> Stretch:
        found = [self._historian.read(tag, from_ms, to_ms) for tag in tags]
        counts = [len(series) for series in found]
        return in_order(
            np.repeat(np.array(tags, np.int32), counts),
            np.concatenate([series.times_ms for series in found] or [np.empty(0, np.int64)]),
            np.concatenate([series.values for series in found] or [np.empty(0)]),
            np.concatenate([series.qualities for series in found] or [np.empty(0, np.uint16)]),
        )


def in_order(tags: Int32s, times_ms: Int64s, values: Floats, qualities: Codes) -> Stretch:
    """Return columns by time; what is of one time stays as it is."""
    if (times_ms[1:] >= times_ms[:-1]).all():
        return Stretch(tags, times_ms, values, qualities)
    order = np.argsort(times_ms, kind="stable")
    return Stretch(tags[order], times_ms[order], values[order], qualities[order])
