"""Questions to masks. `numpy.count_nonzero` answers in a fifth of the time that a mask's own `any` and `all` take to be
called, and a step of a rule asks many times."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools

T = TypeVar("T", bound=np.generic)


def some(mask: NDArray[Any]) -> bool:
    """Return whether a mask holds anywhere."""
    return bool(np.count_nonzero(mask))


def every(mask: Bools) -> bool:
    """Return whether a mask holds everywhere."""
    return bool(np.count_nonzero(mask) == mask.size)


def chosen_of(column: NDArray[T], chosen: Bools) -> NDArray[T]:
    """Return what is chosen of a column; all of it as it is, which needs no copy."""
    return column if every(chosen) else column[chosen]
