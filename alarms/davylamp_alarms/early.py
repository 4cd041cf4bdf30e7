"""The statistical rules of the live engine: which alarm lies where among their rows, and how far each was fed.

Rows of one rule under one settings lie together (`Warner`), ordered by tag. What differs from row to row, a limit, is a
column of theirs: an edit of it leaves the rule's memory alone. Any other setting is another warner with a new memory.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Indices, Ints
from davylamp_alarms.columns import NEVER, Columns, Fields
from davylamp_alarms.definition import Kind, canonical
from davylamp_alarms.warning import Bank, load
from davylamp_alarms.warning.baseline import BaselineState

TRAINED = ("mean", "deviation")
"""What training finds of a tag and a definition may carry; no setting of the rule."""

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


class Fed(Columns):
    """One place per row: its tag, the source time it was fed up to, and by how much its own clock is ahead of that.

    A rule's time only goes on: where an edge's clock was set back, the rule's clock stays that much ahead.
    """

    FIELDS: ClassVar[Fields] = {
        "tag": (np.int32, -1),
        "fed_ms": (np.int64, NEVER),
        "ahead_ms": (np.int64, 0),
    }
    tag: Indices
    fed_ms: Ints
    ahead_ms: Ints


@dataclass(slots=True)
class Seen:
    """Where a warner's rows lie as long as the register is the same; worked out, and never kept.

    `busy` are those whose alarm is not at rest. `inputs` are tags by input and row, -1: there is none (yet).
    """

    version: int = -1
    tags: slice | NDArray[np.intp] = field(default_factory=lambda: slice(0, 0))
    rows: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    busy: Bools = field(default_factory=lambda: np.empty(0, np.bool_))
    inputs: NDArray[np.intp] | None = None


class Warner:
    """Rows of one rule under one settings, each beside its tag.

    `failure` says why the rule is left out until the next start or another setting: its own error stops nothing else.
    """

    def __init__(self, kind: Kind, shared: str, settings: Mapping[str, Any]) -> None:
        self.kind, self.shared, self.settings = kind, shared, dict(settings)
        self.inputs: tuple[str, ...] = tuple(json.loads(shared)["inputs"])
        self.fed, self.seen, self.failure = Fed(), Seen(), ""
        self.bank: Bank | None = None
        self.begin()

    @property
    def rule(self) -> str:
        """The rule's name in the registry."""
        return rule_name(self.kind)

    def begin(self) -> None:
        """Make the rule's memory anew, untouched by whatever failed; where even that fails, say why."""
        self.failure, self.seen = "", Seen()
        try:
            self.bank = Bank(load(self.rule), settings_of(self.rule, self.settings, self.inputs))
        except Exception as error:  # whatever a rule fails by is its own alarm, and stops nothing (SAFETY S14)
            self.fail(error)
        else:
            if self.fed.n:
                self.bank.extend(self.fed.n)
                self.fed.fed_ms[: self.fed.n], self.fed.ahead_ms[: self.fed.n] = NEVER, 0

    def fail(self, error: Exception) -> None:
        """Leave the rule out: its columns may be half written, and what stands goes on standing (SAFETY S4)."""
        self.failure, self.bank = f"{self.rule}: {error}"[:400], None

    def find(self, tag: int) -> int | None:
        """Return a tag's row; None where it has none here."""
        at = int(np.searchsorted(self.fed.tag[: self.fed.n], tag))
        return at if at < self.fed.n and self.fed.tag[at] == tag else None

    def add(self, tags: Indices) -> None:
        """Add rows with an empty memory and keep all in the order of their tags."""
        last = int(self.fed.tag[self.fed.n - 1]) if self.fed.n else -1
        where = self.fed.extend(len(tags))
        self.fed.tag[where] = tags
        if self.bank is not None:
            self.bank.extend(len(tags))
        if len(tags) and tags[0] <= last:
            self.keep(np.argsort(self.fed.tag[: self.fed.n], kind="stable"))
        self.seen.version = -1

    def keep(self, order: NDArray[np.int64]) -> None:
        """Keep only these rows, in this order."""
        self.fed.reorder(order)
        if self.bank is not None:
            self.bank.keep(order)
        self.seen.version = -1

    def give(self, row: int, wanted: Wanted) -> None:
        """Write what a definition gives one row: its limits, and what training found of its tag."""
        if self.bank is None:
            return
        state, place = self.bank.state, slice(row, row + 1)
        for name in state.GIVEN:
            if name in wanted.settings:
                getattr(state, name)[..., place] = wanted.settings[name]
        if isinstance(state, BaselineState) and all(name in wanted.settings for name in TRAINED):
            state.train(place, *(np.array([wanted.settings[name]], np.float64) for name in TRAINED))

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        own = self.fed.nbytes + self.seen.rows.nbytes + self.seen.busy.nbytes
        return own + (0 if self.bank is None else self.bank.nbytes)


def settings_of(name: str, said: Mapping[str, Any], inputs: tuple[str, ...]) -> Any:
    """Return a rule's settings: what is said, and how many inputs there are or what each is called.

    Raises:
        LookupError: There is no such rule.
        pydantic.ValidationError: A setting is unknown, missing or out of range; the message names it.
    """
    form = load(name).settings
    own = {key: value for key, value in said.items() if key not in TRAINED}
    asked = form.model_fields.get("inputs")
    if asked is not None:
        own["inputs"] = len(inputs) if asked.annotation is int else tuple(map(_called, inputs))
    return form.model_validate(own)


