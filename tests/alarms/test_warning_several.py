"""Rules over several tags: commands, roll-up, expressions, units; and what is normal over many days."""

import math
import statistics

import numpy as np
import pytest
from davylamp_alarms.batch import Floats
from davylamp_alarms.warning import Bank, Samples, bank
from davylamp_alarms.warning.language import ExpressionError, compiled
from davylamp_alarms.warning.unit import UnitSettings
from davylamp_alarms.warning.unit_training import NotEnoughTraining, train
from davylamp_wire.quality import Level
from hypothesis import given
from hypothesis import strategies as st

START_MS = 1_764_000_000_000
Value = tuple[float, Level]
levels = st.sampled_from([Level.GOOD, Level.GOOD, Level.UNCERTAIN, Level.BAD])


def feed(rule: Bank, time_s: float, *inputs: float, level: list[Level] | None = None) -> tuple[bool, bool]:
    """Give the only row its inputs."""
    value = np.array(inputs)[:, None]
    qualities = np.array(level or [Level.GOOD] * len(inputs), np.uint8)[:, None]
    verdict = rule.step(Samples(np.array([START_MS + round(time_s * 1000)]), value, qualities))
    return bool(verdict.met[0]), bool(verdict.back[0])


def feed_one(rule: Bank, time_s: float, value: float) -> tuple[bool, bool]:
    """Give the only row of a rule over one tag its value."""
    verdict = rule.step(Samples(np.array([START_MS + round(time_s * 1000)]), np.array([value]), np.zeros(1, np.uint8)))
    return bool(verdict.met[0]), bool(verdict.back[0])


# commands

states = st.tuples(st.sampled_from([1.0, 3.0]), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0]), levels)


@given(st.lists(states, max_size=30))
def test_command_counts_from_the_disagreement_or_the_last_command(fed: list[tuple[float, float, float, Level]]) -> None:
    rule, now_s, since_s = bank("command", {"allow_s": 5}, 1), 0.0, 0.0
    last: float | None = None
    agreed = True
    for dt_s, command, actual, level in fed:
        now_s += dt_s
        met, back = feed(rule, now_s, command, actual, level=[Level.GOOD, level])
        if level == Level.BAD:
            assert (met, back) == (False, False)
            continue
        if command != actual and (agreed or command != last):
            since_s = now_s
        agreed, last = command == actual, command
        assert met == (not agreed and now_s - since_s >= 5)
        assert back == (agreed and level == Level.GOOD)


# roll-up


@given(st.lists(st.lists(st.tuples(st.integers(0, 4), levels), min_size=6, max_size=6), max_size=6))
def test_rollup_counts_points_at_a_level_or_above(fed: list[list[tuple[int, Level]]]) -> None:
    rule, points = bank("rollup", {"inputs": 6}, 1), [0] * 6
    for at, inputs in enumerate(fed):
        for point, (level, quality) in enumerate(inputs):
            if quality == Level.GOOD:
                points[point] = level
            elif quality == Level.UNCERTAIN:
                points[point] = max(points[point], level)
        met, back = feed(rule, at, *(float(level) for level, _ in inputs), level=[quality for _, quality in inputs])
        blue, yellow, orange = (sum(point >= level for point in points) for level in (1, 2, 3))
        expected = 4 if orange >= 2 else 3 if yellow >= 3 else 2 if blue >= 4 else 0
        assert rule.evidence()["level"][0] == expected
        assert met == (expected > 0)
        assert back == (expected == 0 and all(quality == Level.GOOD for _, quality in inputs))


# normal


def test_normal_is_the_median_of_the_days_and_a_rise_never_becomes_it() -> None:
    rule = bank("normal", {"percent": 30, "days": 5, "least_days": 3, "day_s": 100}, 1)
    days = [10.0, 11.0, 100.0, 10.5, 10.2, 10.1]
    said = [feed_one(rule, 100 * day + 10 * at, value)[0] for day, value in enumerate(days) for at in range(10)]
    assert not any(said[:30])
    assert rule.evidence()["normal"][0] == statistics.median(days[:5])
    assert feed_one(rule, 601, 14.0) == (True, False)
    for at in range(100):
        met, _ = feed_one(rule, 602 + 10 * at, 14.0)
        assert met
    assert rule.evidence()["percent"][0] == pytest.approx((14 / rule.evidence()["normal"][0] - 1) * 100)
    assert feed_one(rule, 1700, 10.6) == (False, True)


# expressions

