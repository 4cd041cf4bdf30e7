"""What an OPC UA server has, for the person who makes a profile of it: a list to read, and a draft to go on from."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from davylamp_wire.point import Point

from davylamp_edge.drivers.opcua_browse import Variable, variables
from davylamp_edge.drivers.opcua_session import Session
from davylamp_edge.opcua_settings import OpcuaSettings
from davylamp_edge.point_list.cells import is_gas_unit
from davylamp_edge.point_list.draft import profile_text

TIMEOUT_S = 10.0
NAME_LENGTH = 60
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")

REMARK = """\
Drafted by davylamp-edge browse from {server}. 由 davylamp-edge browse 生成的草稿。
To do: names of the device and each point in both languages, kind (gas and fire detectors!), limits with their source
and first action (docs/how-to/profile.md); delete what is no tag; then davylamp-edge check."""


async def browsed(
    address: str, settings: OpcuaSettings, *, under: str, depth: int, match: Sequence[str]
) -> list[Variable]:
    """Return a server's variables whose path, with slashes, fits one of the patterns.

    Raises: DeviceUnreachable, ValueError for a node id that is none.
    """
    session = Session(address, TIMEOUT_S, settings)
    try:
        await session.open()
        found = await variables(session, under, depth)
    finally:
        await session.close()
    return [each for each in found if not match or any(fnmatchcase("/".join(each.path), one) for one in match)]


def listed(found: Sequence[Variable]) -> Iterator[str]:
    """Yield a line per variable: path, type, range and unit, value now, and the address a profile takes."""
    for each in found:
        span = f"{each.span[0]:g}..{each.span[1]:g}" if each.span else ""
        kind = each.type or "(no tag: not a plain value)"
        measure = " ".join(part for part in (span, each.unit) if part)
        told = f'"{each.description}"' if each.description else ""
        columns = ("/".join(each.path), kind, measure, f"= {each.value}", each.node, told)
        yield "  ".join(column for column in columns if column)


def drafted(found: Sequence[Variable], server: str) -> str:
    """Return a draft of a profile with every variable that can be a tag. Raises: ValueError where there is none."""
    points: dict[str, Point] = {}
    for each in found:
        if each.type:
            points[_name(each, points)] = _point(each)
    if not points:
        en = "nothing that can be a tag was found; try --under, --depth or another --match"
        raise ValueError(f"{en}\n没有找到可作测点的变量；请换 --under、--depth 或 --match")
    return profile_text(("未命名设备", "unnamed device"), REMARK.format(server=server), points)


def _point(variable: Variable) -> Point:
    text = variable.description or variable.path[-1]
    gas = is_gas_unit(variable.unit)
    table = {
        "zh": text,
        "en": text,
        "unit": variable.unit,
        "kind": "gas" if gas else "status" if variable.type == "bool" else "process",
        "type": variable.type,
        "address": {"opcua": variable.node},
        "plant_tag": variable.path[-1],
        **({"range": variable.span} if variable.span and variable.type not in ("bool", "string") else {}),
    }
    return Point.model_validate(table)


def _name(variable: Variable, taken: dict[str, Point]) -> str:
    """Return a variable as a point's id: its own name, with as much of its path as makes it the only one."""
    for depth in range(1, len(variable.path) + 1):
        name = _slug("_".join(variable.path[-depth:]))
        if name and name not in taken:
            return name
    count = len(taken) + 1
    while f"point_{count}" in taken:
        count += 1
    return f"point_{count}"


def _slug(text: str) -> str:
    return _NO_NAME.sub("_", text).strip("_")[-NAME_LENGTH:]
