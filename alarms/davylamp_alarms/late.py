"""The late lane: what backlog and disorder tell of the past. It may raise, it never clears (SAFETY S5, S6).

A reading gets here when the tag has a newer good live one. An excursion is followed from its first reading; readings
belong to one excursion while the gap between them is no longer than it takes a tag to go stale.
"""

import numpy as np

from davylamp_alarms.batch import Batch, Bools, Ints
from davylamp_alarms.conditions import Phase
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.memory import Memory
from davylamp_alarms.steps import Step, What


def follow(
    memory: Memory,
    part: Batch,
    fresh: Bools,
    present: Bools,
    rows: Ints,
    position: Ints,
    met: Bools,
    inside: Bools,
    steps: list[Step],
) -> None:
    """Follow excursions of the past, and end those that nothing more was heard of for long."""
    past = ~present[position]
    followed = memory.slots.following(memory.layout.rows.slot[rows])
    for index in np.flatnonzero(past & (met | (inside & followed))):
        _past(memory, part, int(rows[index]), int(position[index]), bool(met[index]), steps)
    settled = followed & ~past & inside & fresh[position] & ~part.late[position]
    for index in np.flatnonzero(settled):
        _let_go(memory, part, int(rows[index]), int(position[index]), steps)


def _past(memory: Memory, part: Batch, row: int, at: int, met: bool, steps: list[Step]) -> None:
    """Take one reading of the past into its row's excursion."""
    slots = memory.slots
    slot, time_ms = int(slots.of(memory.layout.rows, np.array([row]))[0]), int(part.time_ms[at])
    if met and slots.since_ms[slot] <= time_ms < slots.until_ms[slot]:
        _disturb(memory, row, slot, time_ms)
    elif met:
        _extend(memory, part, row, slot, at, steps)
    elif time_ms > slots.late_last_ms[slot]:
        _end(memory, part, row, slot, at, time_ms, steps)
    elif slots.late_phase[slot] == Phase.PENDING:
        slots.late_from_ms[slot] = max(slots.late_from_ms[slot], time_ms)


def _disturb(memory: Memory, row: int, slot: int, time_ms: int) -> None:
    """Begin the off-delay again: the value was not inside all the time since it began."""
    phase = memory.layout.rows.phase
    if phase[row] == Phase.CLEARING and time_ms >= memory.slots.mark_ms[slot]:
        phase[row] = Phase.ACTIVE


def _extend(memory: Memory, part: Batch, row: int, slot: int, at: int, steps: list[Step]) -> None:
    slots, time_ms = memory.slots, int(part.time_ms[at])
    gap_ms = memory.layout.tag_class(int(part.tag[at])).stale_ms
    apart = time_ms > slots.late_last_ms[slot] + gap_ms or time_ms < slots.late_from_ms[slot] - gap_ms
    if slots.late_phase[slot] == Phase.NORMAL or apart:
        slots.late_phase[slot] = Phase.PENDING
        slots.late_from_ms[slot] = slots.late_last_ms[slot] = time_ms
    slots.late_from_ms[slot] = min(slots.late_from_ms[slot], time_ms)
    slots.late_last_ms[slot] = max(slots.late_last_ms[slot], time_ms)
    slots.late_seen_ms[slot] = part.arrival_ms[at]
    lasted_ms = slots.late_last_ms[slot] - slots.late_from_ms[slot]
    if slots.late_phase[slot] == Phase.PENDING and lasted_ms >= memory.layout.row_class(row).on_delay_ms:
        slots.late_phase[slot] = Phase.ACTIVE
        steps.append(_step(memory, part, row, slot, at, What.LATE_FOUND, int(slots.late_last_ms[slot])))


def _end(memory: Memory, part: Batch, row: int, slot: int, at: int, until_ms: int, steps: list[Step]) -> None:
    found = memory.slots.late_phase[slot] == Phase.ACTIVE
    memory.slots.late_phase[slot] = Phase.NORMAL
    if found:
        steps.append(_step(memory, part, row, slot, at, What.LATE_ENDED, until_ms))


def _let_go(memory: Memory, part: Batch, row: int, at: int, steps: list[Step]) -> None:
    """End an excursion whose backlog has run dry, at the last time it is known to have lasted."""
    slot = int(memory.layout.rows.slot[row])
    gap_ms = memory.layout.tag_class(int(part.tag[at])).stale_ms
    if part.arrival_ms[at] - memory.slots.late_seen_ms[slot] > gap_ms:
        _end(memory, part, row, slot, at, int(memory.slots.late_last_ms[slot]), steps)


def _step(memory: Memory, part: Batch, row: int, slot: int, at: int, what: What, until_ms: int) -> Step:
    return Step(
        int(part.seq[at]),
        int(part.tag[at]),
        KIND_NUMBER[memory.layout.row_class(row).kind],
        what,
        time_ms=int(part.time_ms[at]),
        value=float(part.value[at]),
        quality=int(part.quality[at]),
        late=True,
        from_ms=int(memory.slots.late_from_ms[slot]),
        until_ms=until_ms,
    )