NAMES = ("a", "b", "c")
number = st.sampled_from(["a", "b", "c", "1", "2.5", "a + b", "-a", "a * 2 - c", "abs(b)", "max(a, b, 1)", "a / b"])
compared = st.builds("{} {} {}".format, number, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), number)
condition = st.recursive(
    compared,
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
        st.builds("atleast(2, {}, {}, {})".format, inner, inner, inner),
    ),
    max_leaves=5,
)
numbers = st.sampled_from([0.0, 1.0, 2.0, -1.5, 2.5])


def plain(text: str, values: dict[str, float]) -> bool | None:
    """Return what Python itself makes of a condition; None where it divides by zero."""

    def atleast(need: int, *holds: bool) -> bool:
        return sum(holds) >= need

    try:
        return bool(eval(text, {"atleast": atleast, "abs": abs, "max": max}, values))
    except ZeroDivisionError:
        return None


@given(condition, st.tuples(numbers, numbers, numbers))
def test_an_expression_means_what_it_says(text: str, values: tuple[float, float, float]) -> None:
    truth = compiled(text, NAMES).truth(np.array(values)[:, None])[0]
    expected = plain(text, dict(zip(NAMES, values, strict=True)))
    if expected is not None:
        assert math.isnan(truth) or truth == expected
        if "/" not in text:
            assert truth == expected


@given(condition, st.tuples(numbers, numbers, numbers), st.integers(0, 2))
def test_an_unknown_value_is_never_guessed(text: str, values: tuple[float, float, float], hidden: int) -> None:
    known, unknown = np.array(values)[:, None], np.array(values)[:, None]
    unknown[hidden] = math.nan
    expression = compiled(text, NAMES)
    said = expression.truth(unknown)[0]
    if "/" not in text:
        assert math.isnan(said) or said == expression.truth(known)[0]


def test_a_bad_tag_hides_nothing_that_the_others_show() -> None:
    rule = bank("expression", {"text": "a > 1 or b > 1", "inputs": ["a", "b"]}, 1)
    bad = [Level.GOOD, Level.BAD]
    assert feed(rule, 0, 2.0, 0.0, level=bad) == (True, False)
    assert feed(rule, 1, 0.0, 0.0, level=bad) == (False, False)
    assert feed(rule, 2, 0.0, 0.0) == (False, True)


