"""A device's points of one scan class: their requests, what each of them last said, and when they are due."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from davylamp_wire.quality import Reason

from davylamp_edge.deadband import Suppressor
from davylamp_edge.drivers import DeviceRefused, DeviceUnreachable, Driver, Request, driver_class
from davylamp_edge.install import Installed
from davylamp_edge.reply import Decoded
from davylamp_edge.report import Post

ASK_AGAIN_S = 10.0
"""How long an address the device does not have is reported bad without being asked for again. Not longer: a PLC that is
starting up refuses what it will answer soon, and a gas point must not stay blind for that."""
PLAN_AGAIN_S = 600.0
"""How long a block stays split after a refusal, unless one of the refused addresses is answered before."""


@dataclass(slots=True)
class Track:
    """One request and what it last said. While ``refused`` says why, it is not asked again before ``again_s``."""

    request: Request
    suppressor: Suppressor
    refused: Reason | None = None
    again_s: float = 0.0


class Poll:
    """The points of one device that are read together every ``period_s``. Times are the loop's, in seconds."""

    def __init__(self, device: Installed, period_s: float, *, every: bool) -> None:
        wanted = [want for want in device.wanted() if want.point.scan_s == period_s]
        self.period_s = period_s
        self.due_s = 0.0
        self.refusals: dict[str, str] = {}
        """What the device refuses, by the names of the points: why it does."""
        self._device = device
        self._every = every
        self._planned: Sequence[Request] = driver_class(device.config.driver).plan(device.config, wanted)
        self._tracks = [self._track(request) for request in self._planned]
        self._plan_again_s: float | None = None

    async def read(self, driver: Driver[Any], post: Post, now_s: float, stopping: Callable[[], bool]) -> int:
        """Ask for everything that is not resting, until told to stop; return how many requests were made.

        A refused block is narrowed down within the same scan, so that one address the device does not have blinds
        one point and not its whole block. Raises: DeviceUnreachable.
        """
        self._plan_again(now_s)
        pending, asked, requests = deque(self._tracks), [], 0
        while pending and not stopping():
            track = pending.popleft()
            if track.refused is not None and now_s < track.again_s:
                track.suppressor.fail(track.refused, post.arrival(), post.report)
            else:
                requests += 1
                narrower = await self._ask(track, driver, post, now_s)
                if narrower:
                    pending.extendleft(reversed(narrower))
                    continue
            asked.append(track)
        self._tracks = [*asked, *pending]
        return requests

    def lose(self, post: Post) -> None:
        """Report every point bad: the device does not answer."""
        for track in self._tracks:
            track.suppressor.fail(Reason.COMM, post.arrival(), post.report)

    def next_due(self, now_s: float) -> int:
        """Move on to the next scan still ahead; return how many were missed because this one took too long."""
        missed = max(0, int((now_s - self.due_s) / self.period_s))
        self.due_s += self.period_s * (missed + 1)
        return missed

    async def _ask(self, track: Track, driver: Driver[Any], post: Post, now_s: float) -> list[Track]:
        """Read one request into the post; return the narrower ones to ask instead where it was refused as too wide."""
        try:
            decoded, arrived_ms = await _read(driver, track.request, post)
        except DeviceRefused as refusal:
            narrower = track.request.halves() if refusal.narrower else None
            if narrower is None:
                self._refuse(track, refusal, post, now_s)
                return []
            self._plan_again_s = now_s + PLAN_AGAIN_S
            return [self._track(request) for request in narrower]
        if track.refused is not None:
            track.refused = None
            self.refusals.pop(self._names(track), None)
            self._plan_again_s = now_s if self._plan_again_s is not None else None
        track.suppressor.report(decoded, arrived_ms, post.report)
        post.send_what_waited()
        return []

    def _refuse(self, track: Track, refusal: DeviceRefused, post: Post, now_s: float) -> None:
        track.refused = refusal.reason
        track.again_s = now_s + ASK_AGAIN_S if refusal.narrower else now_s
        self.refusals[self._names(track)] = str(refusal)
        track.suppressor.fail(refusal.reason, post.arrival(), post.report)

    def _plan_again(self, now_s: float) -> None:
        """Go back to whole blocks once a refusal is old: everything is reported afresh then."""
        if self._plan_again_s is not None and now_s >= self._plan_again_s:
            self._plan_again_s = None
            self._tracks = [self._track(request) for request in self._planned]

    def _track(self, request: Request) -> Track:
        points = [self._device.points[index] for index in request.points]
        period_ms = int(self.period_s * 1000)
        return Track(request, Suppressor(request.points, points, period_ms=period_ms, every=self._every))

    def _names(self, track: Track) -> str:
        return ", ".join(self._device.names[index] for index in track.request.points)


async def _read(driver: Driver[Any], request: Request, post: Post) -> tuple[Decoded, int]:
    """Return a reply and when it arrived. A driver's own mistake costs its request, and no other device's scan."""
    try:
        reply = await driver.read(request)
        arrived_ms = post.arrival()
        return request.decode(reply, arrived_ms), arrived_ms
    except (DeviceUnreachable, DeviceRefused):
        raise
    except Exception as error:
        raise DeviceRefused(f"{type(error).__name__}: {error}", Reason.DEVICE_FAULT) from error
