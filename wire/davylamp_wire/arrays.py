"""An array in a profile is a row of points: one entry with `count`, written out before anything else looks at it.

Every element is a tag of its own, because a limit, a shelf and an acknowledgement belong to one value. Whatever tells
the elements apart counts up in braces, ``{first}`` or ``{first+step}``: ``holding:{100+2}`` is 100, 102, 104, …
"""

import re
from collections.abc import Mapping
from typing import Any

MOST = 1000
_COUNTING = re.compile(r"\{(\d+)(?:\+(\d+))?\}")
_TEXTS = ("zh", "en")


def expanded(points: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile's table of points with every array written out as ``name_1`` to ``name_count``.

    Raises: ValueError that names every mistake.
    """
    found: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, table in points.items():
        is_array = isinstance(table, Mapping) and "count" in table
        problem = _problem(table) if is_array else None
        if problem:
            mistakes.append(f"{name}.{problem}")
        elements = _elements(name, table) if is_array and not problem else {name: table}
        mistakes += [
            f"{element}: is an element of an array too; rename one" for element in elements if element in found
        ]
        found |= elements
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return found


def _problem(table: Mapping[str, Any]) -> str | None:
    count = table["count"]
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST:
        return f"count: {count!r} is none; give a whole number from 1 to {MOST}"
    addresses = table.get("address", {})
    for driver, address in addresses.items() if isinstance(addresses, Mapping) else ():
        if isinstance(address, str) and not _COUNTING.search(address):
            return f"address.{driver}: {address!r} is the same for every element; count in braces, holding:{{100+2}}"
    return None


def _elements(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    count = table["count"]
    rest = {key: _numbered(value) if key in _TEXTS else value for key, value in table.items() if key != "count"}
    return {f"{name}_{n + 1}": _counted(rest, n) for n in range(count)}


def _numbered(text: Any) -> Any:
    """Return a name that counts; one without braces gets its element's number at the end."""
    return f"{text} {{1}}" if isinstance(text, str) and not _COUNTING.search(text) else text


def _counted(value: Any, n: int) -> Any:
    """Return a value with every text in it counted up to its n-th element, from 0."""
    if isinstance(value, str):
        return _COUNTING.sub(lambda braces: str(int(braces[1]) + n * int(braces[2] or 1)), value)
    if isinstance(value, Mapping):
        return {key: _counted(inner, n) for key, inner in value.items()}
    if isinstance(value, list):
        return [_counted(inner, n) for inner in value]
    return value
