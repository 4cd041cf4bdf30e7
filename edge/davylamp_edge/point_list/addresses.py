"""How point lists write Modbus addresses, and how we do: ``40001`` and ``4x0001`` are ``holding:0``."""

import re
import unicodedata

from davylamp_wire.config import unclear

AREAS = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
"""The leading digit of a reference number: coils, discrete inputs, input registers, holding registers."""
FUNCTIONS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
"""The function that reads each area (Modbus Application Protocol 1.1b3, 6.1 to 6.4)."""
NAMES = {"保持": "holding", "holding": "holding", "输入寄存器": "input", "inputregister": "input", "线圈": "coil"}
NAMES |= {"coil": "coil", "离散": "discrete", "输入状态": "discrete", "状态输入": "discrete", "discrete": "discrete"}
"""What lists call the areas in a column of functions or kinds of register."""

_REFERENCE = re.compile(r"([0134])(?:[xX](\d{1,5})|(\d{4,5}))(\.\d{1,2})?")
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9a-fA-F]+[hH]|\d{1,5})(\.\d{1,2})?")
_AREA = re.compile(r"([0134])(?:[x×]+|区)")
_FUNCTION = re.compile(r"0x\d+|\d+")
_SEVERAL = re.compile(r"(\d+)[-~–—/,、](\d+)")


def first_of(written: str) -> tuple[str, int | None]:
    """Return an address without its width or blanks, and how many registers it names: ``40001-40002`` names two."""
    narrow = "".join(unicodedata.normalize("NFKC", written).split())
    match = _SEVERAL.fullmatch(narrow)
    return (match[1], int(match[2]) - int(match[1]) + 1) if match else (narrow, None)


def modbus_address(written: str, function: str, first: int | None) -> str:
    """Return a list's address in Davylamp's words, counted from 0.

    Args:
        function: The line's function code or kind of register, or empty. With it a bare number is an address within
            that area, unless it is a reference number of that area and `first` was not said.
        first: What the list calls the first register, 0 or 1; None where the person has not said, and a reference
            number then counts from 1.

    Raises: ValueError that says what to write.
    """
    if ":" in written:
        return written
    area = _area(function) if function else None
    hexadecimal = area is not None and written.lower().startswith("0x")  # without an area 0x0001 is the first coil
    match = None if hexadecimal else _REFERENCE.fullmatch(written)
    if match and area not in (None, AREAS[match[1]]) and (match[2] or first is None):
        raise _contradiction(written, AREAS[match[1]], function, area)
    if match and (area is None or (area == AREAS[match[1]] and (match[2] or first is None))):
        return _referred(written, match, 1 if first is None else first)
    if area is None:
        raise unclear(
            f"{written!r} is no Modbus address; write 40001, 4x0001 or holding:0, or add a column 功能码",
            f"{written!r} 不是 Modbus 地址；请写 40001、4x0001 或 holding:0，或增加“功能码”一列",
        )
    return _within(written, area, first)


def _contradiction(written: str, said: str, function: str, area: str | None) -> ValueError:
    return unclear(
        f"{written!r} is of the area {said} and function {function!r} reads {area}; correct one of them, or give"
        " --first 0 or --first 1 where these are bare numbers",
        f"地址 {written!r} 属于 {said} 区，而功能码 {function!r} 读 {area} 区；请改正其一，若为纯数字编号请加 --first",
    )


def _referred(written: str, match: re.Match[str], first: int) -> str:
    number = int(match[2] or match[3])
    if number < first:
        raise unclear(
            f"{written!r}: reference numbers count from 1; 40001 is the first holding register."
            " Where this list calls it 40000, give --first 0",
            f"{written!r}：这类编号从 1 起，40001 是第一个保持寄存器；若本表从 40000 起，请加 --first 0",
        )
    return f"{AREAS[match[1]]}:{number - first}{match[4] or ''}"


def _area(function: str) -> str:
    """Return the area a function reads: 03, FC3, 03/16 (read/write), 保持寄存器, 4x, 4区."""
    narrow = "".join(unicodedata.normalize("NFKC", function).lower().split())
    areas = {AREAS[digit] for digit in _AREA.findall(narrow) if not narrow.startswith("0x")}
    bare = narrow if narrow.startswith("0x") else _AREA.sub("", narrow)
    numbers = [int(number, 0) if "x" in number else int(number) for number in _FUNCTION.findall(bare)]
    areas |= {FUNCTIONS[number] for number in numbers if number in FUNCTIONS}
    areas |= {area for name, area in NAMES.items() if name in narrow}
    if len(areas) != 1:
        raise unclear(
            f"function code {function!r} {'reads nothing' if not areas else 'means two things'}; write 1, 2, 3 or 4",
            f"功能码 {function!r} {'不是读功能' if not areas else '有两种含义'}；请写 1、2、3 或 4",
        )
    return areas.pop()


def _within(written: str, area: str, first: int | None) -> str:
    match = _NUMBER.fullmatch(written)
    if not match:
        raise unclear(
            f"{written!r} is no register number; write a number such as 100 or 0x64",
            f"{written!r} 不是寄存器编号；请写 100 或 0x64 这样的数",
        )
    if first is None:
        raise unclear(
            f"{written!r}: does this list count registers from 0 or from 1? give --first 0 or --first 1",
            f"{written!r}：本表的寄存器从 0 还是从 1 起数？请加 --first 0 或 --first 1",
        )
    number = _value(match[1].lower())
    if number < first:
        raise unclear(f"{written!r} lies before the first register, {first}", f"{written!r} 小于起始编号 {first}")
    return f"{area}:{number - first}{match[2] or ''}"


def _value(number: str) -> int:
    if number.startswith("0x"):
        return int(number, 16)
    return int(number[:-1], 16) if number.endswith("h") else int(number)
