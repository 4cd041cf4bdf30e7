"""Statistical rules are functions of their samples: not of how they are cut, nor of where the state was saved."""

from typing import Any

import numpy as np
import pytest
from davylamp_alarms.warning import RULES, Bank, Samples, Suite, bank
from davylamp_alarms.warning.bank import BLOCK
from davylamp_alarms.warning.unit import UnitSettings
from davylamp_alarms.warning.unit_training import train

ROWS, STEPS, START_MS = 7, 150, 1_764_000_000_000

OPTIONS: dict[str, dict[str, Any]] = {
    "rate": {"window_s": 6, "limit": 6},
    "frozen": {"still_s": 5, "band": 1.0},
    "quiet": {"window_s": 6, "least": 0.3, "samples": 3},
    "deviation": {"limit": 0.8, "inputs": 3},
    "ewma": {"tau_s": 4, "limit": 1.0, "adapt_s": 50},
    "cusum": {"period_s": 1, "limit": 4, "adapt_s": 50},
    "trend": {"high": 4, "samples": 12, "horizon_s": 60, "gap_s": 21, "share": 0.2, "confidence": 0.3},
    "normal": {"percent": 20, "days": 4, "least_days": 2, "day_s": 20},
    "unit": {"inputs": 3, "lags": 1, "tau_s": 2, "adapt_s": 50},
    "rollup": {"inputs": 3, "blue": 2, "yellow": 2},
    "command": {"allow_s": 3},
    "expression": {"text": "a > b and not c > 3", "inputs": ("a", "b", "c")},
}
INPUTS = {"deviation": 3, "unit": 3, "rollup": 3, "command": 2, "expression": 3}
THINNED = ("rate", "ewma", "cusum", "trend", "normal")
CASES = [*((name, {}) for name in OPTIONS), *((name, {"every_s": 1.5}) for name in THINNED)]


def fresh(rule: str, more: dict[str, Any]) -> Bank:
    rows = bank(rule, {**OPTIONS[rule], **more}, ROWS)
    if rule in ("ewma", "cusum"):
        rows.state.train(slice(0, ROWS), np.full(ROWS, 2.0), np.ones(ROWS))
    if rule == "unit":
        history = 2 + np.random.default_rng(9).standard_normal((200, 3))
        model = train(UnitSettings(**OPTIONS[rule]), 1000 * np.arange(200), history)
        for row in range(ROWS):
            rows.state.put(row, model)
    return rows


def scans(rule: str) -> list[tuple[np.ndarray[Any, Any], Samples]]:
    """Return scans of some of the rows each: a drifting plant with bad values, silences and uneven times."""
    random, found, now_ms = np.random.default_rng(4), [], START_MS
    inputs = (INPUTS[rule],) if rule in INPUTS else ()
    for at in range(STEPS):
        now_ms += int(random.choice([500, 1000, 1000, 1700, 20_000], p=[0.2, 0.3, 0.3, 0.17, 0.03]))
        rows = np.flatnonzero(random.random(ROWS) < 0.8)
        shape = (*inputs, len(rows))
        value = np.abs(2 + 2 * np.sin(at / 25) + 0.3 * random.standard_normal(shape)) % 5
        value[random.random(shape) < 0.03] = np.nan
        level = random.choice([0, 1, 2], p=[0.9, 0.05, 0.05], size=shape).astype(np.uint8)
        time_ms = np.full(len(rows), now_ms) + random.integers(0, 300, len(rows))
        found.append((rows, Samples(time_ms, value, level, random.random(len(rows)) < 0.1)))
    return found


def answers(rows: Bank, fed: list[tuple[np.ndarray[Any, Any], Samples]], cut: int = ROWS) -> list[Any]:
    """Feed the scans, each in parts of `cut` rows; return all answers in order."""
    said = []
    for places, samples in fed:
        for start in range(0, len(places), cut):
            part = np.arange(start, min(start + cut, len(places)))
            verdict = rows.step(samples.part(part), places[part])
            said += list(zip(verdict.met.tolist(), verdict.back.tolist(), strict=True))
    return said


def same(left: Bank, right: Bank) -> bool:
    dumps = left.dump("x"), right.dump("x")
    return all(dumps[0][name].tobytes() == dumps[1][name].tobytes() for name in dumps[0])


def test_every_rule_is_tried_here() -> None:
    assert set(OPTIONS) == set(RULES)


@pytest.mark.parametrize(("rule", "more"), CASES)
def test_cuts_and_restarts_change_nothing(rule: str, more: dict[str, Any]) -> None:
    fed = scans(rule)
    whole, rowwise, restarted, again = (fresh(rule, more) for _ in range(4))
    said = answers(whole, fed)
    assert any(met for met, _ in said), "the scans try the rule"
    assert any(back for _, back in said)
    assert not any(met and back for met, back in said)
    assert answers(rowwise, fed, cut=1) == said
    assert same(whole, rowwise)
    first = answers(restarted, fed[:70])
    again.load("x", restarted.dump("x"))
    assert first + answers(again, fed[70:]) == said
    assert same(whole, again)


@pytest.mark.parametrize(("rule", "more"), [case for case in CASES if case[0] not in INPUTS])
def test_rows_that_follow_each_other_are_judged_as_if_named_one_by_one(rule: str, more: dict[str, Any]) -> None:
    """What is remembered of rows that follow each other (when nothing falls due) decides nothing."""
    together, named, random, now_ms = fresh(rule, more), fresh(rule, more), np.random.default_rng(3), START_MS
    for at in range(STEPS):
        now_ms += int(random.choice([500, 1000, 1700, 30_000], p=[0.3, 0.5, 0.17, 0.03]))
        value = 2 + 2 * np.sin(at / 25) + 0.3 * random.standard_normal(ROWS)
        samples = Samples(now_ms + random.integers(0, 400, ROWS), value, np.zeros(ROWS, np.uint8))
        if at == 90:
            together.load("x", together.dump("x"))
        left, right = together.step(samples), named.step(samples, np.arange(ROWS))
        assert left.met.tolist() == right.met.tolist()
        assert left.back.tolist() == right.back.tolist()
    assert same(together, named)


