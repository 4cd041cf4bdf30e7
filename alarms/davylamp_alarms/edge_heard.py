"""What was heard of an alarm that its edge decides, and which of its occurrences were not."""

from collections.abc import Iterator
from dataclasses import dataclass

Missing = tuple[tuple[int, int], ...]
"""Occurrences nobody heard of, as ascending stretches, both ends in them: backlog fills them from below."""

MOST_STRETCHES = 100
"""More, and the two lowest count as one with what lies between: it may be told twice, and none is lost (SAFETY S5)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest word of one alarm. `late_no` is the occurrence that was last told as a late one, 0: none."""

    life: str
    run: int
    no: int
    active: bool
    missing: Missing = ()
    late_no: int = 0


def is_missing(missing: Missing, no: int) -> bool:
    """Return whether nobody heard of an occurrence."""
    return any(first <= no <= last for first, last in missing)


def without(missing: Missing, no: int) -> Missing:
    """Return what is missing still, once an occurrence was heard of."""
    return tuple(_split(missing, no))


def _split(missing: Missing, no: int) -> Iterator[tuple[int, int]]:
    for first, last in missing:
        if not first <= no <= last:
            yield first, last
            continue
        if first < no:
            yield first, no - 1
        if no < last:
            yield no + 1, last


def with_stretch(missing: Missing, first: int, last: int) -> Missing:
    """Return what is missing where another stretch, above all the others, is too; an empty one is none."""
    if first > last:
        return missing
    *before, newest = *missing, (first, last)
    if len(before) < MOST_STRETCHES:
        return (*before, newest)
    (lowest, _), (_, end), *others = before
    return ((lowest, end), *others, newest)
