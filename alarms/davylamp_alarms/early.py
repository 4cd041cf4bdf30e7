"""The statistical rules of the live engine: which alarm lies where among their rows, and how far each was fed.

Rows of one rule under one settings lie together (`Warner`), ordered by tag. What differs from row to row is a column of
theirs: a limit, of which an edit leaves the rule's memory alone, and what training found. Other training, as any other
setting, is a new row with a new memory.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Floats, Indices, Ints
from davylamp_alarms.columns import NEVER, Columns, Fields
from davylamp_alarms.definition import Kind, canonical
from davylamp_alarms.untried import Untried
from davylamp_alarms.warning import Bank, load
from davylamp_alarms.warning.thin import Stretches

Key = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a warning's definition says of its rule.

    Args:
        inputs: Of a rule over several tags; a name without a slash is a point of the tag's own device.
        towards: Kinds of the tag's own limits that a trend is held against.
    """

    settings: Mapping[str, Any]
    inputs: tuple[str, ...] = ()
    towards: tuple[Kind, ...] = ()


@lru_cache(maxsize=4096)
def wanted_of(rule: str) -> Wanted:
    """Return what a definition's text says."""
    said = json.loads(rule)
    towards = tuple(Kind(kind) for kind in said.get("towards", ()))
    return Wanted(said["settings"], tuple(said.get("inputs", ())), towards)


def rule_name(kind: Kind) -> str:
    """Return the name of the rule that raises a kind of warning."""
    return kind.lower()


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
    `inputs` are tags by input and row, -1: there is none (yet).
    """

    version: int = -1
    places: slice | NDArray[np.intp] = field(default_factory=lambda: slice(0, 0))
    busy: Bools = field(default_factory=lambda: np.empty(0, np.bool_))
    inputs: NDArray[np.intp] | None = None


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

    def add(self, tags: Indices, every_s: float) -> None:
        """Watch tags, too, thinned by a period; 0: as they come."""
        fresh = tags[~self.fed.among(tags)]
        order = self.fed.insert(fresh)
        for stretches in self.stretches.values():
            stretches.extend(len(fresh))
            if order is not None:
                stretches.reorder(order)
        if every_s and every_s not in self.stretches:
            self.stretches[every_s] = Stretches()
            self.stretches[every_s].extend(self.fed.n)

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
        self.fed.load("early/fed", dumped)
        for every_s in periods:
            self.stretches[every_s] = Stretches()
            self.stretches[every_s].load(f"early/every/{every_s}", dumped)


def settings_of(name: str, said: Mapping[str, Any], inputs: tuple[str, ...]) -> Any:
    """Return a rule's settings: what is said, and how many inputs there are or what each is called.

    Raises:
        LookupError: There is no such rule.
        pydantic.ValidationError: A setting is unknown, missing or out of range; the message names it.
    """
    rule = load(name)
    form, own = rule.settings, {key: value for key, value in said.items() if key not in rule.state.LEARNT}
    asked = form.model_fields.get("inputs")
    if asked is not None:
        own["inputs"] = len(inputs) if asked.annotation is int else tuple(map(_called, inputs))
    return form.model_validate(own)


def judge_settings(name: str, said: Mapping[str, Any], inputs: tuple[str, ...]) -> None:
    """Judge what is said of a rule: its settings, and what training found.

    Raises:
        LookupError: There is no such rule.
        pydantic.ValidationError: A setting is unknown, missing or out of range; the message names it.
        ValueError: What training found is incomplete, or of other inputs.
    """
    load(name).state.lesson(settings_of(name, said, inputs), said)


@lru_cache(maxsize=4096)
def mistake_in(kind: Kind, rule: str) -> str:
    """Return what is wrong with a warning's rule; empty where nothing is."""
    wanted = wanted_of(rule)
    try:
        judge_settings(rule_name(kind), wanted.settings, wanted.inputs)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        return str(error)
    return ""


def unlearnt(kind: Kind, wanted: Wanted) -> dict[str, Any]:
    """Return a rule's settings without what training found: that is each row's own."""
    learnt = load(rule_name(kind)).state.LEARNT
    return {name: value for name, value in wanted.settings.items() if name not in learnt}


def _called(name: str) -> str:
    """Return what an expression calls an input: its point's name, with `_` for what no name in it may have."""
    return re.sub(r"\W", "_", name.rpartition("/")[2])


