"""Tells systemd that the edge lives, but only while it does its work: lines turn, and what they read reaches the disk.

A device that does not answer, a broker that is away and a disk that refuses are no reasons to start anew; a line that
hangs in a driver or a writer that hangs in the disk is. Source: sd_notify(3), systemd.service(5) WatchdogSec.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

STUCK_S = 60.0
"""How long a part may be busy with one and the same step."""

TIMEOUTS = 10
"""How many timeouts one step of a line may take beside: a secured OPC UA session is opened with as many requests, and
after a silent request a serial line is waited for until no late answer can come."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the edge that must move on: `steps` only grows, `busy` where it has something to do."""

    name: str
    steps: int
    busy: bool
    timeout_s: float = 0.0
    """The longest it may have to wait for somebody else."""


@dataclass(slots=True)
class Progress:
    """Finds parts that stand still. Times are a monotonic clock's seconds."""

    _since: dict[str, tuple[int, float]] = field(default_factory=dict)

    def stuck(self, parts: Iterable[Part], now_s: float) -> list[str]:
        """Return who has been busy with one step for too long."""
        return [part.name for part in parts if self._stands_still(part, now_s)]

    def _stands_still(self, part: Part, now_s: float) -> bool:
        steps, since_s = self._since.get(part.name, (-1, now_s))
        if part.steps != steps or not part.busy:
            self._since[part.name] = (part.steps, now_s)
            return False
        return now_s - since_s > STUCK_S + TIMEOUTS * part.timeout_s


def notify(address: str, state: str) -> None:
    """Send a state to the service manager; one that does not listen is its own loss."""
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode(), target)
        except OSError as error:
            log.warning("service manager does not listen", state=state, error=str(error))


class Watchdog:
    """Says READY, feeds the watchdog for as long as every part moves on, and says STOPPING."""

    def __init__(self, parts: Callable[[], Iterable[Part]], environment: Mapping[str, str] = os.environ) -> None:
        self._parts = parts
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._progress = Progress()
        self._stuck: list[str] = []
        self._period_s = _period_s(environment)

    async def run(self, stop: asyncio.Event) -> None:
        """Do nothing where no service manager asked for it."""
        if not self._address:
            return
        notify(self._address, "READY=1")
        while not stop.is_set():
            self._feed()
            try:
                await asyncio.wait_for(stop.wait(), self._period_s)
            except TimeoutError:
                continue
        notify(self._address, "STOPPING=1")

    def _feed(self) -> None:
        stuck = self._progress.stuck(self._parts(), time.monotonic())
        if not stuck:
            notify(self._address, "WATCHDOG=1")
        if stuck != self._stuck:
            self._stuck = stuck
            if stuck:
                log.error("stuck, the watchdog is fed no more", parts=", ".join(stuck), seconds=STUCK_S)
            else:
                log.warning("moving again")
            notify(self._address, f"STATUS=stuck: {', '.join(stuck)}" if stuck else "STATUS=moving")


def _period_s(environment: Mapping[str, str]) -> float:
    """Return how often to feed: a third of what systemd allows, each ten seconds where it allows everything."""
    allowed_us = environment.get("WATCHDOG_USEC", "")
    ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(allowed_us) / 3_000_000 if ours and allowed_us.isdigit() and int(allowed_us) else 10.0
