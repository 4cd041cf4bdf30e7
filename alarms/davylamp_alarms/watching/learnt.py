"""What training gave one watch: plain numbers that can be kept, and put into rows of its rule again."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from pydantic import model_validator

from davylamp_alarms.warning import bank
from davylamp_alarms.warning.bank import Bank
from davylamp_alarms.warning.rule import Settings, State
from davylamp_alarms.warning.unit_model import UnitModel
from davylamp_alarms.watching.training import Ready
from davylamp_alarms.watching.watch import Watch

SHIFTS = ("mean", "home", "deviation", "limit")
COLUMNS: dict[str, tuple[str, ...]] = {
    "ewma": SHIFTS,
    "cusum": SHIFTS,
    "normal": ("normal",),
    "unit": ("mean", "home", "deviation", "loadings", "variances", "correlation", "t2_limit", "q_limit"),
}
"""What each rule that learns is given, by its name; the columns of its state are called so."""

JOINT = frozenset({"unit"})


class Learnt(Settings):
    """What one watch learnt.

    Args:
        watch: As it was written.
        settings: The rule's own, in seconds, as the rule is to run; what was learnt is not among them.
        tags: Those it learnt from, in the order of the columns.
        columns: One number a tag. Of a unit: `mean`, `home`, `deviation` one a tag, `loadings` one list a component
            (tag by tag, the newest sample first), `variances` one a component, `correlation` one list a tag, and the
            limits; a `q_limit` of null is none.
    """

    watch: Watch
    settings: dict[str, Any]
    tags: tuple[str, ...]
    columns: dict[str, Any]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wanted = COLUMNS.get(self.watch.rule)
        if wanted is None:
            raise ValueError(f"rule {self.watch.rule} learns nothing; those that do: {', '.join(COLUMNS)}")
        if set(self.columns) != set(wanted):
            raise ValueError(f"rule {self.watch.rule} has columns {', '.join(wanted)}, not {', '.join(self.columns)}")
        return self

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each tag is among the columns."""
        return {tag: place for place, tag in enumerate(self.tags)}

    def of(self, tag: str) -> dict[str, float]:
        """Return what was learnt of one tag, by column; of a unit that is what is usual for it.

        Raises:
            KeyError: It learnt nothing of this tag.
        """
        if tag not in self.places:
            raise KeyError(f"{self.watch.id} learnt nothing of {tag}")
        names = SHIFTS[:3] if self.watch.rule in JOINT else COLUMNS[self.watch.rule]
        return {name: float(self.columns[name][self.places[tag]]) for name in names}

    def put(self, state: State, place: int, tag: str = "") -> None:
        """Give a row of the rule what was learnt of a tag; a unit's row gets all of it, and needs no tag."""
        if self.watch.rule in JOINT:
            _put_unit(self.columns, state, place)
        elif self.watch.rule == "normal":
            state.train(slice(place, place + 1), np.array([self.of(tag)["normal"]]))  # type: ignore[attr-defined]  # NormalState
        else:
            _put_shift(self.of(tag), state, place)


def learnt(watch: Watch, settings: dict[str, Any], ready: Ready, tags: Sequence[str]) -> Learnt | None:
    """Return what training left in rows that are ready; None: nothing. `tags` are the plant's."""
    names = [tags[place] for place in ready.places]
    if watch.rule in JOINT:
        return Learnt(watch=watch, settings=settings, tags=tuple(names), columns=_of_unit(ready.bank))
    columns = {name: getattr(ready.bank.state, name)[: len(names)] for name in COLUMNS[watch.rule]}
    known = np.logical_and.reduce([np.isfinite(column) for column in columns.values()])
    if not known.any():
        return None
    kept = tuple(name for name, there in zip(names, known, strict=True) if there)
    found = {name: column[known].tolist() for name, column in columns.items()}
    return Learnt(watch=watch, settings=settings, tags=kept, columns=found)


def ready(found: Learnt, tags: Sequence[str]) -> Ready | None:
    """Return rows that are ready to judge again, for those of the plant's tags that were learnt from.

    None: there is none of them; or, of a unit, not all.
    """
    known = {tag: place for place, tag in enumerate(tags)}
    there = [tag for tag in found.tags if tag in known]
    if not there or (found.watch.rule in JOINT and len(there) < len(found.tags)):
        return None
    rows = _rows(found, len(there))
    for place, tag in enumerate(there[: len(rows)]):
        found.put(rows.state, place, tag)
    return Ready(rows, np.array([known[tag] for tag in there], np.intp), joint=found.watch.rule in JOINT)


def _rows(found: Learnt, tags: int) -> Bank:
    rule, settings = found.watch.rule, found.settings
    if rule in JOINT:
        return bank(rule, {**settings, "inputs": tags}, 1)
    return bank(rule, settings if rule == "normal" else {**settings, "limit": math.inf}, tags)


def _of_unit(rows: Bank) -> dict[str, Any]:
    """Return the model of a unit."""
    model = rows.state.model(0)
    said = {name: getattr(model, name) for name in COLUMNS["unit"]}
    columns = {name: one.tolist() if isinstance(one, np.ndarray) else one for name, one in said.items()}
    return {**columns, "q_limit": model.q_limit if math.isfinite(model.q_limit) else None}


def _put_unit(columns: dict[str, Any], state: Any, place: int) -> None:
    arrays = {name: np.array(columns[name], np.float64) for name in COLUMNS["unit"][:-2]}
    q_limit = columns["q_limit"]
    model = UnitModel(**arrays, t2_limit=columns["t2_limit"], q_limit=math.inf if q_limit is None else q_limit)
    state.put(place, model)


def _put_shift(of: dict[str, float], state: Any, place: int) -> None:
    state.train(slice(place, place + 1), np.array([of["home"]]), np.array([of["deviation"]]))
    state.mean[place] = of["mean"]
    state.write("limit", np.array([place]), of["limit"])
