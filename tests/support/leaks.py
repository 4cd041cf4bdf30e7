"""Tells what a test left behind: threads, child processes, sockets, tasks."""

import asyncio
import functools
import os
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psutil

GRACE_S = 3.0
"""How long a thread or socket that is on its way out may take: its close was called, the system is not instant."""

# Threads a library starts once per process and never ends; they belong to nobody's test.
OF_LIBRARIES = ("AnyIO", "ThreadPoolExecutor", "asyncio_", "pydevd", "QueueFeederThread", "playwright")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds at one moment."""

    threads: frozenset[str]
    children: frozenset[str]
    sockets: frozenset[str]

    def beyond(self, before: "Footprint") -> list[str]:
        """Return what is here and was not there before, one line each."""
        return [
            *(f"thread {name}" for name in sorted(self.threads - before.threads)),
            *(f"process {name}" for name in sorted(self.children - before.children)),
            *(f"socket {name}" for name in sorted(self.sockets - before.sockets)),
        ]


def footprint() -> Footprint:
    """Return what this process holds now."""
    return Footprint(_threads(), _children(), _sockets())


def left_behind(before: Footprint, grace_s: float = GRACE_S) -> list[str]:
    """Return what is left beyond an earlier footprint once the grace is over."""
    deadline = time.monotonic() + grace_s
    while True:
        found = footprint().beyond(before)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)  # waits for the operating system, not for our clock


def _threads() -> frozenset[str]:
    alive = (t for t in threading.enumerate() if t.is_alive() and not t.name.startswith(OF_LIBRARIES))
    return frozenset(f"{thread.name} ({thread.ident})" for thread in alive)


def _children() -> frozenset[str]:
    """Return our own children; theirs are theirs to end (a browser of wider scope makes and drops helpers at will)."""
    found = set()
    for child in psutil.Process().children():
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                found.add(f"{child.pid} {' '.join(child.cmdline()[:3])}")
        except psutil.NoSuchProcess:
            continue
    return frozenset(found)


def _sockets() -> frozenset[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return frozenset(found)


def guard_tasks(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Return an async test that fails when its body leaves a task running."""

    @functools.wraps(test)
    async def guarded(*args: object, **kwargs: object) -> None:
        before = asyncio.all_tasks()
        await test(*args, **kwargs)
        for _ in range(20):
            left = [task for task in asyncio.all_tasks() - before if not task.done()]
            if not left:
                return
            await asyncio.sleep(0.01)  # a cancelled task needs turns of the loop to end
        raise AssertionError(f"the test left tasks running: {left}")

    return guarded
