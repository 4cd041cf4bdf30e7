"""Backtests that the API was asked for: one at a time, each in a process of its own that can be ended.

```
API ── start ──► Jobs ══ a thread reads its lines ══► worker (own process, nice)
    ◄── state, done, answer ──
```
"""

import itertools
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from davylamp_cloud.cores import use_all

COMMAND = (sys.executable, "-m", "davylamp_cloud.backtest.worker")
KEPT = 20
"""So many jobs are remembered, the newest ones."""


MOST_DRAWN = 100
"""Pictures by API: more would fill the disk of a cloud with them. The command draws as many as there are."""


class JobState(StrEnum):
    """Where a job is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Job:
    """One backtest. `mistakes` say why it failed, in both languages; `request` is what the worker was asked.

    Pictures of the tags `drawn` are in `folder` while the job is remembered.
    """

    id: str
    by: str
    at_ms: int
    request: dict[str, Any]
    state: JobState = JobState.RUNNING
    done: float = 0.0
    answer: dict[str, Any] | None = None
    mistakes: list[dict[str, str]] = field(default_factory=list)
    earliest_ms: int | None = None
    process: "subprocess.Popen[str] | None" = None
    folder: "tempfile.TemporaryDirectory[str] | None" = None
    drawn: list[dict[str, str]] = field(default_factory=list)

    def picture(self, number: int) -> Path | None:
        """Return the file of one picture; None where there is none."""
        if self.folder is None or not 0 <= number < len(self.drawn):
            return None
        return Path(self.folder.name) / self.drawn[number]["file"]

    def draw_into(self, folder: "tempfile.TemporaryDirectory[str]") -> None:
        """Have the worker put its pictures there."""
        self.folder = folder
        self.request["plots"]["folder"] = folder.name

    def forget(self) -> None:
        """Let go of the pictures."""
        if self.folder is not None:
            self.folder.cleanup()


class Busy(Exception):
    """Another backtest runs: wait for it, or cancel it."""


class Jobs:
    """The jobs of one cloud, newest last."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._jobs: dict[str, Job] = {}
        self._threads: list[threading.Thread] = []

    def start(self, by: str, request: dict[str, Any]) -> Job:
        """Start a backtest.

        Raises:
            Busy: One runs already.
        """
        with self._lock:
            if any(job.state is JobState.RUNNING for job in self._jobs.values()):
                raise Busy
            job = Job(f"backtest-{next(self._numbers)}", by, self._now_ms(), request)
            if request["plots"]:
                job.draw_into(tempfile.TemporaryDirectory(prefix="davylamp-backtest-"))
            self._jobs[job.id] = job  # only now: where the disk refuses, none runs that nobody could end
            for old in list(self._jobs)[:-KEPT]:
                self._jobs.pop(old).forget()
            thread = threading.Thread(target=self._follow, args=(job,), name=job.id, daemon=True)
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]
            thread.start()
        return job

    def find(self, name: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(name)

    def all(self) -> list[Job]:
        """Return the jobs that are remembered, newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def cancel(self, job: Job) -> None:
        """End a job that runs; one that is over stays as it is."""
        with self._lock:
            if job.state is JobState.RUNNING:
                job.state = JobState.CANCELLED
                if job.process is not None:
                    job.process.terminate()

    def close(self) -> None:
        """End whatever runs, and wait for it."""
        for job in self.all():
            self.cancel(job)
        for thread in self._threads:
            thread.join()
        for job in self.all():
            job.forget()

    def _follow(self, job: Job) -> None:
        """Follow a worker until it is over; a machine that refuses it a process or a file ends the job, too."""
        try:
            self._work(job)
        except OSError as error:
            self._ended(job, f"the backtest could not begin: {error}", f"回测无法开始：{error}")

    def _work(self, job: Job) -> None:
        """Start the worker on any core, and read what it says until it is over."""
        use_all()
        with tempfile.TemporaryFile() as complaints:
            with self._lock:
                if job.state is not JobState.RUNNING:
                    return
                job.process = process = subprocess.Popen(
                    COMMAND, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
                )
            with process:
                assert process.stdin is not None
                assert process.stdout is not None
                _ask(process.stdin.write, process.stdin.close, job.request)
                for line in process.stdout:
                    self._take(job, json.loads(line))
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip().splitlines()
        word = said[-1] if said else "no word"
        code = process.returncode
        self._ended(job, f"the backtest ended with code {code}: {word}", f"回测进程以代码 {code} 中止：{word}")

    def _ended(self, job: Job, en: str, zh: str) -> None:
        """Note that a worker ended without a last word, or never began."""
        with self._lock:
            if job.state is JobState.RUNNING:
                job.state, job.mistakes = JobState.FAILED, [{"zh": zh, "en": en}]

    def _take(self, job: Job, said: dict[str, Any]) -> None:
        with self._lock:
            if job.state is not JobState.RUNNING:
                return
            job.done = said.get("done", job.done)
            if "answer" in said:
                job.state, job.done, job.answer, job.drawn = JobState.DONE, 1.0, said["answer"], said["drawn"]
            elif "mistakes" in said or "earliest_ms" in said:
                job.state, job.mistakes = JobState.FAILED, said.get("mistakes", [])
                job.earliest_ms = said.get("earliest_ms")


def _ask(write: Callable[[str], object], close: Callable[[], None], request: dict[str, Any]) -> None:
    """Give the worker its request; one that is ended at once reads none."""
    try:
        write(json.dumps(request))
        close()
    except BrokenPipeError:
        return
