"""The cloud's clock as records: five ticks a second, so that timers are a function of the log like everything else."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from davylamp_cloud.group_commit import GroupCommit, LogClosed
from davylamp_cloud.log import NewRecord, RecordKind

TICK_S = 0.2
"""An on-delay that ends between two replies is noticed by a tick (SAFETY S3), so this is part of an alarm's latency;
at one a second it was most of it. A tick costs the engine 0.15 ms at 100,000 quiet tags."""
TICKS_TO_CHORES = 5
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return what changes when the machine starts: monotonic times of two boots cannot be compared."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"started-{time.time_ns() // 1_000_000 - round(time.monotonic() * 1000)}"


def tick(now_ms: int, monotonic_ms: int, boot: str, offsets: Mapping[str, int]) -> NewRecord:
    """Return a tick; `offsets` is edge clock minus host clock in milliseconds by node."""
    said = {"utc_ms": now_ms, "monotonic_ms": monotonic_ms, "boot_id": boot, "offsets": dict(offsets)}
    return NewRecord(RecordKind.TICK, json.dumps(said).encode(), now_ms)


class Ticker:
    """Appends the ticks, and does the chores of each second after the last of them."""

    def __init__(
        self,
        commits: GroupCommit,
        now_ms: Callable[[], int],
        offsets: Callable[[], Mapping[str, int]],
        chores: Callable[[int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """`chores` gets the tick's time. `failed` is called when the clock cannot go on; the process must stop then."""
        self._commits = commits
        self._now_ms = now_ms
        self._offsets = offsets
        self._chores = chores
        self._failed = failed
        self._boot = boot_id()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Start the thread; the first tick comes at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._tick_on()
        except LogClosed:
            return
        except BaseException as error:
            self._failed(error)

    def _tick_on(self) -> None:
        due_s, ticks = time.monotonic(), 0
        while not self._stopping.is_set():
            now_ms = self._now_ms()
            self._commits.submit([tick(now_ms, round(time.monotonic() * 1000), self._boot, self._offsets())])
            ticks += 1
            if ticks % TICKS_TO_CHORES == 0:
                self._chores(now_ms)
            due_s = max(due_s + TICK_S, time.monotonic())
            self._stopping.wait(due_s - time.monotonic())
