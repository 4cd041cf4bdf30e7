"""How fast the backlog goes: as fast as the way takes it without a queue that live records would wait in. Pure.

After LEDBAT, "less than best effort" (RFC 6817): what a record takes longer than it does at best has been spent in
queues, on the link or in the cloud. While that is little the rate rises, by a quarter with each confirmation; where it
is much the rate is halved, and again only by a record that was sent after that.

Times are a monotonic clock's milliseconds.
"""

UNIT_BYTES = 512
"""A record counts as one, or by its bytes where it has more: link and cloud work by the reading."""

FIRST = 500.0
"""Records a second before anything is known of the way, and at most where nothing comes back to tell."""

SLOWEST = 50.0
"""Never less: the way may be slow for reasons of its own, and the backlog has to come some day."""

QUEUE_MS = 300
"""Time in queues that live records can bear."""

FASTER, SLOWER = 1.25, 0.5

AT_ONCE_S = 0.01
"""A rest lasts until so much time's worth may go: records that go together cost a fraction of what each does alone."""


class Pace:
    """Tokens for backlog records, at a rate that never exceeds `limit`."""

    def __init__(self, limit: float, now_ms: int = 0) -> None:
        self._limit = limit
        self.rate = min(limit, FIRST)
        self._best_ms: int | None = None
        self._changed_ms = now_ms
        self._tokens = 0.0
        self._tokens_ms = now_ms

    def confirmed(self, sent_ms: int, now_ms: int) -> None:
        """Learn from the youngest of the records that are confirmed now: it waited least for the confirmation."""
        took_ms = now_ms - sent_ms
        self._best_ms = took_ms if self._best_ms is None else min(self._best_ms, took_ms)
        if took_ms - self._best_ms <= QUEUE_MS:
            self.rate = min(self._limit, self.rate * FASTER)
        elif sent_ms >= self._changed_ms:
            self.rate = max(min(SLOWEST, self._limit), self.rate * SLOWER)
            self._changed_ms = now_ms

    def wait_ms(self, now_ms: int) -> int:
        """Return how long to rest until the next records may go; 0 where one may."""
        self._refill(now_ms)
        if self._tokens >= 1:
            return 0
        return int(1000 * (max(1.0, self.rate * AT_ONCE_S) - self._tokens) / self.rate) + 1

    def spend(self, size: int) -> None:
        """Take the tokens of a record that goes; where they are more than there are, the next one waits for them."""
        self._tokens -= max(1.0, size / UNIT_BYTES)

    def pause(self) -> None:
        """Let nothing go for a second."""
        self._tokens = -self.rate

    def _refill(self, now_ms: int) -> None:
        """Give tokens for the time that has passed, a tenth of a second's worth at most."""
        gained = (now_ms - self._tokens_ms) * self.rate / 1000
        self._tokens = min(self._tokens + gained, max(1.0, self.rate / 10))
        self._tokens_ms = now_ms
