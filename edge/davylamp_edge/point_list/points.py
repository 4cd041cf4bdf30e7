"""From the lines of a point list to points of a profile, with everything a person should look at named by its row."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from davylamp_wire.config import ConfigError, mistakes_of
from davylamp_wire.profile import DataType, LimitKind, Point
from pydantic import ValidationError

from davylamp_edge.point_list.headings import Line

TYPES = {
    "bool": ("bit", "boolean", "di", "开关量", "布尔", "位"),
    "int16": ("int", "short", "短整型", "16位有符号"),
    "uint16": ("word", "uint", "ushort", "无符号短整型", "16位无符号"),
    "int32": ("dint", "long", "长整型", "32位有符号"),
    "uint32": ("dword", "udint", "ulong", "32位无符号"),
    "int64": ("lint",),
    "uint64": ("ulint", "lword"),
    "float32": ("float", "real", "single", "浮点", "浮点型", "32位浮点", "单精度"),
    "float64": ("double", "lreal", "64位浮点", "双精度"),
    "string": ("text", "字符串"),
}
"""What else the types are called in PLCs (IEC 61131-3) and in lists."""
TYPE_OF = {name: kind for kind, names in TYPES.items() for name in (kind, *names)}

KINDS = {
    "气体": "gas",
    "可燃气体": "gas",
    "有毒气体": "gas",
    "火灾": "fire",
    "火焰": "fire",
    "状态": "status",
    "工艺": "process",
}
GAS_UNITS = {"%lel", "lel", "ppm", "ppb", "mg/m3", "mg/m³", "%vol", "vol%"}
"""A point in such a unit is taken for a gas detector, whose rules are the stricter ones (SAFETY S8), until told so."""

DEADBAND_PART = 0.01
"""Of the range, where a list gives limits: lists have no deadbands, and without one an alarm chatters. A proposal."""

NAME_LENGTH = 60
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_SPAN = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:~|～|—|–|至|\.\.|to|-)\s*(-?\d+(?:\.\d+)?)")

Locate = Callable[[Mapping[str, str]], str]
"""A line's cells to an address in the driver's words. Raises: ValueError."""


@dataclass(slots=True)
class Points:
    """What a list gave: points by name, and what was guessed or filled in for want of better."""

    found: dict[str, Point] = field(default_factory=dict)
    unguarded_gas: list[str] = field(default_factory=list)
    guessed_gas: list[str] = field(default_factory=list)
    one_language: list[str] = field(default_factory=list)
    no_action: list[str] = field(default_factory=list)


def points_of(lines: Sequence[Line], driver: str, locate: Locate, origin: Path) -> Points:
    """Return a list's points. Raises: one ConfigError with every line's mistakes."""
    points, mistakes, rows = Points(), list[str](), dict[str, int]()
    for line in lines:
        tag = line.cells.get("tag", "")
        where = f"{origin}: row {line.number}" + (f" ({tag})" if tag else "")
        if tag in rows:
            mistakes.append(f"{where}: this tag is on row {rows[tag]} already; each needs its own")
            continue
        rows[tag] = line.number
        try:
            point = Point.model_validate(_table(line, driver, locate, origin))
        except ValidationError as error:
            mistakes.extend(mistakes_of(error, where))
        except ValueError as error:
            mistakes.append(f"{where}: {error}")
        else:
            _note(points, _unique(_name(tag, line.number), points.found), point, line.cells)
    if mistakes:
        raise ConfigError(mistakes)
    return points


def _note(points: Points, name: str, point: Point, cells: Mapping[str, str]) -> None:
    points.found[name] = point
    if point.kind == "gas" and not point.limits:
        points.unguarded_gas.append(point.plant_tag)
    if point.kind == "gas" and "kind" not in cells:
        points.guessed_gas.append(point.plant_tag)
    if not ("zh" in cells and "en" in cells):
        points.one_language.append(point.plant_tag)
    if point.limits and "action" not in cells:
        points.no_action.append(point.plant_tag)


def _name(tag: str, row: int) -> str:
    """Return a tag as an id; one without a Latin letter or digit is called by its row."""
    return _NO_NAME.sub("_", tag).strip("_")[:NAME_LENGTH] or f"row_{row}"


def _unique(name: str, taken: Mapping[str, object]) -> str:
    unique, count = name, 1
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    return unique


def _table(line: Line, driver: str, locate: Locate, origin: Path) -> dict[str, Any]:
    """Return a line as a point's table. Raises: ValueError where a cell says nothing that can be meant."""
    cells = line.cells
    for needed in ("tag", "address"):
        if needed not in cells:
            raise ValueError(f"has no {needed}; fill it in or delete the row")
    address = locate(cells)
    kind, span = _kind(cells, address), _range(cells)
    numbers = {name: _number(name, cells[name]) for name in ("scale", "offset", "scan_s", "length") if name in cells}
    return {
        "zh": cells.get("zh") or cells.get("en") or cells["tag"],
        "en": cells.get("en") or cells["tag"],
        "unit": cells.get("unit", ""),
        "kind": kind,
        "type": _type(cells, address),
        "address": {driver: address},
        "plant_tag": cells["tag"],
        "limits": dict(_limits(line, kind, span, origin)),
        **({"range": span} if span else {}),
        **({"order": cells["order"].upper()} if "order" in cells else {}),
        **numbers,
    }


def _type(cells: Mapping[str, str], address: str) -> str:
    said = cells.get("type", "").lower().replace(" ", "")
    if said:
        known = set(DataType)
        found = TYPE_OF.get(said, said)
        if found not in known:
            raise ValueError(f"there is no type {cells['type']!r}; write one of {', '.join(sorted(known))}")
        return found
    if address.startswith(("coil:", "discrete:")):
        return "bool"
    raise ValueError("has no data type; add a column 数据类型, or give --type for the whole list")


def _kind(cells: Mapping[str, str], address: str) -> str:
    if "kind" in cells:
        return KINDS.get(cells["kind"], cells["kind"].lower())
    if cells.get("unit", "").lower().replace(" ", "") in GAS_UNITS:
        return "gas"
    return "status" if address.startswith(("coil:", "discrete:")) else "process"


def _number(what: str, written: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise ValueError(f"{what}: {written!r} is no number; write it without a unit") from None


def _range(cells: Mapping[str, str]) -> tuple[float, float] | None:
    if "range" in cells:
        match = _SPAN.match(cells["range"])
        if not match:
            raise ValueError(f"range: {cells['range']!r} is no range; write 0~100")
        return float(match[1]), float(match[2])
    if ("low" in cells) != ("high" in cells):
        raise ValueError("has one end of its range only; give both or neither")
    return (_number("low", cells["low"]), _number("high", cells["high"])) if "low" in cells else None


def _limits(line: Line, kind: str, span: tuple[float, float] | None, origin: Path) -> Iterator[tuple[str, Any]]:
    """Yield a line's limits, each with the list and the row as its source; nobody has verified them (SAFETY S30)."""
    cells = line.cells
    tag, said = cells["tag"], cells.get("action")
    action = {
        "zh": said or f"现场核实 {tag}，按操作规程处置",
        "en": said or f"Verify {tag} on site; follow the procedure",
    }
    for limit in LimitKind:
        if limit in cells:
            yield (
                limit,
                {
                    "value": _number(limit, cells[limit]),
                    "deadband": round(DEADBAND_PART * (span[1] - span[0]), 9) if span else 0.0,
                    "latch": kind == "gas",
                    "action": action,
                    "source": {"standard": f"点表 {origin.name}", "clause": f"row {line.number}", "basis": "proposal"},
                },
            )
