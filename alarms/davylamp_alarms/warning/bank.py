"""Rows of one rule with the same settings: what a caller steps, asks and keeps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.warning.rule import (
    Evidence,
    Places,
    Samples,
    StatisticalRule,
    Verdict,
    among,
    judge_usable,
)
from davylamp_alarms.warning.thin import Stretches, Thinned

BLOCK = 16_384
"""Rows judged at once where they follow each other: what a step touches then stays in the core's own cache."""


class Bank:
    """Rows of one rule under one settings, in columns.

    `state` holds the columns: some given (limits, what training found), others the rule's memory.
    """

    def __init__(self, rule: StatisticalRule[Any, Any], settings: Any, rows: int = 0) -> None:
        self.rule, self.settings, self.state = rule, settings, rule.state(settings)
        self.every_s = settings.every_s if isinstance(settings, Thinned) else 0.0
        self.stretches = Stretches()
        if rows:
            self.extend(rows)

    def __len__(self) -> int:
        return int(self.state.n)

    def extend(self, count: int) -> slice:
        """Add rows as the settings say and return where they are."""
        if self.every_s:
            self.stretches.extend(count)
        where: slice = self.state.extend(count)
        return where

    def step(self, samples: Samples, places: Places | None = None) -> Verdict:
        """Take one sample for each place, all rows unless said, and judge; places do not repeat."""
        places = slice(0, len(self)) if places is None else places
        if isinstance(places, slice) and places.stop - places.start > BLOCK:
            return step_together([self], samples, places)[0]
        return self.rule_step(places, samples)

    def rule_step(self, places: Places, samples: Samples) -> Verdict:
        """Take and judge in one piece."""
        if self.every_s:
            return judge_usable(places, samples, self._thinned)
        return self.rule.step(self.settings, self.state, places, samples)

    def _thinned(self, places: Places, samples: Samples) -> Verdict:
        """Judge the stretches that are over; of the others the last judgement holds."""
        ended, means = self.stretches.take(self.every_s, places, samples)
        if ended.any():
            at = among(places, ended)
            verdict = self.rule.step(self.settings, self.state, at, means)
            self.stretches.met[at], self.stretches.back[at] = verdict.met, verdict.back
        return self.stretches.said(places)

    def evidence(self, places: Places | None = None) -> Evidence:
        """Return what the state shows now, for the places, all unless said; read it after the step it belongs to."""
        return self.rule.evidence(self.settings, self.state, slice(0, len(self)) if places is None else places)

    def dump(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return copies of all columns, for a snapshot."""
        return {**self.state.dump(prefix), **self.stretches.dump(f"{prefix}/stretches")}

    def load(self, prefix: str, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave, bit for bit; the settings are the same as then."""
        self.state.load(prefix, dumped)
        self.stretches.load(f"{prefix}/stretches", dumped)

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return int(self.state.nbytes + self.stretches.nbytes)


def step_together(banks: Sequence[Bank], samples: Samples, places: slice) -> list[Verdict]:
    """Let several banks over the same tags, which have the same places, take one sample each, block by block.

    A block's samples are read once for all banks, which saves most where all tags together exceed the cache.
    """
    count, samples = places.stop - places.start, samples.prepared()
    verdicts = [Verdict(np.empty(count, np.bool_), np.empty(count, np.bool_)) for _ in banks]
    for start in range(0, count, BLOCK):
        part = slice(start, min(start + BLOCK, count))
        at, those = slice(places.start + part.start, places.start + part.stop), samples.part(part)
        for bank, whole in zip(banks, verdicts, strict=True):
            verdict = bank.rule_step(at, those)
            whole.met[part], whole.back[part] = verdict.met, verdict.back
    return verdicts
