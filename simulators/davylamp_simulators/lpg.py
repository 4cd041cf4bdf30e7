"""An LPG sphere: filling and withdrawal, level by the sphere's geometry, pressure by Raoult's law, gas in the open.

Mass: feed - withdrawal - leak - vapour through the safety valve. Heat: shell, sun, feed and deluge against the liquid's
heat capacity. Sizes are those of an invented 1000 m3 sphere; constants from Lange's Handbook of Chemistry, 15th ed.
[memory, rounded].
"""

import math
from collections.abc import Mapping
from random import Random

from davylamp_simulators.process import ATMOSPHERE_MPA, Detector, Levers, Value, antoine_mpa

PROPANE = (6.80398, 803.81, 246.99)
BUTANE = (6.80896, 935.86, 238.73)
"""Antoine constants, mmHg and °C."""
PROPANE_SHARE = 0.6
"""Mole fraction in the liquid."""
HEAT_CAPACITY_KJ = 2.5
LATENT_KJ = 350.0
LEL_MG_M3 = 38_000.0
"""Lower explosive limit of propane, 2.1 vol%, at 20 °C."""

SPHERE_M3 = 1000.0
SHELL_KW_PER_K = 4.0
SUN_KW = 60.0
DELUGE_KW_PER_K = 90.0
PSV_MPA = 1.6
PSV_RESEATS_MPA = 1.45
PSV_KG_S = 25.0
HH_SWITCH_PCT = 90.0
VALVE_S = 8.0
"""Stroke of the emergency valve from open to closed."""
SHARES = (0.6, 0.25, 0.05, 0.1)
"""Which part of a leak at the bottom valves drifts past each of the four detectors."""
AIR_M3 = 400.0
"""Air around a detector that mixes well."""
AIR_FACE_M2 = 25.0


def density_kg_m3(celsius: float) -> float:
    """Return the density of the liquid: 544 at 15 °C, 1.35 less each degree."""
    return 544.0 - 1.35 * (celsius - 15.0)


def height_at(share: float) -> float:
    """Return at which height (0 to 1 of the diameter) a sphere is filled to a share of its volume.

    The cap's volume is 3h² - 2h³ of the whole; Newton's method from the middle finds h.
    """
    share = min(1.0, max(0.0, share))
    height = 0.5
    for _ in range(20):
        slope = 6.0 * height * (1.0 - height)
        if slope < 1e-9:
            break
        height = min(1.0, max(0.0, height - (3.0 * height**2 - 2.0 * height**3 - share) / slope))
    return height


def share_at(height: float) -> float:
    """Return which share of its volume a sphere holds when filled to a height (0 to 1 of the diameter)."""
    return 3.0 * height**2 - 2.0 * height**3


class LpgSphere:
    """The sphere of profile ``lpg-sphere``."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._levers = Levers(
            feed_kg_s=0.0,
            out_kg_s=0.0,
            leak_kg_s=0.0,
            level_pct=58.0,
            temp_c=18.0,
            ambient_c=18.0,
            sun=0.0,
            wind_m_s=1.5,
            esdv_open=1.0,
            deluge=0.0,
            water_inject=0.0,
        )
        self._temp_c = 18.0
        self._kg = self._kg_at(58.0)
        self._air_mg = [0.0] * len(SHARES)
        self._valve = 1.0
        self._psv_open = False
        self._hh = False
        self._detectors = [Detector(t90_s=20.0, noise=0.15, high=100.0) for _ in SHARES]

    @property
    def levers(self) -> Mapping[str, float]:
        return self._levers.all

    def set(self, lever: str, value: float) -> None:
        """Move a lever; `level_pct` and `temp_c` set the content itself."""
        self._levers.set(lever, value)
        if lever == "temp_c":
            self._temp_c = value
        if lever == "level_pct":
            self._kg = self._kg_at(value)

    def _kg_at(self, level_pct: float) -> float:
        return SPHERE_M3 * share_at(level_pct / 100.0) * density_kg_m3(self._temp_c)

    @property
    def level_pct(self) -> float:
        return 100.0 * height_at(self._kg / density_kg_m3(self._temp_c) / SPHERE_M3)

    @property
    def press_mpa(self) -> float:
        """Return the gauge pressure over the liquid: Raoult's law for propane and butane."""
        propane = PROPANE_SHARE * antoine_mpa(*PROPANE, self._temp_c)
        return propane + (1.0 - PROPANE_SHARE) * antoine_mpa(*BUTANE, self._temp_c) - ATMOSPHERE_MPA

    def step(self, dt_s: float) -> None:
        """Advance by so much simulated time."""
        self._step_valves(dt_s)
        self._step_content(dt_s)
        self._step_air(dt_s)

    def _step_valves(self, dt_s: float) -> None:
        aim = self._levers["esdv_open"]
        self._valve += max(-dt_s / VALVE_S, min(dt_s / VALVE_S, aim - self._valve))
        self._psv_open = self.press_mpa > (PSV_RESEATS_MPA if self._psv_open else PSV_MPA)
        self._hh = self.level_pct > (HH_SWITCH_PCT - 1.0 if self._hh else HH_SWITCH_PCT)

    def _step_content(self, dt_s: float) -> None:
        lever = self._levers
        through_psv = PSV_KG_S if self._psv_open else 0.0
        flow_kg_s = (lever["feed_kg_s"] - lever["out_kg_s"]) * self._valve - lever["leak_kg_s"] - through_psv
        self._kg = max(100.0, self._kg + flow_kg_s * dt_s)
        ambient = lever["ambient_c"] - self._temp_c
        heat_kw = (SHELL_KW_PER_K + DELUGE_KW_PER_K * lever["deluge"]) * ambient + SUN_KW * lever["sun"]
        heat_kw += lever["feed_kg_s"] * self._valve * HEAT_CAPACITY_KJ * ambient - through_psv * LATENT_KJ
        self._temp_c += heat_kw * dt_s / (self._kg * HEAT_CAPACITY_KJ)

    def _step_air(self, dt_s: float) -> None:
        leaving = -math.expm1(-max(0.2, self._levers["wind_m_s"]) * AIR_FACE_M2 / AIR_M3 * dt_s)
        for n, share in enumerate(SHARES):
            self._air_mg[n] += share * self._levers["leak_kg_s"] * 1e6 * dt_s - self._air_mg[n] * leaving
            self._detectors[n].step(100.0 * self._air_mg[n] / AIR_M3 / LEL_MG_M3, dt_s)

    def measured(self) -> dict[str, Value]:
        """Return what every instrument shows now."""
        lever, noise = self._levers, self._random.gauss
        shown: dict[str, Value] = {
            "level_a": min(100.0, self.level_pct + noise(0.0, 0.03)),
            "level_b": min(100.0, self.level_pct + 0.15 + noise(0.0, 0.05)),
            "hh_switch": self._hh,
            "press": max(0.0, self.press_mpa + noise(0.0, 0.0004)),
            "temp": self._temp_c + noise(0.0, 0.03),
            "esdv": 1 if self._valve > 0.99 else 0 if self._valve < 0.01 else 2,
            "psv_lift": int(self._psv_open),
            "water_inject": int(lever["water_inject"] > 0),
            "deluge": int(lever["deluge"] > 0),
            "device_fault": False,
            "in_calibration": False,
            "in_maintenance": False,
            "sim_mode": True,
        }
        return shown | {f"gas_{n}": detector.shown(self._random) for n, detector in enumerate(self._detectors, 1)}
