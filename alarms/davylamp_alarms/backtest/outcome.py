"""What one set of rules made of the records: when each alarm stood, floods, and the figures of the alarm system."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from davylamp_alarms.backtest.run import Said
from davylamp_alarms.backtest.spans import Span, spans
from davylamp_alarms.definition import position_of
from davylamp_alarms.performance.flood import Flood, Floods
from davylamp_alarms.performance.heard import ACTS, Heard
from davylamp_alarms.performance.kpis import Columns, Kpis, kpis
from davylamp_alarms.performance.watch import EVERY_MS
from davylamp_alarms.transition import Transition


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one operating position. `names` are its alarms by the numbers the figures give them."""

    position: str
    kpis: Kpis
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run from `from_ms` to `to_ms`; `acts` is how often persons did something about an alarm."""

    from_ms: int
    to_ms: int
    spans: tuple[Span, ...]
    floods: tuple[Flood, ...]
    figures: tuple[Figures, ...]
    transitions: int = 0
    acts: int = 0


@dataclass(slots=True)
class Listener:
    """Hears a run as it goes, and keeps of it what an outcome needs. `standing` are the alarms that stood before it."""

    standing: frozenset[str] = frozenset()
    heard: list[Heard] = field(default_factory=list)
    floods: Floods = field(default_factory=Floods)
    begun: dict[str, Flood] = field(default_factory=dict)
    due_ms: int = 0

    def hear(self, said: Said) -> None:
        """Take what was said, in its order."""
        self.pass_time(said.at_ms)
        one = Heard(said.at_ms, said.transition)
        self.heard.append(one)
        self.begun.update((flood.id, flood) for flood in self.floods.hear(one))

    def pass_time(self, now_ms: int) -> None:
        """Let floods end that are over."""
        while self.floods.lasting() and self.due_ms <= now_ms:
            self.floods.tick(self.due_ms)
            self.due_ms += EVERY_MS
        self.due_ms = max(self.due_ms, now_ms - now_ms % EVERY_MS + EVERY_MS)

    def outcome(self, from_ms: int, to_ms: int) -> Outcome:
        """Return what came of what was heard until `to_ms`; a flood that lasts then has no end."""
        self.pass_time(to_ms)
        return Outcome(
            from_ms,
            to_ms,
            spans(self._transitions(), to_ms, from_ms, self.standing),
            tuple(self.begun.values()),
            tuple(_figures(position, mine, from_ms, to_ms) for position, mine in self._by_position()),
            len(self.heard),
            sum(one.step.event in ACTS for one in self.heard),
        )

    def _transitions(self) -> Iterator[Transition]:
        return (one.step for one in self.heard)

    def _by_position(self) -> list[tuple[str, list[Heard]]]:
        found: dict[str, list[Heard]] = {}
        for one in self.heard:
            found.setdefault(position_of(one.step.alarm_id), []).append(one)
        return sorted(found.items())


def _figures(position: str, heard: Sequence[Heard], from_ms: int, to_ms: int) -> Figures:
    names = tuple(sorted({one.step.alarm_id for one in heard}))
    number = {name: place for place, name in enumerate(names)}
    columns = Columns(
        at_ms=np.array([one.at_ms for one in heard], np.int64),
        alarm=np.array([number[one.step.alarm_id] for one in heard], np.int64),
        priority=np.array([int(one.step.priority) for one in heard], np.int64),
        annunciated=np.array([one.annunciated for one in heard], np.bool_),
        raised=np.array([one.live_raise for one in heard], np.bool_),
        ended=np.array([one.live_end for one in heard], np.bool_),
        hidden=np.array([bool(one.step.suppressions) for one in heard], np.bool_),
        acted=np.array([one.step.event in ACTS for one in heard], np.bool_),
    )
    return Figures(position, kpis(columns, from_ms, to_ms), names)
