"""Each vectorised function beside its obvious scalar twin."""

from collections import Counter
from typing import Any

import numpy as np
from davylamp_alarms.batch import Batch
from davylamp_alarms.conditions import Evidence, Phase, Rows, advance
from davylamp_alarms.definition import KINDS, LONE_KINDS, WARNING_KINDS, Kind, PointKind, Register
from davylamp_alarms.engine import Engine
from davylamp_alarms.rules import RULES, Samples, load
from davylamp_alarms.rules.stale import overdue
from davylamp_alarms.samples import PATHS, rounds
from davylamp_wire.quality import GOOD, Level, Reason, bad, uncertain
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plant import START_MS, alarm, tag_def

VALUES = st.one_of(st.sampled_from([-1.0, 0.0, 1.0, 1.5, 2.0, 3.0, float("nan"), float("inf"), float("-inf")]))
QUALITIES = st.sampled_from(
    [GOOD, bad(Reason.COMM), bad(Reason.LOOP_LOW), bad(Reason.OVER_RANGE), uncertain(Reason.OVER_RANGE), 0x100]
)
N, P, A, C = Phase.NORMAL, Phase.PENDING, Phase.ACTIVE, Phase.CLEARING

Row = tuple[int, int, int, int, int]
Fact = tuple[int, bool, bool, bool, bool, bool, bool]
rows = st.tuples(
    st.sampled_from([0, 1, 2, 3]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from([0, 3]),
    st.sampled_from([0, 3]),
)
facts = st.tuples(st.integers(0, 12), *[st.booleans()] * 6)


def move(row: Row, fact: Fact) -> tuple[int, int, int, int | None, bool]:
    """One row, one reading, in plain steps: phase, since, mark, when raised, whether cleared."""
    phase, since, mark, on_delay, off_delay = row
    time, met, inside, good, fresh, live, timed = fact
    raised = None
    if phase == P and ((fresh and time > since + on_delay) or (met and time >= since + on_delay)):
        phase, raised = A, since + on_delay
    elif phase == N and met and on_delay == 0:
        phase, since, raised = A, time, time
    elif phase == N and met:
        return P, time, mark, None, False
    elif phase == P and not met and good and fresh:
        return N, since, mark, None, False
    if phase == C and (met or (fresh and not inside)):
        return A, since, mark, raised, False
    if phase in (A, C) and inside and fresh and live:
        if off_delay == 0 or (phase == C and timed and time - mark >= off_delay):
            return N, since, mark, raised, True
        if phase == A:
            return C, since, time, raised, False
    return phase, since, mark, raised, False


@settings(max_examples=500)
@given(st.lists(st.tuples(rows, facts), min_size=1, max_size=8))
def test_advance_equals_its_twin(cases: list[tuple[Row, Fact]]) -> None:
    cases = [
        (row, (t, met, inside and good and not met, good, fresh, live, timed))
        for row, (t, met, inside, good, fresh, live, timed) in cases
    ]
    columns = [np.array(column, np.int64) for column in zip(*(row for row, _ in cases), strict=True)]
    before = Rows(columns[0].astype(np.uint8), *columns[1:])
    seen = [np.array(column) for column in zip(*(fact for _, fact in cases), strict=True)]
    moves = advance(before, Evidence(*seen))
    for at, (row, fact) in enumerate(cases):
        raised = int(moves.raised_ms[at]) if moves.raised[at] else None
        got = (moves.phase[at], moves.since_ms[at], moves.mark_ms[at], raised, moves.cleared[at])
        assert got == move(row, fact), (row, fact)


def judge(kind: Kind, value: float, quality: int, limit: float, leave: float, gas: bool) -> tuple[bool, bool]:
    """What one reading says about one alarm, in plain steps."""
    level, reason = quality >> 8, quality & 0xFF
    if kind in (Kind.L, Kind.LL, Kind.COMM):
        met, back = level < Level.BAD and value <= limit, value >= leave
    elif kind is Kind.OVER_RANGE:
        met, back = reason == Reason.OVER_RANGE, True
    elif kind is Kind.FAULT:
        met = (level == Level.BAD and reason != Reason.COMM) or (gas and reason == Reason.OVER_RANGE)
        back = True
    elif kind is Kind.STALE:
        met, back = False, True
    else:
        met, back = level < Level.BAD and value >= limit, value <= leave
    return met, level == Level.GOOD and back and not met


@given(
    st.sampled_from(sorted(RULES)),
    st.lists(st.tuples(VALUES, QUALITIES, st.booleans()), min_size=1, max_size=9),
    st.sampled_from([(1.0, 0.0), (1.0, 1.0)]),
)
def test_every_rule_equals_its_twin(kind: Kind, seen: list[tuple[float, int, bool]], ends: tuple[float, float]) -> None:
    limit, leave = ends if kind not in (Kind.L, Kind.LL, Kind.COMM) else (ends[0], 2.0 - ends[1])
    values, qualities, gas = (np.array(column) for column in zip(*seen, strict=True))
    size = len(seen)
    met, inside = load(RULES[kind]).judge(
        Samples(values, qualities >> 8, qualities & 0xFF, np.full(size, limit), np.full(size, leave), gas)
    )
    expected = [judge(kind, v, q, limit, leave, g) for v, q, g in seen]
    assert list(zip(met.tolist(), inside.tolist(), strict=True)) == expected
    assert not (met & inside).any()


@given(st.sampled_from(sorted(RULES)), VALUES, st.sampled_from([(1.0, 0.0), (1.0, 1.0)]), st.booleans(), st.booleans())
def test_inside_the_calm_band_no_good_reading_says_anything_new(
    kind: Kind, value: float, ends: tuple[float, float], active: bool, gas: bool
) -> None:
    limit, leave = ends if kind not in (Kind.L, Kind.LL, Kind.COMM) else (ends[0], 2.0 - ends[1])
    low, high = load(RULES[kind]).calm(np.array([limit]), np.array([leave]), np.array([active]))
    if low[0] < value < high[0]:
        met, inside = judge(kind, value, GOOD, limit, leave, gas)
        assert not (inside if active else met)


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 20), st.booleans()), min_size=1, max_size=9
    ),
    st.integers(0, 90),
)
def test_overdue_equals_its_twin(tags: list[tuple[int, int, int, bool]], now: int) -> None:
    arrival, base, stale, up = (np.array(column) for column in zip(*tags, strict=True))
    expected = [u and now - max(a, b) > s for a, b, s, u in tags]
    assert overdue(arrival, base, stale, up, now).tolist() == expected


