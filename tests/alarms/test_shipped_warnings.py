"""The trend rule that the shipped LPG sphere comes with, on the simulated sphere."""

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from davylamp_alarms.wanted import settings_of
from davylamp_alarms.warning import Bank, Samples, load
from davylamp_simulators.lpg import LpgSphere
from davylamp_wire.profile import load_profile, shipped_profiles

LEVEL = load_profile(shipped_profiles() / "lpg" / "lpg-sphere.toml").points["level_a"]
STEPS = round(LEVEL.scan_s / 0.1)


def filled(feed_kg_s: float, from_pct: float, to_pct: float) -> Iterator[float]:
    """Yield what the gauge shows at each scan, until the level is there."""
    sphere = LpgSphere(Random(1))
    sphere.set("level_pct", from_pct)
    sphere.set("feed_kg_s", feed_kg_s)
    while sphere.level_pct < to_pct:
        for _ in range(STEPS):
            sphere.step(0.1)
        yield float(sphere.measured()["level_a"])


@pytest.mark.parametrize(("feed_kg_s", "from_pct"), [(55.0, 78.0), (20.0, 80.5), (8.7, 82.5)])
def test_a_fill_is_warned_of_once_and_minutes_before_its_limit(feed_kg_s: float, from_pct: float) -> None:
    high = LEVEL.limits["H"].value  # type: ignore[index]  # a LimitKind is its text
    bank = Bank(load("trend"), settings_of("trend", LEVEL.warnings["trend"].settings, ()), 1)
    bank.state.write("high", slice(None), high)
    warned: list[tuple[float, float, float]] = []
    stands, now_s = False, 0.0
    for value in filled(feed_kg_s, from_pct, high):
        now_s += LEVEL.scan_s
        verdict = bank.step(Samples(np.array([now_s * 1000]), np.array([value]), np.zeros(1, np.uint8)))
        if verdict.met[0] and not stands:
            found = bank.evidence()
            warned.append((now_s, float(found["early_s"][0]), float(found["late_s"][0])))
        stands = bool(verdict.met[0]) or (stands and not verdict.back[0])
    ((at_s, early_s, late_s),) = warned
    assert 5 * 60 < now_s - at_s < 16 * 60
    assert 0.85 * early_s < now_s - at_s < 1.1 * late_s, "a sphere narrows, so a straight line is a little late"
