"""Each statistical rule beside its obvious scalar twin: one row, one sample, plain steps."""

import math
import statistics
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pytest
from davylamp_alarms.warning import Samples, bank
from davylamp_wire.quality import Level
from hypothesis import given, settings
from hypothesis import strategies as st

ROWS = 3
START_MS = 1_764_000_000_000
NOTHING = (False, False)
Answer = tuple[bool, bool]

one_value = st.sampled_from([0.0, 0.1, 0.2, 1.0, 1.5, 2.0, 5.0, -3.0, math.nan, math.inf])
one_level = st.sampled_from([Level.GOOD, Level.GOOD, Level.GOOD, Level.UNCERTAIN, Level.BAD])
one_sample = st.one_of(st.none(), st.tuples(one_value, one_level))
scans = st.lists(
    st.tuples(st.sampled_from([500, 1_000, 1_000, 3_000, 20_000, 90_000]), st.tuples(*[one_sample] * ROWS)), max_size=40
)
Scans = list[tuple[int, tuple[tuple[float, Level] | None, ...]]]


class Twin(Protocol):
    """One row, which gets the samples that are numbers and not bad; what it says of an uncertain one is cut after."""

    def step(self, time_s: float, value: float, good: bool) -> Answer: ...


def agree(rule: str, options: dict[str, Any], make: Callable[[], Twin], fed: Scans, trained: bool = False) -> None:
    """Feed the same scans to the rule and to a twin for each row, and compare every answer."""
    rows, twins, now_ms = bank(rule, options, ROWS), [make() for _ in range(ROWS)], START_MS
    if trained:
        rows.state.train(slice(0, ROWS), np.full(ROWS, 0.5), np.full(ROWS, 0.25))
    for dt_ms, samples in fed:
        now_ms += dt_ms
        there = [row for row in range(ROWS) if samples[row] is not None]
        if not there:
            continue
        value = np.array([samples[row][0] for row in there])  # type: ignore[index]  # those are there
        level = np.array([samples[row][1] for row in there], np.uint8)  # type: ignore[index]  # those are there
        verdict = rows.step(Samples(np.full(len(there), now_ms), value, level), np.array(there, np.intp))
        answers = [_ask(twins[row], now_ms, *samples[row]) for row in there]  # type: ignore[misc]  # those are there
        assert list(zip(verdict.met.tolist(), verdict.back.tolist(), strict=True)) == answers


def _ask(twin: Twin, now_ms: int, value: float, level: Level) -> Answer:
    if level == Level.BAD or not math.isfinite(value):
        return NOTHING
    met, back = twin.step(now_ms / 1000, value, level == Level.GOOD)
    return met, back and level == Level.GOOD


class Rate:
    def __init__(self) -> None:
        self.kept: list[tuple[float, float]] = []
        self.past: tuple[float, float] | None = None

    def step(self, time_s: float, value: float, good: bool) -> Answer:
        if not self.kept or time_s - self.kept[-1][0] >= 4 / 8:
            self.kept = [*self.kept, (time_s, value)][-9:]
            old = [sample for sample in self.kept if time_s - sample[0] >= 4]
            self.past = old[-1] if old else None
        if self.past is None:
            return NOTHING
        rate = abs(value - self.past[1]) / (time_s - self.past[0]) * 60
        return rate >= 20, rate < 20 * 0.8


class Frozen:
    def __init__(self) -> None:
        self.values: list[float] = []
        self.since_s = self.checked_s = -math.inf
        self.said = NOTHING

    def step(self, time_s: float, value: float, good: bool) -> Answer:
        self.values.append(value)
        if time_s - self.checked_s >= 10 / 8:
            silent = time_s - self.checked_s > 10 / 8 + 30
            moved = max(self.values) - min(self.values) > 0.15
            if silent or moved:
                self.since_s, self.values = time_s, [value]
                self.said = NOTHING if silent else (False, True)
            if time_s - self.since_s >= 10:
                self.said = True, False
            self.checked_s = time_s
        return self.said


class Quiet:
    def __init__(self) -> None:
        self.window: list[float] = []
        self.from_s, self.said = -math.inf, NOTHING

    def step(self, time_s: float, value: float, good: bool) -> Answer:
        if time_s - self.from_s >= 6:
            if len(self.window) < 3:
                self.said = NOTHING
            elif statistics.stdev(self.window) < 0.3:
                self.said = True, False
            elif statistics.stdev(self.window) >= 0.45:
                self.said = False, True
            self.window, self.from_s = [], time_s
        self.window.append(value)
        return self.said


def lag(level: float, value: float, dt_s: float, tau_s: float) -> float:
    dt_s = min(dt_s, tau_s)
    return level + (value - level) * dt_s / (tau_s + dt_s)


