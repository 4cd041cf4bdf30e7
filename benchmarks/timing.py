"""Trustworthy timings: several runs after a warm-up, the median to quote."""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil


def median_s(step: Callable[[], object], runs: int = 7, warmup: int = 2) -> float:
    """Return the median duration of a step in seconds."""
    for _ in range(warmup):
        step()
    durations = []
    for _ in range(runs):
        start = time.perf_counter()
        step()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations)


@dataclass(slots=True)
class Load:
    """CPU share and peak memory of one process over a span, by the operating system's own accounts."""

    process: psutil.Process
    cpu_s: float
    wall_s: float

    @classmethod
    def of(cls, pid: int | None = None) -> "Load":
        process = psutil.Process(pid or os.getpid())
        return cls(process, _cpu_s(process), time.monotonic())

    def cores(self) -> float:
        """Return the cores used since the last call, and start anew."""
        cpu, wall = _cpu_s(self.process), time.monotonic()
        used = (cpu - self.cpu_s) / (wall - self.wall_s)
        self.cpu_s, self.wall_s = cpu, wall
        return used

    def rss_mb(self) -> float:
        """Return resident memory in MB; 0 where the process is gone."""
        with suppress(psutil.NoSuchProcess):
            return float(self.process.memory_info().rss) / 1e6
        return 0.0


class Machine:
    """How busy the whole machine is from here to `busy`: what else ran makes absolute figures worse."""

    def __init__(self) -> None:
        psutil.cpu_percent()

    def busy(self) -> float:
        """Return the share of all cores that was used since, by every process, in percent."""
        return float(psutil.cpu_percent())


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
