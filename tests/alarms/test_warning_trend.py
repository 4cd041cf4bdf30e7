"""The trend rule: its line, its forecast, and what moves neither."""

import math
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from davylamp_alarms.warning import Bank, Samples, bank
from davylamp_wire.quality import Level
from hypothesis import given, settings
from hypothesis import strategies as st

START_MS = 1_764_000_000_000
Sample = tuple[float, float]


def feed(trend: Bank, time_s: float, *values: float, level: Level = Level.GOOD) -> tuple[list[bool], list[bool]]:
    """Give every row one sample."""
    count = len(values)
    time_ms = np.full(count, START_MS + round(time_s * 1000))
    verdict = trend.step(Samples(time_ms, np.array(values), np.full(count, level, np.uint8)))
    return verdict.met.tolist(), verdict.back.tolist()


@dataclass
class Twin:
    """One row, from the plain list of its samples; high limit 100, 60 s ahead."""

    samples: int
    window: list[Sample]
    count: int = 0
    said: tuple[bool, bool] = (False, False)

    def step(self, time_s: float, value: float) -> tuple[bool, bool]:
        if self.window and time_s - self.window[-1][0] > 30:
            self.window, self.count, self.said = [], 0, (False, False)
        self.window, self.count = [*self.window, (time_s, value)][-self.samples :], self.count + 1
        if len(self.window) == self.samples and (self.samples < 30 or self.count % 3 == 0):
            self.said = self.look() if self.worth_it() else (False, True)
        return self.said

    def worth_it(self) -> bool:
        times, values = [t for t, _ in self.window], [v for _, v in self.window]
        if self.samples >= 30:
            times, values = times[1::3], [statistics.median(values[at : at + 3]) for at in range(0, self.samples, 3)]
        if len(set(values)) == 1:
            return values[0] >= 100
        slope, start = statistics.linear_regression(times, values)
        return start + slope * (self.window[-1][0] + 120) >= 100 and statistics.correlation(times, values) ** 2 >= 0.4

    def look(self) -> tuple[bool, bool]:
        half = self.samples // 2
        older, newer = self.window[:half], self.window[half:]
        slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(older, newer, strict=True))
        slope, now_s = statistics.median(slopes), self.window[-1][0]
        moved = [v - slope * (t - now_s) for t, v in self.window]
        fitted = statistics.median(moved)
        noise = 1.4826 * statistics.median(abs(v - fitted) for v in moved)
        signal = slope**2 * statistics.pvariance([t for t, _ in self.window])
        share = signal / max(signal + noise**2, 1e-300)
        cut = max(int((half - 2.5758293035489004 * half**0.5) / 2) - 1, 0)
        towards = slopes[cut] > 0 if slope >= 0 else slopes[half - 1 - cut] < 0
        in_s = math.inf if slope < 0 else 0.0 if fitted >= 100 else (100 - fitted) / slope if slope else math.inf
        met = towards and share >= 0.8 and in_s <= 60
        return met, not met and (not towards or in_s > 90)


steps = st.lists(
    st.tuples(
        st.sampled_from([1.0, 1.0, 1.0, 2.5, 40.0]),
        st.floats(-1, 1).map(lambda noise: round(noise * 64) / 64),
        st.sampled_from([0.0, 0.0, 0.0, 0.0, 30.0]),
    ),
    min_size=12,
    max_size=70,
)


@settings(max_examples=80)
@given(steps, st.sampled_from([0.0, 0.4, 1.0, 3.0]), st.sampled_from([20.0, 70.0, 97.0]), st.sampled_from([12, 30]))
def test_trend_is_what_a_fresh_look_at_the_window_says(
    fed: list[tuple[float, float, float]], slope: float, start: float, samples: int
) -> None:
    options = {"high": 100, "samples": samples, "horizon_s": 60, "gap_s": 30}
    trend, twin = bank("trend", options, 1), Twin(samples, [])
    time_s = 0.0
    for dt_s, noise, spike in fed:
        time_s += dt_s
        value = start + slope * time_s + noise + spike
        met, back = feed(trend, time_s, value)
        assert (met[0], back[0]) == twin.step(time_s, value)


@settings(max_examples=60)
@given(
    st.lists(st.floats(-1, 1), min_size=14, max_size=40),
    st.sampled_from([0.0, 0.4, 1.0, -1.0]),
    st.integers(1, 38),
    st.sampled_from([95.0, 100.0, 120.0, 400.0]),
)
def test_a_row_held_against_another_limit_says_what_it_would_have_said_of_it_all_along(
    noises: list[float], slope: float, at: int, high: float
) -> None:
    """The twin had the other limit from the start; the row beside it keeps its own."""
    options = {"samples": 12, "horizon_s": 60, "low": 60}
    moved, twin, kept = (bank("trend", {**options, "high": limit}, 2) for limit in (90, high, 90))
    for second, noise in enumerate(noises):
        value = 80 + slope * second + noise
        said, all_along, own = (feed(trend, second, value, value) for trend in (moved, twin, kept))
        if second == at:
            moved.state.aim(np.array([1]), np.array([high]), np.array([60.0]))
        if second > at:
            assert [one[1] for one in said] == [one[1] for one in all_along]
        assert [one[0] for one in said] == [one[0] for one in own]


