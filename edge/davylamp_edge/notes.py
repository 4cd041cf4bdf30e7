"""What `davylamp-edge check` says of limits that are no mistake: levels above the standard, and what is still owed."""

from collections.abc import Iterator, Sequence

from davylamp_wire.ceilings import above_ceiling
from davylamp_wire.finding import below
from davylamp_wire.owed import owed

from davylamp_edge.install import Installed


def over_ceiling(device: Installed) -> Iterator[str]:
    """Yield a warning for every level of a gas detector above GB/T 50493's ceiling."""
    for name, point in zip(device.names, device.points, strict=True):
        for line in below(f"devices.{device.name}.points.{name}", above_ceiling(point)):
            yield f"    warning: {line}; lower it, or the site decides and says why (高于标准上限)"


def notes(devices: Sequence[Installed]) -> Iterator[str]:
    """Yield what is owed to the tags of all devices."""
    yield from owed(
        [
            (f"{device.name}/{name}", point)
            for device in devices
            for name, point in zip(device.names, device.points, strict=True)
        ]
    )
