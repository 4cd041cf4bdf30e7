"""Watches over recorded rows: trained on the history alone, causal, and with the engine's own delays."""

import math
from typing import Any

import numpy as np
import pytest
from davylamp_alarms.watching.recorded import Delays, Recorded, follow
from davylamp_alarms.watching.training import Plant, WatchError, trained
from davylamp_alarms.watching.watch import Plan, Watch, matching
from pydantic import ValidationError


def recorded(rows: Any, tags: tuple[str, ...] = ("x",), start_s: int = 0) -> Recorded:
    value = np.array(rows, np.float64).reshape(-1, len(tags))
    return Recorded(tags, (np.arange(len(value)) + start_s) * 1000, value, period_s=1.0)


def watch(text: str, tags: tuple[str, ...] = ("x",), **more: Any) -> Watch:
    return Watch(**{"id": "w", "rule": "expression", "tags": tags, "settings": {"text": text}, **more})


def shifts(**more: Any) -> Watch:
    return Watch(
        **{
            "id": "shifts",
            "rule": "ewma",
            "tags": ("*",),
            "settings": {"tau_s": 0},
            "limit": {"times": 2.0},
            **more,
        }
    )


def stands(watches: list[Watch], rows: Recorded, history: Recorded | None = None) -> list[list[int]]:
    said = follow(watches, rows, rows.part(0, 0) if history is None else history)
    return [one.standing.astype(int).tolist() for one in said]


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_changes_nothing_of_what_was_said(seed: int) -> None:
    random = np.random.default_rng(seed)
    value = np.cumsum(random.normal(size=(160, 3)), axis=0)
    value[random.random(value.shape) < 0.05] = np.nan
    plant = recorded(value, ("a", "b", "c"))
    history, rest = plant.part(0, 60), plant.part(60)
    watches = [
        shifts(settings={"tau_samples": 2, "adapt_samples": 20}, need=2, on_delay_s=2, off_delay_s=3),
        Watch(id="unit", rule="unit", tags=("a", "b", "c"), settings={"lags": 1}),
        Watch(id="rate", rule="rate", tags=("a",), settings={"window_s": 5, "limit": 20}),
        watch("shifts == 1 or rate == 1", ("shifts", "rate")),
    ]
    whole = stands(watches, rest, history)
    for rows in (1, 37, 80):
        assert stands(watches, rest.part(0, rows), history) == [one[:rows] for one in whole]


def test_a_watch_stands_from_its_on_delay_to_its_off_delay() -> None:
    rows = recorded([0, 2, 0, 2, 2, 2, 0, 2, 0, 0, 0, 0])
    assert stands([watch("x > 1", on_delay_s=2, off_delay_s=2)], rows) == [[0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]]


def test_a_missing_value_neither_raises_nor_clears() -> None:
    rows = recorded([0, math.nan, 2, math.nan, math.nan, 0])
    assert stands([watch("x > 1")], rows) == [[0, 0, 1, 1, 1, 0]]


def test_doubt_does_not_end_an_off_delay_early() -> None:
    delays = Delays(0, 2)
    assert [delays.step(ms * 1000, met, good) for ms, met, good in [(0, True, True), (1, False, True)]] == [True, True]
    assert delays.step(3000, False, False), "nothing good said that it is over"
    assert delays.step(4000, False, True), "the off-delay begins anew"
    assert not delays.step(6000, False, True)


def test_a_watch_is_a_tag_for_those_after_it() -> None:
    rows = recorded([0, 2, 0, 0, 0, 0])
    lately = watch("x > 1", id="lately", off_delay_s=2, use="input")
    assert stands([lately, watch("lately == 1 and x == 0", ("x", "lately"))], rows)[1] == [0, 0, 1, 1, 0, 0]


def test_limits_are_learnt_from_the_history_alone() -> None:
    history, wild = recorded([0, 1, -1, 1, -1, 0]), recorded([1, 2.1, 50, -50], start_s=6)
    limits = []
    for rest in (wild, wild.part(0, 1)):
        assert follow([shifts()], rest, history)
        ready = trained(shifts(), Plant(("x",), (), history.time_ms, history.value, 1.0))
        assert ready is not None
        limits.append(float(ready.bank.state.limit[0] * ready.bank.state.deviation[0]))
    assert limits == pytest.approx([2.0, 2.0])
    assert stands([shifts()], wild, history) == [[0, 1, 1, 1]]


def test_a_value_that_wanders_gets_a_wider_limit_where_independent_rows_count() -> None:
    random = np.random.default_rng(3)
    value = np.column_stack([np.cumsum(random.normal(size=400)), random.normal(size=400)])
    plant = Plant(("wanders", "stays"), (), np.arange(400) * 1000, value, 1.0)
    wider = []
    for counting in ("rows", "independent"):
        ready = trained(shifts(limit={"times": 1.0, "counting": counting}), plant)
        assert ready is not None
        wider.append(ready.bank.state.limit[:2])
    assert (wider[1] / wider[0])[0] > 2
    assert (wider[1] / wider[0])[1] < 1.05


