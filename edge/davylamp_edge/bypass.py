"""What a device's own switches say of its points: in calibration, inhibited, under maintenance. Pure.

A PLC shows such a state as a bit or a number in a point of its own. While it holds, the points it is about carry it as
their quality, so that everybody sees the bypass (SAFETY S9). It only ever makes a quality worse, and an unknown state
is none: a switch that cannot be read silences nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD, Level
from davylamp_wire.reading import Value

from davylamp_edge.reply import Decoded


@dataclass(frozen=True, slots=True)
class _Rule:
    """A point is bypassed with a quality while another point has one of these values."""

    by: int
    when: frozenset[int]
    quality: int


class Bypasses:
    """One device's switches, as they were read last. Points are indices among the device's."""

    def __init__(self, names: Sequence[str], points: Sequence[Point]) -> None:
        places = {name: index for index, name in enumerate(names)}
        found = {index: _rules(point, places) for index, point in enumerate(points) if point.bypass}
        self._rules = {index: rules for index, rules in found.items() if rules}
        self.states: dict[int, Value] = {rule.by: None for rules in self._rules.values() for rule in rules}
        """What each switch says; None while that is not known."""

    @property
    def guarded(self) -> Collection[int]:
        """The points that some switch is about."""
        return self._rules.keys()

    def about(self, switch: int) -> list[int]:
        """Return the points a switch is about."""
        return [index for index, rules in self._rules.items() if any(rule.by == switch for rule in rules)]

    def marked(self, index: int, value: Value, quality: int) -> tuple[Value, int]:
        """Return a point's reading as its switches leave it now: their quality where its level is the worse one."""
        rules = self._rules.get(index, ())
        bypassed = max((rule.quality for rule in rules if self.states[rule.by] in rule.when), default=GOOD)
        if bypassed >> 8 <= quality >> 8:
            return value, quality
        return None if bypassed >> 8 == Level.BAD else value, bypassed

    def guard(self, indices: Sequence[int]) -> "Guard | None":
        """Return what to do to the replies of a request for these points; None where they have no part in it."""
        shown = [(at, index) for at, index in enumerate(indices) if index in self.states]
        guarded = [(at, index) for at, index in enumerate(indices) if index in self._rules]
        return Guard(self, shown, guarded) if shown or guarded else None


def _rules(point: Point, places: Mapping[str, int]) -> list[_Rule]:
    """Return a point's bypasses whose state is installed; `check` warns of the others."""
    return [_Rule(places[each.by], frozenset(each.when), each.code) for each in point.bypass if each.by in places]


class Guard:
    """One request's part in the bypasses: the states its reply shows, and the points it reads that they are about."""

    def __init__(
        self, bypasses: Bypasses, shown: Sequence[tuple[int, int]], guarded: Sequence[tuple[int, int]]
    ) -> None:
        self._bypasses = bypasses
        self._shown = shown
        self._guarded = guarded

    def apply(self, decoded: Decoded) -> None:
        """Note the states in a reply, and mark the points that are bypassed now."""
        for at, index in self._shown:
            self._bypasses.states[index] = decoded.values[at] if at not in decoded.doubts else None
        for at, index in self._guarded:
            own = decoded.doubts.get(at, GOOD)
            decoded.values[at], quality = self._bypasses.marked(index, decoded.values[at], own)
            if quality != own:
                decoded.doubts[at] = quality

    def forget(self) -> None:
        """Forget the states that were not read this time."""
        for _, index in self._shown:
            self._bypasses.states[index] = None
