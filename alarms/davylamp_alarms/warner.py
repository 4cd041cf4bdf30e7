"""Rows of one statistical rule under one settings, and how far the tags that rules look at were fed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Floats, Indices, Ints
from davylamp_alarms.columns import NEVER, Columns, Fields
from davylamp_alarms.definition import Kind
from davylamp_alarms.untried import Untried
from davylamp_alarms.wanted import Wanted, rule_name, settings_of
from davylamp_alarms.warning import Bank, load
from davylamp_alarms.warning.rule import Places, together
from davylamp_alarms.warning.thin import Stretches

ONE_S = 1.0
"""What a sample counts for where no time does: rules are fed once a second at most."""


class Tagged(Columns):
    """One place per row: its tag. Rows lie in the order of their tags."""

    FIELDS: ClassVar[Fields] = {"tag": (np.int32, -1)}
    tag: Indices

    def find(self, tags: Indices) -> NDArray[np.intp]:
        """Return the rows of tags that have one."""
        return np.searchsorted(self.tag[: self.n], tags)

    def among(self, tags: Indices) -> Bools:
        """Return which tags have a row."""
        if not self.n:
            return np.zeros(len(tags), np.bool_)
        rows = np.minimum(self.find(tags), self.n - 1)
        found: Bools = self.tag[rows] == tags
        return found

    def has(self, tag: int) -> bool:
        """Return whether a tag has a row."""
        return bool(self.among(np.array([tag], np.int32))[0])

    def insert(self, tags: Indices) -> NDArray[np.int64] | None:
        """Add rows; return the order that everything beside them must take, None where they came behind all others."""
        last = int(self.tag[self.n - 1]) if self.n else -1
        where = self.extend(len(tags))
        self.tag[where] = tags
        if not len(tags) or tags[0] > last:
            return None
        order = np.argsort(self.tag[: self.n], kind="stable")
        self.reorder(order)
        return order


class Fed(Tagged):
    """Of each row also the source time it was fed up to, and by how much its own clock is ahead of that.

    A rule's time only goes on: where an edge's clock was set back, the rule's clock stays that much ahead.
    """

    FIELDS: ClassVar[Fields] = {**Tagged.FIELDS, "fed_ms": (np.int64, NEVER), "ahead_ms": (np.int64, 0)}
    ONCE: ClassVar[frozenset[str]] = frozenset({"ahead_ms"})
    fed_ms: Ints
    ahead_ms: Ints


class FedBySeveral(Fed):
    """Of each row of a rule over several tags also the sum of their times, which is another as soon as one of them is.

    The newest of them alone would not do: a tag whose edge sends later, or says less often, would go unheard.
    """

    FIELDS: ClassVar[Fields] = {**Fed.FIELDS, "sum_ms": (np.int64, 0)}
    sum_ms: Ints


@dataclass(slots=True)
class Seen:
    """Where a warner's rows lie as long as the register is the same; worked out, and never kept.

    `places` are those of its tags among all that are watched, and `busy` those of its alarms that are not at rest.
    `inputs` are tags by input and row, -1: there is none (yet). `rows` are the alarms at the places `asked` last.
    """

    version: int = -1
    places: slice | NDArray[np.intp] = field(default_factory=lambda: slice(0, 0))
    busy: Bools = field(default_factory=lambda: np.empty(0, np.bool_))
    inputs: NDArray[np.intp] | None = None
    asked: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    rows: Ints = field(default_factory=lambda: np.empty(0, np.int64))


class Warner:
    """Rows of one rule under one settings, each beside its tag.

    What a rule over one tag is fed is kept for all rules of the tag together (`Watched`); one over several keeps it
    here. `failure` says why the rule is left out until the next start or another setting: its own error stops nothing
    else.
    """

    def __init__(self, kind: Kind, shared: str, settings: Mapping[str, Any]) -> None:
        self.kind, self.shared, self.settings = kind, shared, dict(settings)
        self.inputs: tuple[str, ...] = tuple(json.loads(shared)["inputs"])
        self.own = FedBySeveral() if self.inputs else None
        self.members: Tagged = Tagged() if self.own is None else self.own
        self.seen, self.failure, self.every_s = Seen(), "", 0.0
        self.bank: Bank | None = None
        self.untried = Untried()
        self.begin()

    def __len__(self) -> int:
        return self.members.n

    @property
    def rule(self) -> str:
        """The rule's name in the registry."""
        return rule_name(self.kind)

    def begin(self) -> None:
        """Make the rule's memory anew, untouched by whatever failed; where even that fails, say why."""
        self.failure, self.seen = "", Seen()
        try:
            self.bank = Bank(load(self.rule), settings_of(self.rule, self.settings, self.inputs))
            self.every_s, self.bank.every_s = self.bank.every_s, 0.0  # what thins is shared by all rules of a tag
            self.bank.extend(len(self))
        except Exception as error:  # whatever a rule fails by is its own alarm, and stops nothing (SAFETY S14)
            self.fail(error)
        if self.own is not None:
            self.own.fed_ms[: len(self)], self.own.sum_ms[: len(self)] = NEVER, 0
            self.own.write("ahead_ms", slice(0, len(self)), 0)

    def fail(self, error: Exception) -> None:
        """Leave the rule out: its columns may be half written, and what stands goes on standing (SAFETY S4)."""
        self.failure, self.bank = (str(error) or repr(error))[:400], None

    def add(self, tags: Indices) -> None:
        """Add rows with an empty memory."""
        order = self.members.insert(tags)
        self.seen.version = -1
        if self.bank is None:
            return
        try:
            self.bank.extend(len(tags))
        except Exception as error:  # figures too large, too little memory
            self.fail(error)
            return
        if order is not None:
            self.bank.keep(order)

    def remove(self, tag: int) -> None:
        """Take a tag's row away."""
        order = np.flatnonzero(self.members.tag[: len(self)] != tag)
        self.members.reorder(order)
        if self.bank is not None:
            self.bank.keep(order)
        self.untried.forget(tag)
        self.seen.version = -1

    def doubt(self, tag: int, wanted: Wanted) -> None:
        """Believe a tag's new row nothing gone, which stands, until it has looked for long enough (SAFETY S4)."""
        if self.bank is not None:
            settings = settings_of(self.rule, wanted.settings, wanted.inputs)
            state = self.bank.state
            self.untried.begin(tag, round(state.settles_s(settings) * 1000), round(state.counts_s(settings) * 1000))

    def distrust(self, tag: int, wanted: Wanted) -> None:
        """Believe a tag's row nothing gone, which an uncertain value was judged for, until good ones outweigh it."""
        if self.bank is not None:
            settings = settings_of(self.rule, wanted.settings, wanted.inputs)
            state = self.bank.state
            counts_s = state.counts_s(settings) or ONE_S
            self.untried.begin(tag, round(state.doubts_s(settings) * 1000), round(counts_s * 1000))

    def give(self, tags: Indices, wanted: Wanted) -> None:
        """Write what a definition gives the rows of tags: their limits, said or not."""
        if self.bank is None:
            return
        state, rows = self.bank.state, self.members.find(tags)
        settings = settings_of(self.rule, wanted.settings, wanted.inputs)
        for name in state.GIVEN:
            state.write(name, rows, getattr(settings, name))

    def teach(self, tags: Indices, wanted: Wanted) -> None:
        """Give the new rows of tags their limits, and what training found."""
        self.give(tags, wanted)
        if self.bank is None:
            return
        try:
            lesson = self.bank.state.lesson(self.bank.settings, wanted.settings)
            if lesson is not None:
                self.bank.state.learn(self.members.find(tags), lesson)
        except Exception as error:  # a model of another unit, or none at all
            self.fail(error)

    def aim(self, rows: NDArray[np.intp], high: Floats, low: Floats) -> None:
        """Hold a trend's rows against these limits from now on."""
        try:
            if self.bank is not None:
                self.bank.state.aim(rows, high, low)
        except Exception as error:  # its own alarm, and no tick's end (SAFETY S14)
            self.fail(error)

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        own = self.members.nbytes + self.seen.busy.nbytes
        return own + (0 if self.bank is None else self.bank.nbytes)


