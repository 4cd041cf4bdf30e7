"""What `davylamp-edge check` says of limits that are no mistake: levels above the standard, and what is still owed."""

from collections.abc import Iterator, Sequence

from davylamp_wire.ceilings import above_ceiling
from davylamp_wire.finding import below
from davylamp_wire.owed import owed
from davylamp_wire.trained import LEARNT, MARK

from davylamp_edge.install import Installed

SHOWN = 5
"""Most points or limits of one device that are named for the same cause: a point list brings hundreds."""


def over_ceiling(device: Installed) -> Iterator[str]:
    """Yield a warning for every level of a gas detector above GB/T 50493's ceiling."""
    for name, point in zip(device.names, device.points, strict=True):
        for line in below(f"devices.{device.name}.points.{name}", above_ceiling(point)):
            yield f"    warning: {line}; lower it, or the site decides and says why (高于标准上限)"


def by_number(device: Installed) -> Iterator[str]:
    """Yield a warning where addresses name a namespace by the number it happens to have now."""
    names = [want.name for want in device.wanted() if want.address.startswith("ns=")]
    if device.config.driver == "opcua" and names:
        listed = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        yield f"    warning: addresses with ns= ({listed}): a server may number its namespaces anew; write nsu=, as"
        yield "        `davylamp-edge browse` does (命名空间编号可能变化，请改用 nsu=)"


def trained_rules(device: Installed) -> Iterator[str]:
    """Yield which rules run with what training found, and how much their births say of it."""
    found = {
        f"{name}/{rule}": sum(len(str(warning.settings.get(one, ""))) for one in LEARNT.get(rule, ()))
        for name, point in zip(device.names, device.points, strict=True)
        for rule, warning in point.warnings.items()
        if MARK in warning.source.clause
    }
    if found:
        names = [*list(found)[:SHOWN], *([f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])]
        size = f"{sum(found.values()) / 1000:.1f} kB"
        yield f"    trained: {', '.join(names)} ({size} of the birth) (已训练的规则，占诞生消息 {size})"


def notes(devices: Sequence[Installed]) -> Iterator[str]:
    """Yield what is owed to the tags of all devices."""
    yield from owed(
        [
            (f"{device.name}/{name}", point)
            for device in devices
            for name, point in zip(device.names, device.points, strict=True)
        ]
    )
