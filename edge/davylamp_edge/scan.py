"""Polls every device on time and hands on what was read.

::

    config ─► install ─► one task per connection ─► sink(ScanResult) ─► journal
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from davylamp_wire.profile import JournalClass, Profile
from davylamp_wire.reading import Value

from davylamp_edge.config import EdgeConfig
from davylamp_edge.install import Installed, install

Clock = Callable[[], int]
"""UTC in milliseconds."""


def utc_ms() -> int:
    """Return this machine's UTC clock in milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What one scan of one device has to report, in parallel columns: one journal record.

    ``points`` are indices into the device's `Installed.points`; one point may come twice, its last held-back value
    before its new one, in time order. ``qualities`` are codes of `davylamp_wire.quality`. ``arrived_ms`` is when the
    last reply of the scan arrived. Everything of a device that changed its quality comes in class ``event``.
    """

    device: str
    journal_class: JournalClass
    points: Sequence[int]
    times_ms: Sequence[int]
    values: Sequence[Value]
    qualities: Sequence[int]
    arrived_ms: int


Sink = Callable[[ScanResult], None]


class Scanner:
    """Reads all devices of one edge until told to stop. The sink is called in the loop's thread and must be quick."""

    def __init__(
        self,
        config: EdgeConfig,
        profiles: Mapping[str, Profile],
        sink: Sink,
        *,
        now_ms: Clock = utc_ms,
    ) -> None:
        self.devices: tuple[Installed, ...] = install(config, profiles)
        self._config = config
        self._sink = sink
        self._now_ms = now_ms

    async def run(self, stop: asyncio.Event) -> None:
        """Scan until ``stop`` is set; then close every connection and return."""
        await stop.wait()
