"""What a scan hands on, and how long it may wait for the rest of its scan."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from davylamp_wire.point import JournalClass
from davylamp_wire.reading import Value

from davylamp_edge.deadband import Report

WAIT_MS = 50
"""Longest a reply waits for the other replies of its scan. One journal record per scan is cheap, but on a slow line a
scan of eighty blocks takes seconds, and raising never waits (SAFETY S1)."""

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
    last reply in it arrived. A point is always of one class, ``comm_ok`` of ``event``.
    """

    device: str
    journal_class: JournalClass
    points: Sequence[int]
    times_ms: Sequence[int]
    values: Sequence[Value]
    qualities: Sequence[int]
    arrived_ms: int


Sink = Callable[[ScanResult], None]

See = Callable[[str, Sequence[int], Sequence[Value], Sequence[int], Sequence[int]], None]
"""Takes raw readings of one device: its name; points, values, qualities and times in columns, each point once."""


class Post:
    """Collects what a device's replies have to say and hands it on, a whole scan at a time where the scan is quick."""

    def __init__(self, device: str, sink: Sink, now_ms: Clock, see: See | None = None) -> None:
        self.report: Report = {}
        self.see = see
        self.device = device
        self._sink = sink
        self._now_ms = now_ms
        self._first_ms = 0
        self._latest_ms = 0

    def arrival(self, ago_s: float = 0.0) -> int:
        """Return when a reply arrived that was received so long ago."""
        self._latest_ms = self._now_ms() - int(1000 * ago_s)
        if not self.report:
            self._first_ms = self._latest_ms
        return self._latest_ms

    def send_what_waited(self) -> None:
        """Hand on what has waited long enough for its scan to end."""
        if self._latest_ms - self._first_ms >= WAIT_MS:
            self.send()

    def send(self) -> None:
        """Hand on everything collected."""
        report, self.report = self.report, {}
        for journal_class, columns in report.items():
            self._sink(
                ScanResult(
                    self.device,
                    journal_class,
                    columns.points,
                    columns.times_ms,
                    columns.values,
                    columns.qualities,
                    self._latest_ms,
                )
            )