class Early:
    """Every warner, by what its rows share, and the tags they watch.

    `moved` are the tags of which a limit alarm was raised or ended since the last tick: trends look past what stands.
    `local` are the rows that an edge decides, as long as the register is of that version; worked out, and never kept.
    """

    def __init__(self) -> None:
        self.warners: dict[Key, Warner] = {}
        self.watched = Watched()
        self.moved: set[int] = set()
        self.local: tuple[int, Ints] = (-1, np.empty(0, np.int64))

    def __iter__(self) -> Iterator[Warner]:
        """Yield the warners in the order of their keys, whatever came first."""
        return (self.warners[key] for key in sorted(self.warners))

    def holder(self, tag: int, kind: Kind) -> Warner | None:
        """Return the warner that has a tag's row."""
        of_kind = (warner for warner in self.warners.values() if warner.kind is kind)
        return next((warner for warner in of_kind if warner.members.has(tag)), None)

    def add(self, definitions: Iterable[tuple[int, Kind, str]]) -> None:
        """Take on new warnings by tag, kind and what they say of their rule."""
        alike: dict[tuple[Kind, str], list[int]] = {}
        for tag, kind, rule in definitions:
            alike.setdefault((kind, rule), []).append(tag)
        for (kind, rule), tags in alike.items():
            self._add(key_of(kind, rule), wanted_of(rule), np.array(sorted(tags), np.int32))

    def _add(self, key: Key, wanted: Wanted, tags: Indices) -> None:
        warner = self.warners.get(key)
        if warner is None:
            warner = self.warners[key] = Warner(*key, unlearnt(key[0], wanted))
        warner.add(tags)
        warner.teach(tags, wanted)
        if warner.own is None:
            self.watched.add(tags, warner.every_s)
            self.look_again()

    def change(self, tag: int, kind: Kind, before: str, after: str) -> bool:
        """Give a known warning other limits, or, for other settings or training, a new memory; return if it did."""
        held = self.holder(tag, kind)
        if held is not None and memory_of(kind, before) == memory_of(kind, after):
            held.give(np.array([tag], np.int32), wanted_of(after))
            return False
        self.remove(tag, kind)
        self.add([(tag, kind, after)])
        return True

    def remove(self, tag: int, kind: Kind) -> None:
        """Forget a warning."""
        held = self.holder(tag, kind)
        if held is None:
            return
        held.remove(tag)
        if not len(held):
            del self.warners[held.kind, held.shared]

    def look(self, tags: Indices, high: Floats, low: Floats, at_once: bool) -> None:
        """Say up to which limits the trends of tags are held; at once: what they saw is judged by them now."""
        for warner in self.warners.values():
            if warner.kind is Kind.TREND and warner.bank is not None:
                mine = warner.members.among(tags)
                rows, state = warner.members.find(tags[mine]), warner.bank.state
                if at_once:
                    warner.aim(rows, high[mine], low[mine])
                else:
                    state.write("high", rows, high[mine])
                    state.write("low", rows, low[mine])

    def failures(self) -> dict[str, str]:
        """Return what each rule that is left out somewhere failed by."""
        found: dict[str, str] = {}
        for warner in self:
            if warner.failure:
                found[warner.rule] = "; ".join(filter(None, (found.get(warner.rule), warner.failure)))
        return found

    def look_again(self) -> None:
        """Have each warner see anew where its rows lie, and which of its alarms are at rest."""
        for warner in self.warners.values():
            warner.seen.version = -1

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self.watched.nbytes + sum(warner.nbytes for warner in self.warners.values())

    # snapshot

    def dump(self) -> dict[str, NDArray[Any] | bytes]:
        """Return every warner's columns, and in `early` what they are."""
        said, columns = [], dict[str, NDArray[Any] | bytes](self.watched.dump())
        for at, warner in enumerate(self):
            untried = warner.untried.dump()
            said.append([str(warner.kind), warner.shared, warner.settings, warner.failure, untried])
            columns.update(warner.members.dump(f"early/{at}/members"))
            if warner.bank is not None:
                columns.update(warner.bank.state.dump(f"early/{at}"))
        head = {"warners": said, "periods": sorted(self.watched.stretches), "moved": sorted(self.moved)}
        return {"early": canonical(head).encode(), **columns}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        head = json.loads(bytes(dumped["early"]))
        self.watched.load(head["periods"], dumped)
        self.moved = set(head["moved"])
        for at, (kind, shared, settings, failure, untried) in enumerate(head["warners"]):
            warner = self.warners[Kind(kind), shared] = Warner(Kind(kind), shared, settings)
            warner.untried = Untried(untried)
            warner.members.load(f"early/{at}/members", dumped)
            if failure:
                warner.failure, warner.bank = failure, None
            elif warner.bank is not None:
                warner.bank.state.load(f"early/{at}", dumped)


@lru_cache(maxsize=4096)
def key_of(kind: Kind, rule: str) -> Key:
    """Return what a warning shares with others: all but what is given to each row.

    One whose settings are mistaken shares nothing, so that it fails alone.
    """
    if mistake_in(kind, rule):
        return kind, _without((), wanted_of(rule))
    state = load(rule_name(kind)).state
    return kind, _without((*state.GIVEN, *state.LEARNT), wanted_of(rule))


def memory_of(kind: Kind, rule: str) -> str:
    """Return by what a warning's memory was made: as long as it is the same, the memory holds."""
    return _without(() if mistake_in(kind, rule) else load(rule_name(kind)).state.GIVEN, wanted_of(rule))


def _without(given: Iterable[str], wanted: Wanted) -> str:
    kept = {name: value for name, value in wanted.settings.items() if name not in given}
    return canonical({"settings": kept, "inputs": wanted.inputs})
