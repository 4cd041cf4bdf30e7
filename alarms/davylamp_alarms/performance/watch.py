"""What puts it together: fed with every transition and tick in the order of the log, it says what it found.

It is a function of the log like the engine: its whole memory goes into a snapshot and comes back.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from davylamp_alarms.performance.advice import Advice, Adviser, Kind, Seen
from davylamp_alarms.performance.first_out import FirstOuts, Upset
from davylamp_alarms.performance.firsts import Candidate, Firsts
from davylamp_alarms.performance.flood import Flood, Floods, Position, Sounded
from davylamp_alarms.performance.heard import Heard
from davylamp_alarms.transition import Transition

EVERY_MS = 10_000
"""How often time is let pass: floods end by the ten seconds, not by the tick."""


@dataclass(frozen=True, slots=True)
class Found:
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
        found = [*_advices(self.adviser.hear(heard)), *_floods(self.floods.hear(heard))]
        return found + list(_upsets(self.first_outs.hear(heard)))

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
        return json.dumps(asdict(self, dict_factory=_plain), ensure_ascii=False, default=_listed).encode()

    @classmethod
    def load(cls, dumped: bytes) -> "Performance":
        """Return the memory `dump` gave."""
        said = json.loads(dumped)
        adviser, first = said["adviser"], said["first_outs"]
        return cls(
            Adviser(
                {name: Seen(**seen) for name, seen in adviser["seen"].items()},
                {key: _advice(advice) for key, advice in adviser["open"].items()},
                adviser["told_ms"],
                adviser["number"],
            ),
            Floods({name: _position(here) for name, here in said["floods"]["positions"].items()}),
            FirstOuts({source: _upset(upset) for source, upset in first["upsets"].items()}, first["numbers"]),
            said["ticked_ms"],
        )


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: sorted(value) if isinstance(value, set) else value for name, value in items}


def _listed(found: deque[Sounded]) -> list[dict[str, Any]]:
    return [asdict(one) for one in found]


def _advice(said: dict[str, Any]) -> Advice:
    return Advice(**{**said, "kind": Kind(said["kind"])})


def _position(said: dict[str, Any]) -> Position:
    recent = deque(Sounded(**{**one, "candidate": Candidate(**one["candidate"])}) for one in said["recent"])
    flood = said["flood"] and Flood(**{**said["flood"], "firsts": _firsts(said["flood"]["firsts"])})
    return Position(recent, flood, said["floods"])


def _upset(said: dict[str, Any]) -> Upset:
    return Upset(**{**said, "firsts": _firsts(said["firsts"]), "standing": set(said["standing"])})


def _firsts(said: dict[str, Any]) -> Firsts:
    return Firsts(*([Candidate(**one) for one in said[name]] for name in ("named", "kept")))


def _advices(found: Iterable[Advice]) -> Iterator[Found]:
    return (Found("advice", advice.row()) for advice in found)


def _floods(found: Iterable[Flood]) -> Iterator[Found]:
    return (Found("floods", flood.row()) for flood in found)


def _upsets(found: Iterable[Upset]) -> Iterator[Found]:
    return (Found("upsets", upset.row()) for upset in found)
