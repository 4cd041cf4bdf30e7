"""Rows of one rule with the same settings: what a caller steps, asks and keeps; a suite steps several together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.warning.rule import Evidence, Places, Samples, StatisticalRule, Verdict, among, judge_usable
from davylamp_alarms.warning.thin import Ended, Said, Stretches, Thinned

BLOCK = 65_536
"""Rows judged at once where they follow each other: large enough for NumPy's calls to cost little, small enough for
most of what a step touches to stay in cache."""

Taken = dict[int, Ended | None]
"""What shared stretches made of the samples at hand, by which stretches."""


class Bank:
    """Rows of one rule under one settings, in columns.

    `state` holds the columns: some given (limits, what training found), others the rule's memory. Where the rule is
    thinned, `stretches` are the readings under way and `said` what it found in the last ones.
    """

    def __init__(self, rule: StatisticalRule[Any, Any], settings: Any, rows: int = 0) -> None:
        self.rule, self.settings, self.state = rule, settings, rule.state(settings)
        self.every_s = settings.every_s if isinstance(settings, Thinned) else 0.0
        self.stretches, self.said = Stretches(), Said()
        if rows:
            self.extend(rows)

    def __len__(self) -> int:
        return int(self.state.n)

    def extend(self, count: int) -> slice:
        """Add rows as the settings say and return where they are."""
        where: slice = self.state.extend(count)
        if self.every_s:
            self.said.extend(count)
            self.stretches.extend(len(self) - self.stretches.n)  # shared ones may be as long already
        return where

    def keep(self, order: NDArray[np.int64]) -> None:
        """Keep only these rows, in this order; a suite does so for all its banks."""
        self.state.reorder(order)
        if self.every_s:
            self.said.reorder(order)
            self.stretches.reorder(order)

    def step(self, samples: Samples, places: Places | None = None) -> Verdict:
        """Take one sample for each place, all rows unless said, and judge; places do not repeat."""
        return step_together([self], samples, slice(0, len(self)) if places is None else places)[0]

    def judge(self, places: Places, samples: Samples, taken: Taken) -> Verdict:
        """Take and judge in one piece."""
        if not self.every_s:
            return self.rule.step(self.settings, self.state, places, samples)
        return judge_usable(places, samples, lambda at, part: self._thinned(at, part, taken))

    def _thinned(self, places: Places, samples: Samples, taken: Taken) -> Verdict:
        """Judge the stretches that are over; of the others the last judgement holds."""
        shared = id(self.stretches)
        if shared not in taken:
            taken[shared] = self.stretches.take(self.every_s, places, samples)
        ended = taken[shared]
        if ended is not None:
            at = among(places, ended.at)
            verdict = self.rule.step(self.settings, self.state, at, ended.means)
            self.said.met[at], self.said.back[at] = verdict.met, verdict.back
        return Verdict(self.said.met[places].copy(), self.said.back[places].copy())

    def evidence(self, places: Places | None = None) -> Evidence:
        """Return what the state shows now, for the places, all unless said; read it after the step it belongs to."""
        return self.rule.evidence(self.settings, self.state, slice(0, len(self)) if places is None else places)

    def dump(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return copies of all columns, for a snapshot."""
        stretches = self.stretches.dump(f"{prefix}/stretches")
        return {**self.state.dump(prefix), **stretches, **self.said.dump(f"{prefix}/said")}

    def load(self, prefix: str, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave, bit for bit; the settings are the same as then."""
        self.state.load(prefix, dumped)
        self.stretches.load(f"{prefix}/stretches", dumped)
        self.said.load(f"{prefix}/said", dumped)

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return int(self.state.nbytes + self.stretches.nbytes + self.said.nbytes)


class Suite:
    """Banks over the same tags, stepped together: the rows of each have the same places.

    Those that are thinned alike share their stretches, so that a mean is made once for all of them. They are then not
    to be stepped alone.
    """

    def __init__(self, banks: Sequence[Bank]) -> None:
        self.banks = list(banks)
        self.stretches: dict[float, Stretches] = {}
        for bank in self.banks:
            if bank.every_s:
                bank.stretches = self.stretches.setdefault(bank.every_s, bank.stretches)

    def extend(self, count: int) -> slice:
        """Add rows to every bank and return where they are."""
        places = [bank.extend(count) for bank in self.banks]
        return places[0]

    def keep(self, order: NDArray[np.int64]) -> None:
        """Keep only these rows of every bank, in this order."""
        for bank in self.banks:
            bank.state.reorder(order)
            if bank.every_s:
                bank.said.reorder(order)
        for shared in self.stretches.values():
            shared.reorder(order)

    def step(self, samples: Samples, places: Places | None = None) -> list[Verdict]:
        """Take one sample for each place and return what each bank says of it."""
        return step_together(self.banks, samples, slice(0, len(self.banks[0])) if places is None else places)

    def dump(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return copies of all columns, for a snapshot."""
        dumps = (bank.dump(f"{prefix}/{at}") for at, bank in enumerate(self.banks))
        return {name: column for dump in dumps for name, column in dump.items()}

    def load(self, prefix: str, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave, bit for bit; the banks are the same as then."""
        for at, bank in enumerate(self.banks):
            bank.load(f"{prefix}/{at}", dumped)

    @property
    def nbytes(self) -> int:
        """Bytes in use; what is shared is counted once."""
        own = sum(bank.state.nbytes + bank.said.nbytes for bank in self.banks)
        return int(own + sum(shared.nbytes for shared in self.stretches.values()))


def step_together(banks: Sequence[Bank], samples: Samples, places: Places) -> list[Verdict]:
    """Let several banks take one sample for each place, block by block.

    A block's samples are read once for all banks, which saves most where all tags together exceed the cache.
    """
    if not isinstance(places, slice) or places.stop - places.start <= BLOCK:
        taken: Taken = {}
        with np.errstate(all="ignore"):  # what overflows is unusual, and judged so
            return [bank.judge(places, samples, taken) for bank in banks]
    count = places.stop - places.start
    verdicts = [Verdict(np.empty(count, np.bool_), np.empty(count, np.bool_)) for _ in banks]
    for start in range(0, count, BLOCK):
        part = slice(start, min(start + BLOCK, count))
        at, those = slice(places.start + part.start, places.start + part.stop), samples.part(part)
        for whole, verdict in zip(verdicts, step_together(banks, those, at), strict=True):
            whole.met[part], whole.back[part] = verdict.met, verdict.back
    return verdicts
