"""The monitor: reads the log by its cursor, asks the engine, and stores what changed in one transaction."""

from collections.abc import Callable, Mapping
from typing import Any

from davylamp_cloud.live import Live
from davylamp_cloud.log import Log
from davylamp_cloud.outcomes import Lag, Listener, Outcome, Outcomes
from davylamp_cloud.store.state import State


class Monitor:
    """The thread between log and state.db. API and feed use what is public here."""

    def __init__(self, log: Log, state: State, now_ms: Callable[[], int]) -> None:
        self.live = Live()
        self._log = log
        self._state = state
        self._now_ms = now_ms
        self._outcomes = Outcomes(state.cursor())

    @property
    def position(self) -> int:
        """Number of the newest record that was evaluated and whose transitions are stored."""
        return self._outcomes.position

    def on_commit(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(Committed)` on the monitor's thread after each commit; the result ends it."""
        return self._outcomes.listen(listener)

    def await_outcome(self, log_seq: int, timeout: float) -> Outcome:
        """Return what came of the command at that place of the log; TimeoutError when it takes too long."""
        return self._outcomes.wait(log_seq, timeout)

    def lag(self) -> Lag:
        """Return how far the monitor is behind the log."""
        behind = self._log.read(self.position, 1)
        return Lag(self._log.last_seq - self.position, self._now_ms() - behind[0].time_ms if behind else 0)

    def status(self) -> Mapping[str, Any]:
        """Return how the monitor fares, in plain values."""
        lag = self.lag()
        return {"position": self.position, "lag_records": lag.records, "lag_ms": lag.ms}
