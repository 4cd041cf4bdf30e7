"""A reading: tag, value, quality, source time. On its way it travels in columns, one device's scan at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

Value = float | int | bool | str | None
"""What an instrument can say; None where nothing was read (its quality says why)."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of one device as parallel columns of equal length.

    ``aliases`` are the node's Sparkplug aliases, ``times_ms`` UTC milliseconds at the source, ``qualities`` codes of
    `davylamp_wire.quality`.
    """

    aliases: Sequence[int]
    times_ms: Sequence[int]
    values: Sequence[Value]
    qualities: Sequence[int]

    def __len__(self) -> int:
        return len(self.aliases)


def tag_id(group: str, node: str, device: str, point: str) -> str:
    """Return the tag id of a point on an installed device: ``group/node/device/point``, each a slug."""
    return f"{group}/{node}/{device}/{point}"
