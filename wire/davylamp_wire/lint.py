"""Limits that can be written and still cannot work: order, direction, deadbands, ends of the range.

Asked where a person writes them: in a file (a profile, a site's override) or in the console. A birth is not asked:
refusing it would blind the cloud to a device that is well.
"""

from collections.abc import Iterator
from itertools import pairwise

from davylamp_wire.ceilings import COMBUSTIBLE, GASES, OXYGEN
from davylamp_wire.finding import Finding
from davylamp_wire.point import Limit, LimitKind, Point

Ladder = list[tuple[LimitKind, Limit]]

_LADDERS = (("LL", "L", "H", "HH"), ("L1", "L2"))
_MEASURING = ("process", "gas", "fire")
_ORDER = "LL < L < H < HH, L1 < L2"


def unworkable(point: Point) -> Iterator[Finding]:
    """Yield every limit that would never raise, always stand, never clear, or warn of the wrong side."""
    if point.gas and point.gas not in GASES:
        known = ", ".join(GASES)
        yield Finding(
            "gas",
            f"{point.gas!r} is in no table; write one of {known}, or leave gas out",
            f"表中没有 {point.gas!r}；请写 {known} 之一，或不写 gas",
        )
    for kinds in _LADDERS:
        ladder = [(kind, point.limits[kind]) for kind in sorted(point.limits, key=_rank) if kind in kinds]
        yield from _equal(ladder)
        yield from _wide(ladder)
        yield from _thinned(point, ladder)
    yield from _wrong_side(point)
    yield from _at_the_end(point)
    yield from _never_clearing(point)


def unlimited(point: Point) -> bool:
    """Return whether a point measures something and nobody has said what is too much of it."""
    return point.kind in _MEASURING and point.type != "string" and not point.limits


def _rank(kind: LimitKind) -> int:
    return ("LL", "L", "H", "HH", "L1", "L2").index(kind)


def _equal(ladder: Ladder) -> Iterator[Finding]:
    for (lower, a), (upper, b) in pairwise(ladder):
        if a.value == b.value:
            yield Finding(
                f"limits.{lower}",
                f"is {a.value:g} as limits.{upper} is; order them {_ORDER}",
                f"与 limits.{upper} 同为 {a.value:g}；应依次为 {_ORDER}",
            )


def _wide(ladder: Ladder) -> Iterator[Finding]:
    """Yield limits whose deadband reaches the next limit: one would still stand while the other is met or left."""
    for (lower, a), (upper, b) in pairwise(ladder):
        apart = b.value - a.value
        for kind, limit, other in ((lower, a, upper), (upper, b, lower)):
            clears_towards = kind.rising == (kind is upper)
            if clears_towards and 0 < apart <= limit.deadband:
                yield Finding(
                    f"limits.{kind}.deadband",
                    f"{limit.deadband:g} reaches limits.{other}, which is {apart:g} away; make it smaller",
                    f"{limit.deadband:g} 已及 limits.{other}（相距 {apart:g}）；请改小",
                )


def _thinned(point: Point, ladder: Ladder) -> Iterator[Finding]:
    """Yield a reporting deadband as wide as two limits are apart: a change from one to the other would go unsent."""
    for (lower, a), (upper, b) in pairwise(ladder):
        if point.deadband and 0 < b.value - a.value <= point.deadband:
            yield Finding(
                "deadband",
                f"{point.deadband:g} hides what lies between limits.{lower} and limits.{upper}; make it smaller",
                f"上传死区 {point.deadband:g} 会掩盖 limits.{lower} 与 limits.{upper} 之间的变化；请改小",
            )


def _wrong_side(point: Point) -> Iterator[Finding]:
    """Yield limits that watch the harmless side of a gas: too little oxygen falls, everything else rises."""
    if point.kind != "gas":
        return
    for kind in point.limits:
        if point.gas == OXYGEN and kind in ("L1", "L2"):
            yield Finding(
                f"limits.{kind}",
                "rises, and lack of oxygen falls; write L and LL (and H for too much)",
                "是上升方向，而缺氧是下降；请写 L 和 LL（富氧写 H）",
            )
        elif (point.gas not in ("", OXYGEN) or point.unit == COMBUSTIBLE) and not kind.rising:
            yield Finding(
                f"limits.{kind}",
                "falls, and this gas is dangerous when it rises; write L1 and L2",
                "是下降方向，而该气体升高才危险；请写 L1 和 L2",
            )


def _at_the_end(point: Point) -> Iterator[Finding]:
    """Yield limits at the very end of what is measured: beyond it the value is over-range and no longer judged."""
    if point.range is None or point.type == "bool" or point.kind not in _MEASURING or point.states:
        return
    low, high = point.range
    for kind, limit in point.limits.items():
        end, en, zh = (high, "upper", "上") if kind.rising else (low, "lower", "下")
        if limit.value == end:
            yield Finding(
                f"limits.{kind}",
                f"{limit.value:g} is the {en} end of the range: out of range comes first",
                f"{limit.value:g} 正是量程{zh}限：会先判为超量程",
            )


def _never_clearing(point: Point) -> Iterator[Finding]:
    """Yield limits that always stand or, once raised, have no value left to clear at."""
    span = (0.0, 1.0) if point.type == "bool" else point.range
    if span is None:
        return
    low, high = span
    for kind, limit in point.limits.items():
        always, en, zh = (limit.value <= low, "lower", "下") if kind.rising else (limit.value >= high, "upper", "上")
        leave = limit.value - limit.deadband if kind.rising else limit.value + limit.deadband
        if always:
            yield Finding(
                f"limits.{kind}",
                f"{limit.value:g} always stands: {low:g}..{high:g} meets it; move it inwards",
                f"{limit.value:g} 会一直报警：{low:g}..{high:g} 全部满足；请移入量程之内",
            )
        elif not low <= leave <= high:
            yield Finding(
                f"limits.{kind}.deadband",
                f"{limit.deadband:g} reaches beyond the {en} end of the range: it never clears; make it smaller",
                f"{limit.deadband:g} 超出量程{zh}限：永不恢复；请改小",
            )
