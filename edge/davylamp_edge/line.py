"""One connection and the devices behind it: one task, one request at a time.

::

    due ─► rests? ─yes─► every point bad/COMM ────────────┐
            │no                                            ├─► post ─► sink
            └─► connect ─► read block by block ─► values ──┘
                   └──── unreachable ─► lost: bad/COMM at once, and a rest

Devices on one line share it because a gateway or PLC takes few connections. One that does not answer may cost the
others its probes, and those together a tenth of the time; devices on other lines never notice.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from davylamp_wire.point import COMM_OK

from davylamp_edge.backoff import Backoff, Jitter
from davylamp_edge.bypass import Bypasses
from davylamp_edge.deadband import Suppressor
from davylamp_edge.drivers import DeviceUnreachable, Driver, driver_class
from davylamp_edge.install import Installed
from davylamp_edge.poll import Poll
from davylamp_edge.reply import Decoded
from davylamp_edge.report import Clock, Post, See, Sink
from davylamp_edge.share import Share

log = structlog.get_logger("davylamp_edge.scan")

SAME_OUTAGE_MS = 60_000
"""Devices of one line that were lost within this time of each other may well come back together."""


@dataclass(slots=True)
class DeviceStatus:
    """How a device is doing, for the status page. Counters only grow."""

    name: str
    connected: bool = False
    last_error: str = ""
    lost_since_ms: int | None = None
    scans: int = 0
    requests: int = 0
    late: int = 0
    """Scans left out because the one before took longer than its period."""
    losses: int = 0
    dropped: int = 0
    """Times a server says that its queue was full, and values before this one are lost."""
    unanswered_ms: int = 0
    """Time the line spent on waiting for it in vain."""
    trusted_until_ms: int | None = None
    """Until when the certificate that its server showed is good; told of the first device behind a server."""


class _Device:
    """A device's polls, what is known of its link, and where its reports go."""

    def __init__(self, installed: Installed, polls: Sequence[Poll], post: Post, jitter: Jitter) -> None:
        self.installed = installed
        self.polls = polls
        self.post = post
        self.backoff = Backoff(jitter)
        self.share = Share()
        self.status = DeviceStatus(installed.name)
        fastest_ms = int(min(poll.period_s for poll in polls) * 1000)
        index = installed.comm_ok
        self._comm_ok = Suppressor([index], [installed.points[index]], period_ms=fastest_ms)

    @property
    def lost(self) -> bool:
        return self.status.lost_since_ms is not None

    def say_comm_ok(self) -> None:
        self._comm_ok.report(Decoded([not self.lost], {}), self.post.arrival(), self.post.report)