class Watched:
    """All tags that rules over one tag look at: what each was fed, and by its period the stretch of each under way."""

    def __init__(self) -> None:
        self.fed, self.stretches = Fed(), dict[float, Stretches]()
        self._together: slice | None = None

    def add(self, tags: Indices, every_s: float) -> None:
        """Watch tags, too, thinned by a period; 0: as they come."""
        self._together = None
        fresh = tags[~self.fed.among(tags)]
        order = self.fed.insert(fresh)
        for stretches in self.stretches.values():
            stretches.extend(len(fresh))
            if order is not None:
                stretches.reorder(order)
        if every_s and every_s not in self.stretches:
            self.stretches[every_s] = Stretches()
            self.stretches[every_s].extend(self.fed.n)

    def where(self) -> Places:
        """Return the tags, there being any, as a slice where they follow each other."""
        if self._together is not None:
            return self._together
        places = together(self.fed.tag[: self.fed.n].astype(np.intp))
        self._together = places if isinstance(places, slice) else None
        return places

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self.fed.nbytes + sum(stretches.nbytes for stretches in self.stretches.values())

    def dump(self) -> dict[str, NDArray[Any]]:
        """Return all columns."""
        columns = self.fed.dump("early/fed")
        for every_s in sorted(self.stretches):
            columns |= self.stretches[every_s].dump(f"early/every/{every_s}")
        return columns

    def load(self, periods: Iterable[float], dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._together = None
        self.fed.load("early/fed", dumped)
        for every_s in periods:
            self.stretches[every_s] = Stretches()
            self.stretches[every_s].load(f"early/every/{every_s}", dumped)
