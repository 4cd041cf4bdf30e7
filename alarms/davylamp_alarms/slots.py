"""Times of the rows that were ever excited. Most rows never are, so they have no slot."""

from typing import ClassVar

import numpy as np

from davylamp_alarms.batch import Bools, Indices, Ints
from davylamp_alarms.columns import NEVER, Columns, Fields, then
from davylamp_alarms.conditions import NORMAL, Phase, Phases
from davylamp_alarms.layout import NO_SLOT, AlarmRows

LIVE_TIMES = ("since_ms", "until_ms", "mark_ms")
EDGE_TIMES = (*LIVE_TIMES, "late_from_ms", "late_last_ms")
"""Those times of a slot that are by its edge's clock; of live readings, and with those of backlog."""


class Slots(Columns):
    """Source times per excited row.

    The excursion last seen live is ``since_ms <= t < until_ms`` (`columns.ALWAYS` while it goes on): a duplicate out
    of it is no news. `late_…` belong to the late lane: an excursion found in backlog, its known ends, and when the host
    last saw a reading of it.
    """

    NOTED: ClassVar[tuple[str, ...]] = (*EDGE_TIMES, "late_seen_ms")
    FIELDS: ClassVar[Fields] = {
        "row": (np.int32, -1),
        "since_ms": (np.int64, NEVER),
        "until_ms": (np.int64, NEVER),
        "mark_ms": (np.int64, NEVER),
        "late_from_ms": (np.int64, NEVER),
        "late_last_ms": (np.int64, NEVER),
        "late_seen_ms": (np.int64, NEVER),
        "late_phase": (np.uint8, Phase.NORMAL),
        **then(NOTED),
    }
    row: Indices
    since_ms: Ints
    until_ms: Ints
    mark_ms: Ints
    late_from_ms: Ints
    late_last_ms: Ints
    late_seen_ms: Ints
    late_phase: Phases

    def of(self, rows: AlarmRows, wanted: Ints) -> Indices:
        """Return the slot of each row, new ones for rows that have none yet."""
        missing = wanted[rows.slot[wanted] == NO_SLOT]
        if missing.size:
            where = self.extend(len(missing))
            self.row[where] = missing
            rows.slot[missing] = np.arange(where.start, where.stop)
        return rows.slot[wanted]

    def arrange(self, rows: AlarmRows) -> None:
        """Put slots in the order of their rows, wherever those lie now; slots of removed rows go.

        The order in which rows were first excited is the engine's own affair: this takes it out of a snapshot.
        """
        holders = np.flatnonzero(rows.slot[: rows.n] != NO_SLOT)
        self.reorder(rows.slot[holders].astype(np.int64))
        self.row[: self.n] = holders
        rows.slot[holders] = np.arange(len(holders))

    def following(self, slots: Indices) -> Bools:
        """Return where the late lane follows an excursion; `NO_SLOT` never does."""
        if not self.n:
            return np.zeros(len(slots), np.bool_)
        followed: Bools = (slots != NO_SLOT) & (self.late_phase[slots] != NORMAL)
        return followed
