"""Sets of record numbers, kept as intervals: what the cloud has on disk, told to the edge in a few dozen bytes."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, init=False)
class Intervals:
    """An immutable set of non-negative integers, as sorted intervals that neither overlap nor touch.

    Iterating gives the intervals ``(first, last)``, both ends included. Adding costs a binary search and a copy of
    the interval list, which confirmation keeps short: a set of a healthy link is one interval.
    """

    _firsts: tuple[int, ...]
    _lasts: tuple[int, ...]

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        firsts, lasts = _merged(intervals)
        object.__setattr__(self, "_firsts", firsts)
        object.__setattr__(self, "_lasts", lasts)

    @classmethod
    def _of(cls, firsts: tuple[int, ...], lasts: tuple[int, ...]) -> "Intervals":
        made = cls.__new__(cls)
        object.__setattr__(made, "_firsts", firsts)
        object.__setattr__(made, "_lasts", lasts)
        return made

    @classmethod
    def parse(cls, text: str) -> "Intervals":
        """Return the set a text like ``1-500,502`` names; the empty text is the empty set.

        Raises: ValueError naming the part that is no interval.
        """
        return cls(_interval(part) for part in text.split(",")) if text else cls()

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self)

    def __repr__(self) -> str:
        return f"Intervals.parse({str(self)!r})"

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __len__(self) -> int:
        """Return how many intervals the set takes, not how many numbers it holds (that is `count`)."""
        return len(self._firsts)

    @property
    def count(self) -> int:
        """How many numbers the set holds."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    @property
    def highest(self) -> int | None:
        """The highest number, None in the empty set."""
        return self._lasts[-1] if self._lasts else None

    def covers(self, number: int) -> bool:
        """Return whether the set holds a number."""
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

    __contains__ = covers

    def add(self, number: int) -> "Intervals":
        """Return the set with one more number; nearly always it is the next."""
        if self._lasts and number == self._lasts[-1] + 1:
            return Intervals._of(self._firsts, (*self._lasts[:-1], number))
        return self.add_range(number, number)

    def add_range(self, first: int, last: int) -> "Intervals":
        """Return the set with all numbers from `first` to `last`."""
        _check(first, last)
        start = bisect_left(self._lasts, first - 1)
        stop = bisect_right(self._firsts, last + 1)
        if start < stop:
            first = min(first, self._firsts[start])
            last = max(last, self._lasts[stop - 1])
        firsts = (*self._firsts[:start], first, *self._firsts[stop:])
        lasts = (*self._lasts[:start], last, *self._lasts[stop:])
        return Intervals._of(firsts, lasts)

    def missing(self, first: int, last: int) -> "Intervals":
        """Return the numbers from `first` to `last` that the set does not hold."""
        gaps = []
        start = bisect_left(self._lasts, first)
        for low, high in zip(self._firsts[start:], self._lasts[start:], strict=True):
            if low > last:
                break
            if first < low:
                gaps.append((first, low - 1))
            first = high + 1
        if first <= last:
            gaps.append((first, last))
        return Intervals(gaps)

    def union(self, other: "Intervals") -> "Intervals":
        """Return the numbers of either set."""
        return Intervals([*self, *other])

    __or__ = union


def _check(first: int, last: int) -> None:
    if not 0 <= first <= last:
        raise ValueError(f"{first}-{last} is no interval of record numbers")


def _interval(part: str) -> tuple[int, int]:
    low, dash, high = part.partition("-")
    if not (low.isascii() and low.isdigit() and (not dash or (high.isascii() and high.isdigit()))):
        raise ValueError(f"{part!r} is no interval; write 7 or 1-500")
    return int(low), int(high if dash else low)


def _merged(intervals: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    firsts: list[int] = []
    lasts: list[int] = []
    for first, last in sorted(intervals):
        _check(first, last)
        if lasts and first <= lasts[-1] + 1:
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)
    return tuple(firsts), tuple(lasts)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the cloud has on disk of one journal epoch: the value of the command `Davylamp/Confirm` (docs/wire.md)."""

    epoch: str
    records: Intervals

    @property
    def text(self) -> str:
        """The confirmation as it travels: ``<epoch>:<1-500,502-900>``."""
        return f"{self.epoch}:{self.records}"

    @classmethod
    def parse(cls, text: str) -> "Confirmation":
        """Return the confirmation in a text.

        Raises: ValueError where it is none; the edge then keeps everything.
        """
        epoch, colon, records = text.partition(":")
        if not epoch or not colon:
            raise ValueError(f"{text[:40]!r} is no confirmation; it needs <epoch>:<intervals>")
        return cls(epoch, Intervals.parse(records))
