"""Readings put in order with the ticks that would have been between them: recorded time passes as it did."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from davylamp_alarms.backtest.run import Link, Recorded, Tick
from davylamp_alarms.batch import Batch

TICK_MS = 1_000
"""How often timers are looked at. What falls due is told with the time it was due, so this moves no transition by its
source time; a live engine looks more often, so that people hear sooner."""


def with_ticks(nodes: Iterable[str], batches: Iterable[Batch], every_ms: int = TICK_MS) -> Iterator[Recorded]:
    """Yield the batches with ticks between them, numbered on; every node's link is there from the beginning.

    Args:
        batches: By arrival; one may lie across no tick, so each is one moment.
    """
    seq, at_ms, due_ms = 0, 0, None
    for batch in batches:
        at_ms = int(batch.arrival_ms[0])
        if due_ms is None:
            due_ms = at_ms
            for node in nodes:
                yield Link(seq, node, up=True, at_ms=at_ms)
        while due_ms < at_ms:
            seq += 1
            yield Tick(seq, due_ms)
            due_ms += every_ms
        seq += 1
        yield replace(batch, seq=np.full(len(batch), seq))
    if due_ms is not None:
        yield Tick(seq + 1, at_ms)
