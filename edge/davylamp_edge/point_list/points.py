"""From the lines of a point list to points of a profile, with everything a person should look at named by its row."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from davylamp_wire.config import ConfigError, mistakes_of
from davylamp_wire.lint import unworkable
from davylamp_wire.point import DataType, LimitKind, Point
from pydantic import ValidationError

from davylamp_edge.point_list.headings import Line

TYPES = {
    "bool": ("bit", "boolean", "di", "do", "开关量", "数字量", "布尔", "位"),
    "int16": ("int", "short", "短整型", "16位有符号"),
    "uint16": ("word", "uint", "ushort", "无符号短整型", "16位无符号"),
    "int32": ("dint", "long", "长整型", "32位有符号"),
    "uint32": ("dword", "udint", "ulong", "32位无符号"),
    "int64": ("lint",),
    "uint64": ("ulint", "lword"),
    "float32": ("float", "real", "single", "浮点", "浮点型", "浮点数", "32位浮点", "单精度", "单精度浮点数"),
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
ORDERS = {
    "ABCD": ("1234", "0123", "AB", "大端"),
    "CDAB": ("3412", "2301"),
    "BADC": ("2143", "1032", "BA"),
    "DCBA": ("4321", "3210"),
}
"""What else byte orders are called. 小端 is not here: some mean DCBA by it and some CDAB."""
ORDER_OF = {name: order for order, names in ORDERS.items() for name in (order, *names)}
GAS_UNITS = {"%lel", "lel", "lel%", "ppm", "ppb", "ppmv", "μmol/mol", "umol/mol", "mg/m3", "%vol", "vol%"}
"""A point in such a unit is taken for a gas detector, whose rules are the stricter ones (SAFETY S8), until told so."""

DEADBAND_PART = 0.01
"""Of the range, where a list gives limits: lists have no deadbands, and without one an alarm chatters. A proposal."""

NUMBERS = ("scale", "offset", "scan_s", "length")
NAME_LENGTH = 60
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_SIGNED = r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_SPAN = re.compile(rf"{_SIGNED}(?:~|—|–|至|\.\.|to|-){_SIGNED}")
_SEPARATED = re.compile(r"[\s_,-]+")

T = TypeVar("T")
Locate = Callable[[Mapping[str, str]], str]
"""A line's cells to an address in the driver's words. Raises: ValueError."""


@dataclass(slots=True)
class Points:
    """What a list gave: points by name, and what was guessed or filled in for want of better."""

    found: dict[str, Point] = field(default_factory=dict)
    unguarded_gas: list[str] = field(default_factory=list)
    guessed_gas: list[str] = field(default_factory=list)
    unscaled: list[str] = field(default_factory=list)
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
        except _Wrong as error:
            mistakes.extend(f"{where}: {mistake}" for mistake in error.mistakes)
        except ValidationError as error:
            mistakes.extend(mistakes_of(error, where))
        except ValueError as error:
            mistakes.append(f"{where}: {error}")
        else:
            mistakes.extend(f"{where}: {found}" for found in unworkable(point))
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
    if point.range and "scale" not in cells and point.type.startswith(("int", "uint")):
        points.unscaled.append(point.plant_tag)
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


class _Wrong(Exception):
    """A line's mistakes, all of them."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


@dataclass(slots=True)
class _Cells:
    """Reads a line's cells one by one and keeps every mistake, so that a person mends a row once."""

    mistakes: list[str] = field(default_factory=list)

    def read(self, reading: Callable[[], T], instead: T) -> T:
        try:
            return reading()
        except ValueError as error:
            self.mistakes.append(str(error))
            return instead