@lru_cache(maxsize=4096)
def mistake_in(kind: Kind, rule: str) -> str:
    """Return what is wrong with a warning's rule; empty where nothing is."""
    wanted = wanted_of(rule)
    try:
        settings_of(rule_name(kind), wanted.settings, wanted.inputs)
        for name in TRAINED:
            float(wanted.settings.get(name, 0.0))
    except (LookupError, TypeError, ValueError) as error:
        return str(error)
    return ""


def _called(name: str) -> str:
    """Return what an expression calls an input: its point's name, with `_` for what no name in it may have."""
    return re.sub(r"\W", "_", name.rpartition("/")[2])


class Early:
    """Every warner, by what its rows share."""

    def __init__(self) -> None:
        self.warners: dict[Key, Warner] = {}

    def __iter__(self) -> Iterator[Warner]:
        """Yield the warners in the order of their keys, whatever came first."""
        return (self.warners[key] for key in sorted(self.warners))

    def holder(self, tag: int, kind: Kind) -> tuple[Warner, int] | None:
        """Return the warner that has a tag's row, and where."""
        for warner in self.warners.values():
            if warner.kind is kind and (row := warner.find(tag)) is not None:
                return warner, row
        return None

    def add(self, definitions: Iterable[tuple[int, Kind, str]]) -> None:
        """Take on new warnings by tag, kind and what they say of their rule."""
        fresh: dict[Key, list[tuple[int, str]]] = {}
        for tag, kind, rule in definitions:
            fresh.setdefault(key_of(kind, rule), []).append((tag, rule))
        for key, added in fresh.items():
            self._add(key, sorted(added))

    def change(self, tag: int, kind: Kind, rule: str) -> None:
        """Give a known warning other limits, or for other settings a new memory."""
        held = self.holder(tag, kind)
        if held is not None and (held[0].kind, held[0].shared) == key_of(kind, rule):
            held[0].give(held[1], wanted_of(rule))
            return
        self.remove(tag, kind)
        self.add([(tag, kind, rule)])

    def _add(self, key: Key, added: list[tuple[int, str]]) -> None:
        wanted = wanted_of(added[0][1])
        warner = self.warners.get(key)
        if warner is None:
            warner = self.warners[key] = Warner(*key, wanted.settings)
        warner.add(np.array([tag for tag, _ in added], np.int32))
        for tag, rule in added:
            row = warner.find(tag)
            assert row is not None
            warner.give(row, wanted_of(rule))

    def remove(self, tag: int, kind: Kind) -> None:
        """Forget a warning."""
        held = self.holder(tag, kind)
        if held is not None:
            self._take(*held)

    def _take(self, warner: Warner, row: int) -> None:
        warner.keep(np.delete(np.arange(warner.fed.n), row))
        if not warner.fed.n:
            del self.warners[warner.kind, warner.shared]

    def look(self, tag: int, high: float, low: float) -> None:
        """Say up to which limits a tag's trend is held."""
        held = self.holder(tag, Kind.TREND)
        if held is not None and held[0].bank is not None:
            state = held[0].bank.state
            state.high[held[1]], state.low[held[1]] = high, low

    def failures(self) -> tuple[str, ...]:
        """Return what each rule that is left out failed by."""
        return tuple(warner.failure for warner in self if warner.failure)

    def look_again(self) -> None:
        """Have each warner see anew which of its alarms are at rest."""
        for warner in self.warners.values():
            warner.seen.version = -1

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return sum(warner.nbytes for warner in self.warners.values())

    # snapshot

    def dump(self) -> dict[str, NDArray[Any] | bytes]:
        """Return every warner's columns, and in `early` what they are."""
        said, columns = [], dict[str, NDArray[Any] | bytes]()
        for at, warner in enumerate(self):
            said.append([str(warner.kind), warner.shared, warner.settings, warner.failure])
            columns.update(warner.fed.dump(f"early/{at}/fed"))
            if warner.bank is not None:
                columns.update(warner.bank.dump(f"early/{at}"))
        return {"early": canonical(said).encode(), **columns}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        for at, (kind, shared, settings, failure) in enumerate(json.loads(bytes(dumped["early"]))):
            warner = self.warners[Kind(kind), shared] = Warner(Kind(kind), shared, settings)
            warner.fed.load(f"early/{at}/fed", dumped)
            if failure:
                warner.failure, warner.bank = failure, None
            elif warner.bank is not None:
                warner.bank.load(f"early/{at}", dumped)


@lru_cache(maxsize=4096)
def key_of(kind: Kind, rule: str) -> Key:
    """Return what a warning shares with others: all but what is given to each row.

    One whose settings are mistaken shares nothing, so that it fails alone.
    """
    wanted = wanted_of(rule)
    given = set() if mistake_in(kind, rule) else {*load(rule_name(kind)).state.GIVEN, *TRAINED}
    shared = {name: value for name, value in wanted.settings.items() if name not in given}
    return kind, canonical({"settings": shared, "inputs": wanted.inputs})
