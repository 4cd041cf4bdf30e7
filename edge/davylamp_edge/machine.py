"""What the machine says of itself: the agent's share of it, its disk, its warmth. Linux; silent where it cannot say."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

BOARD = Path("/sys/class/thermal/thermal_zone0/temp")
PAGES = Path("/proc/self/statm")


MACHINE = ("cpu", "uptime", "memory", "disk_free", "board_temperature")
"""What a machine may tell."""


class Machine:
    """Figures of one process on one machine; `disk` is a file on the disk that counts."""

    def __init__(self, disk: Path, board: Path = BOARD) -> None:
        self._disk = disk
        self._board = board
        self._began_s = self._looked_s = time.monotonic()
        self._spent_s = time.process_time()

    def figures(self) -> dict[str, float]:
        """Return what can be told now, by point of the profile `edge`."""
        return dict(self._told())

    def _told(self) -> Iterator[tuple[str, float]]:
        now_s, spent_s = time.monotonic(), time.process_time()
        if now_s > self._looked_s:
            yield "cpu", round(100 * (spent_s - self._spent_s) / (now_s - self._looked_s), 1)
        self._looked_s, self._spent_s = now_s, spent_s
        yield "uptime", round((now_s - self._began_s) / 3600, 2)
        with contextlib.suppress(OSError, ValueError):
            yield "memory", round(int(PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
        with contextlib.suppress(OSError):
            space = os.statvfs(self._disk.parent)
            yield "disk_free", round(100 * space.f_bavail / max(1, space.f_blocks), 2)
        with contextlib.suppress(OSError, ValueError):
            yield "board_temperature", int(self._board.read_text()) / 1000
