"""What a trend is held against: the nearest limits of its tag that are not reached yet."""

import numpy as np

from davylamp_alarms.batch import Bools, Floats, Indices, Ints
from davylamp_alarms.conditions import ACTIVE
from davylamp_alarms.definition import FALLING, Kind
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.memory import Memory
from davylamp_alarms.wanted import wanted_of


def look_towards(memory: Memory, tags: Indices, at_once: bool = False) -> None:
    """Hold trends of tags against the limits these have now: the nearest above, and the nearest below.

    A limit whose alarm stands is reached; beyond it the next one is what to warn of, as long as there is one.
    """
    layout = memory.layout
    rows, position = layout.rows_of(tags)
    shared, stands = layout.rows.shared[rows], layout.rows.phase[rows] >= ACTIVE
    kinds = layout.kind_of[shared]
    trends = kinds == KIND_NUMBER[Kind.TREND]
    for number in np.unique(shared[trends]).tolist():
        towards = wanted_of(layout.row_classes.values[number].rule).towards
        if not towards:
            continue
        above = np.isin(kinds, [KIND_NUMBER[kind] for kind in towards if kind not in FALLING])
        below = np.isin(kinds, [KIND_NUMBER[kind] for kind in towards if kind in FALLING])
        limit, count = layout.rows.limit[rows], len(tags)
        high = _next(limit[above], position[above], stands[above], count)
        low = -_next(-limit[below], position[below], stands[below], count)
        mine = position[trends & (shared == number)]
        memory.early.look(tags[mine], high[mine], low[mine], at_once)


def _next(limit: Floats, position: Ints, stands: Bools, count: int) -> Floats:
    """Return the lowest limit at each of so many positions that is not reached; where all are, the highest."""
    ahead, last = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(ahead, position[~stands], limit[~stands])
    np.maximum.at(last, position, limit)
    return np.where(np.isinf(ahead) & np.isfinite(last), last, ahead)
