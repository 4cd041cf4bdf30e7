"""What a person still owes a config: nothing here is wrong, and nobody would notice that it is missing.

Counted and listed in full at the end of `davylamp-edge check`, in both languages.
"""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from davylamp_wire.ceilings import above_ceiling, unjudged
from davylamp_wire.profile import DataType, Point

from davylamp_edge.install import Installed

_MEASURING = ("process", "gas", "fire")
_WIDTH = 116


def over_ceiling(device: Installed) -> Iterator[str]:
    """Yield a warning for every level of a gas detector above GB/T 50493's ceiling."""
    for name, point in zip(device.names, device.points, strict=True):
        for line in above_ceiling(point, f"devices.{device.name}.points.{name}"):
            yield f"    warning: {line}; lower it, or the site decides and says why (高于标准上限)"


def notes(devices: Sequence[Installed]) -> Iterator[str]:
    """Yield the lists of tags without limits, limits without a first action, and gases without a ceiling."""
    tags = [
        (f"{device.name}/{name}", point)
        for device in devices
        for name, point in zip(device.names, device.points, strict=True)
    ]
    yield from _listed("tags without limits (无限值的位号)", [tag for tag, point in tags if _unlimited(point)])
    yield from _listed(
        "alarms without a first action (无首要处置措施的报警)",
        [f"{tag}/{kind}" for tag, point in tags for kind, limit in point.limits.items() if limit.action is None],
    )
    found = [tag for tag, point in tags if unjudged(point)]
    if found:
        yield from _listed("gas tags held against no ceiling, say their gas (未核对上限的气体位号，请写明 gas)", found)


def _unlimited(point: Point) -> bool:
    return point.kind in _MEASURING and point.type is not DataType.STRING and not point.limits


def _listed(what: str, names: Sequence[str]) -> Iterator[str]:
    yield f"note: {what}: {len(names)}"
    yield from wrap(", ".join(names), _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
