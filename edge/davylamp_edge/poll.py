"""A device's points of one scan class: their requests, what each of them last said, and when they are due.

A block the device refuses is cut in halves within the same scan until what is wrong lies alone; what is left over is
joined again around it. So one address the device does not have blinds one point and costs one request more::

    ████████████ refused ─► ██████ + ██████ refused ─► … ─► ████████ █ ███
                                                            one block │ one block
                                                                      └ bad, asked again rarely
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from davylamp_wire.quality import Reason

from davylamp_edge.backoff import Backoff, Jitter
from davylamp_edge.bypass import Bypasses, Guard
from davylamp_edge.deadband import Suppressor
from davylamp_edge.drivers import Answer, DeviceRefused, DeviceUnreachable, Driver, Request, driver_class
from davylamp_edge.install import Installed
from davylamp_edge.reply import Decoded
from davylamp_edge.report import WAIT_MS, Post
from davylamp_edge.watched import Watched

log = structlog.get_logger("davylamp_edge.scan")

ASK_AGAIN_S = 10.0
"""How long an address the device does not have is first left alone. Not longer: a PLC that is starting up refuses what
it will answer soon, and a gas point must not stay blind for that."""
ASK_AGAIN_MOST_S = 600.0
"""How long it is left alone in the end, each time drawn from half to one and a half times that."""
PLAN_AGAIN_S = 600.0
"""How long blocks stay apart that were refused together and answered one by one."""


@dataclass(slots=True)
class Track:
    """One request and what it last said. While ``refused`` says why, it is not asked again before its rest is over."""

    request: Request
    suppressor: Suppressor
    rest: Backoff
    guard: Guard | None
    watched: Watched | None
    refused: Reason | None = None


@dataclass(slots=True)
class _Scan:
    """One reading of a poll: with what, into what, and how far it has come."""

    driver: Driver[Any]
    post: Post
    now_s: float
    stopping: Callable[[], bool]
    requests: int = 0
    until_s: float = 0.0
    """When what was answered has waited long enough for what is asked behind it."""

    def goes_on(self, now_s: float) -> bool:
        """Return whether one more request may be asked before its answers are looked at."""
        return not self.stopping() and now_s < self.until_s


class Poll:
    """The points of one device that are read together every ``period_s``. Times are the loop's, in seconds."""

    def __init__(self, device: Installed, period_s: float, bypasses: Bypasses, *, every: bool, jitter: Jitter) -> None:
        wanted = [want for want in device.wanted() if want.point.scan_s == period_s]
        self.period_s = period_s
        self.due_s = 0.0
        self.served_s = 0.0
        self._device = device
        self._every = every
        self._jitter = jitter
        self._bypasses = bypasses
        planned: Sequence[Request] = driver_class(device.config.driver).plan(device.config, wanted)
        # States first: what they are about is marked in the same scan.
        self._planned = sorted(planned, key=lambda request: bypasses.states.keys().isdisjoint(request.points))
        self._tracks = [self._track(request) for request in self._planned]
        self._is_split = False
        self._plan_again_s: float | None = None

    async def read(self, driver: Driver[Any], post: Post, now_s: float, stopping: Callable[[], bool]) -> int:
        """Ask for everything that is not resting, until told to stop; return how many requests were made.

        Raises: DeviceUnreachable.
        """
        if self._plan_again_s is not None and now_s >= self._plan_again_s:
            self._plan_again()
        scan = _Scan(driver, post, now_s, stopping)
        before, tracks = _refused(self._tracks), list[Track]()
        for stretch in _stretches(self._tracks, now_s):
            tracks += await self._ask(stretch, scan)
        self._tracks = tracks
        self._tell(before)
        if self._plan_again_s is not None and self._plan_again_s > now_s and _refused(tracks):
            self._plan_again_s = None  # the address that is asked for again will tell
        return scan.requests

    def lose(self, post: Post) -> None:
        """Report every point bad: the device does not answer. What it refused before, it may have when it is back."""
        if self._is_split:
            self._plan_again()
        for track in self._tracks:
            _fail(track, Reason.COMM, post)

    def next_due(self, now_s: float) -> int:
        """Move on to the next scan still ahead; return how many were missed because this one took too long."""
        missed = max(0, int((now_s - self.due_s) / self.period_s))
        self.due_s += self.period_s * (missed + 1)
        return missed

    async def _ask(self, asked: Sequence[Track], scan: _Scan) -> list[Track]:
        """Read requests; return them, or the fewest that ask for their points around what the device does not have."""
        if _rests(asked[0], scan.now_s):
            _fail(asked[0], asked[0].refused or Reason.DEVICE_EXCEPTION, scan.post)
            return [*asked]
        tracks: list[Track] = []
        while asked and not scan.stopping():
            answers = await _answers([track.request for track in asked], scan)
            scan.requests += len(answers)
            heard_s = asyncio.get_running_loop().time()
            for track, answer in zip(asked, answers, strict=False):
                arrived_ms = scan.post.arrival(heard_s - answer.at_s)
                tracks += await self._hear(track, answer.said, arrived_ms, scan)
            asked = asked[len(answers) :]
        return [*tracks, *asked]

    async def _hear(self, track: Track, said: Any, arrived_ms: int, scan: _Scan) -> list[Track]:
        """Take what a request was answered."""
        try:
            decoded = _decoded(track.request, said, arrived_ms)
        except DeviceRefused as refusal:
            halves = track.request.halves() if refusal.narrower else None
            if halves is not None:
                return await self._split(halves, scan)
            self._refuse(track, refusal, scan)
        else:
            self._take(track, decoded, arrived_ms, scan)
        return [track]

    async def _split(self, halves: Sequence[Request], scan: _Scan) -> list[Track]:
        self._is_split = True
        left, right = [await self._ask([self._track(half)], scan) for half in halves]
        if len(left) == len(right) == 1 and not _refused([*left, *right]):
            # Both answer as they are: the block was too large, or has a hole between them.
            self._plan_again_s = scan.now_s + PLAN_AGAIN_S
            return left + right
        return self._joined(left, right)

    def _joined(self, left: list[Track], right: list[Track]) -> list[Track]:
        """Return both sides' tracks, those that meet joined where both were answered."""
        *_, end = left
        begin, *_ = right
        both = end.request.joined(begin.request) if end.refused is None and begin.refused is None else None
        return left + right if both is None else [*left[:-1], self._track(both), *right[1:]]

    def _take(self, track: Track, decoded: Decoded, arrived_ms: int, scan: _Scan) -> None:
        if track.refused is not None:
            track.refused = None
            track.rest.succeed()
            self._plan_again_s = scan.now_s if self._is_split else None
        if track.guard is not None:
            track.guard.apply(decoded)
        if track.watched is not None:
            track.watched.look(decoded, arrived_ms, scan.post)
        track.suppressor.report(decoded, arrived_ms, scan.post.report)
        scan.post.send_what_waited()

    def _refuse(self, track: Track, refusal: DeviceRefused, scan: _Scan) -> None:
        track.refused = refusal.reason
        if refusal.narrower:
            track.rest.fail(scan.now_s)
        _fail(track, refusal.reason, scan.post)

    def _plan_again(self) -> None:
        """Go back to whole blocks: everything is reported afresh then."""
        self._plan_again_s = None
        self._is_split = False
        self._tracks = [self._track(request) for request in self._planned]

    def _track(self, request: Request) -> Track:
        points = [self._device.points[index] for index in request.points]
        suppressor = Suppressor(request.points, points, period_ms=int(self.period_s * 1000), every=self._every)
        rest = Backoff(self._jitter, first_s=ASK_AGAIN_S, longest_s=ASK_AGAIN_MOST_S)
        guard, watched = self._bypasses.guard(request.points), Watched.of(request.points, points)
        return Track(request, suppressor, rest, guard, watched)

    def _tell(self, before: set[int]) -> None:
        """Log which points the device refuses from now on, and which it answers again: edges, not levels."""
        after = _refused(self._tracks)
        for event, points in (("points refused", after - before), ("points answered again", before - after)):
            if points:
                names = [self._device.names[index] for index in sorted(points)[:MOST_NAMES]]
                more = ["…"] if len(points) > MOST_NAMES else []
                log.warning(event, device=self._device.name, count=len(points), points=" ".join(names + more))


