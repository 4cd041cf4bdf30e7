"""The processes of the demo: started in order, watched, and ended in reverse, whatever happens.

Nobody is left behind: children stand in sessions of their own, so that Ctrl-C reaches only the demo, which ends them
one after the other; and the kernel ends them should the demo itself be killed.
"""

import asyncio
import contextlib
import ctypes
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

STOP_S = 15.0
SHOWN_LINES = 15
PR_SET_PDEATHSIG = 1
MIB = 1 << 20


class ChildDied(Exception):
    """A process of the demo ended by itself; the message says which, how, and what it said last."""


class Child:
    """One process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log
        self.expected = False
        """True once it may end."""
        self.peak_bytes = 0

    async def lines(self) -> AsyncIterator[str]:
        """Yield what it prints, line by line, until it ends."""
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            yield raw.decode("utf-8", "replace").rstrip("\n")

    def measure(self) -> None:
        """Note how much memory it has held at most."""
        try:
            self.peak_bytes = max(self.peak_bytes, _peak_bytes(self.process.pid))
        except (OSError, psutil.Error):
            return  # it is gone: what was measured before stands

    def last_words(self) -> str:
        """Return the end of its log."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"  | {line}" for line in lines[-SHOWN_LINES:])


class Crew:
    """All processes of the demo. Use it as an async context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.children: list[Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self.children):
            await self.stop(child)

    async def start(self, name: str, command: Sequence[str], *, told: bool = False) -> Child:
        """Start a process. Its errors go to ``<name>.log``, and its output too unless it is `told` line by line."""
        log = self._folder / f"{name}.log"
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if told else file,
                stderr=file,
                start_new_session=True,
                preexec_fn=_dies_with_us(),
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    async def stop(self, child: Child) -> None:
        """End a process politely, then not; return when it has ended."""
        child.expected = True
        child.measure()
        if child.process.returncode is not None:
            return
        child.process.send_signal(signal.SIGTERM)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.process.wait(), STOP_S)
        finally:
            if child.process.returncode is None:
                child.process.kill()
        await child.process.wait()

    async def watch(self) -> None:
        """Wait until a process ends that should not have. Raises: ChildDied."""
        while True:
            for child in self.children:
                if child.process.returncode is not None and not child.expected:
                    raise ChildDied(_how_it_ended(child))
                child.measure()
            await asyncio.sleep(0.2)

    def peaks_mb(self) -> dict[str, float]:
        """Return every process's peak of resident memory, MiB."""
        return {child.name: round(child.peak_bytes / MIB, 1) for child in self.children}


def _how_it_ended(child: Child) -> str:
    code = child.process.returncode
    how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
    return f"{child.name} {how}; its last words, from {child.log}:\n{child.last_words()}"


def _dies_with_us() -> Callable[[], None] | None:
    """Return what a child does before it starts: ask the kernel to be ended when the demo is. Linux only."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask


def _peak_bytes(pid: int) -> int:
    """Return a process's peak of resident memory where the kernel keeps it, else what it has now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    resident: int = psutil.Process(pid).memory_info().rss
    return resident