def test_an_expression_may_have_a_deadband() -> None:
    rule = bank("expression", {"text": "a > 10", "back": "a < 8", "inputs": ["a"]}, 1)
    assert [feed(rule, at, value) for at, value in enumerate([11.0, 9.0, 7.0])] == [
        (True, False),
        (False, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("text", "column", "en", "zh"),
    [
        ("a > 1 && b > 1", 7, "write and instead of &&", "请写成 and"),
        ("a ≥ 1", 3, "write >= instead of ≥", "请写成 >="),
        ("a + d > 1", 5, "no tag 'd'; there are a, b, c", "没有测点 d"),
        ("a - b", 1, "this is a number: make it a condition", "请写成条件"),
        ("a and b > 1", 1, "a condition is wanted here", "此处需要条件"),
        ("(a > 1) + b > 2", 2, "a number is wanted here", "此处需要数值"),
        ("a ^ 2 > 1", 1, "write ** for powers", "乘方请写 **"),
        ("a > 1 and", 10, "this cannot be read", "写法不完整"),
        (" a = 1", 3, "write == to compare", "比较相等请写 =="),
        ("a.real > 1", 1, "allowed are numbers, tags", "不允许"),
        ("[x for x in a] == 1", 1, "allowed are numbers, tags", "不允许"),
        ("__import__('os').system('x') > 0", 1, "there is no such function", "没有这个函数"),
        ("open('x') > 0", 1, "there is no such function", "没有这个函数"),
        ("a > 'x'", 5, "only numbers can stand here", "只能写数值"),
        ("a in b", 1, "write < <= > >= == or != to compare", "比较请写"),
        ("atleast(3, a > 1)", 1, "write it as atleast(2", "请写成 atleast"),
        ("abs > 1", 1, "abs is a function", "后面要写括号"),
        ("sqrt(a, b) > 1", 1, "sqrt takes 1 arguments", "需要 1 个参数"),
        ("(" * 200 + "a" + ")" * 200, 1, "", ""),
        ("a > 1" + " + 1" * 400, 1000, "over 1000 characters", "超过 1000"),
        ("-" * 60 + "a > 1", 41, "over 40 levels deep", "嵌套超过"),
        ("a > 1e999", 5, "too large", "数值太大"),
    ],
)
def test_a_wrong_expression_says_where_and_what_to_write(text: str, column: int, en: str, zh: str) -> None:
    with pytest.raises(ExpressionError) as found:
        compiled(text, NAMES)
    assert found.value.column == column
    assert en in found.value.en
    assert zh in found.value.zh


# units


def plant(rows: int, seed: int = 1) -> Floats:
    """Three tags that move together, and one by itself."""
    random = np.random.default_rng(seed)
    common = random.standard_normal(rows)
    noise = 0.1 * random.standard_normal((rows, 3))
    return np.column_stack([common + noise[:, 0], 2 * common + noise[:, 1], 5 - common + noise[:, 2], noise[:, 1] * 3])


def unit(rows: Floats, **options: float) -> Bank:
    settings = UnitSettings.model_validate({"inputs": rows.shape[1], "share": 0.9, **options})
    rule = bank("unit", settings.model_dump(), 1)
    rule.state.put(0, train(settings, START_MS + 1000 * np.arange(len(rows)), rows))
    return rule


def test_a_unit_sees_tags_that_no_longer_move_together() -> None:
    rule = unit(plant(500))
    usual = [feed(rule, at, *row)[0] for at, row in enumerate(plant(200, seed=2).tolist())]
    assert np.mean(usual) < 0.1
    assert feed(rule, 300, 1.0, -2.0, 4.0, 0.0) == (True, False)
    said = rule.evidence()
    assert int(said["q_of"][:, 0].argmax()) == 1
    assert said["t2_of"].sum() == pytest.approx(said["t2"][0])
    assert said["q_of"].sum() == pytest.approx(said["q"][0])


def test_a_unit_is_judged_as_the_formulas_say() -> None:
    rows = plant(300)
    rule, row = unit(rows, share=1.0), np.array([0.5, 1.0, 4.6, 0.2])
    feed(rule, 0, *row.tolist())
    z = (rows - rows.mean(axis=0)) / rows.std(axis=0, ddof=1)
    x = (row - rows.mean(axis=0)) / rows.std(axis=0, ddof=1)
    assert rule.evidence()["t2"][0] == pytest.approx(x @ np.linalg.inv(np.cov(z.T)) @ x)
    assert rule.evidence()["q"][0] == pytest.approx(0, abs=1e-9)


def test_a_bad_input_counts_as_the_others_let_expect_and_never_clears() -> None:
    rule = unit(plant(500))
    bad = [Level.GOOD, Level.BAD, Level.GOOD, Level.GOOD]
    assert feed(rule, 0, 1.0, math.nan, 4.0, 0.0, level=bad) == (False, False)
    assert rule.state.window[1, 0] == pytest.approx(rule.state.window[0, 0], abs=0.1)
    assert feed(rule, 1, 1.0, math.nan, 8.0, 0.0, level=bad) == (True, False)
    assert feed(rule, 2, 1.0, 2.0, 4.0, 0.0, level=[Level.BAD] * 3 + [Level.GOOD]) == (False, False)
    assert feed(rule, 3, 0.5, 1.0, 4.5, 0.0) == (False, True)


def test_lags_see_a_unit_that_moves_in_an_unusual_order() -> None:
    random = np.random.default_rng(3)
    slow = np.convolve(random.standard_normal(1200), np.ones(20) / 20, "valid")
    rows = np.column_stack([slow, slow + 0.01 * random.standard_normal(len(slow))])
    rule = unit(rows, lags=2, share=1.0)
    assert feed(rule, 0, 0.3, 0.3) == (False, False), "two samples are missing yet"
    feed(rule, 1, 0.3, 0.3)
    assert feed(rule, 2, 0.3, 0.3)[0] is False
    assert feed(rule, 3, -0.3, -0.3)[0] is True, "each value is usual, the jump is not"


def test_a_dead_input_takes_no_part_and_too_little_training_is_refused() -> None:
    rows = plant(300)
    rows[:, 3] = 7.0
    rule = unit(rows)
    assert feed(rule, 0, 0.5, 1.0, 4.5, 99.0, level=[Level.GOOD] * 3 + [Level.BAD]) == (False, True)
    with pytest.raises(NotEnoughTraining, match="10 training rows without a gap, and 20 are the least"):
        unit(plant(10))
    with pytest.raises(NotEnoughTraining, match="none of the 2 inputs moves"):
        unit(np.ones((50, 2)))
