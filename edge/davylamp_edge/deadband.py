"""Decides which readings are worth sending. Transport only: local limits see every scan (SAFETY S8).

By default only exact repeats are held back, and never longer than the point's max silence. Always sent: any change of
quality, anything over its range, a limit crossed since the last report, and the last held-back value before a jump,
so that a trend shows the edge and not a slope. A repeat carries the time it was confirmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import add, eq

from davylamp_wire.point import JournalClass, Limit, LimitKind, Point
from davylamp_wire.quality import GOOD, Reason, bad
from davylamp_wire.reading import Value

from davylamp_edge.reply import Decoded

_REASON = 0xFF


@dataclass(slots=True)
class Columns:
    """Readings to report, in parallel columns; `points` as in `ScanResult`."""

    points: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    qualities: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.points)


Report = dict[JournalClass, Columns]
"""What a scan has to say, by the journal class it goes to."""


class Suppressor:
    """Holds back what repeats, for the points of one request.

    Args:
        indices: The points' indices among their device's points.
        points: The points, in the order of the request's columns.
        period_ms: How often the request is made; a repeat goes out a scan early rather than late.
        every: Report every reading, hold nothing back.
    """

    def __init__(self, indices: Sequence[int], points: Sequence[Point], *, period_ms: int, every: bool = False) -> None:
        self._indices = indices
        self._all = range(len(indices))
        self._every = every
        self._silences = [max(0, int(point.silence_s * 1000) - period_ms * 3 // 2) for point in points]
        self._bands = {i: Band(point, point.deadband) for i, point in enumerate(points) if point.deadband}
        self._classes = _members(points)
        # What the last reply said, and when each point was last sent; both by the reply's arrival.
        self._last = Decoded([None] * len(indices), {}, [])
        self._last_ms = 0
        self._sent_ms: list[int] = []
        self._due_ms = 0
        self._held_none = True
        """Whether the last reply was sent whole."""

    def report(self, decoded: Decoded, arrived_ms: int, into: Report) -> None:
        """Add to ``into`` what this reply has to say. The first reply is always sent whole."""
        if arrived_ms < self._last_ms:
            self._set_back(self._last_ms - arrived_ms)
        if decoded.times_ms is None:
            decoded.times_ms = [arrived_ms] * len(self._all)
        chosen: Sequence[int] = self._all
        if self._sent_ms and not self._every:
            jumps = self._jumps(decoded.values, self._requalified(decoded.doubts))
            self._add_held_back(jumps, into)
            chosen = self._with_repeats(jumps, decoded.doubts, arrived_ms)
        self._add(chosen, decoded, into)
        self._remember(chosen, decoded, arrived_ms)

    def lose(self, arrived_ms: int, into: Report) -> None:
        """Add what is known of points whose device does not answer: bad, since now."""
        self.fail(Reason.COMM, arrived_ms, into)

    def fail(self, reason: Reason, arrived_ms: int, into: Report) -> None:
        """Add what is known of points that could not be read: bad, for one reason."""
        self.report(Decoded([None] * len(self._all), dict.fromkeys(self._all, bad(reason))), arrived_ms, into)

    def _set_back(self, by_ms: int) -> None:
        """Follow a clock that was set back: what repeats itself must not wait until it has caught up."""
        self._sent_ms = [sent_ms - by_ms for sent_ms in self._sent_ms]
        self._last_ms -= by_ms
        self._due_ms -= by_ms

    def _requalified(self, doubts: dict[int, int]) -> set[int]:
        before = self._last.doubts
        if not doubts and not before:
            return set()
        return {i for i in doubts.keys() | before.keys() if doubts.get(i, GOOD) != before.get(i, GOOD)}

    def _jumps(self, values: list[Value], requalified: set[int]) -> Sequence[int]:
        """Return who says something new, ascending."""
        before = self._last.values
        if values == before:
            return sorted(requalified)
        if not (self._bands or any(map(eq, values, before))):
            return self._all
        jumps = [i for i, value, old in zip(self._all, values, before, strict=True) if value != old]
        if self._bands:
            bands = self._bands
            jumps = [i for i in jumps if i not in bands or bands[i].is_left_by(values[i])]
        return sorted(requalified.union(jumps)) if requalified else jumps

    def _with_repeats(self, jumps: Sequence[int], doubts: dict[int, int], arrived_ms: int) -> Sequence[int]:
        """Return the jumps and who must repeat itself: what is over its range, and who has been silent too long."""
        repeats = [i for i, quality in doubts.items() if quality & _REASON == Reason.OVER_RANGE]
        if arrived_ms >= self._due_ms:
            since = zip(self._all, self._sent_ms, self._silences, strict=True)
            repeats += [i for i, sent, silence in since if arrived_ms - sent >= silence]
        return sorted({*jumps, *repeats}) if repeats else jumps

    def _add_held_back(self, jumps: Sequence[int], into: Report) -> None:
        if self._held_none:
            return
        last_ms, sent = self._last_ms, self._sent_ms
        held = [i for i in jumps if sent[i] != last_ms]
        self._add(held, self._last, into)

    def _add(self, chosen: Sequence[int], decoded: Decoded, into: Report) -> None:
        """Add each to its own class, whatever it says: graver classes overtake, and a tag must not overtake itself."""
        if not chosen:
            return
        for journal_class, members in self._classes:
            self._extend(
                journal_class, chosen if members is None else [i for i in chosen if i in members], decoded, into
            )

    def _extend(self, journal_class: JournalClass, chosen: Sequence[int], decoded: Decoded, into: Report) -> None:
        """Append the chosen positions to their class's columns; all of them at once where nobody is left out."""
        if not chosen:
            return
        columns = into.setdefault(journal_class, Columns())
        indices, times, values, doubts = self._indices, decoded.times_ms, decoded.values, decoded.doubts
        assert times is not None
        if len(chosen) == len(self._all):
            columns.points += indices
            columns.times_ms += times
            columns.values += values
        else:
            columns.points += [indices[i] for i in chosen]
            columns.times_ms += [times[i] for i in chosen]
            columns.values += [values[i] for i in chosen]
        columns.qualities += [doubts.get(i, GOOD) for i in chosen] if doubts else [GOOD] * len(chosen)

    def _remember(self, chosen: Sequence[int], decoded: Decoded, arrived_ms: int) -> None:
        self._last, self._last_ms = decoded, arrived_ms
        self._held_none = len(chosen) == len(self._all)
        if self._held_none:
            self._sent_ms = [arrived_ms] * len(self._all)
        else:
            for i in chosen:
                self._sent_ms[i] = arrived_ms
        if arrived_ms >= self._due_ms:
            self._due_ms = min(map(add, self._sent_ms, self._silences), default=arrived_ms)
        for i in self._bands.keys() & chosen if self._bands else ():
            self._bands[i].sent(decoded.values[i])


