"""Scenarios: every shipped one fits its plant, and happens at its times whoever watches."""

from pathlib import Path

import pytest
from davylamp_simulators.sample import Condition
from davylamp_simulators.scenario import Action, LineMode, LineState, load_scenario, scenario_names
from davylamp_simulators.source import ProcessSource
from davylamp_wire.config import ConfigError
from hypothesis import given, settings
from hypothesis import strategies as st

PROCESS_OF = {"cl2-store": "chlorine-store", "lpg-sphere": "lpg-sphere"}
WANTED = {
    "chlorine-leak", "overfill", "fan-stop", "frozen-sensor", "wire-break", "over-range", "dead-device", "slow-device",
    "flapping-link", "slow-overfill",
}  # fmt: skip


def first_at(source: ProcessSource, point: str, limit: float, until_s: float = 60.0) -> float:
    for tenth in range(int(until_s * 10)):
        source.advance(tenth / 10)
        value = source.samples()[point].value
        if value is not None and value >= limit:
            return tenth / 10
    raise AssertionError(f"{point} never reached {limit} in {until_s} s")


def test_every_scenario_of_the_plan_is_shipped() -> None:
    assert set(scenario_names()) >= WANTED


@pytest.mark.parametrize("name", scenario_names())
def test_a_shipped_scenario_fits_its_plant_and_speaks_both_languages(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    for device, process in PROCESS_OF.items():
        ProcessSource(process, "1", scenario.of(device), scenario.speed)
    assert {action.device for action in scenario.actions} <= PROCESS_OF.keys()
    assert all(action.says for action in scenario.actions)


def test_the_chlorine_leak_passes_its_two_levels_early_in_a_minute_and_falls_again() -> None:
    source = ProcessSource("chlorine-store", "1/cl2-store", load_scenario("chlorine-leak").of("cl2-store"))
    first, second = (first_at(source, "cl2_1", level) for level in (1.0, 2.0))
    # Three seconds of on-delay and one of scanning come on top.
    assert 4.0 <= first <= 8.5
    assert first < second <= 15.0
    source.advance(25.0)
    peak = float(source.samples()["cl2_1"].value or 0)
    source.advance(60.0)
    assert 2.0 < peak < 30.0
    assert float(source.samples()["cl2_1"].value or 99) < 0.7 * peak


def test_the_overfill_passes_every_limit_within_a_minute_of_watching() -> None:
    scenario = load_scenario("overfill")
    source = ProcessSource("lpg-sphere", "1", scenario.of("lpg-sphere"), scenario.speed)
    assert first_at(source, "level_a", 85.0, 3000) / scenario.speed < 15
    assert first_at(source, "level_a", 90.0, 3000) / scenario.speed < 45


def test_the_slow_overfill_stands_before_anybody_reads_and_reaches_its_limit_within_a_minute_of_watching() -> None:
    scenario = load_scenario("slow-overfill")
    source = ProcessSource("lpg-sphere", "1", scenario.of("lpg-sphere"), scenario.speed)
    assert float(source.samples()["level_a"].value or 0) == pytest.approx(83.0, abs=0.2)
    assert 25 < first_at(source, "level_a", 85.0, 3000) / scenario.speed < 40


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=15))
def test_how_often_one_looks_changes_nothing(pauses: list[float]) -> None:
    actions = load_scenario("wire-break").of("cl2-store")
    often, once = (ProcessSource("chlorine-store", "1", actions) for _ in range(2))
    now = 0.0
    for pause in pauses:
        now += pause
        often.advance(now)
    once.advance(now)
    assert often.samples() == once.samples()


def test_a_frozen_instrument_keeps_its_last_value_and_says_it_is_well() -> None:
    freeze = Action(at_s=1.0, device="d", point="temp", condition=Condition.FROZEN)
    source = ProcessSource("chlorine-store", "1", [freeze])
    source.advance(1.0)
    last = source.samples()["temp"]
    source.advance(30.0)
    assert source.samples()["temp"] == last
    assert last.condition is Condition.OK


def test_an_instrument_that_is_mended_shows_the_process_again() -> None:
    broken = Action(at_s=1.0, device="d", point="temp", condition=Condition.WIRE_BREAK)
    mended = Action(at_s=2.0, device="d", point="temp", condition=Condition.OK)
    source = ProcessSource("chlorine-store", "1", [broken, mended])
    source.advance(1.5)
    assert source.samples()["temp"].condition is Condition.WIRE_BREAK
    source.advance(2.5)
    assert source.samples()["temp"].condition is Condition.OK


def test_an_action_that_moves_nothing_there_is_refused_before_the_start() -> None:
    actions = [
        Action(at_s=1.0, device="d", set={"leek_g_s": 1.0}),
        Action(at_s=2.0, device="d", point="cl2_9", condition=Condition.FROZEN),
    ]
    with pytest.raises(ConfigError) as refusal:
        ProcessSource("chlorine-store", "1", actions)
    assert [word in str(refusal.value) for word in ("leek_g_s", "cl2_9")] == [True, True]


def test_a_scenario_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="chlorine-leak"):
        load_scenario("chlorine-leek")


def test_a_scenario_file_of_ones_own_is_found_beside_the_plant_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'zh = "我的"\nen = "mine"\n[[actions]]\nat_s = 1\ndevice = "d"\nline = {mode = "dead"}\n'
    )
    scenario = load_scenario("mine.toml", tmp_path)
    assert scenario.of("d")[0].line == LineState(mode=LineMode.DEAD)


def test_an_action_must_do_something(tmp_path: Path) -> None:
    (tmp_path / "idle.toml").write_text('zh = "无"\nen = "idle"\n[[actions]]\nat_s = 1\ndevice = "d"\n')
    with pytest.raises(ConfigError, match="does nothing"):
        load_scenario("idle.toml", tmp_path)
