"""One OPC UA server and the devices behind it, which tell by themselves what changes.

::

    open ─► subscribe ─► values come ─► changes ─► post ─► sink
      ▲                     │ every WATCH_S: heartbeat, refused items again, silent tags read back
      └── rest ◄── lost ◄───┘ dead, silent, or a tag whose subscription tells no changes: a new client

A subscription can be dead in three ways, and each has its own watch: the server does not answer (heartbeat), it
answers but publishes nothing (keepalives), it publishes but has forgotten a tag (a tag unheard for three times its max
silence is read, and must read as it was last told).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from asyncua import ua
from davylamp_wire.quality import Reason
from davylamp_wire.reading import Value

from davylamp_edge.backoff import Backoff, Jitter
from davylamp_edge.changes import Changes
from davylamp_edge.datavalue import status_quality
from davylamp_edge.deadband import Suppressor
from davylamp_edge.drivers import DeviceUnreachable
from davylamp_edge.drivers.opcua import SYNCHRONOUS_MS
from davylamp_edge.drivers.opcua_session import CHUNK, Session
from davylamp_edge.drivers.opcua_subscription import Item, Subscription
from davylamp_edge.install import Installed
from davylamp_edge.line import DeviceStatus
from davylamp_edge.notification import OVERFLOW, Notification, Row
from davylamp_edge.pushed import PushDecoder, failed
from davylamp_edge.pushed_bypass import PushedBypasses
from davylamp_edge.reply import Decoded
from davylamp_edge.report import Clock, Post, See, Sink
from davylamp_edge.watched import Watched

log = structlog.get_logger("davylamp_edge.scan")

WATCH_S = 5.0
"""How often a server is asked whether it lives; each second, as asyncua does, a busy PLC looks dead."""
WATCHDOG_S = 3600.0
"""asyncua's own watch gives a session up as soon as one probe is late, though values keep coming; ours does not."""
SETUP_S = 5.0
"""Least time for an answer: a small PLC takes seconds to open a secured session."""
TICK_S = 1.0
"""How often silent tags are looked for."""
CONFIRMED_MS = 5_000
"""A server that was heard so lately says by it that what it told last still stands."""
AGAIN_S = 10.0
"""How often an item the server refuses is asked for again."""
AGED = 3
"""Max silences after which a tag that was not heard is read back."""
FIRST_S = 10.0
"""Longest a tag may take to tell its first value before it is read back."""


