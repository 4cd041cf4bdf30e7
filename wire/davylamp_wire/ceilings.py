"""Where a gas detector's levels must stand at the latest: GB/T 50493-2019, set points and appended table.

The figures were found in publications that quote the standard (basis source-found); nobody has verified them against
the official text (SAFETY S30). So a level above its ceiling is told and not refused: some sites set carbon monoxide by
GB 6222. Oxygen's 19.5 and 23.5 %VOL are source-found, their clause is from memory. Rows that look wrong in the
publication (ethylene oxide, bromine) are left out.
"""

from collections.abc import Iterator, Mapping

from davylamp_wire.finding import Finding
from davylamp_wire.point import Limit, LimitKind, Point

COMBUSTIBLE = "%LEL"
FIRST_LEL, SECOND_LEL = 25.0, 50.0
OXYGEN = "O2"
OXYGEN_LOW, OXYGEN_HIGH = 19.5, 23.5

EXPOSURE: Mapping[str, tuple[float, float]] = {
    "H2S": (10, 7.05),
    "CO": (20, 17.2),
    "NH3": (20, 28.2),
    "Cl2": (1, 0.34),
    "SO2": (5, 1.88),
    "HCN": (1, 0.89),
    "HF": (2, 2.40),
    "NO2": (5, 2.61),
    "HCl": (7.5, 4.95),
    "COCl2": (0.5, 0.12),
    "formaldehyde": (2, 1.60),
    "methanol": (25, 18.8),
    "benzene": (6, 1.85),
    "toluene": (50, 13.0),
    "xylene": (50, 11.3),
    "vinyl-chloride": (10, 3.85),
    "acrylonitrile": (1, 0.45),
    "phenol": (10, 2.55),
    "H2O2": (1.5, 1.06),
    "O3": (0.3, 0.15),
    "CO2": (9000, 4916),
}
"""Occupational exposure limit (MAC, else PC-TWA) in mg/m3, and in ppm at 20 °C and 101.3 kPa."""

GASES = (OXYGEN, *EXPOSURE)
_FIRST, _SECOND = ("L1", "H"), ("L2", "HH")
_ROUNDING = 1e-6
_CLAUSES = {
    COMBUSTIBLE: (
        "GB/T 50493-2019: first level at most 25 %LEL, second 50",
        "GB/T 50493-2019：一级不高于 25 %LEL，二级不高于 50 %LEL",
    ),
    OXYGEN: (
        "GB/T 50493-2019: oxygen low 19.5 %VOL, high 23.5; clause from memory",
        "GB/T 50493-2019：缺氧 19.5 %VOL、富氧 23.5 %VOL；条款凭记忆",
    ),
}
_TOXIC = (
    "GB/T 50493-2019: first level at most 100 % of the exposure limit, second 200 %",
    "GB/T 50493-2019：一级不高于职业接触限值的 100 %，二级不高于 200 %",
)


def above_ceiling(point: Point) -> Iterator[Finding]:
    """Yield every level of a gas detector that comes later than the standard allows."""
    if point.kind != "gas" or not point.limits:
        return
    if point.gas == OXYGEN:
        yield from _oxygen(point)
        return
    levels = _levels(point)
    if levels is None:
        return
    for kinds, ceiling in zip((_FIRST, _SECOND), levels, strict=True):
        for kind, limit in _of(point.limits, kinds):
            if limit.value > ceiling * (1 + _ROUNDING):
                yield _late(kind, limit, f"{ceiling:g} {point.unit}", _CLAUSES.get(point.unit, _TOXIC))


def unjudged(point: Point) -> bool:
    """Return whether a gas detector's levels can be held against no ceiling: its gas or its unit is not known."""
    return point.kind == "gas" and bool(point.limits) and point.gas != OXYGEN and _levels(point) is None


def _levels(point: Point) -> tuple[float, float] | None:
    """Return the ceilings of the first and the second level in the point's own unit."""
    if point.unit == COMBUSTIBLE:
        return FIRST_LEL, SECOND_LEL
    if point.gas not in EXPOSURE:
        return None
    mass, parts = EXPOSURE[point.gas]
    own = {"mg/m3": mass, "mg/m³": mass, "ppm": parts, "%VOL": parts / 10_000}.get(point.unit)
    return None if own is None else (own, 2 * own)


def _oxygen(point: Point) -> Iterator[Finding]:
    if point.unit != "%VOL":
        return
    for kind, limit in _of(point.limits, ("L",)):
        if limit.value < OXYGEN_LOW:
            yield _late(kind, limit, f"{OXYGEN_LOW:g} %VOL", _CLAUSES[OXYGEN], above=False)
    for kind, limit in _of(point.limits, ("H",)):
        if limit.value > OXYGEN_HIGH:
            yield _late(kind, limit, f"{OXYGEN_HIGH:g} %VOL", _CLAUSES[OXYGEN])


def _late(kind: LimitKind, limit: Limit, bound: str, clause: tuple[str, str], *, above: bool = True) -> Finding:
    """Return that a level comes later than a bound, with the clause that says so."""
    en, zh = clause
    return Finding(
        f"limits.{kind}",
        f"{limit.value:g} is {'above' if above else 'below'} {bound} ({en})",
        f"{limit.value:g} {'高于' if above else '低于'} {bound}（{zh}）",
    )


def _of(limits: "Mapping[LimitKind, Limit]", kinds: tuple[str, ...]) -> "Iterator[tuple[LimitKind, Limit]]":
    return ((kind, limit) for kind, limit in limits.items() if kind in kinds)
