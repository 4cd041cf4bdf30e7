"""What a rule remembers of uncertain values never shows a warning gone (SAFETY S4)."""

from collections.abc import Callable
from typing import Any

import pytest
from davylamp_alarms.definition import Kind
from davylamp_wire.quality import Reason, uncertain
from support.plant import Plant, alarm, events, tag_def, warning

LEVEL = tag_def("LT-1101", silence_ms=60_000)
HH = alarm(LEVEL, 0, Kind.HH, 500, deadband=2)
USUAL = {"mean": 50, "deviation": 1}
DOUBTFUL = uncertain(Reason.LOOP_HIGH)

Course = Callable[[int], float]


def steady(value: float) -> Course:
    return lambda second: value


def rising(second: int) -> float:
    return 50 + 2.0 * second


def noisy(second: int) -> float:
    return 53.0 if second % 2 else 47.0


CASES: dict[str, tuple[Kind, dict[str, Any], Course, Course]] = {
    "ewma": (Kind.EWMA, {"tau_s": 30, "limit": 3, **USUAL}, steady(60), steady(50)),
    "ewma on means": (Kind.EWMA, {"tau_s": 30, "every_s": 5, "limit": 3, **USUAL}, steady(60), steady(50)),
    "cusum": (Kind.CUSUM, {"period_s": 1, "limit": 20, **USUAL}, steady(52), steady(50)),
    "normal": (Kind.NORMAL, {"percent": 30, "tau_s": 20, "normal": 50}, steady(90), steady(50)),
    "rate": (Kind.RATE, {"window_s": 10, "limit": 60}, rising, steady(50)),
    "trend": (Kind.TREND, {"samples": 12, "horizon_s": 600}, rising, lambda second: 300 - second),
    "quiet": (Kind.QUIET, {"window_s": 20, "least": 0.5}, steady(50), noisy),
    "frozen": (Kind.FROZEN, {"still_s": 32}, steady(50), noisy),
}


def fill(site: Plant, course: Course, seconds: int, quality: int = 0) -> list[str]:
    told = []
    for second in range(seconds):
        told += site.read(course(second), quality=quality)
        told += site.tick()
    return events(told)


@pytest.mark.parametrize("name", list(CASES))
def test_s4_a_good_value_as_unusual_as_before_cleared_what_uncertain_ones_had_calmed(name: str) -> None:
    kind, settings, odd, usual = CASES[name]
    towards = ["HH"] if kind is Kind.TREND else []
    site = Plant([LEVEL], [HH, warning(LEVEL, 0, kind, settings, towards=towards)])
    assert fill(site, odd, 90) == [f"{kind} raised B"]
    assert fill(site, usual, 120, DOUBTFUL) == []
    assert fill(site, odd, 90) == []
    assert fill(site, usual, 20, DOUBTFUL) == []
    site.restart(1)
    assert fill(site, odd, 90) == []
    assert fill(site, usual, 300)[:1] == [f"{kind} cleared D"]
