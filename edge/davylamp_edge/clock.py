"""How far this edge's clock is from its host's, from the times at which the host's commands were sent and arrived."""

from collections import deque
from statistics import median

KEPT = 9

YEAR_2200_MS = 7_258_118_400_000
"""What is sent later than this is no time but a mistake: -1 without a sign, or another unit."""


class ClockOffset:
    """The median of the last few differences, edge minus host, in milliseconds; None before the first.

    A command's way through the broker makes the edge look ahead by some milliseconds; what matters here is seconds.
    """

    def __init__(self) -> None:
        self._seen: deque[int] = deque(maxlen=KEPT)

    def saw(self, sent_ms: int, arrived_ms: int) -> None:
        """Take the times of one command; a host that sends none (0), or one that is none, says nothing."""
        if 0 < sent_ms < YEAR_2200_MS:
            self._seen.append(arrived_ms - sent_ms)

    def forget(self) -> None:
        """Forget what was seen: this clock was set."""
        self._seen.clear()

    @property
    def ms(self) -> int | None:
        """Edge clock minus host clock."""
        return int(median(self._seen)) if self._seen else None
