"""The edge as a device of its own: what it measures of itself goes the way of every other reading, alarms included.

agent ─ snapshot, machine ─► figures ─► suppressor ─► sink ─► journal ─► cloud: profile `edge`, ordinary limits
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog
from davylamp_wire.point import COMM_OK
from davylamp_wire.reading import Value

from davylamp_edge.deadband import Suppressor
from davylamp_edge.install import Installed
from davylamp_edge.reply import Decoded
from davylamp_edge.report import Clock, Post, Sink
from davylamp_edge.status import Snapshot
from davylamp_edge.ways import STANDBY

log = structlog.get_logger(__name__)

LAST_DAY = 1.0

IDLE_S = 10.0
"""How often to see whether somebody asks for it meanwhile."""


class SelfMonitor:
    """Reports what `figures` says, each point of the installed self, as often as the profile's fastest asks."""

    def __init__(
        self, installed: Installed | None, sink: Sink, figures: Callable[[], Mapping[str, Value]], now_ms: Clock
    ) -> None:
        self._sink = sink
        self._now_ms = now_ms
        self._figures = figures
        self._installed: Installed | None = None
        self._period_s = IDLE_S
        self._suppressors: Sequence[Suppressor] = ()
        self.become(installed)

    def become(self, installed: Installed | None) -> None:
        """Report as another config says from now on; the same points go on as they were. None reports nothing."""
        before, self._installed = self._installed, installed
        if installed is None or (before is not None and _told_alike(before, installed)):
            return
        # The last point is `comm_ok`, which has no period of its own.
        self._period_s = min(point.scan_s for point in installed.points[: installed.comm_ok])
        self._post = Post(installed.name, self._sink, self._now_ms)
        # One for each point: what is not known yet is not reported, and must not hold back what is.
        self._suppressors = [
            Suppressor([index], [point], period_ms=int(self._period_s * 1000))
            for index, point in enumerate(installed.points)
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Look and report until `stop` is set. An error is said, and the next look comes all the same."""
        while not stop.is_set():
            if self._installed is not None:
                await self._look()
            try:
                await asyncio.wait_for(stop.wait(), self._period_s)
            except TimeoutError:
                continue

    async def _look(self) -> None:
        try:
            self.report(await asyncio.to_thread(self._figures))
        except Exception:
            log.exception("the edge could not look at itself")

    def report(self, figures: Mapping[str, Value]) -> None:
        """Hand on what is known and new, or has been silent for too long."""
        if self._installed is None:
            return
        for name, suppressor in zip(self._installed.names, self._suppressors, strict=True):
            value = True if name == COMM_OK else figures.get(name)
            if value is not None:
                suppressor.report(Decoded([value], {}), self._post.arrival(), self._post.report)
        self._post.send()


def _told_alike(before: Installed, now: Installed) -> bool:
    return (before.name, before.names, before.points) == (now.name, now.names, now.points)


def figures_of(now: Snapshot, machine: Mapping[str, Value]) -> dict[str, Value]:
    """Return every figure by its point; None where it is not known."""
    days = min(now.certificates.values(), default=None)
    opcua = now.opcua_certificates
    first = min(opcua, key=opcua.__getitem__, default=None)
    return {
        **machine,
        "uplink": now.state == "online",
        "ways_lost": sum(fares.well is False for fares in now.ways),
        "beacon": None if now.beacon is None else now.beacon.state.value,
        "beacon_lost": None if now.beacon is None else now.beacon.well is False,
        "alarms_failing": now.local_alarms.get("failing", 0) > 0,
        "on_standby": any(fares.taken and fares.way.name == STANDBY for fares in now.ways),
        "journal_size": round(now.journal_bytes / 1e6, 1),
        "journal_refused": now.refusal is not None,
        "backlog": now.backlog,
        "backlog_age": now.backlog_age_s,
        "buffer_depth": now.buffer_percent,
        "records_lost": sum(now.lost.values()),
        "records_damaged": now.damaged,
        "late_scans": sum(device.late for device in now.devices),
        "devices_silent": sum(device.lost_since_ms is not None for device in now.devices),
        "clock_offset": now.clock_offset_ms,
        "certificate_days": days,
        "certificate_last_day": None if days is None else days <= LAST_DAY,
        "opcua_certificate": first,
        "opcua_certificate_days": None if first is None else opcua[first],
        "opcua_certificate_last_day": None if first is None else opcua[first] <= LAST_DAY,
        "config": now.config,
    }
