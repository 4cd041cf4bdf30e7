"""What a statistical rule is: columns of state, and one step that takes at most one sample of each row.

A *row* is one rule on one tag (or on one set of tags). Rows that share their settings lie together in one state; what
differs from row to row (a limit, a mean) is a column of it. A step depends on the state and the samples alone, so it is
no matter how the caller cuts what it hands in, and a replay gives the same columns bit for bit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from davylamp_wire.quality import Level
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.warning.masks import every, some
from davylamp_alarms.warning.timed import Timed

Places = slice | NDArray[np.intp]
Levels = NDArray[np.uint8]
Evidence = Mapping[str, NDArray[Any]]
Direction = Literal["rise", "fall", "both"]


UNKNOWN, MET, BACK = 0, 1, 2
"""What a rule that looks now and then remembers to have said."""


class Settings(BaseModel):
    """What all rows of one state share."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Samples:
    """One sample for each of some rows, newer than the row's last one: what is not newer, the caller sets aside.

    Args:
        time_ms: Source time, UTC milliseconds, shape (rows,).
        value: In the tag's unit, shape (rows,); (inputs, rows) for a rule over several tags, which gets the newest
            value of each.
        level: `quality.Level` of each value, in the same shape. A value that is stale, or was never seen, is bad.
        wrong: Where something else says already that all is not well, such as a standing limit alarm: judged as ever,
            but no baseline learns from it. None: nowhere.
    """

    time_ms: Ints
    value: Floats
    level: Levels
    wrong: Bools | None = None

    @cached_property
    def clock_ms(self) -> Floats:
        """The times as floats, which hold milliseconds exactly and cost a third of mixed arithmetic."""
        return self.time_ms.astype(np.float64)

    @cached_property
    def latest_ms(self) -> float:
        """A time that none of the samples is later than; in a part it is the whole's."""
        return float(self.time_ms.max()) if len(self.time_ms) else -np.inf

    @cached_property
    def plain(self) -> bool:
        """Whether every value is a good number, as on most scans."""
        if some(self.level):
            return False
        # A finite sum has finite parts; that of finite parts may overflow, and then they are looked at one by one.
        with np.errstate(all="ignore"):
            return bool(np.isfinite(np.add.reduce(self.value, axis=None)) or every(np.isfinite(self.value)))

    def part(self, where: slice | NDArray[np.intp]) -> "Samples":
        """Return the samples of some rows, with what was worked out already."""
        wrong = None if self.wrong is None else self.wrong[where]
        part = Samples(self.time_ms[where], self.value[..., where], self.level[..., where], wrong)
        known = vars(part)
        if "clock_ms" in vars(self):
            known["clock_ms"] = self.clock_ms[where]
        if "latest_ms" in vars(self):
            known["latest_ms"] = self.latest_ms
        if vars(self).get("plain"):
            known["plain"] = True
        return part

    def usable(self) -> Bools:
        """Return which rows' values say anything: numbers that are good or uncertain, in all inputs."""
        usable: Bools = (self.level < Level.BAD) & np.isfinite(self.value)
        return _in_all(usable)

    def good(self) -> Bools:
        """Return which rows' values are good, in all inputs."""
        return _in_all(self.level == Level.GOOD)

    def sound(self, back: Bools) -> Bools:
        """Return where a baseline may learn: the rule finds nothing, the value is good, and nothing is wrong."""
        calm = back if self.plain else back & self.good()
        return calm if self.wrong is None else calm & ~self.wrong


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which rows meet the rule's condition, and which show it gone, shape (rows,); never both, often neither.

    `back` needs a good value: bad and uncertain ones never clear (SAFETY S4). Silence and bad values leave both False.
    """

    met: Bools
    back: Bools


class State(Timed):
    """The rows of one rule under one settings.

    `GIVEN` names the columns that come from settings, and are kept once while all rows were given the same; `LEARNT`
    what training finds of a row, said beside its settings. All else is the rule's own memory.
    """

    GIVEN: ClassVar[tuple[str, ...]] = ()
    LEARNT: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.ONCE = frozenset(cls.GIVEN)

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        super().__init__()

    def fill(self, name: str) -> Any:
        """Return what a new row holds: what it is given, as the settings say."""
        return getattr(self.settings, name) if name in self.GIVEN else super().fill(name)

    def given(self, name: str, places: Places) -> Any:
        """Return what rows were given; one number where all were given the same."""
        kept = self.one(name)
        return getattr(self, name)[places] if kept is None else kept

    @classmethod
    def settles_s(cls, settings: Any) -> float:
        """Return for how long a new row may seem calm whatever its value does, because its memory begins calm."""
        return 0.0

    @classmethod
    def counts_s(cls, settings: Any) -> float:
        """Return how much of that one sample counts for at most, however long it was silent before."""
        return 0.0

    @classmethod
    def doubts_s(cls, settings: Any) -> float:
        """Return for how long good values have to be seen until no uncertain one before them counts any more."""
        return cls.settles_s(settings)

    @classmethod
    def lesson(cls, settings: Any, said: Mapping[str, Any]) -> Any:
        """Return what is said of a row's training, ready for `learn`; None: nothing.

        Raises:
            ValueError: It is incomplete, or of another kind.
        """
        return None

    def learn(self, places: NDArray[np.intp], lesson: Any) -> None:
        """Give new rows what training found."""
        raise NotImplementedError


def learnt_numbers(names: tuple[str, ...], said: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Return what training found, by these names; None: nothing is said of it.

    Raises:
        ValueError: Some of it is missing, or is no number.
    """
    missing = [name for name in names if name not in said]
    if len(missing) == len(names):
        return None
    if missing:
        raise ValueError(f"{', '.join(missing)}: is missing beside {', '.join(set(names) - set(missing))}")
    found = tuple(float(said[name]) for name in names)
    if not np.isfinite(found).all():
        raise ValueError(f"{', '.join(names)}: {found} are no numbers to compare with")
    return found


