"""What the columns of a point list are called, in the plants' own words (zh) and in English."""

import re
import unicodedata
from collections.abc import Iterator


def _alarms(stem: str, letters: str, english: str) -> tuple[str, ...]:
    """Return what a limit is called by its Chinese stem, its letters and its English name."""
    ends = ("报", "报值", "限", "限值", "报警", "报警值", "限报警", "限报警值", "位报警", "报警设定值", "报设定值")
    letter_ends = ("", "报", "报警", "报警值", "限", "值", " alarm", " limit")
    return (
        *(stem + end for end in ends),
        *(f"{above}{stem}" for above in ("报警", "报警值", "报警设定值", "报警限值", "设定值")),
        f"报警{stem}限",
        f"{stem}报警限值",
        *(letters + end for end in letter_ends),
        f"alarm {letters}",
        *(english + end for end in (" alarm", " limit")),
    )


def _beyond(stem: str) -> tuple[str, ...]:
    """Return what a limit is called that says upper or lower; "上限" alone may mean the range's end."""
    return (f"报警{stem}限", f"{stem}限报警", f"{stem}限报警值", f"报警{stem}限值")


def _level(number: str, letters: str) -> tuple[str, ...]:
    ends = ("", "报警", "报警值", "报警设定值", "报警限值")
    return (*(f"{number}级{end}" for end in ends), letters, f"{letters}报警", f"{letters}报警值")


HEADINGS: dict[str, tuple[str, ...]] = {
    "tag": (
        *("位号", "仪表位号", "设备位号", "点位号", "测点编号", "测点位号", "点号", "标签名", "变量名"),
        *("tag", "tag name", "tag no", "tag no.", "tag number"),
    ),
    "zh": (
        *("名称", "测点名称", "点名", "中文名称", "描述", "测点描述", "用途", "中文描述"),
        *("信号名称", "仪表名称", "点名称", "参数名称"),
    ),
    "en": ("英文名称", "英文描述", "name", "english", "english name", "description"),
    "address": (
        *("地址", "寄存器地址", "寄存器", "通讯地址", "通信地址", "modbus地址", "plc地址", "节点", "数据地址"),
        *("modbus寄存器地址", "address", "register", "register address", "modbus address", "node id", "nodeid"),
    ),
    "function": (
        *("功能码", "寄存器类型", "寄存器区", "modbus功能码", "读功能码"),
        *("function", "function code", "register type"),
    ),
    "type": ("数据类型", "数据格式", "类型", "type", "data type", "datatype"),
    "order": ("字节序", "字节顺序", "字序", "order", "byte order", "word order"),
    "unit": ("单位", "工程单位", "计量单位", "unit", "units", "eu", "eng. unit", "engineering unit"),
    "range": ("量程", "量程范围", "测量范围", "range", "measuring range"),
    "low": ("量程下限", "量程低限", "测量下限", "range low", "range min", "lrv"),
    "high": ("量程上限", "量程高限", "测量上限", "range high", "range max", "urv"),
    "scale": ("系数", "倍率", "scale", "factor"),
    "offset": ("偏移", "偏移量", "offset"),
    "length": ("长度", "length"),
    "station": ("站号", "从站", "从站号", "从站地址", "设备地址", "unit id", "slave", "slave id", "station"),
    "kind": ("类别", "种类", "kind"),
    "scan_s": ("采集周期", "周期", "scan", "scan_s"),
    "LL": (*_alarms("低低", "LL", "low low"), *_beyond("下下"), "lolo"),
    "L": (*_alarms("低", "L", "low"), *_beyond("下"), "lo"),
    "H": (*_alarms("高", "H", "high"), *_beyond("上"), "hi"),
    "HH": (*_alarms("高高", "HH", "high high"), *_beyond("上上"), "hihi"),
    "L1": _level("一", "L1"),
    "L2": _level("二", "L2"),
    "action": ("处置", "处置措施", "首要处置", "action", "first action"),
}
"""Each meaning's headings; compared without case, width, blanks and what stands in brackets."""

COMMON = {
    "tag": "位号, 仪表位号, 点位号, tag",
    "address": "地址, 寄存器地址, 通讯地址, address, register, node id",
}
"""What is said where a needed column is missing: the headings that most lists have."""

LIKE_A_LIMIT = re.compile(
    r"报警|[高低]报|(?<![权期])限(?!位)|联锁|阈|整定|alarm|limit|trip|interlock|setpoint"
    r"|^(hi|high|upper|lo|low|lower){1,2}(value|point)?$"
)
"""A heading that may be a limit's: to pass one over would leave tags without their alarms."""

HEXADECIMAL = re.compile(r"hex|十六进制|16进制|0x", re.IGNORECASE)
"""In an address's heading: its numbers are hexadecimal, though none may look it."""

_BRACKETS = re.compile(r"[(（\[【].*?[)）\]】]")
_BLANKS = re.compile(r"[\s_]+")


def plain(heading: str) -> str:
    """Return a heading as it is compared."""
    return _BLANKS.sub("", _BRACKETS.sub("", unicodedata.normalize("NFKC", heading))).lower()


MEANINGS = {plain(heading): meaning for meaning, headings in HEADINGS.items() for heading in headings}


def meaning_of(heading: str) -> str | None:
    """Return what a heading means; one in two languages, 位号/Tag, where both mean the same."""
    parts = set(_parts(heading))
    return parts.pop() if len(parts) == 1 else None


def _parts(heading: str) -> Iterator[str | None]:
    whole = MEANINGS.get(plain(heading))
    for part in [heading] if whole else re.split(r"[/\n|]", heading):
        yield MEANINGS.get(plain(part))