class Line:
    """Polls the devices of one address over one driver, each on time, until cancelled."""

    def __init__(
        self,
        devices: Sequence[Installed],
        *,
        every: bool,
        sink: Sink,
        now_ms: Clock,
        jitter: Jitter,
        see: See | None = None,
    ) -> None:
        first = devices[0].config
        timeout_s = max(device.config.timeout_s for device in devices)
        self._driver: Driver[Any] = driver_class(first.driver).of(first, timeout_s)
        self._now_ms = now_ms
        self._backoff = Backoff(jitter)
        self._stopping = False
        self._wake: asyncio.Future[None] | None = None
        self._devices = [
            _Device(device, _polls(device, every, jitter), Post(device.name, sink, now_ms, see), jitter)
            for device in devices
        ]
        self.statuses = [device.status for device in self._devices]
        self.steps = 0
        """Grows with every request and every scan; a line that is `busy` and does not is stuck."""
        self.busy = False

    def inherit(self, before: "Line") -> None:
        """Go on with the devices of a line that has ended, where they are read as before: all but the connection."""
        known = {device.installed.name: device for device in before._devices}
        for at, device in enumerate(self._devices):
            old = known.get(device.installed.name)
            if old is not None and old.installed.reads_like(device.installed):
                self._devices[at] = old
        self.statuses = [device.status for device in self._devices]

    def stop(self) -> None:
        """End the run once the request under way is answered: what a device has served is not thrown away."""
        self._stopping = True
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def run(self, phase_s: float) -> None:
        """Scan until stopped, beginning ``phase_s`` from now, so that not all lines ask in the same millisecond."""
        clock = asyncio.get_running_loop().time
        turns = [(device, poll) for device in self._devices for poll in device.polls]
        begin_s = clock() + phase_s
        for _, poll in turns:
            poll.due_s = poll.due_s or begin_s  # one that was inherited keeps its turn
        try:
            while not self._stopping:
                device, poll = min(turns, key=_turn)
                await self._until(poll.due_s)
                if not self._stopping:
                    self.busy = True
                    await self._scan(device, poll, clock())
                    self._schedule(device, poll, clock())
                    self.busy = False
                    self.steps += 1
        finally:
            for device in self._devices:
                device.post.send()
            await self._driver.close()

    def _schedule(self, device: _Device, poll: Poll, now_s: float) -> None:
        """Move a poll on. A lost device is tried when its rest is over, however rarely it is polled otherwise."""
        poll.served_s = now_s
        missed = poll.next_due(now_s)
        if device.lost:
            poll.due_s = min(poll.due_s, max(now_s, device.backoff.until_s, self._backoff.until_s))
        else:
            device.status.late += missed

    async def _until(self, due_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        timer = loop.call_at(due_s, _awaken, self._wake)
        try:
            await self._wake
        finally:
            timer.cancel()

    async def _scan(self, device: _Device, poll: Poll, now_s: float) -> None:
        if device.backoff.rests(now_s) or (self._backoff.rests(now_s) and not self._driver.connected):
            poll.lose(device.post)
        elif await self._connected(now_s):
            await self._try(device, poll, now_s)
        device.say_comm_ok()
        device.post.send()

    async def _try(self, device: _Device, poll: Poll, now_s: float) -> None:
        try:
            device.status.requests += await poll.read(self._driver, device.post, now_s, self._is_stopping)
        except DeviceUnreachable as error:
            await self._unanswered(device, str(error), now_s)
        else:
            device.status.scans += 1
            device.backoff.succeed()
            device.share.answer()
            self._found(device, poll, now_s)

    def _is_stopping(self) -> bool:
        """Return whether to leave out the rest; asked before each request, so the line moves."""
        self.steps += 1
        return self._stopping

    async def _connected(self, now_s: float) -> bool:
        """Connect anew where the connection is gone; where that fails, every device on the line is lost."""
        if self._driver.connected:
            return True
        try:
            await self._connect()
        except Exception as error:  # A driver's own mistake is no reason to stop the other lines.
            why = str(error) if isinstance(error, DeviceUnreachable) else f"{type(error).__name__}: {error}"
            self._backoff.fail(now_s)
            for device in self._devices:
                self._lose(device, why)
                device.post.send()
            return False
        self._backoff.succeed()
        return True

    async def _connect(self) -> None:
        try:
            await self._driver.connect()
        finally:
            self.statuses[0].trusted_until_ms = self._driver.trusted_until_ms

    async def _unanswered(self, device: _Device, why: str, began_s: float) -> None:
        """Leave a device alone for a while, and drop the connection where nobody else on it is heard.

        A peer that hangs never closes its end. Whatever the silence cost the line, the device rests for.
        """
        self._lose(device, why)
        device.post.send()
        await self._driver.settle()
        now_s = asyncio.get_running_loop().time()
        device.status.unanswered_ms += round(1000 * (now_s - began_s))
        silent = sum(each.lost for each in self._devices)
        if silent == len(self._devices):
            device.backoff.fail(now_s)
            await self._driver.close()
        else:
            rests_until_s = device.share.charge(began_s, now_s, silent)
            device.backoff.fail(now_s, least_s=rests_until_s - now_s)

    def _lose(self, device: _Device, why: str) -> None:
        """Report every point of a device bad at once, whatever its scan class."""
        status = device.status
        status.last_error = why
        if not device.lost:
            status.lost_since_ms = self._now_ms()
            status.connected = False
            status.losses += 1
            log.warning("device lost", device=status.name, why=why)
        for poll in device.polls:
            poll.lose(device.post)
        device.say_comm_ok()

    def _found(self, device: _Device, poll: Poll, now_s: float) -> None:
        """Note that a device answers; what it was last asked before it was lost is due at once."""
        status = device.status
        status.connected = True
        if status.lost_since_ms is None:
            return
        log.info("device back", device=status.name, lost_s=round((self._now_ms() - status.lost_since_ms) / 1000, 1))
        since_ms, status.lost_since_ms = status.lost_since_ms, None
        for other in device.polls:
            if other is not poll:
                other.due_s = now_s
        self._try_another(since_ms - SAME_OUTAGE_MS, now_s)

    def _try_another(self, since_ms: int, now_s: float) -> None:
        """Let a device be tried now that was lost together with one that is back: a repaired cable brings back several.

        Not one that was lost long before: what comes and goes must not make others be tried out of their turn.
        """
        lost = [device for device in self._devices if (device.status.lost_since_ms or 0) > since_ms]
        if lost:
            device = min(lost, key=lambda each: each.backoff.until_s)
            device.backoff.until_s = now_s
            device.polls[0].due_s = now_s


def _turn(turn: tuple[_Device, Poll]) -> tuple[float, float]:
    """Return what decides whose turn it is: who is due first, and of those who has waited longest.

    Without the second a line that is asked for too much would always leave out the same devices.
    """
    return round(turn[1].due_s, 3), turn[1].served_s


def _awaken(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def _polls(device: Installed, every: bool, jitter: Jitter) -> list[Poll]:
    """Return a device's scan classes, the fastest first."""
    periods = sorted({point.scan_s for name, point in zip(device.names, device.points, strict=True) if name != COMM_OK})
    bypasses = Bypasses(device.names, device.points)
    return [Poll(device, period_s, bypasses, every=every, jitter=jitter) for period_s in periods]
