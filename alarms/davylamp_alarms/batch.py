"""What the engine reads: readings of many tags in columns, in log order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]
Codes = NDArray[np.uint16]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings in log order; the columns have equal length.

    A batch holds whole log records: two readings with the same ``seq`` are never in two batches. Where batches are
    cut between records changes nothing (DESIGN, "The engine is a function of the log"). A tag may appear many times.

    Args:
        seq: Log record of each reading, not descending.
        tag: Index of the tag in the register.
        time_ms: Source time, UTC milliseconds by the edge's clock.
        value: Value in the tag's own unit; NaN where nothing was read.
        quality: Codes of `davylamp_wire.quality`.
        late: True where the reading was delivered as backlog (``is_historical``), and only there (SAFETY S2).
        arrival_ms: Host time at which the reading arrived, UTC milliseconds.
    """

    seq: Ints
    tag: Indices
    time_ms: Ints
    value: Floats
    quality: Codes
    late: Bools
    arrival_ms: Ints

    def __len__(self) -> int:
        return len(self.tag)

    @classmethod
    def of(
        cls,
        seq: Sequence[int] | Ints,
        tag: Sequence[int] | Indices,
        time_ms: Sequence[int] | Ints,
        value: Sequence[float] | Floats,
        quality: Sequence[int] | Codes,
        late: Sequence[bool] | Bools,
        arrival_ms: Sequence[int] | Ints,
    ) -> Self:
        """Return a batch of any sequences, with each column in its own type."""
        return cls(
            np.asarray(seq, np.int64),
            np.asarray(tag, np.int32),
            np.asarray(time_ms, np.int64),
            np.asarray(value, np.float64),
            np.asarray(quality, np.uint16),
            np.asarray(late, np.bool_),
            np.asarray(arrival_ms, np.int64),
        )

    @classmethod
    def concat(cls, batches: Sequence[Self]) -> Self:
        """Return one batch of several that follow each other in the log."""
        if not batches:
            return cls.of([], [], [], [], [], [], [])
        columns = ("seq", "tag", "time_ms", "value", "quality", "late", "arrival_ms")
        return cls(*(np.concatenate([getattr(batch, name) for batch in batches]) for name in columns))

    def part(self, start: int, stop: int) -> "Batch":
        """Return the readings from `start` up to `stop`, as views."""
        rows = slice(start, stop)
        return Batch(
            self.seq[rows],
            self.tag[rows],
            self.time_ms[rows],
            self.value[rows],
            self.quality[rows],
            self.late[rows],
            self.arrival_ms[rows],
        )
