"""Polls every device on time, or listens to what it tells, and hands on what was read.

::

    config ─► install ─► one line per connection, one task each ─► sink(ScanResult) ─► journal
"""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from davylamp_wire.profile import Profile

from davylamp_edge.backoff import Jitter
from davylamp_edge.config import EdgeConfig
from davylamp_edge.install import Installed, by_line, install
from davylamp_edge.line import DeviceStatus, Line
from davylamp_edge.report import Clock, ScanResult, Sink, utc_ms

if TYPE_CHECKING:
    from davylamp_edge.push_line import PushLine

__all__ = ["DeviceStatus", "ScanResult", "Scanner", "Sink", "utc_ms"]

SPREAD_S = 1.0
"""Over how long the first scans are spread."""


class Scanner:
    """Reads all devices of one edge until told to stop.

    The sink is called in the loop's thread, once per device, scan and journal class, and must be quick. `devices`
    tells what the indices in a `ScanResult` mean; `statuses` how each device is doing.
    """

    def __init__(
        self,
        config: EdgeConfig,
        profiles: Mapping[str, Profile],
        sink: Sink,
        *,
        now_ms: Clock = utc_ms,
        jitter: Jitter = random.random,
    ) -> None:
        self.devices: tuple[Installed, ...] = install(config, profiles)
        every = config.report == "every"
        self._lines = [
            _kind_of(sharing)(sharing, every=every, sink=sink, now_ms=now_ms, jitter=jitter)
            for sharing in by_line(self.devices)
        ]
        self.statuses: dict[str, DeviceStatus] = {
            status.name: status for line in self._lines for status in line.statuses
        }

    def lines(self) -> Iterator[tuple[str, int, bool]]:
        """Yield each line by its first device: how many steps it has made, and whether it is in the middle of one."""
        for line in self._lines:
            yield line.statuses[0].name, line.steps, line.busy

    async def run(self, stop: asyncio.Event) -> None:
        """Scan until ``stop`` is set; then close every connection and return."""
        step_s = SPREAD_S / len(self._lines)
        async with asyncio.TaskGroup() as group:
            for i, line in enumerate(self._lines):
                group.create_task(line.run(i * step_s))
            await stop.wait()
            for line in self._lines:
                line.stop()


def _kind_of(sharing: Sequence[Installed]) -> "type[Line] | type[PushLine]":
    """Return whether the devices of one connection are asked, or tell by themselves."""
    first = sharing[0].config
    if first.driver != "opcua" or first.opcua.mode == "poll":
        return Line
    # Imported late: a gateway without OPC UA has no asyncua.
    from davylamp_edge.push_line import PushLine

    return PushLine
