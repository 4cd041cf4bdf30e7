"""Stored readings as records: by source time, with the ticks and links that nobody stored.

A second's readings are one batch, as if they had arrived when they were made, and a tick follows. An edge of which
nothing is stored for as long as none of its tags may be silent was off: its link is lost until something is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from davylamp_alarms.backtest.run import Link, Recorded, Tick
from davylamp_alarms.backtest.ticks import TICK_MS
from davylamp_alarms.batch import Batch, Bools, Ints
from davylamp_alarms.columns import ALWAYS
from davylamp_alarms.definition import TagDef

SILENCES = 2
"""An edge is lost after so many of its shortest silence: before any of its tags is without new data, which is three."""


@dataclass(slots=True)
class Nodes:
    """The edges of some tags, and when something of each was stored last."""

    names: Sequence[str]
    of_tag: Ints
    silence_ms: Ints
    heard_ms: Ints = field(init=False)
    up: Bools = field(init=False)

    def __post_init__(self) -> None:
        self.heard_ms = np.full(len(self.names), -ALWAYS)
        self.up = np.zeros(len(self.names), np.bool_)

    def hear(self, batch: Batch) -> list[str]:
        """Take readings; return the edges that are back by them."""
        self.heard_ms[self.of_tag[batch.tag]] = batch.time_ms
        back = ~self.up & (self.heard_ms >= batch.time_ms[0])
        if not back.any():
            return []
        self.up |= back
        return [self.names[at] for at in np.flatnonzero(back).tolist()]

    def lost(self, now_ms: int) -> list[str]:
        """Return the edges that are lost since now."""
        gone = self.up & (now_ms - self.heard_ms > self.silence_ms)
        if not gone.any():
            return []
        self.up &= ~gone
        return [self.names[at] for at in np.flatnonzero(gone).tolist()]


def nodes_of(tags: Iterable[TagDef]) -> Nodes:
    """Return the edges of tags."""
    all_tags = tuple(tags)
    names = sorted({tag.node for tag in all_tags})
    place = {name: at for at, name in enumerate(names)}
    of_tag = np.array([place[tag.node] for tag in all_tags], np.int64)
    silence_ms = np.full(len(names), ALWAYS)
    np.minimum.at(silence_ms, of_tag, np.array([tag.silence_ms for tag in all_tags], np.int64))
    return Nodes(names, of_tag, SILENCES * silence_ms)


class Past:
    """Numbers the records of a span that was stored; it ends at `to_ms`, a whole second."""

    def __init__(self, nodes: Nodes, to_ms: int) -> None:
        self._nodes, self._to_ms = nodes, to_ms
        self._seq, self._due_ms = 0, to_ms + TICK_MS

    def records(self, stretches: Iterable[Batch]) -> Iterator[Recorded]:
        """Yield the records of stretches, each ordered by source time, that follow each other and part at seconds.

        Time begins with the first reading.
        """
        for stretch in stretches:
            if len(stretch) and not self._seq:
                self._due_ms = int(stretch.time_ms[0]) // TICK_MS * TICK_MS + TICK_MS
            second = stretch.time_ms // TICK_MS
            cuts = [0, *(np.flatnonzero(np.diff(second)) + 1).tolist(), len(stretch)]
            for start, stop in pairwise(cuts if len(stretch) else []):
                yield from self._ticks(int(second[start]) * TICK_MS)
                yield from self._moment(stretch.part(start, stop))
        yield from self._ticks(self._to_ms)

    def _moment(self, batch: Batch) -> Iterator[Recorded]:
        for node in self._nodes.hear(batch):
            yield Link(self._next(), node, up=True, at_ms=int(batch.time_ms[0]))
        yield replace(batch, seq=np.full(len(batch), self._next()))

    def _ticks(self, until_ms: int) -> Iterator[Recorded]:
        while self._due_ms <= until_ms:
            yield Tick(self._next(), self._due_ms)
            for node in self._nodes.lost(self._due_ms):
                yield Link(self._next(), node, up=False, at_ms=self._due_ms)
            self._due_ms += TICK_MS

    def _next(self) -> int:
        self._seq += 1
        return self._seq
