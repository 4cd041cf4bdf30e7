"""What a rule kind is: two functions over columns, one line in `RULES`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Floats

Levels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Samples:
    """One reading beside one alarm row each, in columns of equal length.

    `level` and `reason` are the two halves of the quality; `limit` is where the alarm enters, `leave` where it is
    left, both in the tag's unit; `gas` is True on gas tags.
    """

    value: Floats
    level: Levels
    reason: Levels
    limit: Floats
    leave: Floats
    gas: Bools


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule kind.

    Args:
        judge: Which readings meet the alarm's condition, and which show it gone. Only a good reading may show that
            (SAFETY S4); no reading does both; many do neither.
        calm: Between which two values (exclusive) a good reading moves nothing, given limit, leave and whether the
            row is active. An empty span (low >= high) means: wake me for each reading.
    """

    judge: Callable[[Samples], tuple[Bools, Bools]]
    calm: Callable[[Floats, Floats, Bools], tuple[Floats, Floats]]