MOST_NAMES = 10
"""Points named in one line of log."""


def _refused(tracks: Sequence[Track]) -> set[int]:
    """Return the points whose device has said no."""
    return {index for track in tracks if track.refused is not None for index in track.request.points}


def _fail(track: Track, reason: Reason, post: Post) -> None:
    """Report a request's points bad, and forget what their states were."""
    if track.guard is not None:
        track.guard.forget()
    arrived_ms = post.arrival()
    if track.watched is not None:
        track.watched.lose(reason, arrived_ms, post)
    track.suppressor.fail(reason, arrived_ms, post.report)


def _rests(track: Track, now_s: float) -> bool:
    return track.refused is not None and track.rest.rests(now_s)


def _stretches(tracks: Sequence[Track], now_s: float) -> Iterator[Sequence[Track]]:
    """Yield requests that may be answered one behind the other before any answer is looked at.

    One that rests is by itself. Behind one that somebody watches a stretch ends: who decides alarms waits for no other.
    """
    begin = 0
    for at, track in enumerate(tracks):
        if _rests(track, now_s):
            if begin < at:
                yield tracks[begin:at]
            yield [track]
            begin = at + 1
        elif track.watched is not None:
            yield tracks[begin : at + 1]
            begin = at + 1
    if begin < len(tracks):
        yield tracks[begin:]


async def _answers(requests: Sequence[Request], scan: _Scan) -> Sequence[Answer]:
    """Read what comes within a scan's wait. A driver's own mistake costs its request, and no other device's scan."""
    clock = asyncio.get_running_loop().time
    scan.until_s = clock() + WAIT_MS / 1000
    try:
        return await scan.driver.read_in_turn(requests, scan.goes_on)
    except Exception as error:
        return [Answer(_mistake(error), clock())]


def _decoded(request: Request, said: Any, arrived_ms: int) -> Decoded:
    """Return a reply in columns. Raises: DeviceUnreachable, DeviceRefused."""
    if isinstance(said, DeviceUnreachable | DeviceRefused):
        raise said
    try:
        return request.decode(said, arrived_ms)
    except Exception as error:
        raise _mistake(error) from error


def _mistake(error: Exception) -> Exception:
    if isinstance(error, DeviceUnreachable | DeviceRefused):
        return error
    return DeviceRefused(f"{type(error).__name__}: {error}", Reason.DEVICE_FAULT)
