"""Parallel arrays that grow together: the engine's memory of many tags, rows and excursions."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

NEVER = np.iinfo(np.int64).min // 4
"""A time before all others, far enough from the type's end that delays can be added."""

ALWAYS = -NEVER
"""A time after all others."""


Fields = Mapping[str, tuple[type[np.generic], Any]]
"""Name of each array: its dtype, and what a new place holds."""


def then(names: Iterable[str]) -> Fields:
    """Return the arrays that `Columns.note` needs beside these."""
    return {f"then_{name}": (np.int64, NEVER) for name in names}


class Columns:
    """Arrays of equal length; `n` places are in use, the rest is room to grow into.

    Each subclass declares its arrays in `FIELDS`: dtype, and what a new place holds. The place is the last axis; a
    subclass may give an array leading axes, such as one of past samples.

    An array named in `ONCE` is kept as one value while all its places hold the same. It is then a view that cannot be
    written to: `write` gives each place its own as soon as they differ.
    """

    FIELDS: ClassVar[Fields] = {}
    ONCE: ClassVar[frozenset[str]] = frozenset()
    NOTED: ClassVar[tuple[str, ...]] = ()
    """Times that `note` keeps beside as ``then_…``: what was written since then is known by its being another."""

    def __init__(self) -> None:
        self.n = 0
        for name, (dtype, _) in self.FIELDS.items():
            setattr(self, name, np.empty((*self.leading(name), 0), dtype))

    def leading(self, name: str) -> tuple[int, ...]:
        """Return the lengths of an array's axes before that of the places."""
        return ()

    def fill(self, name: str) -> Any:
        """Return what a new place of an array holds."""
        return self.FIELDS[name][1]

    def extend(self, count: int) -> slice:
        """Add places holding the fill values and return where they are."""
        start, self.n = self.n, self.n + count
        for name, (dtype, _) in self.FIELDS.items():
            fill = dtype(self.fill(name))
            if name in self.ONCE and (not start or self._holds(name, fill)):
                setattr(self, name, np.broadcast_to(fill, self.n))
            else:
                self._room(name, start)[..., start : self.n] = fill
        return slice(start, self.n)

    def _room(self, name: str, used: int) -> NDArray[Any]:
        """Return an array that has room for all places. What nobody wrote to yet is no memory of the machine's."""
        array: NDArray[Any] = getattr(self, name)
        if self.n <= array.shape[-1] and array.flags.writeable:
            return array
        room = np.empty((*array.shape[:-1], self.n if used == self.n else max(self.n, 2 * used)), array.dtype)
        room[..., :used] = array[..., :used]
        setattr(self, name, room)
        return room

    def one(self, name: str) -> Any:
        """Return the value that all places of an array hold, where it is kept once; else None."""
        array: NDArray[Any] = getattr(self, name)
        return array[0] if self.n and not array.flags.writeable else None

    def _holds(self, name: str, value: Any) -> bool:
        """Return whether an array is kept once, and this is all it holds."""
        kept = self.one(name)
        return kept is not None and bool(np.all(value == kept))

    def write(self, name: str, places: slice | NDArray[Any], value: Any) -> None:
        """Put values into places of an array."""
        if not self._holds(name, value):
            self._room(name, self.n)[..., : self.n][..., places] = value

    def reorder(self, order: NDArray[np.int64]) -> None:
        """Keep only the places in `order`, in that order."""
        for name in self.FIELDS:
            kept = self.one(name)
            array = getattr(self, name)[..., order] if kept is None else np.broadcast_to(kept, len(order))
            setattr(self, name, array)
        self.n = len(order)

    def note(self) -> None:
        """Keep the noted times as they are now."""
        for name in self.NOTED:
            getattr(self, f"then_{name}")[: self.n] = getattr(self, name)[: self.n]

    def written(self, name: str) -> NDArray[np.bool_]:
        """Return in which places a noted time was written since `note`."""
        another: NDArray[np.bool_] = getattr(self, name)[: self.n] != getattr(self, f"then_{name}")[: self.n]
        return another

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return sum(getattr(self, name)[..., : self.n if self.one(name) is None else 1].nbytes for name in self.FIELDS)

    def dump(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return copies of the arrays in use, each named ``prefix/name``; of one whose places are alike its first."""
        return {f"{prefix}/{name}": getattr(self, name)[..., : self._different(name)].copy() for name in self.FIELDS}

    def _different(self, name: str) -> int:
        """Return how many places of an array a snapshot has to hold: by what they hold, not by how it is kept."""
        array = getattr(self, name)[: self.n]
        return 1 if name in self.ONCE and self.n and bool(np.all(array == array[0])) else self.n

    def load(self, prefix: str, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        arrays = {name: np.array(dumped[f"{prefix}/{name}"], dtype) for name, (dtype, _) in self.FIELDS.items()}
        self.n = max((array.shape[-1] for array in arrays.values()), default=0)
        for name, array in arrays.items():
            once = name in self.ONCE and array.shape[-1] == 1
            setattr(self, name, np.broadcast_to(array[0], self.n) if once else array)
