"""What the columns of a point list are called, in the plants' own words (zh) and in English."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from davylamp_wire.config import ConfigError

from davylamp_edge.point_list.sheet import Rows

HEADINGS: dict[str, tuple[str, ...]] = {
    "tag": ("位号", "仪表位号", "点位号", "测点编号", "tag", "tag name", "tag no", "tag no."),
    "zh": ("名称", "测点名称", "点名", "中文名称", "描述", "测点描述", "用途"),
    "en": ("英文名称", "英文描述", "name", "english", "english name", "description"),
    "address": ("地址", "寄存器地址", "modbus地址", "plc地址", "节点", "address", "register", "node id", "nodeid"),
    "function": ("功能码", "function", "function code"),
    "type": ("数据类型", "类型", "type", "data type", "datatype"),
    "order": ("字节序", "字节顺序", "order", "byte order", "word order"),
    "unit": ("单位", "工程单位", "unit", "units", "eu"),
    "range": ("量程", "量程范围", "range"),
    "low": ("量程下限", "range low", "range min", "lrv"),
    "high": ("量程上限", "range high", "range max", "urv"),
    "scale": ("系数", "倍率", "scale", "factor"),
    "offset": ("偏移", "偏移量", "offset"),
    "length": ("长度", "length"),
    "station": ("站号", "从站", "从站号", "从站地址", "unit id", "slave", "slave id", "station"),
    "kind": ("类别", "种类", "kind"),
    "scan_s": ("采集周期", "周期", "scan", "scan_s"),
    "LL": ("低低报", "低低限", "低低报警", "ll"),
    "L": ("低报", "低限", "低报警", "l"),
    "H": ("高报", "高限", "高报警", "h"),
    "HH": ("高高报", "高高限", "高高报警", "hh"),
    "L1": ("一级报警", "一级报警值", "l1"),
    "L2": ("二级报警", "二级报警值", "l2"),
    "action": ("处置", "处置措施", "首要处置", "action", "first action"),
}
"""Each meaning's headings; compared without case, blanks and what stands in brackets."""

NEEDED = ("tag", "address")
LOOKED_AT = 20
"""Rows in which the headings are looked for; lists begin with titles, projects and dates."""

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
    """Return a list's rows under their headings. Raises: ConfigError where there are none, or one comes twice."""
    for at, row in enumerate(rows[:LOOKED_AT]):
        meanings = [MEANINGS.get(_plain(cell)) for cell in row]
        if all(needed in meanings for needed in NEEDED):
            _refuse_twice(row, meanings, origin, at + 1)
            unknown = tuple(c for c, meaning in zip(row, meanings, strict=True) if c and meaning is None)
            return Table(tuple(_lines(rows[at + 1 :], meanings, at + 2)), unknown)
    raise ConfigError(
        f"{origin}: no row among the first {LOOKED_AT} has a heading for the {meaning}; write one of "
        + ", ".join(HEADINGS[meaning])
        for meaning in NEEDED
    )


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
        cells = {meaning: cell for meaning, cell in zip(meanings, row, strict=False) if meaning and cell}
        if cells:
            yield Line(number, cells)