def _table(line: Line, driver: str, locate: Locate, origin: Path) -> dict[str, Any]:
    """Return a line as a point's table. Raises: ValueError, _Wrong where cells say nothing that can be meant."""
    cells = line.cells
    for needed in ("tag", "address"):
        if needed not in cells:
            raise ValueError(f"has no {needed}; fill it in or delete the row")
    row = _Cells()
    address = row.read(lambda: locate(cells), "")
    span = row.read(lambda: _range(cells), None)
    kind = _kind(cells, address)
    limits: dict[str, Any] = row.read(lambda: dict(_limits(line, kind, span, origin)), {})
    numbers: dict[str, float] = row.read(lambda: {n: _number(n, cells[n]) for n in NUMBERS if n in cells}, {})
    table = {
        "zh": cells.get("zh") or cells.get("en") or cells["tag"],
        "en": cells.get("en") or cells["tag"],
        "unit": cells.get("unit", ""),
        "kind": kind,
        "type": row.read(lambda: _type(cells, address), "") if address or "type" in cells else "",
        "address": {driver: address},
        "plant_tag": cells["tag"],
        "limits": limits,
        **({"range": span} if span else {}),
        **({"order": row.read(lambda: _order(cells["order"]), "")} if "order" in cells else {}),
        **numbers,
    }
    if row.mistakes:
        raise _Wrong(row.mistakes)
    return table


def _type(cells: Mapping[str, str], address: str) -> str:
    said = cells.get("type", "").lower().replace(" ", "")
    if said:
        known = set(DataType)
        found = TYPE_OF.get(said, said)
        if found not in known:
            raise ValueError(
                f"there is no type {cells['type']!r}; write REAL, INT, WORD, DINT, DWORD, 浮点, 开关量"
                f" or one of {', '.join(sorted(known))}"
            )
        return found
    if address.startswith(("coil:", "discrete:")):
        return "bool"
    raise ValueError("has no data type; add a column 数据类型, or give --type for the whole list")


def _kind(cells: Mapping[str, str], address: str) -> str:
    if "kind" in cells:
        return KINDS.get(cells["kind"], cells["kind"].lower())
    if is_gas_unit(cells.get("unit", "")):
        return "gas"
    return "status" if address.startswith(("coil:", "discrete:")) else "process"


def is_gas_unit(unit: str) -> bool:
    return _narrow(unit) in GAS_UNITS


def _narrow(text: str) -> str:
    """Return a text without blanks and capitals, wide and raised characters as the plain ones: ％ as %, m³ as m3."""
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def _bare(written: str, unit: str) -> str:
    """Return what a cell says without the line's own unit behind it."""
    return _narrow(written).removesuffix(_narrow(unit))


def _order(written: str) -> str:
    order = ORDER_OF.get(_SEPARATED.sub("", written).upper())
    if order is None:
        raise ValueError(
            f"byte order {written!r} is not known; write ABCD, CDAB, BADC or DCBA"
            " (`davylamp-edge probe` shows which one gives sensible values)"
        )
    return order


def _number(what: str, written: str, unit: str = "") -> float:
    try:
        return float(_bare(written, unit))
    except ValueError:
        raise ValueError(f"{what}: {written!r} is no number; write the number alone") from None


def _range(cells: Mapping[str, str]) -> tuple[float, float] | None:
    unit = cells.get("unit", "")
    if "range" in cells:
        match = _SPAN.fullmatch(_bare(cells["range"], unit))
        if not match:
            raise ValueError(f"range: {cells['range']!r} is no range; write 0~100, and its unit in column 单位")
        return float(match[1]), float(match[2])
    if ("low" in cells) != ("high" in cells):
        raise ValueError("has one end of its range only; give both or neither")
    return (_number("low", cells["low"], unit), _number("high", cells["high"], unit)) if "low" in cells else None


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
                    "value": _number(limit, cells[limit], cells.get("unit", "")),
                    "deadband": round(DEADBAND_PART * (span[1] - span[0]), 9) if span else 0.0,
                    "latch": kind == "gas",
                    "action": action,
                    "source": {"standard": f"点表 {origin.name}", "clause": f"row {line.number}", "basis": "proposal"},
                },
            )
