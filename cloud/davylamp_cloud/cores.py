"""Which cores the cloud's threads run on.

Python's threads take turns at one interpreter. Spread over cores, each turn is handed to a thread that another core
has to wake: in a storm of alarms that was most of what a transition waited for (docs/decisions/0023). So the threads
that decide, store and tell are kept on one core, and what mostly works outside the interpreter may use all.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

LAST_RUN_ON = 36
"""Place of the core a process last ran on, counted behind its name in /proc/PID/stat (proc(5), field 39)."""


@contextlib.contextmanager
def kept_to_one() -> Iterator[None]:
    """Keep the threads that are started within to one core: the one that the system chose for this process.

    Where the system knows no affinity, or allows none, nothing happens.
    """
    before = _allowed()
    chosen = _now_on()
    if len(before) < 2 or chosen not in before or not _set({chosen}):
        yield
        return
    try:
        yield
    finally:
        _set(before)


def use_all() -> None:
    """Let the calling thread, and those it starts, run on every core the process was given."""
    _set(ALL)


def _allowed() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _now_on() -> int:
    try:
        return int(Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[LAST_RUN_ON])
    except (OSError, ValueError, IndexError):
        return -1


def _set(cores: set[int]) -> bool:
    try:
        os.sched_setaffinity(0, cores)
    except (AttributeError, OSError, ValueError):
        return False
    return True


ALL = _allowed()
"""What the process was given, before any thread was kept to less."""