def rising(trend: Bank, slope: float, count: int, noise: float = 0.0, spike_at: int = -1, seed: int = 1) -> list[bool]:
    """Feed a line from 10 upwards, 1 s apart; return whether it was met, sample by sample."""
    random = np.random.default_rng(seed)
    met = []
    for at in range(count):
        value = 10 + slope * at + noise * float(random.standard_normal()) + (500 if at == spike_at else 0)
        met.append(feed(trend, at, value)[0][0])
    return met


def test_it_says_when_the_limit_is_reached() -> None:
    trend = bank("trend", {"high": 40, "horizon_s": 600}, 1)
    assert any(rising(trend, 0.1, 120, noise=0.3))
    said = {name: float(column[0]) for name, column in trend.evidence().items()}
    assert said["limit"] == 40
    assert said["in_s"] == pytest.approx((40 - 10 - 0.1 * 119) / 0.1, rel=0.1)
    assert said["early_s"] < said["in_s"] < said["late_s"]
    assert said["early_s"] < 181 < said["late_s"]


def test_the_interval_holds_the_truth_nearly_always() -> None:
    held = 0
    for seed in range(100):
        trend = bank("trend", {"high": 40, "horizon_s": 600, "confidence": 0.95}, 1)
        rising(trend, 0.1, 60, noise=0.5, seed=seed)
        said = trend.evidence()
        held += bool(said["early_s"][0] <= (30 - 5.9) / 0.1 <= said["late_s"][0])
    assert held >= 95


def test_one_wild_sample_neither_makes_nor_hides_a_trend() -> None:
    flat, true = (bank("trend", {"high": 400, "horizon_s": 600}, 1) for _ in range(2))
    assert not any(rising(flat, 0.0, 130, noise=0.1, spike_at=70))
    assert any(rising(true, 1.0, 62, noise=0.1, spike_at=61)[60:])


def test_falling_to_a_low_limit_is_a_trend_too() -> None:
    trend = bank("trend", {"low": -50, "horizon_s": 600}, 1)
    assert any(rising(trend, -0.2, 70, noise=0.1))
    assert trend.evidence()["limit"][0] == -50


def test_a_trend_that_stops_is_back_and_silence_or_bad_values_are_not() -> None:
    trend = bank("trend", {"high": 25, "horizon_s": 60, "gap_s": 10}, 1)
    assert rising(trend, 0.2, 60)[-1]
    assert feed(trend, 60, math.nan) == ([False], [False])
    assert feed(trend, 61, 22.0, level=Level.BAD) == ([False], [False])
    assert feed(trend, 62, 22.4, level=Level.UNCERTAIN)[1] == [False]
    backs = [feed(trend, 63 + at, 22.4)[1][0] for at in range(60)]
    assert backs[-1]
    assert feed(trend, 1000, 22.4) == ([False], [False])


def test_roundings_do_not_add_up() -> None:
    trend, random = bank("trend", {"high": 1e9, "horizon_s": 60}, 1), np.random.default_rng(5)
    values = 4e7 + 1000 * random.standard_normal(2_508).cumsum()
    for at, value in enumerate(values.tolist()):
        feed(trend, at, value)
    state: Any = trend.state
    newest = state.y[(int(state.next[0]) - 1) % 60, 0].astype(float)
    y, t = np.median(state.y[:, 0].reshape(20, 3), axis=1).astype(float), state.t[1::3, 0].astype(float)
    for kept, fresh in ((state.sum_y, y), (state.sum_t, t), (state.sum_tt, t * t), (state.sum_yy, y * y)):
        assert kept[0] == pytest.approx(fresh.sum(), rel=1e-11)
    assert state.anchor[0] + newest == pytest.approx(values[-1], abs=0.02)


def test_least_squares_reads_coarse_values_too() -> None:
    options = {"high": 1.4, "samples": 8, "horizon_s": 180, "fit": "squares", "confidence": 0, "share": 0.5}
    coarse = bank("trend", options, 1)
    met = [feed(coarse, 30 * at, value)[0][0] for at, value in enumerate([1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 1.2, 1.2, 1.3])]
    assert met[-1]


def test_an_odd_window_is_refused_with_the_reason() -> None:
    with pytest.raises(
        ValueError, match="samples is 13: the window is cut into halves and groups, so give an even number"
    ):
        bank("trend", {"high": 1, "samples": 13, "horizon_s": 60}, 1)


@pytest.mark.parametrize("absurd", [2_147_483_647.0, 3.4e38, -1e300, 1.7e308])
@pytest.mark.parametrize("samples", [12, 30])
def test_an_absurd_first_value_made_a_trend_deaf_for_hours(absurd: float, samples: int) -> None:
    """What a device says as it starts became the anchor: beside it nothing moved, and the trend called it calm."""
    trend = bank("trend", {"samples": samples, "horizon_s": 60, "high": 100}, 1)
    assert feed(trend, 0, absurd) == ([False], [False])
    met = [feed(trend, 1 + second, 20 + second / 4)[0][0] for second in range(300)]
    assert met.index(True) == pytest.approx((80 - 15) * 4, abs=8)


def test_an_absurd_value_as_the_window_is_set_anew_made_a_trend_deaf() -> None:
    trend = bank("trend", {"samples": 12, "horizon_s": 60, "high": 100}, 1)
    values = [50 + max(0, second - 70) / 2 for second in range(180)]
    values[47] = 1e30  # the window is round for the fourth time
    met = [feed(trend, second, value)[0][0] for second, value in enumerate(values)]
    assert met.index(True) == pytest.approx(70 + (50 - 30) * 2, abs=8)