@pytest.mark.parametrize(("rule", "more"), CASES)
def test_bad_values_raise_nothing_and_clear_nothing(rule: str, more: dict[str, Any]) -> None:
    rows = fresh(rule, more)
    answers(rows, scans(rule))
    shape = (INPUTS[rule], ROWS) if rule in INPUTS else (ROWS,)
    time_ms = np.full(ROWS, START_MS + 10_000_000)
    for value, level in ((1000.0, 2), (np.nan, 0), (2.0, 1)):
        time_ms = time_ms + 1000
        samples = Samples(time_ms, np.full(shape, value), np.full(shape, level, np.uint8))
        verdict = rows.step(samples)
        assert not verdict.back.any()
        if level != 1 and rule != "rollup":
            assert not verdict.met.any()


def test_rows_of_a_suite_come_and_go() -> None:
    options = {"tau_s": 4, "limit": 1.0, "every_s": 2}
    suite, few = (Suite([bank(name, made, 3) for name, made in (
        ("ewma", options), ("rate", OPTIONS["rate"]), ("trend", {**OPTIONS["trend"], "every_s": 2}),
    )]) for _ in range(2))  # fmt: skip
    assert suite.extend(2) == slice(3, 5)
    for made, count in ((suite, 5), (few, 3)):
        made.banks[0].state.train(slice(0, count), np.full(count, 0.5), np.full(count, 0.3))
    kept = np.array([4, 0, 2])
    random = np.random.default_rng(2)
    for at in range(60):
        value, time_ms = random.random(5), np.full(5, START_MS + 1000 * at)
        if at == 40:
            suite.keep(kept)
        places = kept if at >= 40 else np.arange(5)
        samples = Samples(time_ms, value, np.zeros(5, np.uint8))
        said, alone = suite.step(samples.part(places)), few.step(samples.part(kept))
        where = slice(None) if at >= 40 else kept
        for whole, part in zip(said, alone, strict=True):
            assert whole.met[where].tolist() == part.met.tolist()
            assert whole.back[where].tolist() == part.back.tolist()


@pytest.mark.parametrize("absurd", [1e308, -1e308, 3e38])
@pytest.mark.parametrize("rule", ["rate", "frozen", "quiet", "ewma", "cusum", "trend", "normal", "unit", "deviation"])
def test_one_absurd_value_deafens_no_rule_for_long(rule: str, absurd: float) -> None:
    more: dict[str, Any] = {"trend": {"samples": 60}, "normal": {"day_s": 50, "least_days": 1}}.get(rule, {})
    rows, random = fresh(rule, more), np.random.default_rng(8)
    shape = (INPUTS[rule], ROWS) if rule in INPUTS else (ROWS,)
    verdict = None
    for at in range(400):
        value = 2 + (1.0 if rule in ("quiet", "frozen") else 0.1) * random.standard_normal(shape)
        if at in (80, 81):
            value[..., 3] = absurd
        time_ms = np.full(ROWS, START_MS + 1000 * at)
        verdict = rows.step(Samples(time_ms, value, np.zeros(shape, np.uint8)))
    assert verdict is not None
    assert verdict.back.all()
    assert same_numbers(rows)


def same_numbers(rows: Bank) -> bool:
    """Return whether the row that was fed an absurd value holds a number wherever the others do."""
    columns = [column for column in rows.dump("x").values() if column.dtype.kind == "f" and column.size]
    return all((np.isfinite(c[..., 3]) >= np.isfinite(c[..., 2])).all() for c in columns if c.shape[-1] > 1)


@pytest.mark.parametrize("rule", ["rate", "frozen", "quiet", "ewma", "cusum", "trend"])
def test_many_rows_in_blocks_are_judged_like_few(rule: str) -> None:
    many = BLOCK + 7_000
    large, small = bank(rule, OPTIONS[rule], many), bank(rule, OPTIONS[rule], 50)
    for rows in (large, small):
        if rule in ("ewma", "cusum"):
            rows.state.train(slice(0, len(rows)), np.full(len(rows), 2.0), np.ones(len(rows)))
    random = np.random.default_rng(6)
    for at in range(30):
        value, time_ms = 2 + at / 10 + random.random(many), np.full(many, START_MS + 1000 * at)
        level = np.zeros(many, np.uint8)
        seen = large.step(Samples(time_ms, value, level))
        few = small.step(Samples(time_ms[-50:], value[-50:], level[-50:]))
        assert seen.met[-50:].tolist() == few.met.tolist()
        assert seen.back[-50:].tolist() == few.back.tolist()


def test_a_suite_says_what_its_banks_say_alone() -> None:
    names = ("rate", "ewma", "cusum", "trend", "frozen")
    more = {name: {"every_s": 1.5} if name in THINNED else {} for name in names}
    alone, suite = [fresh(name, more[name]) for name in names], Suite([fresh(name, more[name]) for name in names])
    for places, samples in scans("rate"):
        for own, together in zip(
            [rows.step(samples, places) for rows in alone], suite.step(samples, places), strict=True
        ):
            assert own.met.tolist() == together.met.tolist()
            assert own.back.tolist() == together.back.tolist()
    again = Suite([fresh(name, more[name]) for name in names])
    again.load("x", suite.dump("x"))
    assert all(same(left, right) for left, right in zip(again.banks, suite.banks, strict=True))
    assert suite.nbytes < sum(rows.nbytes for rows in alone)
