"""Polls every device on time, or listens to what it tells, and hands on what was read.

::

    config ─► install ─► one line per connection, one task each ─► sink(ScanResult) ─► journal

Another config leaves the lines alone whose devices it says nothing new about: `planned`, `end`, `begin`.
"""

import asyncio
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from davylamp_wire.profile import Profile

from davylamp_edge.backoff import Jitter
from davylamp_edge.config import EdgeConfig
from davylamp_edge.install import Installed, by_line, install
from davylamp_edge.line import DeviceStatus, Line
from davylamp_edge.report import Clock, ScanResult, See, Sink, utc_ms

if TYPE_CHECKING:
    from davylamp_edge.push_line import PushLine

__all__ = ["DeviceStatus", "ScanResult", "Scanner", "Sink", "utc_ms"]

SPREAD_S = 1.0
"""Over how long the first scans are spread."""

TURNS = 10
"""In how many turns, about."""

FEWEST_TOGETHER, MOST_TOGETHER = 2, 10
"""How many lines begin together: their answers wake the process together, and a sleep that is broken for each answer by
itself costs more than the answer. But where all answer at once each waits for the others, so few lines go almost alone.
"""

END_S = 5.0
"""How long a line that ends may go on with its last request before it is cut off: others wait for it to begin."""


@dataclass(slots=True, eq=False)
class Run:
    """A line, what it was made of, and the task it runs in."""

    sharing: Sequence[Installed]
    every: bool
    line: "Line | PushLine"
    task: asyncio.Task[None] | None = None
    before: "Run | None" = None
    """The line to the same address that it takes the place of."""

    def reads(self, sharing: Sequence[Installed], every: bool) -> bool:
        """Return whether it does already what is asked for."""
        same = len(self.sharing) == len(sharing) and all(map(Installed.reads_like, self.sharing, sharing))
        return self.every == every and same

    def inherit(self) -> None:
        """Let devices that nothing new is said about go on as they were; a subscription is told all anew."""
        before, self.before = self.before, None
        if before is None or before.every != self.every:
            return
        if isinstance(self.line, Line) and isinstance(before.line, Line):
            self.line.inherit(before.line)


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the lines under another config; those it begins are made, and connected to nothing."""

    devices: tuple[Installed, ...]
    lines: Sequence[Run]
    ending: Sequence[Run]
    beginning: Sequence[Run]


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
        see: See | None = None,
    ) -> None:
        """`see` meets every raw reading of local points (SAFETY S8)."""
        self._sink = sink
        self._see = see
        self._now_ms = now_ms
        self._jitter = jitter
        self._group: asyncio.TaskGroup | None = None
        self.devices: tuple[Installed, ...] = ()
        self._lines: Sequence[Run] = ()
        self.statuses: dict[str, DeviceStatus] = {}
        self.begin(self.planned(install(config, profiles), every=config.report == "every"))

    def lines(self) -> Iterator[tuple[str, int, bool, float]]:
        """Yield each line by its first device: its steps, whether it is in the middle of one, its longest timeout."""
        for run in self._lines:
            longest_s = max(device.config.timeout_s for device in run.sharing)
            yield run.line.statuses[0].name, run.line.steps, run.line.busy, longest_s

    @property
    def reads_several(self) -> bool:
        """Whether more than one line is in the middle of a scan."""
        reading = (run for run in self._lines if run.line.busy and isinstance(run.line, Line))
        return next(reading, None) is not None and next(reading, None) is not None

    async def run(self, stop: asyncio.Event) -> None:
        """Scan until ``stop`` is set; then close every connection and return."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._start(self._lines)
            await stop.wait()
            self._group = None
            for run in self._lines:
                run.line.stop()

    def planned(self, devices: tuple[Installed, ...], *, every: bool) -> Plan:
        """Return what becomes of the lines where these devices are to be read; nothing has happened yet."""
        before = {_key(run.sharing): run for run in self._lines}
        lines = [self._kept_or_made(before.get(_key(sharing)), sharing, every) for sharing in by_line(devices)]
        kept = {*self._lines} & {*lines}
        ending = [run for run in self._lines if run not in kept]
        return Plan(devices, lines, ending, [run for run in lines if run not in kept])

    def _kept_or_made(self, before: Run | None, sharing: Sequence[Installed], every: bool) -> Run:
        if before is not None and before.reads(sharing, every):
            return before
        make = _kind_of(sharing)
        line = make(sharing, every=every, sink=self._sink, now_ms=self._now_ms, jitter=self._jitter, see=self._see)
        return Run(sharing, every, line, before=before)

    async def end(self, plan: Plan) -> None:
        """Stop the lines that a plan ends, and return once their connections are closed."""
        for run in plan.ending:
            run.line.stop()
        tasks = [run.task for run in plan.ending if run.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=END_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def begin(self, plan: Plan) -> None:
        """Go on with the lines of a plan, and start those it begins; the others never notice."""
        for run in plan.beginning:
            run.inherit()
        self.devices, self._lines = plan.devices, plan.lines
        self.statuses = {status.name: status for run in plan.lines for status in run.line.statuses}
        self._start(plan.beginning)

    def _start(self, lines: Sequence[Run]) -> None:
        """Start lines, some together and the next a little later; none before `run`, and none once it stops."""
        together = min(max(FEWEST_TOGETHER, len(lines) // TURNS), MOST_TOGETHER)
        apart_s = SPREAD_S / max(1, math.ceil(len(lines) / together))
        for i, run in enumerate(lines):
            if self._group is not None:
                run.task = self._group.create_task(run.line.run(i // together * apart_s))


def _key(sharing: Sequence[Installed]) -> tuple[str, str]:
    return sharing[0].config.driver, sharing[0].config.address


def _kind_of(sharing: Sequence[Installed]) -> "type[Line] | type[PushLine]":
    """Return whether the devices of one connection are asked, or tell by themselves."""
    first = sharing[0].config
    if first.driver != "opcua" or first.opcua.mode == "poll":
        return Line
    # Imported late: a gateway without OPC UA has no asyncua.
    from davylamp_edge.push_line import PushLine

    return PushLine
