"""What puts it together: fed with every transition and tick in the order of the log, it says what it found.

It is a function of the log like the engine: its whole memory goes into a snapshot and comes back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from davylamp_alarms.performance.advice import Advice, Adviser
from davylamp_alarms.performance.first_out import FirstOuts
from davylamp_alarms.performance.flood import Flood, Floods, Position
from davylamp_alarms.performance.heard import Heard
from davylamp_alarms.performance.keeping import dump, load
from davylamp_alarms.transition import Transition

EVERY_MS = 10_000
"""How often time is let pass: floods end by the ten seconds, not by the tick."""


class Found(NamedTuple):
    """A row that is new or says more: its table's name, and the row by its id."""

    table: str
    row: dict[str, Any]


@dataclass(slots=True)
class Performance:
    """Chatter, flashes, floods and first-outs of every position."""

    adviser: Adviser = field(default_factory=Adviser)
    floods: Floods = field(default_factory=Floods)
    first_outs: FirstOuts = field(default_factory=FirstOuts)
    ticked_ms: int = 0

    def hear(self, step: Transition, at_ms: int) -> list[Found]:
        """Take a transition at the host time it became known."""
        heard = Heard(at_ms, step)
        found: list[Found] = []  # loops, as a comprehension is a call of its own in Python 3.11
        for advice in self.adviser.hear(heard):
            found.append(Found("advice", advice.row()))
        for flood in self.floods.hear(heard):
            found.append(Found("floods", flood.row()))
        for upset in self.first_outs.hear(heard):
            found.append(Found("upsets", upset.row()))
        return found

    def tick(self, now_ms: int) -> list[Found]:
        """Let time pass."""
        if now_ms - self.ticked_ms < EVERY_MS and now_ms >= self.ticked_ms:
            return []
        self.ticked_ms = now_ms
        ended = self.floods.tick(now_ms)
        advices = [advice for flood in ended for advice in self.adviser.after_flood(flood)]
        return [
            *_floods([*ended, *self.floods.lasting()]),
            *_advices([*advices, *self.adviser.tick(now_ms)]),
        ]

    def dismiss(self, identity: str, why: str) -> list[Found]:
        """Close an advice because a person says so; nothing where none of this id is open."""
        closed = self.adviser.dismiss(identity, why)
        return list(_advices([closed])) if closed else []

    def number_on(self, advice: int, floods: Mapping[str, int], upsets: Mapping[str, int]) -> None:
        """Give no number up to these again: for a start without a snapshot, beside rows already stored."""
        self.adviser.number = max(self.adviser.number, advice)
        for position, number in floods.items():
            self.floods.positions.setdefault(position, Position()).floods = number
        self.first_outs.numbers.update(upsets)

    # keeping

    def dump(self) -> bytes:
        """Return the whole memory."""
        return dump(self.adviser, self.floods, self.first_outs, self.ticked_ms)

    @classmethod
    def load(cls, dumped: bytes) -> "Performance":
        """Return the memory `dump` gave."""
        return cls(*load(dumped))


def _advices(found: Iterable[Advice]) -> Iterator[Found]:
    return (Found("advice", advice.row()) for advice in found)


def _floods(found: Iterable[Flood]) -> Iterator[Found]:
    return (Found("floods", flood.row()) for flood in found)
