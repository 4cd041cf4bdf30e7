"""What the columns of a point list are called, in the plants' own words (zh) and in English."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from davylamp_wire.config import ConfigError

from davylamp_edge.point_list.sheet import Rows

HEADINGS: dict[str, tuple[str, ...]] = {
    "tag": ("位号", "仪表位号", "点位号", "测点编号", "测点位号", "tag", "tag name", "tag no", "tag no."),
    "zh": ("名称", "测点名称", "点名", "中文名称", "描述", "测点描述", "用途"),
    "en": ("英文名称", "英文描述", "name", "english", "english name", "description"),
    "address": (
        *("地址", "寄存器地址", "寄存器", "通讯地址", "通信地址", "modbus地址", "plc地址", "节点"),
        *("address", "register", "node id", "nodeid"),
    ),
    "function": ("功能码", "function", "function code"),
    "type": ("数据类型", "数据格式", "类型", "type", "data type", "datatype"),
    "order": ("字节序", "字节顺序", "字序", "order", "byte order", "word order"),
    "unit": ("单位", "工程单位", "unit", "units", "eu"),
    "range": ("量程", "量程范围", "range"),
    "low": ("量程下限", "量程低限", "range low", "range min", "lrv"),
    "high": ("量程上限", "量程高限", "range high", "range max", "urv"),
    "scale": ("系数", "倍率", "scale", "factor"),
    "offset": ("偏移", "偏移量", "offset"),
    "length": ("长度", "length"),
    "station": ("站号", "从站", "从站号", "从站地址", "unit id", "slave", "slave id", "station"),
    "kind": ("类别", "种类", "kind"),
    "scan_s": ("采集周期", "周期", "scan", "scan_s"),
    "LL": ("低低报", "低低报值", "低低限", "低低报警", "ll"),
    "L": ("低报", "低报值", "低限", "低报警", "l"),
    "H": ("高报", "高报值", "高限", "高报警", "h"),
    "HH": ("高高报", "高高报值", "高高限", "高高报警", "hh"),
    "L1": ("一级报警", "一级报警值", "一级", "l1"),
    "L2": ("二级报警", "二级报警值", "二级", "l2"),
    "action": ("处置", "处置措施", "首要处置", "action", "first action"),
}
"""Each meaning's headings; compared without case, blanks and what stands in brackets."""

NEEDED = ("tag", "address")
LOOKED_AT = 20
"""Rows in which the headings are looked for; lists begin with titles, projects and dates."""
NOTHING = {"", "-", "--", "—", "——", "/", "\\", "无", "n/a", "none"}
"""What people write into a cell that is meant to be empty."""

_BRACKETS = re.compile(r"[(（\[【].*?[)）\]】]")
_BLANKS = re.compile(r"[\s_]+")


def _plain(heading: str) -> str:
    return _BLANKS.sub("", _BRACKETS.sub("", heading)).lower()


MEANINGS = {_plain(heading): meaning for meaning, headings in HEADINGS.items() for heading in headings}


@dataclass(frozen=True, slots=True)
class Line:
    """One row under the headings: its number in the file, counted from 1, and its filled cells by meaning."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A list's lines, and the headings nobody knows the meaning of: they are named, not passed over in silence."""

    lines: tuple[Line, ...]
    unknown: tuple[str, ...]


def table_of(rows: Rows, origin: str) -> Table:
    """Return a list's rows under their headings, which may take two rows where cells are merged.

    Raises: ConfigError where there are none, or one comes twice.
    """
    for at in range(min(LOOKED_AT, len(rows))):
        headings, taken = _headings(rows, at)
        meanings = [_meaning(cell) for cell in headings]
        if set(NEEDED) <= set(meanings):
            _refuse_twice(headings, meanings, origin, at + taken)
            unknown = tuple(c for c, meaning in zip(headings, meanings, strict=True) if c and meaning is None)
            return Table(tuple(_lines(rows[at + taken :], meanings, at + taken + 1)), unknown)
    raise ConfigError(_without_headings(rows[:LOOKED_AT], origin))


def _meaning(cell: str) -> str | None:
    return MEANINGS.get(_plain(cell))


def _headings(rows: Rows, at: int) -> tuple[list[str], int]:
    """Return the headings that begin with this row, and how many rows they take.

    A row goes on the one above it where it has headings we know, not all that are needed, and nothing under those the
    upper row has already: "报警值" over "高报 | 高高报", with "位号" merged across both.
    """
    upper, lower = rows[at], rows[at + 1] if at + 1 < len(rows) else []
    pairs = list(itertools.zip_longest(upper, lower, fillvalue=""))
    found = {_meaning(below) for below in lower} - {None}
    covered = any(below for above, below in pairs if _meaning(above))
    goes_on = any(upper) and found and not set(NEEDED) <= found and not covered
    return ([below or above for above, below in pairs], 2) if goes_on else (upper, 1)


def _without_headings(rows: Rows, origin: str) -> list[str]:
    """Return what is missing: in the row that comes nearest to a row of headings, or altogether."""
    missing: tuple[str, ...] = NEEDED
    known = [{_meaning(cell) for cell in row} - {None} for row in rows]
    nearest = max(range(len(rows)), key=lambda at: len(known[at]), default=None)
    if nearest is None or not known[nearest] & set(NEEDED):
        where = f"no row among the first {LOOKED_AT} has a heading"
    else:
        where = f"row {nearest + 1} has headings ({', '.join(filter(None, rows[nearest]))}), but none"
        missing = tuple(needed for needed in NEEDED if needed not in known[nearest])
    return [f"{origin}: {where} for the {meaning}; write one of {', '.join(HEADINGS[meaning])}" for meaning in missing]


def _refuse_twice(row: list[str], meanings: list[str | None], origin: str, number: int) -> None:
    found: dict[str, str] = {}
    mistakes = []
    for heading, meaning in zip(row, meanings, strict=True):
        if meaning is None:
            continue
        if meaning in found:
            mistakes.append(f"{origin}: row {number}: {found[meaning]!r} and {heading!r} mean the same; keep one")
        found[meaning] = heading
    if mistakes:
        raise ConfigError(mistakes)


def _lines(rows: Rows, meanings: list[str | None], first: int) -> Iterator[Line]:
    for number, row in enumerate(rows, first):
        cells = {m: cell for m, cell in zip(meanings, row, strict=False) if m and cell.lower() not in NOTHING}
        if cells:
            yield Line(number, cells)
