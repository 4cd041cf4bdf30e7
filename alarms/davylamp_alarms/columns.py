"""Parallel arrays that grow together: the engine's memory of many tags, rows and excursions."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

NEVER = np.iinfo(np.int64).min // 4
"""A time before all others, far enough from the type's end that delays can be added."""

ALWAYS = -NEVER
"""A time after all others."""


Fields = Mapping[str, tuple[type[np.generic], Any]]
"""Name of each array: its dtype, and what a new place holds."""


class Columns:
    """Arrays of equal length; `n` places are in use, the rest is room to grow into.

    Each subclass declares its arrays in `FIELDS`: dtype, and what a new place holds. The place is the last axis; a
    subclass may give an array leading axes, such as one of past samples.
    """

    FIELDS: ClassVar[Fields] = {}

    def __init__(self) -> None:
        self.n = 0
        for name, (dtype, _) in self.FIELDS.items():
            setattr(self, name, np.empty((*self.leading(name), 0), dtype))

    def leading(self, name: str) -> tuple[int, ...]:
        """Return the lengths of an array's axes before that of the places."""
        return ()

    def extend(self, count: int) -> slice:
        """Add places holding the fill values and return where they are."""
        start, self.n = self.n, self.n + count
        for name, (dtype, fill) in self.FIELDS.items():
            array: NDArray[Any] = getattr(self, name)
            if self.n > array.shape[-1]:
                room = np.empty((*array.shape[:-1], max(self.n, 2 * start) - start), dtype)
                array = np.concatenate([array[..., :start], room], axis=-1)
                setattr(self, name, array)
            array[..., start : self.n] = fill
        return slice(start, self.n)

    def reorder(self, order: NDArray[np.int64]) -> None:
        """Keep only the places in `order`, in that order."""
        for name in self.FIELDS:
            setattr(self, name, getattr(self, name)[..., order])
        self.n = len(order)

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return sum(getattr(self, name)[..., : self.n].nbytes for name in self.FIELDS)

    def dump(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return copies of the arrays in use, each named ``prefix/name``."""
        return {f"{prefix}/{name}": getattr(self, name)[..., : self.n].copy() for name in self.FIELDS}

    def load(self, prefix: str, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        for name, (dtype, _) in self.FIELDS.items():
            setattr(self, name, np.array(dumped[f"{prefix}/{name}"], dtype))
            self.n = getattr(self, name).shape[-1]
