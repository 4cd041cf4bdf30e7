"""How long ago the engine moved: what screens and receivers, and the beacons of edges, live by (SAFETY S13)."""

import time
from collections.abc import Callable

from davylamp_cloud.outcomes import Committed, Lag


class EngineAge:
    """Counts from the newest tick that was evaluated, by a clock nobody sets; an engine that is behind is as old as
    what it has not seen yet."""

    def __init__(self, lag: Callable[[], Lag], clock: Callable[[], float] = time.monotonic) -> None:
        self._lag = lag
        self._clock = clock
        self._ticked_s: float | None = None

    def heard(self, committed: Committed) -> None:
        """Take note of a commit of the monitor, on its thread."""
        if committed.clock_ms:
            self._ticked_s = self._clock()

    def ms(self) -> int | None:
        """Return the engine's age; None before its first tick."""
        if self._ticked_s is None:
            return None
        return max(round(1000 * (self._clock() - self._ticked_s)), self._lag().ms, 0)
