"""From a watch and a history to rows that are ready to judge."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.warning import RULES, bank, load, unit_training
from davylamp_alarms.warning.bank import Bank
from davylamp_alarms.warning.calibrate import largest_limit, rms_limit, run, usual
from davylamp_alarms.warning.independent import independent_rows, widening
from davylamp_alarms.warning.unit import UnitState
from davylamp_alarms.watching.watch import Calibration, Watch, in_seconds, matching

Places = NDArray[np.intp]

STILL = 1e-9
"""What varies less than this share of its value stood still."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Rows of a rule, and which of the plant's tags they look at: each one, or (`joint`) one row at all of them."""

    bank: Bank
    places: Places
    joint: bool


class WatchError(ValueError):
    """Watches that cannot be made: each mistake names its watch, and what to mend."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Plant:
    """What there is to look at and to learn from.

    Args:
        tags: Of the plant.
        watches: Those before the one in question; they have no history.
        time_ms: Of the history, shape (rows,).
        value: Shape (rows, tags).
    """

    tags: tuple[str, ...]
    watches: tuple[str, ...]
    time_ms: Ints
    value: Floats
    period_s: float

    def name(self, place: int) -> str:
        """Return what lies at a place."""
        return (self.tags + self.watches)[place]


def trained(watch: Watch, plant: Plant) -> Ready | None:
    """Return the watch ready to judge; None: it has no tag, or there was nothing to learn from.

    Raises:
        WatchError: There is no such rule, or a setting of it is wrong.
    """
    check_rule(watch)
    places = np.array(matching(watch.tags, plant.tags, () if learns(watch) else plant.watches), np.intp)
    if not places.size or len(places) > (watch.at_most or len(places)) or _lacks(watch, plant):
        return None
    settings = in_seconds(watch.settings, plant.period_s)
    try:
        several = "inputs" in load(watch.rule).settings.model_fields
        ready = (_joint if several else _single)(watch, settings, places, plant)
    except ValidationError as error:
        raise WatchError([_settings_line(watch, error)]) from error
    return None if ready is None or len(ready.places) < watch.at_least else ready


def _lacks(watch: Watch, plant: Plant) -> bool:
    """Return whether an expression names what is not there: it cannot be told from the rest."""
    known = {*plant.tags, *plant.watches}
    return watch.rule == "expression" and not all(tag in known or matching([tag], plant.tags) for tag in watch.tags)


def check_rule(watch: Watch) -> None:
    """Raise WatchError where there is no such rule."""
    if watch.rule not in RULES:
        known = ", ".join(sorted(RULES))
        raise WatchError([f"watch {watch.id}: there is no rule {watch.rule!r}; there are {known}"])


def check(watches: Sequence[Watch], period_s: float) -> None:
    """Judge rules and settings of watches whatever their tags are, also of those that learn nothing.

    Raises:
        WatchError: One names a rule that does not exist, or settings it does not take; with every mistake of all.
    """
    found: list[str] = []
    for watch in watches:
        try:
            check_rule(watch)
            _check_settings(watch, period_s)
        except WatchError as error:
            found += error.mistakes
    if found:
        raise WatchError(found)


def _check_settings(watch: Watch, period_s: float) -> None:
    model = load(watch.rule).settings
    settings = in_seconds(watch.settings, period_s)
    if watch.rule in STATISTICS:  # without a limit it learns nothing, which is said when it is asked for
        settings.setdefault("limit", 1.0)
    elif watch.limit is not None:
        raise WatchError([_without_limit(watch)])
    if "inputs" in model.model_fields:  # its tags are not known yet
        settings["inputs"] = 2
    if watch.rule == "expression":  # nor are the names in it, then
        settings |= {"inputs": ("x",)} | {name: "x" for name in ("text", "back") if name in settings}
    try:
        model.model_validate(settings)
    except ValidationError as error:
        raise WatchError([_settings_line(watch, error)]) from error


def _settings_line(watch: Watch, error: ValidationError) -> str:
    """Return what is wrong with a watch's settings, all of it."""
    known = ", ".join(name for name in load(watch.rule).settings.model_fields if name != "inputs")
    words = {"missing": "is missing; write it", "extra_forbidden": f"is no setting of it; it has {known}"}
    said = (f"{'.'.join(map(str, one['loc']))}: {words.get(one['type'], one['msg'])}" for one in error.errors())
    return f"watch {watch.id}, rule {watch.rule}: {'; '.join(said)}"


