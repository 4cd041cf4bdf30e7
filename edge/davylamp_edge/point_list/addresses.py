"""How point lists write Modbus addresses, and how we do: ``40001`` and ``4x0001`` are ``holding:0``."""

import re

AREAS = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
"""The leading digit of a reference number: coils, discrete inputs, input registers, holding registers."""
FUNCTIONS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
"""The function that reads each area (Modbus Application Protocol 1.1b3, 6.1 to 6.4)."""

_REFERENCE = re.compile(r"([0134])(?:[xX](\d{1,5})|(\d{4,5}))(\.\d{1,2})?")
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|\d{1,5})(\.\d{1,2})?")


def modbus_address(written: str, function: str, first: int | None) -> str:
    """Return a list's address in Davylamp's words, counted from 0.

    Args:
        function: The line's function code, or empty. With it a bare number is an address within that area, unless it
            is a reference number of that area and `first` was not said.
        first: What the list calls the first register, 0 or 1; None where the person has not said.

    Raises: ValueError that says what to write.
    """
    if ":" in written:
        return written
    area = _area(function) if function else None
    match = _REFERENCE.fullmatch(written)
    if match and (area is None or (first is None and area == AREAS[match[1]])):
        return _referred(written, match)
    if area is None:
        raise ValueError(f"{written!r} is no Modbus address; write 40001, 4x0001 or holding:0, or add a column 功能码")
    return _within(written, area, first)


def _referred(written: str, match: re.Match[str]) -> str:
    number = int(match[2] or match[3])
    if number == 0:
        raise ValueError(f"{written!r}: reference numbers count from 1; 40001 is the first holding register")
    return f"{AREAS[match[1]]}:{number - 1}{match[4] or ''}"


def _area(function: str) -> str:
    digits = re.sub(r"\D", "", function)
    if not digits or int(digits) not in FUNCTIONS:
        raise ValueError(f"function code {function!r} reads nothing; write 1, 2, 3 or 4")
    return FUNCTIONS[int(digits)]


def _within(written: str, area: str, first: int | None) -> str:
    match = _NUMBER.fullmatch(written)
    if not match:
        raise ValueError(f"{written!r} is no register number; write a number such as 100 or 0x64")
    if first is None:
        raise ValueError(f"{written!r}: does this list count registers from 0 or from 1? give --first 0 or --first 1")
    number = int(match[1], 0) if match[1].lower().startswith("0x") else int(match[1])
    if number < first:
        raise ValueError(f"{written!r} lies before the first register, {first}")
    return f"{area}:{number - first}{match[2] or ''}"
