"""Limits that can be written and still cannot work: order, direction, deadbands, ends of the range.

Asked where a person sits at a file (a profile, a site's override). A birth is not asked: refusing it would blind the
cloud to a device that is well.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from davylamp_wire.ceilings import COMBUSTIBLE, GASES, OXYGEN

if TYPE_CHECKING:
    from davylamp_wire.profile import Limit, LimitKind, Point

Ladder = list[tuple["LimitKind", "Limit"]]

_LADDERS = (("LL", "L", "H", "HH"), ("L1", "L2"))
_MEASURING = ("process", "gas", "fire")


def unworkable(point: "Point", key: str) -> Iterator[str]:
    """Yield one line per limit that would never raise, always stand, never clear, or warn of the wrong side."""
    if point.gas and point.gas not in GASES:
        yield f"{key}.gas: {point.gas!r} is in no table; write one of {', '.join(GASES)}, or leave gas out"
    for kinds in _LADDERS:
        ladder = [(kind, point.limits[kind]) for kind in sorted(point.limits, key=_rank) if kind in kinds]
        yield from _equal(ladder, key)
        yield from _wide(ladder, key)
        yield from _thinned(point, ladder, key)
    yield from _wrong_side(point, key)
    yield from _at_the_end(point, key)
    yield from _never_clearing(point, key)


def _rank(kind: "LimitKind") -> int:
    return ("LL", "L", "H", "HH", "L1", "L2").index(kind)


def _equal(ladder: Ladder, key: str) -> Iterator[str]:
    for (lower, a), (upper, b) in pairwise(ladder):
        if a.value == b.value:
            yield f"{key}.limits.{lower}: is {a.value:g} as limits.{upper} is; order them LL < L < H < HH, L1 < L2"


def _wide(ladder: Ladder, key: str) -> Iterator[str]:
    """Yield limits whose deadband reaches the next limit: one would still stand while the other is met or left."""
    for (lower, a), (upper, b) in pairwise(ladder):
        apart = b.value - a.value
        for kind, limit, other in ((lower, a, upper), (upper, b, lower)):
            clears_towards = kind.rising == (kind is upper)
            if clears_towards and 0 < apart <= limit.deadband:
                yield (
                    f"{key}.limits.{kind}.deadband: {limit.deadband:g} reaches limits.{other}, which is {apart:g} away;"
                    " make it smaller"
                )


def _thinned(point: "Point", ladder: Ladder, key: str) -> Iterator[str]:
    """Yield a reporting deadband as wide as two limits are apart: a change from one to the other would go unsent."""
    for (lower, a), (upper, b) in pairwise(ladder):
        if point.deadband and 0 < b.value - a.value <= point.deadband:
            span = f"limits.{lower} and limits.{upper}"
            yield f"{key}.deadband: {point.deadband:g} hides what lies between {span}; make it smaller"


def _wrong_side(point: "Point", key: str) -> Iterator[str]:
    """Yield limits that watch the harmless side of a gas: too little oxygen falls, everything else rises."""
    if point.kind != "gas":
        return
    for kind in point.limits:
        if point.gas == OXYGEN and kind in ("L1", "L2"):
            yield f"{key}.limits.{kind}: rises, and lack of oxygen falls; write L and LL (and H for too much)"
        elif (point.gas not in ("", OXYGEN) or point.unit == COMBUSTIBLE) and not kind.rising:
            yield f"{key}.limits.{kind}: falls, and this gas is dangerous when it rises; write L1 and L2"


def _at_the_end(point: "Point", key: str) -> Iterator[str]:
    """Yield limits at the very end of what is measured: beyond it the value is over-range and no longer judged."""
    if point.range is None or point.type == "bool" or point.kind not in _MEASURING or point.states:
        return
    low, high = point.range
    for kind, limit in point.limits.items():
        end, name = (high, "upper") if kind.rising else (low, "lower")
        if limit.value == end:
            yield f"{key}.limits.{kind}: {limit.value:g} is the {name} end of the range: out of range comes first"


def _never_clearing(point: "Point", key: str) -> Iterator[str]:
    """Yield limits that always stand or, once raised, have no value left to clear at."""
    span = (0.0, 1.0) if point.type == "bool" else point.range
    if span is None:
        return
    low, high = span
    for kind, limit in point.limits.items():
        always, end = (limit.value <= low, "lower") if kind.rising else (limit.value >= high, "upper")
        leave = limit.value - limit.deadband if kind.rising else limit.value + limit.deadband
        if always:
            yield f"{key}.limits.{kind}: {limit.value:g} always stands: {low:g}..{high:g} meets it; move it inwards"
        elif not low <= leave <= high:
            yield (
                f"{key}.limits.{kind}.deadband: {limit.deadband:g} reaches beyond the {end} end of the range:"
                " it never clears; make it smaller"
            )
