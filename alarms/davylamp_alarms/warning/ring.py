"""Past samples, one ring per row, time first: rows that step together write to neighbouring places."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.warning.masks import every
from davylamp_alarms.warning.rule import Places, indices

T = TypeVar("T", bound=np.generic)


def same(cursor: NDArray[np.uint8]) -> int | None:
    """Return the cursor all rows share; None where they differ."""
    first = int(cursor[0])
    return first if every(cursor == first) else None


def get(ring: NDArray[T], cursor: NDArray[np.uint8], places: Places) -> NDArray[T]:
    """Return what lies at each row's cursor."""
    shared = same(cursor)
    return ring[cursor, indices(places)] if shared is None else ring[shared, places]


def put(ring: NDArray[T], cursor: NDArray[np.uint8], places: Places, value: NDArray[T]) -> None:
    """Write one value at each row's cursor."""
    shared = same(cursor)
    if shared is None:
        ring[cursor, indices(places)] = value
    else:
        ring[shared, places] = value


def fold(
    operate: Callable[..., NDArray[np.float64]],
    column: NDArray[np.float64],
    places: Places,
    value: NDArray[np.float64] | float,
) -> None:
    """Put the result of an operation on a column and new values back into the column; a slice needs no copy."""
    if isinstance(places, slice):
        operate(column[places], value, out=column[places])
    else:
        column[places] = operate(column[places], value)


def after(cursor: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Return the cursors one further round a ring of this length."""
    moved = cursor + np.uint8(1)
    moved[moved == length] = 0
    return moved


def before(cursor: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Return the cursors one back round a ring of this length."""
    moved = cursor - np.uint8(1)
    moved[cursor == 0] = length - 1
    return moved