class Band:
    """An opted-in deadband: the value last sent, and every line that must not be crossed in silence."""

    def __init__(self, point: Point, width: float) -> None:
        self._width = width
        self._rising, self._falling = _lines(point.limits)
        self._value: Value = None
        self._side = (0, 0)

    def is_left_by(self, value: Value) -> bool:
        """Return whether a value must be sent: a deadband away from the last one, or across a limit."""
        if not isinstance(value, int | float) or not isinstance(self._value, int | float):
            return True
        return abs(value - self._value) >= self._width or self._side_of(value) != self._side

    def sent(self, value: Value) -> None:
        self._value = value
        if isinstance(value, int | float):
            self._side = self._side_of(value)

    def _side_of(self, value: float) -> tuple[int, int]:
        return sum(value >= line for line in self._rising), sum(value <= line for line in self._falling)


def _lines(limits: dict[LimitKind, Limit]) -> tuple[list[float], list[float]]:
    """Return the values at which limits are entered or left, by the side they are met from.

    A limit is entered at its value and left a deadband back from it (ISA-18.2), so both are lines.
    """
    rising: list[float] = []
    falling: list[float] = []
    for kind, limit in limits.items():
        entered, left = (rising, falling) if kind.rising else (falling, rising)
        entered.append(limit.value)
        left.append(limit.value - limit.deadband if kind.rising else limit.value + limit.deadband)
    return rising, falling


def _members(points: Sequence[Point]) -> list[tuple[JournalClass, frozenset[int] | None]]:
    """Return which positions go to which journal class; None where all go to one."""
    classes: dict[JournalClass, set[int]] = {}
    for i, point in enumerate(points):
        classes.setdefault(point.journal_class, set()).add(i)
    if len(classes) == 1:
        return [(journal_class, None) for journal_class in classes]
    return [(journal_class, frozenset(members)) for journal_class, members in classes.items()]
