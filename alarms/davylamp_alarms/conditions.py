"""Delays and deadbands: how one reading moves the condition of many rows at once. Nothing else clears a limit."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Ints

Phases = NDArray[np.uint8]


class Phase(IntEnum):
    """Where a row stands between normal and active. PENDING runs the on-delay, CLEARING the off-delay."""

    NORMAL = 0
    PENDING = 1
    ACTIVE = 2
    CLEARING = 3


NORMAL, PENDING, ACTIVE, CLEARING = map(np.uint8, Phase)
"""The same for columns: NumPy takes five times as long to compare them with a member of an enum."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What came of it: new phases and marks, and which rows raised (at `raised_ms`, source time) or cleared.

    `since_ms` is when the condition began to be met, `mark_ms` when the off-delay began.
    """

    phase: Phases
    since_ms: Ints
    mark_ms: Ints
    raised: Bools
    raised_ms: Ints
    cleared: Bools


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows a reading meets, before it does."""

    phase: Phases
    since_ms: Ints
    mark_ms: Ints
    on_delay_ms: Ints
    off_delay_ms: Ints


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a reading says about its row: judged by the rule, and placed in time.

    `fresh` is newer than everything known of the tag; `live` was not delivered as backlog. `timed` came so soon after
    a tick that no clock can have been set over it unseen: only such a reading ends an off-delay.
    """

    time_ms: Ints
    met: Bools
    inside: Bools
    good: Bools
    fresh: Bools
    live: Bools
    timed: Bools


def advance(rows: Rows, seen: Evidence) -> Moves:
    """Move the rows by one reading each, which is the tag's present state or newer (SAFETY S1 to S4).

    A pending row whose delay is over before a newer reading comes did stand until then, and raises. A pending row is
    given up by a good newer reading that does not meet the condition; doubt leaves it running. Only a fresh, good,
    live reading inside the deadband clears, and starts or keeps the off-delay; anything fresh that is not inside
    restarts it. Where no tick is near, time that seems to have passed may be a clock that was set: the next one clears.
    """
    normal, pending = rows.phase == NORMAL, rows.phase == PENDING
    clearing = rows.phase == CLEARING
    due_ms = rows.since_ms + rows.on_delay_ms
    stood = pending & ((seen.fresh & (seen.time_ms > due_ms)) | (seen.met & (seen.time_ms >= due_ms)))
    raised = stood | (normal & seen.met & (rows.on_delay_ms == 0))
    starting = normal & seen.met & ~raised
    given_up = pending & ~raised & ~seen.met & seen.good & seen.fresh

    standing = raised | (rows.phase >= ACTIVE)
    returning = standing & seen.inside & seen.fresh & seen.live
    over = (rows.off_delay_ms == 0) | (clearing & seen.timed & (seen.time_ms - rows.mark_ms >= rows.off_delay_ms))
    cleared = returning & over
    beginning = returning & ~cleared & ~clearing
    broken = clearing & (seen.met | (seen.fresh & ~seen.inside))

    phase = rows.phase.copy()
    phase[starting] = PENDING
    phase[raised | broken] = ACTIVE
    phase[beginning] = CLEARING
    phase[cleared | given_up] = NORMAL
    return Moves(
        phase=phase,
        since_ms=np.where(starting | (raised & normal), seen.time_ms, rows.since_ms),
        mark_ms=np.where(beginning, seen.time_ms, rows.mark_ms),
        raised=raised,
        raised_ms=np.where(stood, due_ms, seen.time_ms),
        cleared=cleared,
    )
