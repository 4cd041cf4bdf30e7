"""Watches over recorded rows: what they would have said, row by row, with nothing of what came later.

The rules are those of the live engine, and so are the delays (`conditions.advance`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from davylamp_wire.quality import Level

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.conditions import Evidence, Phase, Rows, advance
from davylamp_alarms.warning.rule import Levels, Samples
from davylamp_alarms.watching.training import Plant, Ready, trained
from davylamp_alarms.watching.watch import Watch


@dataclass(frozen=True, slots=True)
class Recorded:
    """Rows of a plant's tags; NaN: nothing was read, which counts as bad.

    Args:
        time_ms: Shape (rows,), rising.
        value: Shape (rows, tags).
        period_s: How far apart rows usually are.
    """

    tags: tuple[str, ...]
    time_ms: Ints
    value: Floats
    period_s: float

    def part(self, start: int, stop: int | None = None) -> "Recorded":
        """Return the rows from `start` up to `stop`."""
        rows = slice(start, stop)
        return replace(self, time_ms=self.time_ms[rows], value=self.value[rows])

    def before(self, other: "Recorded") -> "Recorded":
        """Return the same rows at such times that `other` follows them."""
        if not len(self.time_ms) or not len(other.time_ms):
            return self
        shift_ms = int(other.time_ms[0]) - round(self.period_s * 1000) - int(self.time_ms[-1])
        return replace(self, time_ms=self.time_ms + min(shift_ms, 0))


@dataclass(frozen=True, slots=True)
class Said:
    """What one watch says: after each row whether it stands. `blind`: no tag to look at, or none that it was trained
    on, so that its silence says nothing."""

    watch: Watch
    standing: Bools
    blind: bool = False


def follow(watches: Sequence[Watch], recorded: Recorded, history: Recorded) -> list[Said]:
    """Train the watches on the history and lead them through the recorded rows, each once, in their order."""
    rows, known = len(recorded.time_ms), len(recorded.tags)
    ids = tuple(watch.id for watch in watches)
    value = np.concatenate([recorded.value, np.zeros((rows, len(watches)))], axis=1)
    level = np.where(np.isfinite(value), Level.GOOD, Level.BAD).astype(np.uint8)
    said = []
    for place, watch in enumerate(watches):
        plant = Plant(recorded.tags, ids[:place], history.time_ms, history.value, recorded.period_s)
        ready = trained(watch, plant)
        standing = np.zeros(rows, np.bool_)
        if ready is not None:
            standing = _lead(Condition(watch, ready, recorded.period_s), recorded.time_ms, value, level)
        else:  # a watch after it may not take silence for an answer
            level[:, known + place] = Level.BAD
        value[:, known + place] = standing
        said.append(Said(watch, standing, blind=ready is None))
    return said


def _lead(condition: "Condition", time_ms: Ints, value: Floats, level: Levels) -> Bools:
    """Return after which rows the watch stands. What a watch of quality finds becomes bad from that row on."""
    places = condition.places
    standing = np.zeros(len(time_ms), np.bool_)
    for row, at_ms in enumerate(time_ms.tolist()):
        standing[row] = condition.step(at_ms, value[row, places], level[row, places])
        if condition.use == "quality" and condition.found.any():
            level[row, places[condition.found]] = Level.BAD
    return standing


class Condition:
    """One watch under way: its rows, which of them are met, and the delays of the whole."""

    def __init__(self, watch: Watch, ready: Ready, period_s: float) -> None:
        self.bank, self.joint, self.places, self.use = ready.bank, ready.joint, ready.places, watch.use
        self.found = np.zeros(len(self.bank), np.bool_)
        self.need = min(watch.need, len(self.bank))
        self.delays = Delays(watch.on_delay_s + watch.on_delay_samples * period_s, watch.off_delay_s)

    def step(self, time_ms: int, value: Floats, level: Levels) -> bool:
        """Take one row of the plant and return whether the watch stands after it."""
        rows = len(self.bank)
        shape = (len(value), rows) if self.joint else (rows,)
        wrong = np.full(rows, self.delays.standing)
        samples = Samples(np.full(rows, time_ms), value.reshape(shape), level.reshape(shape), wrong)
        verdict = self.bank.step(samples)
        self.found = (self.found | verdict.met) & ~verdict.back
        return self.delays.step(time_ms, int(self.found.sum()) >= self.need, bool((level == Level.GOOD).all()))


class Delays:
    """On-delay and off-delay of one condition."""

    def __init__(self, on_delay_s: float, off_delay_s: float) -> None:
        self.rows = Rows(
            phase=np.array([Phase.NORMAL], np.uint8),
            since_ms=np.zeros(1, np.int64),
            mark_ms=np.zeros(1, np.int64),
            on_delay_ms=np.array([round(on_delay_s * 1000)]),
            off_delay_ms=np.array([round(off_delay_s * 1000)]),
        )
        self.standing = False

    def step(self, time_ms: int, met: bool, good: bool) -> bool:
        """Return whether the condition stands after a row in which it is met or not; doubt never ends it."""
        if met or self.rows.phase[0] != Phase.NORMAL:
            yes = np.ones(1, np.bool_)
            back = yes & (good and not met)
            seen = Evidence(np.array([time_ms]), yes & met, back, yes & good, fresh=yes, live=yes, timed=yes)
            moves = advance(self.rows, seen)
            self.rows = replace(self.rows, phase=moves.phase, since_ms=moves.since_ms, mark_ms=moves.mark_ms)
            self.standing = bool(moves.phase[0] >= Phase.ACTIVE)
        return self.standing
