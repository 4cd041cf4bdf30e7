"""Current values for screens: what changed since a screen was told, and its JSON, made once however many look.

Fifty screens that show the same tags cost one encoding a reading, not fifty.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from davylamp_cloud.api.event import dumps
from davylamp_cloud.live import Live

MOST_WATCHED = 500
NOT_TOLD = np.int64(-(1 << 62))
SPREAD = np.int64(1_000_003)

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every tag's newest reading at one moment, as columns. A tag's `marks` changes with every reading."""

    values: NDArray[np.float64]
    times_ms: Ints
    qualities: NDArray[np.uint16]
    arrivals_ms: Ints
    marks: Ints


def snapshot(live: Live) -> Snapshot:
    """Copy what every tag says now."""
    values, times_ms, qualities, arrivals_ms = live.columns()
    return Snapshot(values, times_ms, qualities, arrivals_ms, arrivals_ms * SPREAD + times_ms)


class Watch:
    """The tags one screen shows, and what it was told of them last."""

    def __init__(self, asked: Iterable[int]) -> None:
        self._asked = frozenset(asked)
        self._tags: Ints = np.array(sorted(self._asked), np.int64)
        self._told: Ints = np.full(len(self._tags), NOT_TOLD)

    def add(self, tags: Iterable[int]) -> None:
        """Watch some tags beside those asked for; what was added before and is not named again goes."""
        told = dict(zip(self._tags.tolist(), self._told.tolist(), strict=True))
        self._tags = np.array(sorted({*self._asked, *tags}), np.int64)
        self._told = np.array([told.get(tag, NOT_TOLD) for tag in self._tags.tolist()], np.int64)

    def changed(self, now: Snapshot) -> list[int]:
        """Return the watched tags with a reading the screen was not told of; one just added counts as changed."""
        marks = np.full(len(self._tags), NOT_TOLD)
        known = self._tags < len(now.marks)
        marks[known] = now.marks[self._tags[known]]
        changed = self._tags[marks != self._told]
        self._told = marks
        return [int(tag) for tag in changed]


Make = Callable[[int, Snapshot], dict[str, Any] | None]


class Texts:
    """JSON of readings by tag, kept until the tag's next one. `make` returns None for a tag that shows nothing."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._made: dict[int, tuple[int, str]] = {}

    def of(self, tags: Sequence[int], now: Snapshot) -> str:
        """Return a JSON array of the readings of some tags."""
        return "[" + ",".join(filter(None, (self._one(tag, int(now.marks[tag]), now) for tag in tags))) + "]"

    def _one(self, tag: int, mark: int, now: Snapshot) -> str:
        made = self._made.get(tag)
        if made is None or made[0] != mark:
            reading = self._make(tag, now)
            made = self._made[tag] = (mark, "" if reading is None else dumps(reading))
        return made[1]


def reading(live: Live) -> Make:
    """Return what makes a tag's newest reading for programs."""

    def make(tag: int, now: Snapshot) -> dict[str, Any]:
        value = float(now.values[tag])
        return {
            "index": tag,
            "value": value if math.isfinite(value) else None,
            "text": live.text(tag),
            "quality": int(now.qualities[tag]),
            "time_ms": int(now.times_ms[tag]),
            "arrival_ms": int(now.arrivals_ms[tag]),
        }

    return make