class _Device:
    """One device's tags: how their values read, what of it was sent, when each was last heard."""

    def __init__(
        self, installed: Installed, first: int, every: bool, sink: Sink, now_ms: Clock, see: See | None
    ) -> None:
        wanted = installed.wanted()
        points = [want.point for want in wanted]
        self.installed = installed
        self.first = first
        """The handle of its first tag."""
        self.names = [want.name for want in wanted]
        self.nodes = [ua.NodeId.from_string(want.address) for want in wanted]
        self.points = points
        self.decoder = PushDecoder(points)
        self.bypasses = PushedBypasses(self.names, points)
        self.changes = Changes([want.index for want in wanted], points, every=every)
        self.watched = Watched.of([want.index for want in wanted], points)
        self.post = Post(installed.name, sink, now_ms, see)
        self.status = DeviceStatus(installed.name)
        self.heard_s = [0.0] * len(points)
        self.suspects: dict[int, float] = {}
        """Tags that read otherwise than they were told, and since when."""
        index = installed.comm_ok
        self._comm_ok = Suppressor([index], [installed.points[index]], period_ms=int(TICK_S * 1000))

    def say_comm_ok(self) -> None:
        answers = self.status.lost_since_ms is None
        self._comm_ok.report(Decoded([answers], {}), self.post.arrival(), self.post.report)

    def rows(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return rows with places in this device for handles."""
        return [(row[0] - self.first, *row[1:]) for row in rows] if self.first else rows

    def silent(self, now_s: float) -> list[int]:
        """Return the tags that were not heard for too long."""
        return [
            at
            for at, (heard_s, point) in enumerate(zip(self.heard_s, self.points, strict=True))
            if now_s - heard_s > AGED * point.silence_s
        ]

    def listen(self, now_s: float) -> None:
        """Expect every tag's first value within `FIRST_S`."""
        self.heard_s = [now_s - AGED * point.silence_s + FIRST_S for point in self.points]
        self.suspects.clear()
        self.bypasses.forget()

    def fail(self, positions: Sequence[int], reason: Reason) -> None:
        """Report points bad that are not heard."""
        arrived_ms, pushed = self.post.arrival(), self.bypasses.apply(failed(positions, reason))
        if self.watched is not None:
            self.watched.hear(pushed, arrived_ms, self.post)
        self.changes.take(pushed, arrived_ms, 0, _monotonic_ms(), self.post.report)

    def last(self, at: int) -> Value:
        """Return what the server last said of a tag, bypassed or not."""
        return self.bypasses.raw(at, self.changes.last(at))


class PushLine:
    """Listens to one server until stopped, and builds everything anew whenever it is lost."""

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
        timeout_s = max(SETUP_S, *(device.config.timeout_s for device in devices))
        self._settings = first.opcua
        self._session = Session(first.address, timeout_s, first.opcua, watchdog_s=WATCHDOG_S)
        self._now_ms = now_ms
        self._backoff = Backoff(jitter)
        self._stop = asyncio.Event()
        self._devices: list[_Device] = []
        handle = 0
        for device in devices:
            self._devices.append(_Device(device, handle, every, sink, now_ms, see))
            handle += len(self._devices[-1].points)
        self.statuses = [device.status for device in self._devices]
        self._refused: dict[int, int] = {}
        self._asked_again_s = 0.0
        self._ahead_ms = 0
        self._heard_ms: int | None = None
        """When the server was last heard, on the monotonic clock; None while it is lost."""
        self.steps = 0
        """Grows with every tick; a dead server is found and left by itself."""
        self.busy = True

    def stop(self) -> None:
        """End the run."""
        self._stop.set()

    async def run(self, phase_s: float) -> None:
        """Listen until stopped, beginning ``phase_s`` from now."""
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(self._tick())
            try:
                await self._pause(phase_s)
                while not self._stop.is_set():
                    await self._listen()
                    await self._pause(self._backoff.until_s - asyncio.get_running_loop().time())
            finally:
                ticking.cancel()
                for device in self._devices:
                    device.post.send()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), max(0.0, seconds))

    async def _listen(self) -> None:
        """Listen with one client for as long as it lasts."""
        subscription: Subscription | None = None
        try:
            await self._open()
            subscription = Subscription(self._session, self._settings.publish_s, self._take)
            for device in self._devices:
                device.listen(asyncio.get_running_loop().time())
            refused = await subscription.open(self._items(self._switches_first()))
            self._found()
            self._refuse(refused)
            await self._watch(subscription)
        except DeviceUnreachable as error:
            self._lose(str(error))
        except Exception as error:  # A mistake of our own is no reason to stop the other lines.
            self._lose(f"{type(error).__name__}: {error}")
        finally:
            if subscription is not None:
                subscription.close()
            await self._session.close()

    async def _open(self) -> None:
        try:
            await self._session.open()
        finally:
            self.statuses[0].trusted_until_ms = self._session.trusted_until_ms

    def _handles(self) -> range:
        return range(sum(len(device.points) for device in self._devices))

    def _switches_first(self) -> list[int]:
        """Return all handles, those first that the quality of others hangs on."""
        return sorted(self._handles(), key=self._is_no_switch)

    def _is_no_switch(self, handle: int) -> bool:
        device, at = self._place(handle)
        return not device.bypasses.is_switch(at)

    def _items(self, handles: Sequence[int]) -> list[Item]:
        """Return what to ask for, with this session's numbers of the namespaces."""
        items = []
        for handle in handles:
            device, at = self._place(handle)
            items.append(Item(handle, self._session.resolved(device.nodes[at]), device.points[at].scan_s))
        return items

    def _place(self, handle: int) -> tuple[_Device, int]:
        device = next(device for device in reversed(self._devices) if device.first <= handle)
        return device, handle - device.first

    async def _watch(self, subscription: Subscription) -> None:
        """Return once told to stop. Raises: DeviceUnreachable as soon as the client is of no more use."""
        stopped = asyncio.create_task(self._stop.wait())
        ends: set[asyncio.Future[Any]] = {subscription.broken, stopped}
        try:
            while not self._stop.is_set():
                await asyncio.wait(ends, timeout=WATCH_S, return_when=asyncio.FIRST_COMPLETED)
                if subscription.broken.done():
                    raise DeviceUnreachable(subscription.broken.result())
                if silence := subscription.silent():
                    raise DeviceUnreachable(silence)
                if not self._stop.is_set():
                    await self._look_after(subscription)
        finally:
            stopped.cancel()

    async def _look_after(self, subscription: Subscription) -> None:
        now_s = asyncio.get_running_loop().time()
        await self._read_back(now_s)
        if self._refused and now_s - self._asked_again_s >= AGAIN_S:
            self._refuse(await subscription.retry(self._items(list(self._refused))))

    async def _read_back(self, now_s: float) -> None:
        """Read what was not heard for long: the server must live, and a silent tag must read as it was last told.

        A change may be on its way while it is read, so a tag that reads otherwise is looked at once more.
        """
        silent = [(device, at) for device in self._devices for at in device.silent(now_s)]
        silent = [each for each in silent if each[0].first + each[1] not in self._refused][:CHUNK]
        if not silent and self._is_heard():
            return
        try:
            values = await self._session.values([self._session.resolved(device.nodes[at]) for device, at in silent])
        except DeviceUnreachable:
            if self._is_heard():
                return  # busy, not dead: it goes on publishing
            raise
        for (device, at), value in zip(silent, values, strict=False):
            raw = value.Value.Value if value.Value is not None else None
            ((_, read, _, _),) = device.decoder.decode(
                [(at, raw, value.StatusCode.value if value.StatusCode else 0, 0)]
            )
            if read == device.last(at):
                device.heard_s[at] = now_s
                device.suspects.pop(at, None)
            elif at not in device.suspects:
                device.suspects[at] = now_s
            elif device.heard_s[at] < device.suspects[at]:
                told = f"reads {read!r} and was last told as {device.last(at)!r}"
                raise DeviceUnreachable(
                    f"{self._session.server}: {device.installed.name}/{device.names[at]} {told}: its subscription is"
                    ' dead; mode = "poll" suits a server that does this again and again'
                )

    def _is_heard(self) -> bool:
        """Return whether the server has published lately, which it cannot do when it is dead."""
        return self._heard_ms is not None and _monotonic_ms() - self._heard_ms < WATCH_S * 1000

    def _take(self, found: Notification) -> None:
        """Hand on one response: every value in it in its order, and at once (SAFETY S1, S8)."""
        loop_s = asyncio.get_running_loop().time()
        arrived_ms, self._heard_ms = self._now_ms(), _monotonic_ms()
        self._ahead_ms = _ahead_ms(found.published_ms, arrived_ms)
        for device, rows in self._by_device(found.rows):
            device.post.arrival()
            device.status.requests += 1
            if rows:
                device.status.scans += 1
                device.status.dropped += sum(row[2] & OVERFLOW == OVERFLOW for row in rows)
                for row in rows:
                    device.heard_s[row[0]] = loop_s
                pushed = device.bypasses.apply(device.decoder.decode(rows))
                if device.watched is not None:
                    device.watched.hear(pushed, arrived_ms, device.post)
                device.changes.take(pushed, arrived_ms, self._ahead_ms, self._heard_ms, device.post.report)
            device.post.send()

    def _by_device(self, rows: Sequence[Row]) -> Sequence[tuple[_Device, Sequence[Row]]]:
        if len(self._devices) == 1:
            return [(self._devices[0], rows)]
        split: dict[int, list[Row]] = {device.first: [] for device in self._devices}
        for row in rows:
            split[self._place(row[0])[0].first].append(row)
        return [(device, device.rows(split[device.first])) for device in self._devices]

    def _refuse(self, refused: Mapping[int, int]) -> None:
        """Report what the server refuses to monitor as bad, each tag for its own reason."""
        self._refused = dict(refused)
        self._asked_again_s = asyncio.get_running_loop().time()
        for handle, code in refused.items():
            device, at = self._place(handle)
            device.fail([at], Reason(status_quality(code) & 0xFF))
        for device in self._devices:
            device.post.send()

    def _lose(self, why: str) -> None:
        """Report every tag of every device bad at once."""
        self._backoff.fail(asyncio.get_running_loop().time())
        self._heard_ms = None
        self._refused = {}
        for device in self._devices:
            status = device.status
            status.last_error = why
            if status.lost_since_ms is None:
                status.lost_since_ms = self._now_ms()
                status.connected = False
                status.losses += 1
                log.warning("device lost", device=status.name, why=why)
            device.fail(range(len(device.points)), Reason.COMM)
            device.say_comm_ok()
            device.post.send()

    def _found(self) -> None:
        """Note that the server answers."""
        self._backoff.succeed()
        self._heard_ms = _monotonic_ms()
        for device in self._devices:
            status = device.status
            status.connected = True
            if status.lost_since_ms is not None:
                lost_s = round((self._now_ms() - status.lost_since_ms) / 1000, 1)
                log.info("device back", device=status.name, lost_s=lost_s)
                status.lost_since_ms = None
            device.say_comm_ok()
            device.post.send()

    async def _tick(self) -> None:
        """Repeat what has been silent too long, once a second: confirmed values, or that the server is lost."""
        while True:
            await asyncio.sleep(TICK_S)
            self.steps += 1
            now_ms = _monotonic_ms()
            for device in self._devices:
                arrived_ms = device.post.arrival()
                if self._heard_ms is None:
                    device.changes.repeat(arrived_ms, now_ms, now_ms, device.post.report)
                else:
                    if device.watched is not None and now_ms - self._heard_ms < CONFIRMED_MS:
                        device.watched.again(arrived_ms, device.post)
                    confirmed_ms = arrived_ms + self._ahead_ms - (now_ms - self._heard_ms)
                    device.changes.repeat(confirmed_ms, self._heard_ms, now_ms, device.post.report, self._ahead_ms)
                if device.status.connected or device.status.losses:
                    device.say_comm_ok()
                device.post.send()


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _ahead_ms(published_ms: int, arrived_ms: int) -> int:
    """Return how far the server's clock is ahead; 0 where they agree or it does not tell."""
    ahead = published_ms - arrived_ms if published_ms else 0
    return 0 if abs(ahead) <= SYNCHRONOUS_MS else ahead
