"""What the beacon is told: which local alarms stand, and when each engine was last known to move."""

from collections.abc import Mapping
from typing import Protocol

Occurrences = Mapping[str, int]
"""Priority by occurrence, a graver one the higher number."""


class LocalAlarms(Protocol):
    """The alarms that are decided at this edge."""

    def standing(self) -> Occurrences:
        """Return what stands now."""

    def decides(self, alarm: str) -> bool:
        """Return whether the alarm with this id is decided here."""

    def stepped_s(self) -> float | None:
        """Return the monotonic time of the engine's last step; None before the first."""


class EngineWord:
    """When the cloud's engine last moved, as far as it said so; by this machine's monotonic clock.

    `reds` are the occurrences of red alarms that stand where this edge is, by alarm: they stand until the cloud says
    otherwise, and its silence says nothing (SAFETY S4).
    """

    def __init__(self) -> None:
        self.moved_s: float | None = None
        self.reds: Mapping[str, str] = {}

    def heard(self, age_ms: int, now_s: float) -> None:
        """Take the cloud's word that its engine moved so long ago; a later word never takes back an earlier one."""
        moved_s = now_s - max(0, age_ms) / 1000
        self.moved_s = moved_s if self.moved_s is None else max(self.moved_s, moved_s)
