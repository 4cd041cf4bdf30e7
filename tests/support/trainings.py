"""Trainings made of plain numbers, as `davylamp-cloud train` leaves them behind."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from davylamp_alarms.batch import Floats
from davylamp_alarms.watching.artefact import Artefact, sealed
from davylamp_alarms.watching.recorded import Recorded
from davylamp_alarms.watching.teaching import Asked, teach
from davylamp_alarms.watching.watch import Calibration, Plan, Watch
from davylamp_alarms.watching.window import Demands, Grid

START_MS = 1_764_028_800_000

SHIFTS = Watch(id="shifts", rule="ewma", tags=("*",), settings={"tau_samples": 2}, limit=Calibration(times=1.5))
SUMS = Watch(id="sums", rule="cusum", tags=("*",), settings={"period_samples": 1}, limit=Calibration(times=2.0))
UNIT = Watch(id="together", rule="unit", tags=("*",), settings={"share": 0.9}, quantile=0.9999, on_delay_samples=1)
NORMAL = Watch(id="normal", rule="normal", tags=("*",), settings={"percent": 30, "least_days": 1})
ALL = (SHIFTS, SUMS, UNIT, NORMAL)


def together(tags: int = 3, rows: int = 1000, seed: int = 1) -> Floats:
    """Return tags that rise and fall together, each with a little noise of its own."""
    random = np.random.default_rng(seed)
    shared = 10 * np.sin(np.arange(rows) / 30)
    found: Floats = 50 + shared[:, None] + 0.3 * random.normal(size=(rows, tags))
    return found


def training(tags: Sequence[str], value: Floats, watches: Sequence[Watch] = ALL, every_s: float = 1.0) -> Artefact:
    """Return what the watches learn of rows of tags."""
    grid = Grid(START_MS, round(every_s * 1000), len(value))
    time_ms = START_MS + np.arange(len(value)) * grid.every_ms
    asked = Asked(Plan(about="", watch=tuple(watches)), Demands(), grid, "test", START_MS, "li", "0.1.0", thinned=False)
    return teach(asked, Recorded(tuple(tags), time_ms, value, every_s), (), ())


def written(path: Path, found: Artefact) -> Path:
    """Write a training where a command would."""
    path.write_text(sealed(found), encoding="utf-8")
    return path
