"""Where the time of a start goes: one line in the log, phase by phase, from the process's first moment."""

import os
import time
from pathlib import Path


class Startup:
    """A stopwatch with names."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()
        self._phases = {"interpreter_s": round(_age_s(), 3)}

    def mark(self, name: str) -> None:
        """End a phase."""
        now_s = time.monotonic()
        self._phases[f"{name}_s"] = round(now_s - self._last_s, 3)
        self._last_s = now_s

    def phases(self) -> dict[str, float]:
        """Return the seconds of each phase, in their order."""
        return dict(self._phases)


def _age_s() -> float:
    """Return how long this process is there; 0 where the system does not say (proc(5), field 22)."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0
