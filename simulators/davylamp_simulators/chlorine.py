"""A liquid chlorine store: a tank in a ventilated hall whose exhaust goes through an alkali scrubber.

Mass: tank → (flash + pool) → air near the tank ⇄ hall → fan → scrubber → stack. Heat: the tank takes heat from the
hall and gives it to what boils off. Six detectors stand in these airs, each with its own lag. Sizes are those of an
invented store; constants of chlorine from Lange's Handbook of Chemistry, 15th ed. [memory, rounded].
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from davylamp_simulators.process import ATMOSPHERE_MPA, Detector, Levers, Value, antoine_mpa

ANTOINE = (6.93790, 861.34, 246.33)
"""Vapour pressure of chlorine, mmHg and °C, -100 to 100 °C."""
BOILING_C = -34.05
HEAT_CAPACITY_KJ = 0.926
"""Liquid, kJ/(kg K)."""
LATENT_KJ = 288.0
"""Heat of vaporisation, kJ/kg."""
NAOH_PER_CL2 = 80.0 / 70.9
"""kg NaOH bound by a kg of chlorine: Cl2 + 2 NaOH → NaCl + NaOCl + H2O."""

TANK_M3 = 50.0
HALL_M3 = 1440.0
NEAR_M3 = 60.0
FILLING_ROOM_M3 = 300.0
FAN_M3_S = 4.8
"""Twelve air changes an hour of the hall."""
DRAUGHT_M3_S = 0.2
NEAR_EXCHANGE_M3_S = 4.0
DOOR_EXCHANGE_M3_S = 0.15
POOL_S = 8.0
"""Time constant with which a small pool boils away on concrete."""
SHELL_KW_PER_K = 0.8
LYE_KG = 5000.0
SCRUBBED = 0.995
FAN_KPA = -0.06
STACK_KPA = 0.012
"""Pressure in the hall without the fan: warm air in the stack, and the wind."""


def density_kg_m3(celsius: float) -> float:
    """Return the density of liquid chlorine: 1468 at 0 °C, 1411 at 20 °C."""
    return 1468.0 - 2.85 * celsius


@dataclass
class _Air:
    """Chlorine (mg) in a well-mixed volume of air (m3)."""

    volume_m3: float
    mass_mg: float = 0.0

    @property
    def mg_m3(self) -> float:
        return self.mass_mg / self.volume_m3

    def give(self, other: "_Air", flow_m3_s: float, dt_s: float) -> None:
        """Let air of both change places at a flow."""
        moved = (self.mg_m3 - other.mg_m3) * flow_m3_s * dt_s
        self.mass_mg -= moved
        other.mass_mg += moved


@dataclass
class _Airs:
    near: _Air = field(default_factory=lambda: _Air(NEAR_M3))
    hall: _Air = field(default_factory=lambda: _Air(HALL_M3))
    filling: _Air = field(default_factory=lambda: _Air(FILLING_ROOM_M3))


class ChlorineStore:
    """The store of profile ``cl2-store``."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._levers = Levers(
            leak_g_s=0.0, fan=1.0, pump=1.0, ambient_c=20.0, feed_kg_s=0.0, level_pct=62.0, alkali_pct=18.0
        )
        self._tank_c = 20.0
        self._tank_kg = self._kg_at(62.0)
        self._pool_mg = 0.0
        self._naoh_kg = LYE_KG * 0.18
        self._airs = _Airs()
        self._stack_mg_m3 = 0.0
        self.released_mg = 0.0
        self.removed_mg = 0.0
        self._detectors = [Detector(t90_s=20.0, noise=0.008, high=30.0) for _ in range(6)]

    @property
    def levers(self) -> Mapping[str, float]:
        return self._levers.all

    def set(self, lever: str, value: float) -> None:
        """Move a lever; `level_pct` and `alkali_pct` set the content itself, the others a flow or a switch."""
        self._levers.set(lever, value)
        if lever == "level_pct":
            self._tank_kg = self._kg_at(value)
        if lever == "alkali_pct":
            self._naoh_kg = LYE_KG * value / 100.0

    def _kg_at(self, level_pct: float) -> float:
        return TANK_M3 * level_pct / 100.0 * density_kg_m3(self._tank_c)

    @property
    def airborne_mg(self) -> float:
        """Return the chlorine still in the pool and in the airs: released less removed."""
        return self._pool_mg + sum(air.mass_mg for air in (self._airs.near, self._airs.hall, self._airs.filling))

    def step(self, dt_s: float) -> None:
        """Advance by so much simulated time."""
        self._step_tank(dt_s)
        self._step_leak(dt_s)
        self._step_air(dt_s)
        for detector, outside in zip(self._detectors, self._around(), strict=True):
            detector.step(outside, dt_s)

    def _step_tank(self, dt_s: float) -> None:
        lever = self._levers
        out_kg = min(self._tank_kg, lever["leak_g_s"] / 1000.0 * dt_s)
        self._tank_kg = max(1.0, self._tank_kg + lever["feed_kg_s"] * dt_s - out_kg)
        heat_kj = (SHELL_KW_PER_K * (lever["ambient_c"] - self._tank_c)) * dt_s - out_kg * LATENT_KJ * self._flashes
        self._tank_c += heat_kj / (self._tank_kg * HEAT_CAPACITY_KJ)

    @property
    def _flashes(self) -> float:
        """Return which part of a liquid leak is gas at once: its warmth above the boiling point does that."""
        return min(1.0, max(0.0, HEAT_CAPACITY_KJ * (self._tank_c - BOILING_C) / LATENT_KJ))

    def _step_leak(self, dt_s: float) -> None:
        leaked_mg = self._levers["leak_g_s"] * 1000.0 * dt_s
        boiled_mg = self._pool_mg * -math.expm1(-dt_s / POOL_S)
        self._pool_mg += leaked_mg * (1.0 - self._flashes) - boiled_mg
        self._airs.near.mass_mg += leaked_mg * self._flashes + boiled_mg
        self.released_mg += leaked_mg

    def _step_air(self, dt_s: float) -> None:
        airs = self._airs
        airs.near.give(airs.hall, NEAR_EXCHANGE_M3_S, dt_s)
        airs.hall.give(airs.filling, DOOR_EXCHANGE_M3_S, dt_s)
        fan_m3_s = FAN_M3_S * self._levers["fan"]
        drawn_mg = airs.hall.mg_m3 * (fan_m3_s + DRAUGHT_M3_S) * dt_s
        airs.hall.mass_mg -= drawn_mg
        self.removed_mg += drawn_mg
        to_scrubber_mg = drawn_mg * fan_m3_s / (fan_m3_s + DRAUGHT_M3_S)
        bound_mg = to_scrubber_mg * self._scrubs
        self._naoh_kg = max(0.0, self._naoh_kg - bound_mg * 1e-6 * NAOH_PER_CL2)
        self._stack_mg_m3 = (to_scrubber_mg - bound_mg) / (fan_m3_s * dt_s) if fan_m3_s else 0.0

    @property
    def _scrubs(self) -> float:
        """Return which part of the chlorine the scrubber binds: none without pump or lye."""
        strength = min(1.0, self._naoh_kg / LYE_KG / 0.02)
        return SCRUBBED * self._levers["pump"] * strength

    def _around(self) -> tuple[float, ...]:
        """Return the concentration at each detector, mg/m3."""
        airs = self._airs
        gate = 0.0 if self._levers["fan"] else 0.3 * airs.hall.mg_m3
        beside_tank = 0.5 * (airs.near.mg_m3 + airs.hall.mg_m3)
        return (airs.near.mg_m3, beside_tank, airs.hall.mg_m3, airs.filling.mg_m3, self._stack_mg_m3, gate)

    def measured(self) -> dict[str, Value]:
        """Return what every instrument shows now."""
        lever, noise = self._levers, self._random.gauss
        volume_m3 = self._tank_kg / density_kg_m3(self._tank_c)
        shown: dict[str, Value] = {
            "level": min(100.0, 100.0 * volume_m3 / TANK_M3 + noise(0.0, 0.02)),
            "weight": self._tank_kg / 1000.0 + noise(0.0, 0.005),
            "press": max(0.0, antoine_mpa(*ANTOINE, self._tank_c) - ATMOSPHERE_MPA + noise(0.0, 0.0005)),
            "temp": self._tank_c + noise(0.0, 0.03),
            "negative_press": STACK_KPA + FAN_KPA * lever["fan"] ** 2 + noise(0.0, 0.001),
            "scrubber_alkali": 100.0 * self._naoh_kg / LYE_KG + noise(0.0, 0.01),
            "scrubber_pump": lever["pump"] > 0,
            "fan": lever["fan"] > 0,
            "device_fault": False,
            "in_calibration": False,
            "in_maintenance": False,
            "sim_mode": True,
        }
        shown |= {f"cl2_{n}": detector.shown(self._random) for n, detector in enumerate(self._detectors, 1)}
        return shown