@given(st.lists(st.integers(0, 12), max_size=60))
def test_rounds_are_the_batch_with_no_tag_twice_and_each_tags_order_kept(tags: list[int]) -> None:
    size = len(tags)
    seq = np.arange(size)
    batch = Batch.of(seq, tags, seq, [0.0] * size, [GOOD] * size, [False] * size, seq)
    parts = list(rounds(batch, 13))
    for part in parts:
        assert max(Counter(part.tag.tolist()).values(), default=1) == 1
    for tag in set(tags):
        order = [int(s) for part in parts for t, s in zip(part.tag, part.seq, strict=True) if t == tag]
        assert order == [n for n, t in enumerate(tags) if t == tag]
    assert sum(len(part) for part in parts) == size


def test_many_tags_of_neighbouring_runs_are_one_round() -> None:
    devices = np.random.default_rng(1).permutation(20)
    tags = (devices[:, None] * 100 + np.arange(100)).ravel()
    size, zeros = len(tags), [0] * len(tags)
    batch = Batch.of(zeros, tags.astype(np.int32), zeros, [0.0] * size, [GOOD] * size, [False] * size, zeros)
    assert len(list(rounds(batch, 2_000))) == 1
    twice = Batch.concat([batch, batch.part(0, 100)])
    assert [len(part) for part in rounds(twice, 2_000)] == [2_000, 100]


LEVEL, GAS = tag_def("LT-1101"), tag_def("AT-2201", PointKind.GAS)
LIMITS = ((Kind.HH, 3.0, 0, 0), (Kind.H, 2.0, 3, 0), (Kind.L, 1.0, 0, 3), (Kind.LL, 0.0, 3, 3))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), VALUES, QUALITIES), max_size=40), st.integers(1, 7))
def test_the_engine_in_time_order_equals_the_rows_of_the_twin(
    readings: list[tuple[int, float, int]], size: int
) -> None:
    """Live readings in order, batches of any size: calm bands, rounds and row logic against one row at a time."""
    tags = (LEVEL, GAS)
    alarms = [
        alarm(tag, n, kind, limit, deadband=0.5, on_delay_ms=on * 1_000, off_delay_ms=off * 1_000)
        for n, tag in enumerate(tags)
        for kind, limit, on, off in LIMITS
    ]
    engine = Engine(Register(tags, tuple(alarms)))
    got: list[Any] = []
    stream = [(seq, tag, START_MS + 1_000 * seq, v, q) for seq, (tag, v, q) in enumerate(readings)]
    for start in range(0, len(stream), size):
        seqs, which, times, values, qualities = zip(*stream[start : start + size], strict=True)
        batch = Batch.of(seqs, which, times, values, qualities, [False] * len(seqs), times)
        got += [(t.seq, t.alarm_id, str(t.event), t.time_ms) for t in engine.apply(batch)]
    assert got == _expected(stream, tags)


def _expected(stream: list[tuple[int, int, int, float, int]], tags: tuple[Any, ...]) -> list[Any]:
    state: dict[tuple[int, Kind], Row] = {
        (tag, kind): (N, 0, 0, on * 1_000, off * 1_000) for tag in (0, 1) for kind, _, on, off in LIMITS
    }
    told = []
    for seq, tag, time, value, quality in stream:
        for kind, limit, _, _ in LIMITS:
            leave = limit + (0.5 if kind in (Kind.L, Kind.LL) else -0.5)
            met, inside = judge(kind, value, quality, limit, leave, tag == 1)
            row = state[tag, kind]
            moved = move(row, (time, met, inside, quality >> 8 == 0, True, True, True))
            state[tag, kind] = (*moved[:3], *row[3:])
            name = f"{tags[tag].id}#{kind}"
            told += [(seq, name, "raised", moved[3])] * (moved[3] is not None)
            told += [(seq, name, "cleared", time)] * moved[4]
    return told


def test_every_kind_with_a_rule_has_one_that_loads() -> None:
    assert set(RULES) == set(KINDS) - LONE_KINDS - WARNING_KINDS
    assert all(load(path) for path in PATHS)
