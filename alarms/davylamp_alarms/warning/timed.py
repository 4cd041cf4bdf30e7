"""Columns of times since when something is under way, and which of them are over."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.columns import Columns
from davylamp_alarms.warning.masks import some

MARGIN_MS = 1.0
"""Roundings of times and spans are far below this."""


class Timed(Columns):
    """Columns of rows of which something falls due now and then.

    For each stretch of rows that follow each other it is remembered before when nothing falls due, because on most
    steps that is all there is to know. It follows from the columns, in which times only move on, so no snapshot has it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._nothing_before: dict[tuple[str, int, int], float] = {}

    def extend(self, count: int) -> slice:
        """Add places holding the fill values and return where they are."""
        self._nothing_before = {}
        return super().extend(count)

    def reorder(self, order: NDArray[np.int64]) -> None:
        """Keep only the places in `order`, in that order."""
        self._nothing_before = {}
        super().reorder(order)

    def load(self, prefix: str, dumped: Any) -> None:
        """Take over what `dump` gave."""
        self._nothing_before = {}
        super().load(prefix, dumped)

    def due(
        self, name: str, wait_ms: float, places: slice | NDArray[np.intp], now_ms: Floats, latest_ms: float
    ) -> Bools | None:
        """Return at which places a time in a column is `wait_ms` old or older; None: nowhere.

        Args:
            now_ms: Of each place.
            latest_ms: No place's is later.
        """
        key = (name, places.start, places.stop) if isinstance(places, slice) else None
        if key is not None and latest_ms < self._nothing_before.get(key, -np.inf):
            return None
        since: Floats = getattr(self, name)[places]
        due: Bools = now_ms - since >= wait_ms
        if some(due):
            return due
        if key is not None and len(since):
            self._nothing_before[key] = float(since.min()) + wait_ms - MARGIN_MS
        return None
