"""Bypasses of points whose server tells by itself: a switch that turns changes the quality of points it did not tell.

    decoder ─pushed─► in order of time, switches first ─► marked ─► changes

What a switch is about is told again when it turns, with the value it has, as of when the switch turned. Each reading
is judged by the switches as they stood at its own time, so that what was measured before a bypass began is no test gas.
"""

import math
from collections.abc import Iterator, Sequence

from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD
from davylamp_wire.reading import Value

from davylamp_edge.bypass import Bypasses
from davylamp_edge.pushed import Pushed


class PushedBypasses:
    """One device's switches and what they are about; points are their places among the device's pushed ones."""

    def __init__(self, names: Sequence[str], points: Sequence[Point]) -> None:
        self._bypasses = Bypasses(names, points)
        self._told: dict[int, tuple[Value, int]] = {}
        """What the server itself said last of the points that are guarded."""

    def is_switch(self, at: int) -> bool:
        """Return whether other points depend on this one."""
        return at in self._bypasses.states

    def forget(self) -> None:
        """Begin anew: what a server tells first is what stands now, and its switches are heard before it."""
        self._told.clear()

    def raw(self, at: int, told: Value) -> Value:
        """Return what the server said last of a point, where ``told`` is what was handed on."""
        return self._told[at][0] if at in self._told else told

    def apply(self, pushed: Sequence[Pushed]) -> Sequence[Pushed]:
        """Return readings as the switches leave them, and those of points whose switches turned meanwhile."""
        return [*self._marked(pushed)] if self._bypasses.states else pushed

    def _marked(self, pushed: Sequence[Pushed]) -> Iterator[Pushed]:
        placed = self._in_time(pushed)
        spoken = {(reading[0], when) for when, reading in placed}
        for when, (at, value, quality, stamp_ms) in placed:
            if at in self._bypasses.guarded:
                self._told[at] = value, quality
            yield at, *self._bypasses.marked(at, value, quality), stamp_ms
            if self.is_switch(at):
                turned = self._turn(at, value if quality == GOOD else None)
                yield from ((each, *self._now(each), stamp_ms) for each in turned if (each, when) not in spoken)

    def _turn(self, switch: int, state: Value) -> list[int]:
        """Note a switch's state; return the points that it makes other than they were."""
        about = [at for at in self._bypasses.about(switch) if at in self._told]
        before = [self._now(at) for at in about]
        self._bypasses.states[switch] = state
        return [at for at, was in zip(about, before, strict=True) if self._now(at) != was]

    def _now(self, at: int) -> tuple[Value, int]:
        return self._bypasses.marked(at, *self._told[at])

    def _in_time(self, pushed: Sequence[Pushed]) -> list[tuple[float, Pushed]]:
        """Return readings with the times they are placed by: each point's in its own order, switches before others.

        A reading without a stamp is of now, and so is the first of a point: its stamp may be older than a switch that
        has stood for long.
        """
        latest: dict[int, float] = {}
        placed = []
        for reading in pushed:
            at, _, _, stamp_ms = reading
            is_first = at in self._bypasses.guarded and at not in self._told
            when = stamp_ms if stamp_ms and not is_first else math.inf
            latest[at] = max(when, latest.get(at, 0.0))
            placed.append((latest[at], reading))
        return sorted(placed, key=lambda each: (each[0], not self.is_switch(each[1][0])))
