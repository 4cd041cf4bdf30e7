"""What single cells of a point list say: types, byte orders, kinds, numbers and ranges."""

import re
import unicodedata
from collections.abc import Mapping

from davylamp_wire.config import unclear
from davylamp_wire.point import DataType

from davylamp_edge.point_list.addresses import first_of

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

_SIGNED = r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_SPAN = re.compile(rf"{_SIGNED}(?:~|—|–|至|\.\.|to|-){_SIGNED}")
_SEPARATED = re.compile(r"[\s_,-]+")


def type_of(cells: Mapping[str, str], address: str) -> str:
    """Return a line's data type. Raises: ValueError."""
    said = cells.get("type", "").lower().replace(" ", "")
    if said:
        known = set(DataType)
        found = TYPE_OF.get(said, said)
        if found not in known:
            ways_out = f"REAL, INT, WORD, DINT, DWORD, 浮点, 开关量, {', '.join(sorted(known))}"
            raise unclear(
                f"there is no type {cells['type']!r}; write one of {ways_out}",
                f"没有数据类型 {cells['type']!r}；请写其中之一：{ways_out}",
            )
        return found
    if address.startswith(("coil:", "discrete:")):
        return "bool"
    raise unclear(
        "has no data type; add a column 数据类型, or give --type for the whole list",
        "没有数据类型；请增加“数据类型”一列，或用 --type 为整表指定",
    )


def refuse_other_width(written: str, width: int) -> None:
    """Raise a ValueError where an address names more or fewer registers than its type takes."""
    place, count = first_of(written)
    if count is not None and count != width:
        raise unclear(
            f"{written!r} names {count} registers from {place} on and its data type takes {width}; correct one of them",
            f"{written!r} 为从 {place} 起的 {count} 个寄存器，而数据类型占 {width} 个；请改正其一",
        )


def kind_of(cells: Mapping[str, str], address: str) -> str:
    """Return what kind of point a line is: as it says, or as its unit and its place have it."""
    if "kind" in cells:
        return KINDS.get(cells["kind"], cells["kind"].lower())
    if is_gas_unit(cells.get("unit", "")):
        return "gas"
    return "status" if address.startswith(("coil:", "discrete:")) else "process"


def is_gas_unit(unit: str) -> bool:
    """Return whether gas detectors measure in a unit."""
    return _narrow(unit) in GAS_UNITS


def may_lack(unit: str) -> bool:
    """Return whether too little of a gas can be an alarm: of oxygen, in %VOL."""
    return _narrow(unit) in {"%vol", "vol%", "%"}


def _narrow(text: str) -> str:
    """Return a text without blanks and capitals, wide and raised characters as the plain ones: ％ as %, m³ as m3."""
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def _bare(written: str, unit: str) -> str:
    """Return what a cell says without the line's own unit behind it."""
    return _narrow(written).removesuffix(_narrow(unit))


def order_of(written: str) -> str:
    """Return a byte order. Raises: ValueError."""
    order = ORDER_OF.get(_SEPARATED.sub("", written).upper())
    if order is None:
        raise unclear(
            f"byte order {written!r} is not known; write ABCD, CDAB, BADC or DCBA"
            " (`davylamp-edge probe` shows which one gives sensible values)",
            f"不认识字节序 {written!r}；请写 ABCD、CDAB、BADC 或 DCBA（可用 `davylamp-edge probe` 查看哪种合理）",
        )
    return order


def number_in(what: str, written: str, unit: str = "") -> float:
    """Return a number, with or without the line's unit behind it. Raises: ValueError."""
    try:
        return float(_bare(written, unit))
    except ValueError:
        raise unclear(
            f"{what}: {written!r} is no number; write the number alone", f"{what}：{written!r} 不是数字；请只写数字"
        ) from None


def range_of(cells: Mapping[str, str]) -> tuple[float, float] | None:
    """Return a line's range, None where it has none. Raises: ValueError."""
    unit = cells.get("unit", "")
    if "range" in cells:
        match = _SPAN.fullmatch(_bare(cells["range"], unit))
        if not match:
            raise unclear(
                f"range: {cells['range']!r} is no range; write 0~100, and its unit in column 单位",
                f"量程 {cells['range']!r} 读不懂；请写 0~100，单位写在“单位”一列",
            )
        return _in_order(float(match[1]), float(match[2]))
    if ("low" in cells) != ("high" in cells):
        raise unclear("has one end of its range only; give both or neither", "量程只有一端；请写全两端或都不写")
    if "low" not in cells:
        return None
    return _in_order(number_in("low", cells["low"], unit), number_in("high", cells["high"], unit))


def _in_order(low: float, high: float) -> tuple[float, float]:
    if not low < high:
        raise unclear(
            f"range: {low:g} to {high:g} does not rise; write its lower end first, then scale and offset as they are",
            f"量程 {low:g} 至 {high:g} 上下颠倒或为零；请先写下限，再写上限",
        )
    return low, high
