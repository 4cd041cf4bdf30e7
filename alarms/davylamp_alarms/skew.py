"""Clocks that are off: an edge's against the host's, and the host's own, when most edges say so (SAFETY S2).

A wrong clock is an alarm of its own and never a reason for silence: nothing is cleared, delayed or hidden by it.
"""

from statistics import median

import numpy as np

from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import Kind
from davylamp_alarms.memory import MEASURED, Memory
from davylamp_alarms.steps import Step

OFF_MS, RIGHT_MS = 10_000, 5_000
"""A clock is off from here, and right again below there: ten seconds are two scans of the slowest gas points, and
order events of two edges wrongly (proposal)."""

ENOUGH = 3
"""Edges that must be measured before they can outvote the host."""


def skewed(memory: Memory, seq: int, now_ms: int) -> list[Step]:
    """Raise and clear the clock alarms of edges, by the offsets of this tick."""
    error_ms = host_error_ms(memory)
    steps = []
    for name in sorted(memory.lone):
        lone = memory.lone[name]
        if lone.definition.kind is not Kind.CLOCK:
            continue
        node = memory.layout.nodes.find(lone.definition.node)
        if node is None or memory.nodes.measured[node] != MEASURED:
            continue
        off_ms = int(memory.nodes.offset_ms[node]) - error_ms
        if abs(off_ms) > OFF_MS:
            steps += lone.wrong(seq, now_ms, said(off_ms))
        elif abs(off_ms) < RIGHT_MS or lone.phase is Phase.PENDING:
            steps += lone.right(seq, now_ms, said(off_ms))
    return steps


def host_error_ms(memory: Memory) -> int:
    """Return by how much the host's clock is behind most edges' clocks, where enough of them agree; else 0."""
    nodes = memory.nodes
    if nodes.n < ENOUGH:
        return 0
    offsets = nodes.offset_ms[: nodes.n][nodes.measured[: nodes.n] == MEASURED]
    if len(offsets) < ENOUGH:
        return 0
    middle = int(median(offsets.tolist()))
    agree = int((np.abs(offsets - middle) < RIGHT_MS).sum())
    return middle if abs(middle) > OFF_MS and 2 * agree > len(offsets) else 0


def said(off_ms: int) -> str:
    """Return how far a clock is off, in words of both languages: "+27:00:03 ahead / 快 27:00:03"."""
    seconds = round(abs(off_ms) / 1000)
    words = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{words} ahead / 快 {words}" if off_ms > 0 else f"{words} behind / 慢 {words}"