def test_no_limit_is_tighter_than_the_floor() -> None:
    history = recorded([100, 100.1, 99.9, 100.1, 99.9, 100])
    watches = [shifts(limit={"times": 2.0, "floor": 0.01})]
    assert stands(watches, recorded([100.9, 101.1], start_s=6), history) == [[0, 1]]


def test_no_mean_of_many_has_a_limit_within_what_single_values_do() -> None:
    value = np.random.default_rng(5).normal(100, 1, (400, 1))
    plant = Plant(("white",), (), np.arange(400) * 1000, value, 1.0)
    limits = []
    for least in (0.0, 2.0):
        settings = {"tau_samples": 6, "leave": 0.7}
        ready = trained(shifts(settings=settings, limit={"times": 1.0, "least": least}), plant)
        assert ready is not None
        limits.append(float(ready.bank.state.limit[0]))
    assert limits[0] < 1.5
    assert limits[1] == 2.0


def test_so_many_tags_must_agree() -> None:
    history = recorded([[0, 0], [1, 1], [-1, -1], [1, -1], [0, 0]], ("a", "b"))
    rest = recorded([[5, 0], [5, 5], [0, 5], [0, 0]], ("a", "b"), start_s=5)
    assert stands([shifts(need=2)], rest, history) == [[0, 1, 0, 0]]
    assert stands([shifts(need=9)], rest, history) == [[0, 1, 0, 0]], "all there are"


def test_a_baseline_stands_still_while_its_watch_stands() -> None:
    history = recorded([0, 1, -1, 1, -1, 0] * 5)
    rest = recorded([5.0] * 200, start_s=30)
    assert sum(stands([shifts(settings={"tau_s": 0, "adapt_s": 5, "adapt_within": 1e9})], rest, history)[0]) == 200


def test_what_a_quality_watch_finds_is_bad_for_those_after_it() -> None:
    rows = recorded([[9, 1], [9, 2], [9, 3], [9, 4]], ("a", "b"))
    frozen = Watch(id="frozen", rule="frozen", tags=("a", "b"), settings={"still_s": 2}, use="quality")
    assert stands([frozen, watch("a > 5", ("a",))], rows)[1] == [1, 1, 1, 1], "bad does not clear"
    late = watch("a > 5", ("a",), on_delay_s=3)
    assert stands([frozen, late], rows)[1] == [0, 0, 0, 1], "doubt does not stop a delay that runs"
    assert stands([frozen, watch("a > 5 and b > 2", ("a", "b"))], rows)[1] == [0, 0, 0, 0]


def test_a_watch_that_could_learn_nothing_is_blind_and_says_so() -> None:
    still = recorded([7.0] * 30)
    unit = Watch(id="unit", rule="unit", tags=("*",))
    nowhere = watch("y > 1", ("y",), id="nowhere")
    said = follow([shifts(), unit, nowhere], recorded([9.0], start_s=30), still)
    assert [one.blind for one in said] == [True, True, True]
    assert not any(one.standing.any() for one in said)


def test_a_watch_for_larger_plants_leaves_a_small_one_alone() -> None:
    history = recorded([0, 1, -1, 1, -1, 0])
    said = follow([shifts(at_least=1), shifts(id="large", at_least=2)], recorded([50.0], start_s=6), history)
    assert [(one.blind, bool(one.standing.any())) for one in said] == [(False, True), (True, False)]


def test_a_delay_may_be_given_in_samples_of_the_plant() -> None:
    assert stands([watch("x > 1", on_delay_samples=2)], recorded([2, 2, 2, 0])) == [[0, 0, 1, 0]]


def test_history_from_elsewhere_is_moved_before_the_rows() -> None:
    history, rows = recorded([1, 2, 3], start_s=100), recorded([1, 2])
    moved = history.before(rows)
    assert moved.time_ms.tolist() == [-3000, -2000, -1000]
    assert rows.before(history) is not rows
    assert recorded([1, 2]).before(recorded([3], start_s=50)).time_ms.tolist() == [0, 1000], "it is before already"


def test_tags_are_named_or_matched_each_once() -> None:
    assert matching(("TC_2", "TC_*"), ("TC_1", "TC_2", "SM_1")) == [1, 0]
    assert matching(("*", "hot"), ("TC_1",), ("cold", "hot")) == [0, 2], "a pattern means no watch"


@pytest.mark.parametrize(
    ("mistake", "named"),
    [
        ({"rule": "magic"}, "there is no rule 'magic'"),
        (
            {"settings": {"txet": "x > 1"}},
            "watch w, rule expression: text: is missing; write it; txet: is no setting",
        ),
        ({"settings": {"text": "x >"}}, "watch w, rule expression"),
    ],
)
def test_a_watch_that_cannot_be_made_says_which_and_why(mistake: dict[str, Any], named: str) -> None:
    with pytest.raises(WatchError, match=named):
        stands([watch("x > 1", **mistake)], recorded([1]))


def test_two_watches_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two watches are named w"):
        Plan.model_validate({"about": "", "watch": [watch("x > 1").model_dump()] * 2})
