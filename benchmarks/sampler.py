"""Where a Python process spends its CPU: ``python -m benchmarks.sampler OUT MODULE ARGS...`` runs a module's `main`.

Nothing is sampled until SIGUSR1, so the same run is measured first and looked into afterwards. Then, every
millisecond, what each thread has used since the last look (Linux: /proc/self/task/TID/schedstat) is put down to the
innermost of our own functions it is in, or of a library's where there is none of ours.
"""

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

EVERY_S = 0.001
SWITCH_S = 0.0001
"""While sampling, threads give way this soon: else each would be seen only where it waits of its own accord."""

OURS = "/davylamp_"
NATIVE = "libraries' own threads"


@dataclass(slots=True)
class Profile:
    """CPU seconds by thread and by function over a span of wall clock."""

    wall_s: float = 0.0
    kernel: float = 0.0
    """Share of the CPU that went into system calls."""
    threads: dict[str, float] = field(default_factory=dict)
    functions: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Profile":
        said = json.loads(path.read_text(encoding="utf-8"))
        return cls(said["wall_s"], said["kernel"], said["threads"], said["functions"])

    def write(self, path: Path) -> None:
        """Write it as `read` reads it."""
        said = {"wall_s": self.wall_s, "kernel": self.kernel, "threads": self.threads, "functions": self.functions}
        path.write_text(json.dumps(said), encoding="utf-8")

    def notes(self, who: str) -> list[str]:
        """Return who used how much of a core, and the functions that took most of it."""
        total = sum(self.threads.values()) or 1.0
        cores = ", ".join(f"{name} {used / self.wall_s:.1%}" for name, used in _most(self.threads, 6))
        hot = ", ".join(f"{name} {used / total:.0%}" for name, used in _most(self.functions, 8))
        return [
            f"{who}, share of a core by thread: {cores}; {self.kernel:.0%} of it in system calls",
            f"{who}, share of its CPU by function: {hot}",
        ]


class Sampler:
    """Samples this process from `start` to `stop`."""

    def __init__(self) -> None:
        self._profile = Profile()
        self._used: dict[int, float] = {}
        self._process_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self, *_: object) -> None:
        """Begin; a second signal changes nothing."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> Profile:
        """Return what was found."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        return self._profile

    def _run(self) -> None:
        began_s, self._process_s = time.monotonic(), time.process_time()
        before = os.times()
        own_s = time.thread_time()
        sys.setswitchinterval(SWITCH_S)
        self._look(count=False)
        while not self._over.wait(EVERY_S):
            self._look()
        self._profile.wall_s = time.monotonic() - began_s
        after = os.times()
        user_s, system_s = after.user - before.user, after.system - before.system
        self._profile.kernel = system_s / (user_s + system_s or 1.0)
        seen = sum(self._profile.threads.values()) + time.thread_time() - own_s
        self._profile.threads[NATIVE] = max(0.0, time.process_time() - self._process_s - seen)

    def _look(self, count: bool = True) -> None:
        frames = sys._current_frames()
        for thread in _others():
            tid, ident = thread.native_id, thread.ident
            used = None if tid is None else _cpu_s(tid)
            if tid is None or ident is None or used is None:
                continue
            spent, self._used[tid] = used - self._used.get(tid, used), used
            if count and spent > 0 and ident in frames:
                _add(self._profile.threads, thread.name, spent)
                _add(self._profile.functions, _name(frames[ident]), spent)


def _add(found: dict[str, float], name: str, spent: float) -> None:
    found[name] = found.get(name, 0.0) + spent


def _most(found: dict[str, float], count: int) -> list[tuple[str, float]]:
    return sorted(found.items(), key=lambda item: -item[1])[:count]


def _others() -> Iterable[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread is not threading.current_thread()]


def _cpu_s(tid: int) -> float | None:
    try:
        return int(Path(f"/proc/self/task/{tid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def _is_ours(frame: FrameType) -> bool:
    """True inside our packages; `__main__` is below everything and tells nothing."""
    path = frame.f_code.co_filename
    return OURS in path and not path.endswith("__main__.py")


def _name(innermost: FrameType) -> str:
    frame: FrameType | None = innermost
    while frame is not None and not _is_ours(frame):
        frame = frame.f_back
    code = (frame or innermost).f_code
    path = Path(code.co_filename)
    return f"{path.parent.name}/{path.stem}.{code.co_qualname}"


def main() -> int:
    """Run a module's `main` with its own arguments; its exit code is ours."""
    out, module, *arguments = sys.argv[1:]
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, sampler.start)
    try:
        return int(importlib.import_module(f"{module}.__main__").main(arguments))
    finally:
        sampler.stop().write(Path(out))


if __name__ == "__main__":
    sys.exit(main())
