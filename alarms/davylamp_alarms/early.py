"""The statistical rules of the live engine: which alarm lies where among their rows, and how far each was fed.

Rows of one rule under one settings lie together (`Warner`), ordered by tag. What differs from row to row is a column of
theirs: a limit, of which an edit leaves the rule's memory alone, and what training found. Other training, as any other
setting, is a new row with a new memory.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Floats, Indices, Ints
from davylamp_alarms.definition import Kind, canonical
from davylamp_alarms.untried import Untried
from davylamp_alarms.wanted import Key, Wanted, key_of, memory_of, unlearnt, wanted_of
from davylamp_alarms.warner import Warner, Watched


class Early:
    """Every warner, by what its rows share, and the tags they watch.

    `moved` are the tags of which a limit alarm was raised or ended since the last tick: trends look past what stands.
    `local` are the rows that an edge decides, as long as the register is of that version; worked out, and never kept.
    """

    def __init__(self) -> None:
        self.warners: dict[Key, Warner] = {}
        self.watched = Watched()
        self.moved: set[int] = set()
        self.local: tuple[int, Ints] = (-1, np.empty(0, np.int64))

    def __iter__(self) -> Iterator[Warner]:
        """Yield the warners in the order of their keys, whatever came first."""
        return (self.warners[key] for key in sorted(self.warners))

    def holder(self, tag: int, kind: Kind) -> Warner | None:
        """Return the warner that has a tag's row."""
        of_kind = (warner for warner in self.warners.values() if warner.kind is kind)
        return next((warner for warner in of_kind if warner.members.has(tag)), None)

    def add(self, definitions: Iterable[tuple[int, Kind, str]]) -> None:
        """Take on new warnings by tag, kind and what they say of their rule."""
        alike: dict[tuple[Kind, str], list[int]] = {}
        for tag, kind, rule in definitions:
            alike.setdefault((kind, rule), []).append(tag)
        for (kind, rule), tags in alike.items():
            self._add(key_of(kind, rule), wanted_of(rule), np.array(sorted(tags), np.int32))

    def _add(self, key: Key, wanted: Wanted, tags: Indices) -> None:
        warner = self.warners.get(key)
        if warner is None:
            warner = self.warners[key] = Warner(*key, unlearnt(key[0], wanted))
        warner.add(tags)
        warner.teach(tags, wanted)
        if warner.own is None:
            self.watched.add(tags, warner.every_s)
            self.look_again()

    def change(self, tag: int, kind: Kind, before: str, after: str) -> bool:
        """Give a known warning other limits, or, for other settings or training, a new memory; return if it did."""
        held = self.holder(tag, kind)
        if held is not None and memory_of(kind, before) == memory_of(kind, after):
            held.give(np.array([tag], np.int32), wanted_of(after))
            return False
        self.remove(tag, kind)
        self.add([(tag, kind, after)])
        return True

    def remove(self, tag: int, kind: Kind) -> None:
        """Forget a warning."""
        held = self.holder(tag, kind)
        if held is None:
            return
        held.remove(tag)
        if not len(held):
            del self.warners[held.kind, held.shared]

    def look(self, tags: Indices, high: Floats, low: Floats, at_once: bool) -> None:
        """Say up to which limits the trends of tags are held; at once: what they saw is judged by them now."""
        for warner in self.warners.values():
            if warner.kind is Kind.TREND and warner.bank is not None:
                mine = warner.members.among(tags)
                rows, state = warner.members.find(tags[mine]), warner.bank.state
                if at_once:
                    warner.aim(rows, high[mine], low[mine])
                else:
                    state.write("high", rows, high[mine])
                    state.write("low", rows, low[mine])

    def failures(self) -> dict[str, str]:
        """Return what each rule that is left out somewhere failed by."""
        found: dict[str, str] = {}
        if not any(warner.failure for warner in self.warners.values()):
            return found
        for warner in self:
            if warner.failure:
                found[warner.rule] = "; ".join(filter(None, (found.get(warner.rule), warner.failure)))
        return found

    def look_again(self) -> None:
        """Have each warner see anew where its rows lie, and which of its alarms are at rest."""
        for warner in self.warners.values():
            warner.seen.version = -1

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self.watched.nbytes + sum(warner.nbytes for warner in self.warners.values())

    # snapshot

    def dump(self) -> dict[str, NDArray[Any] | bytes]:
        """Return every warner's columns, and in `early` what they are."""
        said, columns = [], dict[str, NDArray[Any] | bytes](self.watched.dump())
        for at, warner in enumerate(self):
            untried = warner.untried.dump()
            said.append([str(warner.kind), warner.shared, warner.settings, warner.failure, untried])
            columns.update(warner.members.dump(f"early/{at}/members"))
            if warner.bank is not None:
                columns.update(warner.bank.state.dump(f"early/{at}"))
        head = {"warners": said, "periods": sorted(self.watched.stretches), "moved": sorted(self.moved)}
        return {"early": canonical(head).encode(), **columns}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        head = json.loads(bytes(dumped["early"]))
        self.watched.load(head["periods"], dumped)
        self.moved = set(head["moved"])
        for at, (kind, shared, settings, failure, untried) in enumerate(head["warners"]):
            warner = self.warners[Kind(kind), shared] = Warner(Kind(kind), shared, settings)
            warner.untried = Untried(untried)
            warner.members.load(f"early/{at}/members", dumped)
            if failure:
                warner.failure, warner.bank = failure, None
            elif warner.bank is not None:
                warner.bank.state.load(f"early/{at}", dumped)
