"""The cloud's own evaluator with tried rules over its register: records of the log in, what would have been said out.

Rules lie over every tag they mean: those there are, those that are born, and those a person edits meanwhile.
"""

from collections.abc import Iterator, Sequence

from davylamp_alarms.backtest.envelope import Envelope
from davylamp_alarms.backtest.run import Said

from davylamp_cloud.backtest.laid import Laid, Sees, everything
from davylamp_cloud.backtest.rules import Rules
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.log import Record, RecordKind

CHANGING = frozenset({RecordKind.BIRTH, RecordKind.CHANGE})
"""Records after which tags may be others, or have other limits."""


class Tried:
    """An evaluator under rules.

    Attributes:
        laid: The rules over its register, and the alarms before and after.
        begun: What was said when they were laid over what stood.
        envelope: Takes the readings, where somebody wants their course.
    """

    def __init__(self, evaluator: Evaluator, rules: Rules, seq: int, at_ms: int, sees: Sees = everything) -> None:
        """Lay the rules over the register.

        Raises:
            ConfigError: A rule cannot be; the message names the tag.
        """
        self._evaluator = evaluator
        self.readings = 0
        self.envelope: Envelope | None = None
        self.laid = Laid(evaluator.engine, evaluator.register, rules, sees)
        self.begun = self.laid.lay(evaluator.register.tags, seq, at_ms)

    def take(self, records: Sequence[Record]) -> Iterator[Said]:
        """Yield what records lead to."""
        for part in _cut(records):
            work = self._evaluator.take(part)
            for readings in work.readings:
                self.readings += len(readings.batch)
                if self.envelope is not None and len(readings.batch):
                    self.envelope.take(readings.batch)
            yield from (Said(step.transition, step.at_ms) for step in work.steps)
            if work.register_changed:
                edited = {decision.after.idx for decision in work.decisions}
                edited |= {tag.idx for _, found in work.introduced for tag in found.new}
                tags = self._evaluator.register.tags
                yield from self.laid.lay((tags[idx] for idx in sorted(edited)), work.seq, work.at_ms)


def _cut(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Yield records in parts that end where tags may have changed."""
    start = 0
    for place, record in enumerate(records, 1):
        if record.kind in CHANGING or place == len(records):
            yield records[start:place]
            start = place