class Following:
    """A mean that follows slow drift while all is calm."""

    def __init__(self) -> None:
        self.mean, self.followed_s, self.last_s = 0.5, -math.inf, -math.inf

    def follow(self, time_s: float, value: float, calm: bool) -> None:
        dt_s = time_s - self.followed_s
        if dt_s >= 100 / 256:
            if calm and math.isfinite(dt_s):
                self.mean = min(max(lag(self.mean, value, min(dt_s, 25), 100), 0.5 - 0.25), 0.5 + 0.25)
            self.followed_s = time_s


class Ewma(Following):
    level = 0.0

    def step(self, time_s: float, value: float, good: bool) -> Answer:
        dt_s, self.last_s = time_s - self.last_s, time_s
        self.level = lag(self.level, (value - self.mean) / 0.25, dt_s, 4)
        met, back = abs(self.level) >= 3, abs(self.level) < 3 * 0.7
        self.follow(time_s, value, back and good)
        return met, back


class Cusum(Following):
    above = below = 0.0

    def step(self, time_s: float, value: float, good: bool) -> Answer:
        dt_s, self.last_s = time_s - self.last_s, time_s
        weight, z = min(dt_s / 2, 1), (value - self.mean) / 0.25
        self.above = min(max(self.above + weight * z - weight * 0.5, 0), 2 * 8)
        self.below = min(max(self.below - weight * z - weight * 0.5, 0), 2 * 8)
        larger = max(self.above, self.below)
        self.follow(time_s, value, larger < 8 * 0.5 and good)
        return larger >= 8, larger < 8 * 0.5


@settings(max_examples=60)
@given(scans)
def test_rate_is_the_change_against_the_newest_sample_a_window_old(fed: Scans) -> None:
    agree("rate", {"window_s": 4, "limit": 20}, Rate, fed)


@settings(max_examples=60)
@given(scans)
def test_frozen_is_a_run_of_values_within_a_band(fed: Scans) -> None:
    agree("frozen", {"still_s": 10, "band": 0.15, "gap_s": 30}, Frozen, fed)


@settings(max_examples=60)
@given(scans)
def test_quiet_is_a_window_with_little_deviation(fed: Scans) -> None:
    agree("quiet", {"window_s": 6, "least": 0.3, "samples": 3}, Quiet, fed)


@settings(max_examples=60)
@given(scans)
def test_ewma_is_a_lagged_mean_of_unusual_values(fed: Scans) -> None:
    agree("ewma", {"tau_s": 4, "limit": 3, "adapt_s": 100, "adapt_within": 1}, Ewma, fed, trained=True)


@settings(max_examples=60)
@given(scans)
def test_cusum_adds_up_what_exceeds_the_allowance(fed: Scans) -> None:
    agree("cusum", {"period_s": 2, "limit": 8, "adapt_s": 100, "adapt_within": 1}, Cusum, fed, trained=True)


three = st.lists(st.tuples(one_value, one_level), min_size=3, max_size=3)


def deviation(inputs: list[tuple[float, Level]], first: bool) -> Answer:
    """One row of the deviation rule: limit 1, leave 0.8."""
    usable = [(at, value) for at, (value, level) in enumerate(inputs) if level < Level.BAD and math.isfinite(value)]
    if first:
        set_point = dict(usable).get(0)
        apart = [] if set_point is None else [abs(value - set_point) for at, value in usable if at]
    else:
        values = [value for _, value in usable]
        middle = statistics.median(values) if values else 0.0
        apart = [abs(value - middle) * (2 if len(values) == 2 else 1) for value in values]
    if not apart:
        return NOTHING
    good = len(usable) == len(inputs) and all(level == Level.GOOD for _, level in inputs)
    return max(apart) >= 1, good and max(apart) < 0.8


@given(st.lists(three, min_size=1, max_size=8), st.booleans())
def test_deviation_is_the_distance_of_the_furthest(rows: list[list[tuple[float, Level]]], first: bool) -> None:
    against = "first" if first else "peers"
    together = bank("deviation", {"limit": 1, "inputs": 3, "against": against}, len(rows))
    value = np.array([[value for value, _ in row] for row in rows]).T
    level = np.array([[level for _, level in row] for row in rows], np.uint8).T
    verdict = together.step(Samples(np.full(len(rows), START_MS), value, level))
    answers = list(zip(verdict.met.tolist(), verdict.back.tolist(), strict=True))
    assert answers == [deviation(row, first) for row in rows]


def test_a_rule_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(LookupError, match=r"no rule 'sigma'; there are command, cusum, deviation"):
        bank("sigma", {}, 1)
