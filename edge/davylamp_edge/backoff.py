"""How long to leave alone what does not answer."""

import random
from collections.abc import Callable

FIRST_S = 1.0
LONGEST_S = 30.0

Jitter = Callable[[], float]
"""A number from 0 to 1, drawn anew at each call."""


class Backoff:
    """Doubles the rest after each failure, from `first_s` to `longest_s`, each drawn from half to one and a half times.

    Without the jitter a hundred devices behind one switch would all knock at the same moment when it comes back.
    """

    def __init__(
        self, jitter: Jitter = random.random, *, first_s: float = FIRST_S, longest_s: float = LONGEST_S
    ) -> None:
        self._jitter = jitter
        self._first_s = first_s
        self._longest_s = longest_s
        self._failures = 0
        self.until_s = 0.0
        """When the rest ends."""

    def fail(self, now_s: float, *, least_s: float = 0.0) -> None:
        """Note a failure; rest at least ``least_s`` from ``now_s``."""
        step = min(self._longest_s, self._first_s * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self.until_s = now_s + max(least_s, step * (0.5 + self._jitter()))

    def succeed(self) -> None:
        """Forget every failure."""
        self._failures = 0
        self.until_s = 0.0

    def rests(self, now_s: float) -> bool:
        """Return whether it is too early to try again."""
        return now_s < self.until_s
