"""A profile and a config's device, as the TOML a person goes on from. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from davylamp_wire.point import Point


def profile_text(names: tuple[str, str], remark: str, points: Mapping[str, Point]) -> str:
    """Return a profile. `names` are zh and en; `remark` is the comment above."""
    lines = [*(f"# {line}" for line in remark.splitlines()), f"zh = {_value(names[0])}", f"en = {_value(names[1])}"]
    for name, point in points.items():
        lines += ["", f"[points.{name}]", *_pairs(_said(point))]
        for kind, limit in point.limits.items():
            said = limit.model_dump(mode="json", exclude_defaults=True)
            lines += ["", f"[points.{name}.limits.{kind}]", *_pairs(said)]
    return "\n".join(lines) + "\n"


def table_text(heading: str, table: Mapping[str, Any]) -> str:
    """Return one table of a config, such as a device, with its heading."""
    return "\n".join(["", heading, *_pairs(table)]) + "\n"


def _said(point: Point) -> dict[str, Any]:
    """Return what a point says beyond the defaults; its limits have tables of their own."""
    return point.model_dump(mode="json", exclude_defaults=True, exclude={"limits"})


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    return (f"{key} = {_value(value)}" for key, value in table.items())


def _value(value: object) -> str:
    """Return a value as TOML: JSON's texts, numbers and lists are TOML's as well, only tables are written otherwise."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON leaves DEL as it is, TOML refuses it
