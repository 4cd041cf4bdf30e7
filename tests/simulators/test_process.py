"""The processes obey their balances, and the same seed gives the same plant."""

import math
from random import Random

import pytest
from davylamp_simulators.chlorine import ANTOINE, ChlorineStore
from davylamp_simulators.lpg import LpgSphere, height_at, share_at
from davylamp_simulators.process import PROCESSES, STEP_S, Detector, antoine_mpa, process_class
from hypothesis import given, settings
from hypothesis import strategies as st


def stepped(process: ChlorineStore | LpgSphere, seconds: float) -> None:
    for _ in range(round(seconds / STEP_S)):
        process.step(STEP_S)


@settings(max_examples=20, deadline=None)
@given(leak=st.floats(0.0, 50.0), fan=st.sampled_from([0.0, 0.5, 1.0]), seconds=st.floats(1.0, 60.0))
def test_released_chlorine_is_in_the_air_or_drawn_off(leak: float, fan: float, seconds: float) -> None:
    store = ChlorineStore(Random(1))
    store.set("leak_g_s", leak)
    store.set("fan", fan)
    stepped(store, seconds)
    assert math.isclose(store.released_mg, store.airborne_mg + store.removed_mg, rel_tol=1e-9, abs_tol=1e-6)


@pytest.mark.parametrize("name", PROCESSES)
def test_the_same_seed_gives_the_same_plant(name: str) -> None:
    a, b = (process_class(name)(Random("7/x")) for _ in range(2))
    for _ in range(50):
        a.step(STEP_S)
        b.step(STEP_S)
        assert a.measured() == b.measured()


@pytest.mark.parametrize("name", PROCESSES)
def test_a_lever_that_does_not_exist_is_refused_by_name(name: str) -> None:
    with pytest.raises(KeyError, match="no lever 'lever_x'"):
        process_class(name)(Random(1)).set("lever_x", 1.0)


def test_chlorine_at_twenty_degrees_stands_under_its_vapour_pressure() -> None:
    assert antoine_mpa(*ANTOINE, 20.0) == pytest.approx(0.674, abs=0.005)
    assert antoine_mpa(*ANTOINE, -34.05) == pytest.approx(0.1013, abs=0.001)


def test_the_fan_keeps_the_store_below_the_pressure_outside() -> None:
    store = ChlorineStore(Random(1))
    assert store.measured()["negative_press"] < 0
    store.set("fan", 0.0)
    assert store.measured()["negative_press"] > 0


def test_a_leak_uses_up_lye_and_a_dead_pump_sends_it_up_the_stack() -> None:
    store = ChlorineStore(Random(1))
    store.set("leak_g_s", 2.0)
    stepped(store, 120)
    scrubbed = float(store.measured()["cl2_5"])
    store.set("pump", 0.0)
    stepped(store, 120)
    assert scrubbed < 1.0 < float(store.measured()["cl2_5"])


def test_a_leaking_tank_cools_and_loses_weight() -> None:
    store = ChlorineStore(Random(1))
    before = store.measured()
    store.set("leak_g_s", 50_000.0)
    stepped(store, 60)
    after = store.measured()
    assert after["weight"] < before["weight"] - 2.9
    assert after["temp"] < before["temp"]


def test_a_detector_shows_nine_tenths_of_a_step_after_its_t90() -> None:
    detector = Detector(t90_s=20.0, noise=0.0, high=100.0)
    for _ in range(200):
        detector.step(10.0, STEP_S)
    assert detector.shown(Random(1)) == pytest.approx(9.0, abs=0.01)


@given(st.floats(0.0, 1.0))
def test_a_spheres_height_and_volume_belong_together(share: float) -> None:
    assert share_at(height_at(share)) == pytest.approx(share, abs=1e-6)


def test_an_overfilled_sphere_trips_its_switch_above_ninety_percent() -> None:
    sphere = LpgSphere(Random(1))
    sphere.set("level_pct", 89.5)
    sphere.set("feed_kg_s", 55.0)
    stepped(sphere, 10)
    assert sphere.measured()["hh_switch"] is False
    stepped(sphere, 90)
    assert sphere.measured()["hh_switch"] is True


def test_a_hot_sphere_lifts_its_safety_valve_and_falls_again() -> None:
    sphere = LpgSphere(Random(1))
    sphere.set("temp_c", 70.0)
    stepped(sphere, 1)
    assert sphere.measured()["psv_lift"] == 1
    sphere.set("ambient_c", 5.0)
    sphere.set("deluge", 1.0)
    stepped(sphere, 2 * 3600)
    assert sphere.measured()["psv_lift"] == 0


def test_the_emergency_valve_takes_its_time_and_says_so() -> None:
    sphere = LpgSphere(Random(1))
    sphere.set("esdv_open", 0.0)
    stepped(sphere, 4)
    assert sphere.measured()["esdv"] == 2
    stepped(sphere, 5)
    assert sphere.measured()["esdv"] == 0


def test_a_leak_of_gas_is_seen_first_where_it_drifts() -> None:
    sphere = LpgSphere(Random(1))
    sphere.set("leak_kg_s", 1.0)
    stepped(sphere, 60)
    shown = sphere.measured()
    assert shown["gas_1"] > shown["gas_2"] > shown["gas_3"]
