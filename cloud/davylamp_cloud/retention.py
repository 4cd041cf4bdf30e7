"""What the data folder keeps: one cloud at a time, and the log no longer than its readers and its config need it."""

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from davylamp_cloud.config import LogConfig
from davylamp_cloud.log import Log

LOG = structlog.get_logger()

LOOK_MS = 60_000
AGAIN_MS = 1_000
"""While there is more to trim than one step takes."""

STEP = 20_000
DAY_MS = 86_400_000


class FolderTaken(Exception):
    """Another cloud works in this folder: two would confirm what the other does not know of."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process, however it ends."""
    with open(folder / "lock", "a", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderTaken(
                f"{folder}: another davylamp-cloud runs there; stop it or name another data_dir"
            ) from None
        yield


class Retention:
    """Trims the log once in a while."""

    def __init__(self, log: Log, config: LogConfig, needed: Callable[[], int]) -> None:
        """`needed` is the smallest record any cursor or snapshot still stands at."""
        self._log = log
        self._config = config
        self._needed = needed
        self._next_ms = 0

    def look(self, now_ms: int) -> None:
        """Trim what is too old or too much, a step at a time; call it each second."""
        if now_ms < self._next_ms:
            return
        oldest_ms = now_ms - round(self._config.keep_days * DAY_MS)
        try:
            gone = self._log.trim(self._needed(), oldest_ms, self._config.keep_bytes, STEP)
        except sqlite3.OperationalError as error:
            LOG.warning("log not trimmed", error=str(error))
            gone = 0
        self._next_ms = now_ms + (AGAIN_MS if gone == STEP else LOOK_MS)
