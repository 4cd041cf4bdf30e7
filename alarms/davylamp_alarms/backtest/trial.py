"""Two sets of rules over the same records, side by side."""

from dataclasses import dataclass

from davylamp_alarms.backtest.compare import Comparison, compare
from davylamp_alarms.backtest.outcome import Listener, Outcome
from davylamp_alarms.backtest.run import Recorded, take
from davylamp_alarms.definition import Register
from davylamp_alarms.engine import Engine


@dataclass(frozen=True, slots=True)
class Trial:
    """What the rules before and after made of the same records, and how the one differs from the other."""

    before: Outcome
    after: Outcome
    changed: Comparison


class Both:
    """Both sets of rules on their way through the records, which are read once."""

    def __init__(self, before: Register, after: Register) -> None:
        """Start both.

        Raises:
            ValueError: A register contradicts itself; the message says where.
        """
        self._runs = [(Engine(register), Listener()) for register in (before, after)]

    def take(self, record: Recorded) -> None:
        """Let both take a record."""
        for engine, listener in self._runs:
            for said in take(engine, record):
                listener.hear(said)

    def end(self, from_ms: int, to_ms: int) -> Trial:
        """Return what came of it from one moment to another."""
        before, after = (listener.outcome(from_ms, to_ms) for _, listener in self._runs)
        return beside(before, after)


def beside(before: Outcome, after: Outcome) -> Trial:
    """Return two outcomes of the same span beside each other."""
    return Trial(before, after, compare(before.spans, after.spans))
