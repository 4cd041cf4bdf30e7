"""From the lines of a point list to points of a profile, with everything a person should look at named by its row."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from davylamp_wire.config import ConfigError, Mistake, in_chinese, mistakes_of, unclear
from davylamp_wire.lint import unworkable
from davylamp_wire.point import DataType, LimitKind, Point
from pydantic import ValidationError

from davylamp_edge.plan import WIDTHS
from davylamp_edge.point_list.cells import (
    kind_of,
    may_lack,
    number_in,
    order_of,
    range_of,
    refuse_other_width,
    type_of,
)
from davylamp_edge.point_list.headings import Line

DEADBAND_PART = 0.01
"""Of the range, where a list gives limits: lists have no deadbands, and without one an alarm chatters. A proposal."""

NUMBERS = ("scale", "offset", "scan_s", "length")
NAME_LENGTH = 60
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")

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
    unlimited: list[str] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)


def points_of(lines: Sequence[Line], driver: str, locate: Locate, origin: Path) -> Points:
    """Return a list's points. Raises: one ConfigError with every line's mistakes."""
    points, mistakes, rows = Points(), list[str](), dict[str, int]()
    for line in lines:
        tag = line.cells.get("tag", "")
        if tag in rows:
            mistakes.append(_at(line, origin, _taken(rows[tag])))
            continue
        if tag:
            rows[tag] = line.number
        try:
            point = Point.model_validate(_table(line, driver, locate, origin))
        except _Wrong as error:
            mistakes.extend(_at(line, origin, mistake) for mistake in error.mistakes)
        except ValidationError as error:
            mistakes.extend(mistakes_of(error, str(_at(line, origin))))
        else:
            mistakes.extend(_at(line, origin, Mistake(str(one), f"{one.key}：{one.zh}")) for one in unworkable(point))
            _note(points, _unique(_name(tag, line.number), points.found), point, line.cells)
    if mistakes:
        raise ConfigError(mistakes)
    points.alike = _alike(rows)
    return points


def _at(line: Line, origin: Path, said: str = "") -> str:
    """Return what is said of a line with its row and tag before it; without it, those alone."""
    tag = line.cells.get("tag", "")
    en = f"{origin}: row {line.number}" + (f" ({tag})" if tag else "") + (f": {said}" if said else "")
    if not isinstance(said, Mistake):
        return en
    return Mistake(en, f"{origin}：第 {line.number} 行{tag and f'（{tag}）'}：{in_chinese(said)}")


def _taken(row: int) -> Mistake:
    en = f"this tag is on row {row} already; each needs its own"
    return Mistake(en, f"这个位号在第 {row} 行已有；每个测点须有自己的位号")


def _alike(tags: Iterable[str]) -> list[str]:
    """Return tags that only case or width tells from another one: most often one of them is a slip."""
    by_sight: dict[str, list[str]] = {}
    for tag in tags:
        by_sight.setdefault(unicodedata.normalize("NFKC", tag).casefold(), []).append(tag)
    return [tag for those in by_sight.values() if len(those) > 1 for tag in those]


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
    if not point.limits and point.kind == "process":
        points.unlimited.append(point.plant_tag)


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
class _Row:
    """Reads a line's cells one by one and keeps every mistake, so that a person mends a row once."""

    mistakes: list[str] = field(default_factory=list)

    def read(self, reading: Callable[[], T], instead: T) -> T:
        try:
            return reading()
        except ValueError as error:
            self.mistakes.append(error.args[0])
            return instead


def _table(line: Line, driver: str, locate: Locate, origin: Path) -> dict[str, Any]:
    """Return a line as a point's table. Raises: _Wrong where cells say nothing that can be meant."""
    cells = line.cells
    for needed, zh in (("tag", "位号"), ("address", "地址")):
        if needed not in cells:
            raise _Wrong([Mistake(f"has no {needed}; fill it in or delete the row", f"没有{zh}；请填写，或删去这一行")])
    row = _Row()
    address = row.read(lambda: locate(cells), "")
    span = row.read(lambda: range_of(cells), None)
    kind = kind_of(cells, address)
    numbers = {name: row.read(partial(number_in, name, cells[name]), 0.0) for name in NUMBERS if name in cells}
    kind_of_value = row.read(lambda: type_of(cells, address), "") if address or "type" in cells else ""
    if kind_of_value in WIDTHS and driver == "modbus":
        row.read(lambda: refuse_other_width(cells["address"], WIDTHS[DataType(kind_of_value)]), None)
    table = {
        "zh": cells.get("zh") or cells.get("en") or cells["tag"],
        "en": cells.get("en") or cells["tag"],
        "unit": cells.get("unit", ""),
        "kind": kind,
        "type": kind_of_value,
        "address": {driver: address},
        "plant_tag": cells["tag"],
        "limits": _limits(line, kind, span, origin, row),
        **({"range": span} if span else {}),
        **({"order": row.read(lambda: order_of(cells["order"]), "")} if "order" in cells else {}),
        **numbers,
    }
    if row.mistakes:
        raise _Wrong(row.mistakes)
    return table


def _limits(line: Line, kind: str, span: tuple[float, float] | None, origin: Path, row: _Row) -> dict[str, Any]:
    """Return a line's limits, each with the list and the row as its source; nobody has verified them (SAFETY S30)."""
    cells = line.cells
    tag, said = cells["tag"], cells.get("action")
    action = {
        "zh": said or f"现场核实 {tag}，按操作规程处置",
        "en": said or f"Verify {tag} on site; follow the procedure",
    }
    return {
        limit: {
            "value": row.read(partial(_limit, limit, cells, kind), 0.0),
            "deadband": round(DEADBAND_PART * (span[1] - span[0]), 9) if span else 0.0,
            "latch": kind == "gas",
            "action": action,
            "source": {"standard": f"点表 {origin.name}", "clause": f"row {line.number}", "basis": "proposal"},
        }
        for limit in LimitKind
        if limit in cells
    }


def _limit(limit: LimitKind, cells: Mapping[str, str], kind: str) -> float:
    """Return a limit's value. Raises: ValueError, also for 低报 of a gas that is dangerous when there is much of it."""
    unit = cells.get("unit", "")
    if limit in (LimitKind.L, LimitKind.LL) and kind == "gas" and not may_lack(unit):
        raise unclear(
            f"{limit}: a gas detector in {unit or 'no unit'} would alarm at clean air and not at gas;"
            " where 低报 is the first of two rising alarms, call the columns 一级报警 and 二级报警 (L1, L2)",
            f"{limit}：单位为 {unit or '空'} 的气体探测器低于此值报警，洁净空气就会报警；"
            "若低报、高报都是浓度上升的报警，请把两列改名为“一级报警”“二级报警”(L1、L2)",
        )
    return number_in(limit, cells[limit], unit)