def _without_limit(watch: Watch) -> str:
    ways = " or ".join(STATISTICS)
    return f"watch {watch.id}, rule {watch.rule}: training finds no limit of it; give one, or take {ways}"


def learns(watch: Watch) -> bool:
    """Return whether there is something for training to find."""
    return watch.limit is not None or watch.rule in ("unit", "normal")


def _single(watch: Watch, settings: dict[str, Any], places: Places, plant: Plant) -> Ready | None:
    """Return a row for each of the tags."""
    if watch.rule == "normal":
        rows = bank("normal", settings, len(places))
        _put_normal(rows, plant.time_ms, plant.value[:, places])
        return Ready(rows, places, joint=False)
    if watch.limit is None:
        return Ready(bank(watch.rule, settings, len(places)), places, joint=False)
    if watch.rule not in STATISTICS:
        raise WatchError([_without_limit(watch)])
    places = places[_moves(plant.value[:, places])]
    if not places.size:
        return None
    rows = bank(watch.rule, {**settings, "limit": math.inf}, len(places))
    _calibrate(watch.rule, rows, watch.limit, plant.time_ms, plant.value[:, places])
    return Ready(rows, places, joint=False)


def _moves(value: Floats) -> Bools:
    """Return which tags were there in half of the rows at least, and moved."""
    there = np.isfinite(value)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, value, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(there, (value - mean) ** 2, 0.0).sum(axis=0) / count)
    moves: Bools = (count * 2 > len(value)) & (spread > STILL * (1 + np.abs(mean)))
    return moves


STATISTICS: dict[str, tuple[tuple[str, ...], Callable[[dict[str, Floats]], Floats]]] = {
    "ewma": (("shift",), lambda said: said["shift"]),
    "cusum": (("above", "below"), lambda said: np.maximum(said["above"], said["below"])),
}
"""What a limit of these rules is compared with, from what their evidence says."""


def _put_normal(rows: Bank, time_ms: Ints, value: Floats) -> None:
    """Give what is normal to the tags that have days enough: the median of the days' means, as the rule takes it."""
    state, settings = rows.state, rows.settings
    day = time_ms // int(settings.day_s * 1000)
    means = np.array([_mean(value[day == one]) for one in np.unique(day)[-settings.days :]]).reshape(-1, len(rows))
    enough = np.isfinite(means).sum(axis=0) >= settings.least_days
    for place in np.flatnonzero(enough).tolist():
        state.train(slice(place, place + 1), np.nanmedian(means[:, place]))


def _mean(value: Floats) -> Floats:
    """Return the mean of each tag; NaN where it has no value."""
    there = np.isfinite(value)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(there, value, 0.0).sum(axis=0) / there.sum(axis=0)
    return mean


def _calibrate(rule: str, rows: Bank, limit: Calibration, time_ms: Ints, value: Floats) -> None:
    """Set means, deviations and limits; the rows are left as the last of the history makes them."""
    mean, deviation = usual(value)
    rows.state.train(slice(0, len(rows)), mean, deviation)
    names, statistic = STATISTICS[rule]
    shift = statistic(run(rows, time_ms, value, names))
    warm = min(int((time_ms - time_ms[0] < limit.skip_s * 1000).sum()), len(time_ms) // 2)
    found = (rms_limit if limit.of == "rms" else largest_limit)(shift, limit.times, warm)
    if limit.counting == "independent":
        found = found * widening(independent_rows(shift[warm:]))
    floor = np.maximum(limit.floor * np.abs(mean) / deviation, limit.least)
    rows.state.write("limit", slice(0, len(rows)), np.maximum(found, floor))


def _joint(watch: Watch, settings: dict[str, Any], places: Places, plant: Plant) -> Ready | None:
    """Return one row that looks at all the tags together."""
    if watch.rule != "unit":
        inputs = [plant.name(place) for place in places] if watch.rule == "expression" else len(places)
        return Ready(bank(watch.rule, {**settings, "inputs": inputs}, 1), places, joint=True)
    places = places[_moves(plant.value[:, places])]
    if len(places) < 2:
        return None
    rows = bank("unit", {**settings, "inputs": len(places)}, 1)
    assert isinstance(rows.state, UnitState)
    try:
        model = unit_training.train(rows.settings, plant.time_ms, plant.value[:, places], watch.quantile)
    except unit_training.NotEnoughTraining:
        return None
    rows.state.put(0, model)
    return Ready(rows, places, joint=True)
