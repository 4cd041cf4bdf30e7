"""Limits from training: process values know of each other, and textbook limits do not know that."""

import numpy as np
import pytest
from davylamp_alarms.batch import Floats
from davylamp_alarms.warning import Bank, bank
from davylamp_alarms.warning.calibrate import largest_limit, return_limit, rms_limit, run, usual
from davylamp_alarms.warning.independent import independent_rows, widening

TAGS, ROWS, BLOCK = 8, 1_500, 50
TIME_MS = 1_764_000_000_000 + 1000 * np.arange(ROWS)


def process(seed: int, memory: float = 0.95) -> Floats:
    """Return rows of tags that wander like a process: each value is mostly the one before."""
    random = np.random.default_rng(seed)
    value, rows = np.zeros(TAGS), []
    for _ in range(ROWS):
        value = memory * value + np.sqrt(1 - memory**2) * random.standard_normal(TAGS)
        rows.append(50 + 2 * value)
    return np.array(rows)


def chart(training: Floats, limit: float | Floats) -> Bank:
    rows = bank("ewma", {"tau_s": 4, "limit": 1}, TAGS)
    rows.state.train(slice(0, TAGS), *usual(training))
    rows.state.write("limit", slice(None), limit)
    return rows


def share_in_alarm(rows: Bank, value: Floats) -> float:
    shift = run(rows, TIME_MS, value, ["shift"])["shift"]
    return float((np.abs(shift) >= rows.state.limit).mean())


def test_a_textbook_limit_is_in_alarm_and_one_from_training_is_not() -> None:
    training, later = process(1), process(2)
    textbook = 3 * np.sqrt(0.2 / (2 - 0.2))
    assert share_in_alarm(chart(training, textbook), later) > 0.2
    shift = run(chart(training, np.inf), TIME_MS, training, ["shift"])["shift"]
    for limit in (rms_limit(shift, 3.5, warm=50), largest_limit(shift, 1.2), return_limit(shift, BLOCK, 3_000)):
        assert share_in_alarm(chart(training, limit), later) < 0.002
        assert share_in_alarm(chart(training, limit), later + 12) > 0.9, "it still finds what matters"


def test_the_return_limit_is_passed_about_as_often_as_asked() -> None:
    training, later = process(3, memory=0.5), process(4, memory=0.5)
    shift = run(chart(training, np.inf), TIME_MS, training, ["shift"])["shift"]
    again = run(chart(training, np.inf), TIME_MS, later, ["shift"])["shift"]
    maxima = np.abs(again).reshape(ROWS // BLOCK, BLOCK, TAGS).max(axis=1)
    passed = int((maxima >= return_limit(shift, BLOCK, 10)).sum())
    assert 8 <= passed <= 45, "one block in ten, of 240"


def test_rows_that_know_of_each_other_are_worth_fewer() -> None:
    random = np.random.default_rng(7)
    lone = random.standard_normal((4_000, 1))
    known = process(5, memory=0.9)
    assert independent_rows(lone)[0] == pytest.approx(4_000, rel=0.1)
    assert independent_rows(known).mean() == pytest.approx(ROWS / 19, rel=0.3), "(1 + 0.9) / (1 - 0.9)"
    assert independent_rows(np.cumsum(lone, axis=0))[0] < 40, "what only wanders tells next to nothing"
    holes = lone.copy()
    holes[::3] = np.nan
    assert independent_rows(holes)[0] == pytest.approx(2_667, rel=0.1)
    assert independent_rows(np.ones((50, 1)))[0] == 1


def test_a_limit_is_the_wider_the_fewer_rows_tell_of_it() -> None:
    wider = widening(np.array([1, 2, 3, 5, 11, 31, 1_000, 1e9]))
    assert wider == pytest.approx([103, 103, 7.23, 2.32, 1.34, 1.10, 1.0, 1.0], rel=0.01)


def test_too_little_training_is_refused() -> None:
    with pytest.raises(ValueError, match="400 training rows are 4 blocks of 100: five are the least, give more rows"):
        return_limit(np.ones((400, 2)), 100, 1000)