S = TypeVar("S", bound=Settings)
C = TypeVar("C", bound=State)


@dataclass(frozen=True, slots=True)
class StatisticalRule(Generic[S, C]):
    """A rule kind: one file, one line in the registry.

    Args:
        settings: What rows share.
        state: Columns of the rows, made from settings.
        step: Takes samples into the state and judges them.
        evidence: Says what the state of some rows shows: numbers by name, shape (rows,) or (inputs, rows).
    """

    settings: type[S]
    state: type[C]
    step: Callable[[S, C, Places, Samples], Verdict]
    evidence: Callable[[S, C, Places], Evidence]


def judge_usable(places: Places, samples: Samples, judge: Callable[[Places, Samples], Verdict]) -> Verdict:
    """Judge the samples that say anything: good and uncertain numbers, in all inputs of a row.

    The others are neither met nor back, and leave no trace in the state; uncertain ones may meet a condition but show
    none gone (SAFETY S4).
    """
    if samples.plain:
        return judge(places, samples)
    usable, good = samples.usable(), samples.good()
    if every(usable):
        verdict = judge(places, samples)
        return Verdict(verdict.met, verdict.back & good)
    met, back = np.zeros(len(usable), np.bool_), np.zeros(len(usable), np.bool_)
    where = np.flatnonzero(usable)
    if where.size:
        verdict = judge(indices(places)[where], samples.part(where))
        met[where], back[where] = verdict.met, verdict.back & good[where]
    return Verdict(met, back)


def _in_all(holds: Bools) -> Bools:
    """Return where something holds in all inputs of a row."""
    found: Bools = holds if holds.ndim == 1 else np.logical_and.reduce(holds, axis=0)
    return found


def indices(places: Places) -> NDArray[np.intp]:
    """Return the places one by one."""
    return np.arange(places.start, places.stop, dtype=np.intp) if isinstance(places, slice) else places


def together(places: NDArray[np.intp]) -> Places:
    """Return the places as a slice where they follow each other: a view needs no copy."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first == len(places) - 1 else places


def among(places: Places, chosen: Bools) -> Places:
    """Return those of the places that are chosen; all of them as they came, for a slice is faster than a list."""
    return places if every(chosen) else indices(places)[chosen]


FURTHEST = 1e6
"""Deviations from usual that a value counts for at most: one absurd number must not deafen a rule for days."""


def bounded(z: Floats) -> Floats:
    """Return deviations from usual, none further than counts; in place."""
    np.maximum(z, -FURTHEST, out=z)
    return np.minimum(z, FURTHEST, out=z)


def added(parts: NDArray[np.float64]) -> Floats:
    """Return the sum over the first axis, added in order.

    `numpy.sum` adds in an order that depends on how many rows there are, and so rounds differently.
    """
    total: Floats = np.add.accumulate(parts, axis=0)[-1]
    return total


def size(deviation: Floats, direction: Direction) -> Floats:
    """Return how far something deviates in the direction that counts."""
    if direction == "both":
        return np.abs(deviation)
    return deviation if direction == "rise" else -deviation
