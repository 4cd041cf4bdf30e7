"""What a simulated process must do, what its instruments have in common, and the list of processes.

Processes are mass and heat balances stepped by simulated time. They never read a clock and draw every random number
from the generator they are given, so the same seed gives the same plant, step for step.
"""

import importlib
import math
from collections.abc import Mapping
from random import Random
from typing import Protocol

STEP_S = 0.1
"""Simulated time of one step; short against the quickest time constant of any process here (2 s)."""

ZERO_C_IN_K = 273.15
ATMOSPHERE_MPA = 0.101325
MMHG_IN_MPA = 133.322e-6

Value = float | int | bool

PROCESSES: dict[str, str] = {
    "chlorine-store": "davylamp_simulators.chlorine:ChlorineStore",
    "lpg-sphere": "davylamp_simulators.lpg:LpgSphere",
}


class Process(Protocol):
    """A plant that moves by itself and by its levers."""

    def __init__(self, random: Random) -> None: ...

    @property
    def levers(self) -> Mapping[str, float]:
        """What a scenario may set, and how it stands now; units are in the names."""

    def set(self, lever: str, value: float) -> None:
        """Move a lever. Raises: KeyError for one that does not exist."""

    def step(self, dt_s: float) -> None:
        """Advance by so much simulated time."""

    def measured(self) -> dict[str, Value]:
        """Return what every instrument shows now, by point of the process's profile."""


class Levers:
    """The levers of a process: a closed set of names with a number each."""

    def __init__(self, **start: float) -> None:
        self._now = start

    def __getitem__(self, lever: str) -> float:
        return self._now[lever]

    def set(self, lever: str, value: float) -> None:
        """Move a lever that exists."""
        if lever not in self._now:
            raise KeyError(f"there is no lever {lever!r}; there are {', '.join(self._now)}")
        self._now[lever] = float(value)

    @property
    def all(self) -> Mapping[str, float]:
        return dict(self._now)


class Detector:
    """A gas detector: a first-order lag and a little noise.

    The lag's time constant is T90 / ln 10, since a first-order answer to a step is at 90 % after ln 10 of them.
    """

    def __init__(self, t90_s: float, noise: float, high: float) -> None:
        self._tau_s = t90_s / math.log(10.0)
        self._noise = noise
        self._high = high
        self._inside = 0.0

    def step(self, outside: float, dt_s: float) -> None:
        """Let the sensor follow the concentration around it."""
        self._inside += (outside - self._inside) * -math.expm1(-dt_s / self._tau_s)

    def shown(self, random: Random) -> float:
        """Return what it shows: never below zero, and stuck at its range's end above it."""
        return min(self._high, max(0.0, self._inside + random.gauss(0.0, self._noise)))


def antoine_mpa(a: float, b: float, c: float, celsius: float) -> float:
    """Return a vapour pressure (MPa absolute) by Antoine's equation, its constants for mmHg and °C."""
    return float(10.0 ** (a - b / (celsius + c))) * MMHG_IN_MPA


def process_class(name: str) -> type[Process]:
    """Return a process by its name in `PROCESSES`. Raises: KeyError."""
    module, _, attribute = PROCESSES[name].partition(":")
    found: type[Process] = getattr(importlib.import_module(module), attribute)
    return found
