"""Roll-up by count: so many points at one level make the item a level higher, as tailings ponds are warned of."""

from typing import ClassVar

import numpy as np
from davylamp_wire.quality import Level
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Bools
from davylamp_alarms.columns import Fields
from davylamp_alarms.warning.rule import Evidence, Places, Samples, Settings, State, StatisticalRule, Verdict

NONE, BLUE, YELLOW, ORANGE, RED = range(5)


class RollupSettings(Settings):
    """How many points at a level raise the item to the next.

    Source: GB 39496-2020, 5.5.4: 4 blue, 3 yellow, 2 orange (unverified).
    """

    inputs: int = Field(ge=2)
    blue: int = Field(4, ge=1)
    yellow: int = Field(3, ge=1)
    orange: int = Field(2, ge=1)


class RollupState(State):
    """`used`: which inputs a row has; `points`: the level each point was last known to be at, shape (inputs, rows)."""

    FIELDS: ClassVar[Fields] = {
        "used": (np.bool_, True),
        "points": (np.uint8, NONE),
        "level": (np.uint8, NONE),
    }
    used: Bools
    points: NDArray[np.uint8]
    level: NDArray[np.uint8]

    def leading(self, name: str) -> tuple[int, ...]:
        return () if name == "level" else (self.settings.inputs,)


def step(settings: RollupSettings, state: RollupState, places: Places, samples: Samples) -> Verdict:
    """Judge whether points together raise their item; to what, the evidence says (`level`).

    Values are 0 none, 1 blue, 2 yellow, 3 orange, 4 red. A point counts at its level and at all below: a yellow one is
    past its blue value too. Levels made by counting are not counted again. A bad point stays at what it was last known
    to be, an uncertain one can only rise, so doubt never lowers an item; back needs every point good.
    """
    used = state.used[:, places]
    usable = used & (samples.level < Level.BAD) & np.isfinite(samples.value)
    good = samples.level == Level.GOOD
    now = np.where(usable, np.clip(samples.value, NONE, RED), NONE).astype(np.uint8)
    before = state.points[:, places]
    points = np.where(usable & good, now, np.maximum(before, now))
    level = _rolled(settings, points)
    state.points[:, places], state.level[places] = points, level
    return Verdict(level > NONE, (level == NONE) & ((usable & good) | ~used).all(axis=0))


def _rolled(settings: RollupSettings, points: NDArray[np.uint8]) -> NDArray[np.uint8]:
    level = np.where((points >= BLUE).sum(axis=0) >= settings.blue, YELLOW, NONE)
    level = np.where((points >= YELLOW).sum(axis=0) >= settings.yellow, ORANGE, level)
    level = np.where((points >= ORANGE).sum(axis=0) >= settings.orange, RED, level)
    return level.astype(np.uint8)


def evidence(settings: RollupSettings, state: RollupState, places: Places) -> Evidence:
    """Return the item's level by count, how many points are at each level or above, and each point's level."""
    points = state.points[:, places]
    counts = {name: (points >= at).sum(axis=0) for name, at in (("blue", BLUE), ("yellow", YELLOW), ("orange", ORANGE))}
    return {"level": state.level[places], **counts, "points": points}


ROLLUP = StatisticalRule(RollupSettings, RollupState, step, evidence)
