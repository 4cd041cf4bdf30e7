"""Where everything lies: tags, nodes and alarm rows in columns, and names to find them by.

Rows of one tag lie together, ordered by kind, tags in the order of their index, so "all rows of these tags" is
arithmetic. What many tags or rows share (delays, priority, hazard source …) is kept once, as a class.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from davylamp_wire.quality import Reason, bad
from numpy.typing import NDArray

from davylamp_alarms.batch import Floats, Indices, Ints
from davylamp_alarms.columns import NEVER, Columns, Fields
from davylamp_alarms.conditions import Phase, Phases
from davylamp_alarms.definition import (
    FALLING,
    KINDS,
    WARNING_KINDS,
    AlarmDef,
    Kind,
    PointKind,
    Priority,
    TagDef,
    alarm_id,
)
from davylamp_alarms.rules.stale import SILENCES

NO_SLOT = -1
KIND_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
KIND_BY_WORD = {str(kind): kind for kind in KINDS}

T = TypeVar("T", bound=Hashable)


class Interned(Generic[T]):
    """Values kept once, each with a small number."""

    def __init__(self, values: Iterable[T] = ()) -> None:
        self.values: list[T] = list(values)
        self._numbers = {value: number for number, value in enumerate(self.values)}
        self._said: tuple[int, bytes] = (-1, b"")

    def number(self, value: T) -> int:
        """Return the value's number, a new one if it was never seen."""
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found

    def find(self, value: T) -> int | None:
        """Return the value's number, or None."""
        return self._numbers.get(value)

    def said(self, plain: Callable[[T], Any]) -> bytes:
        """Return the values as JSON, made anew only where some came: a snapshot need not spell out each name again."""
        if self._said[0] != len(self.values):
            self._said = len(self.values), json.dumps([plain(value) for value in self.values]).encode()
        return self._said[1]

    def __len__(self) -> int:
        return len(self.values)


TAG_TIMES = ("time_ms", "good_ms")
"""Those times of a tag that are by its edge's clock."""


class Tags(Columns):
    """One place per tag.

    `low` and `high` are the calm band: between them a fresh good live reading moves nothing. `young` marks what was
    heard since the last tick.
    """

    FIELDS: ClassVar[Fields] = {
        "value": (np.float64, np.nan),
        "time_ms": (np.int64, NEVER),
        "good_ms": (np.int64, NEVER),
        "arrival_ms": (np.int64, NEVER),
        "low": (np.float64, np.inf),
        "high": (np.float64, -np.inf),
        "quality": (np.uint16, bad(Reason.NO_VALUE)),
        "current": (np.uint8, 0),
        "young": (np.uint8, 0),
        "rows": (np.uint8, 0),
        "first": (np.int32, 0),
        "shared": (np.int32, 0),
    }
    value: NDArray[np.float64]
    time_ms: Ints
    good_ms: Ints
    arrival_ms: Ints
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    quality: NDArray[np.uint16]
    current: NDArray[np.uint8]
    young: NDArray[np.uint8]
    rows: NDArray[np.uint8]
    first: Indices
    shared: Indices


class AlarmRows(Columns):
    """One place per alarm of a tag."""

    FIELDS: ClassVar[Fields] = {
        "limit": (np.float64, 0.0),
        "shared": (np.int32, 0),
        "slot": (np.int32, NO_SLOT),
        "phase": (np.uint8, Phase.NORMAL),
    }
    limit: NDArray[np.float64]
    shared: Indices
    slot: Indices
    phase: Phases


@dataclass(frozen=True, slots=True)
class TagClass:
    """What tags share."""

    node: int
    source: int
    kind: PointKind
    stale_ms: int
    scan_ms: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class RowClass:
    """What alarm rows share. `deadband` is kept to give the definition back exactly."""

    kind: Kind
    priority: Priority
    source: int
    on_delay_ms: int
    off_delay_ms: int
    deadband: float
    latch: bool
    group: str
    local: bool = False
    rule: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether no reading moves it: its edge decides, or a statistical rule at each tick."""
        return self.local or self.kind in WARNING_KINDS


class Layout:
    """Tags and rows, and every way from one to the other."""

    def __init__(self) -> None:
        self.tags, self.rows = Tags(), AlarmRows()
        self.names = Interned[str]()
        self.nodes, self.sources = Interned[str](), Interned[str]()
        self.tag_classes, self.row_classes = Interned[TagClass](), Interned[RowClass]()
        self._tabled = (-1, -1)
        self._tables()

    def _tables(self) -> None:
        """Make the look-up arrays over the classes; again whenever a class was added."""
        tags, rows = self.tag_classes.values, self.row_classes.values
        if (len(tags), len(rows)) == self._tabled:
            return
        self._tabled = len(tags), len(rows)
        self.node_of = np.array([c.node for c in tags], np.int64)
        self.stale_of = np.array([c.stale_ms for c in tags], np.int64)
        self.gas_of = np.array([c.kind is PointKind.GAS for c in tags], np.bool_)
        self.kind_of = np.array([KIND_NUMBER[c.kind] for c in rows], np.int64)
        self.on_delay_of = np.array([c.on_delay_ms for c in rows], np.int64)
        self.off_delay_of = np.array([c.off_delay_ms for c in rows], np.int64)
        self.elsewhere_of = np.array([c.elsewhere for c in rows], np.bool_)
        self.any_elsewhere = bool(self.elsewhere_of.any())
        self.local_of = np.array([c.local for c in rows], np.bool_)
        self.width_of = np.array([-c.deadband if c.kind in FALLING else c.deadband for c in rows], np.float64)

    # names -> places

    def row(self, tag: int, kind: Kind) -> int | None:
        """Return the row of a tag's alarm."""
        if not 0 <= tag < self.tags.n:
            return None
        first = int(self.tags.first[tag])
        for row in range(first, first + int(self.tags.rows[tag])):
            if self.row_class(row).kind is kind:
                return row
        return None

    def find(self, name: str) -> tuple[int, Kind] | None:
        """Return tag and kind of an alarm id; None if it is no tag's alarm."""
        tag_id, _, word = name.rpartition("#")
        tag, kind = self.names.find(tag_id), KIND_BY_WORD.get(word)
        if tag is None or kind is None or self.row(tag, kind) is None:
            return None
        return tag, kind

    # places -> what they are

    def row_class(self, row: int) -> RowClass:
        """Return what a row shares with others."""
        return self.row_classes.values[int(self.rows.shared[row])]

    def tag_class(self, tag: int) -> TagClass:
        """Return what a tag shares with others."""
        return self.tag_classes.values[int(self.tags.shared[tag])]

    def kinds_of(self, tag: int) -> list[Kind]:
        """Return the kinds of a tag's alarms, in their order."""
        first = int(self.tags.first[tag])
        return [self.row_class(row).kind for row in range(first, first + int(self.tags.rows[tag]))]

    def set_range(self, tag: int, span: tuple[float, float] | None) -> None:
        """Note what a tag's instrument can show from now on."""
        low, high = span or (None, None)
        self.tags.shared[tag] = self.tag_classes.number(replace(self.tag_class(tag), low=low, high=high))
        self._tables()

    def range_of(self, tag: int) -> tuple[float, float] | None:
        """Return what a tag's instrument can show, if it is known."""
        shared = self.tag_class(tag)
        return None if shared.low is None or shared.high is None else (shared.low, shared.high)

    def tags_of(self, rows: Ints) -> Ints:
        """Return the tag of each row. Tags without rows share their successor's first row, hence the right side."""
        return np.searchsorted(self.tags.first[: self.tags.n], rows, side="right") - 1

    def rows_of(self, tags: Indices) -> tuple[Ints, Ints]:
        """Return all rows of the tags, tag by tag, and for each row the position of its tag in `tags`."""
        counts = self.tags.rows[tags].astype(np.int64)
        position = np.repeat(np.arange(len(tags)), counts)
        within = np.arange(len(position)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.tags.first[tags].astype(np.int64)[position] + within, position

    def limits_of(self, rows: Ints) -> tuple[Floats, Floats]:
        """Return the limit of each row, and the value its alarm leaves at: a deadband inside."""
        limits: Floats = self.rows.limit[rows]
        return limits, limits - self.width_of[self.rows.shared[rows]]

    def alarm(self, tag: int, row: int) -> AlarmDef:
        """Return a row's definition."""
        shared = self.row_class(row)
        return AlarmDef(
            id=alarm_id(self.names.values[tag], shared.kind),
            tag=tag,
            kind=shared.kind,
            priority=shared.priority,
            hazard_source=self.sources.values[shared.source],
            limit=float(self.rows.limit[row]),
            deadband=shared.deadband,
            on_delay_ms=shared.on_delay_ms,
            off_delay_ms=shared.off_delay_ms,
            latch=shared.latch,
            group=shared.group,
            local=shared.local,
            rule=shared.rule,
        )

    # definitions -> places

    def add_tags(self, tags: Sequence[TagDef]) -> None:
        """Append tags; each takes the next index."""
        where = self.tags.extend(len(tags))
        for tag in tags:
            self.names.number(tag.id)
        self.tags.first[where] = self.rows.n
        self.tags.shared[where] = [self._tag_class(tag) for tag in tags]
        self._tables()

    def _tag_class(self, tag: TagDef) -> int:
        node, source = self.nodes.number(tag.node), self.sources.number(tag.hazard_source)
        return self.tag_classes.number(
            TagClass(node, source, PointKind(tag.kind), SILENCES * tag.silence_ms, tag.scan_ms, *(tag.range or ()))
        )

    def put(self, alarms: Sequence[AlarmDef]) -> bool:
        """Write rows into their places, old ones where they lie and new ones in order.

        Returns:
            Whether rows that existed before lie elsewhere now: slots must follow.
        """
        fresh = []
        for alarm in alarms:
            row = self.row(alarm.tag, alarm.kind)
            if row is None:
                fresh.append(alarm)
            else:
                self._write([row], [alarm])
        self._tables()
        return self._insert(sorted(fresh, key=lambda a: (a.tag, KIND_NUMBER[a.kind])))

    def _insert(self, alarms: Sequence[AlarmDef]) -> bool:
        """Add rows of alarms already in order. At the end, as births come in, that costs what is new and no more."""
        before = self.rows.n
        if not alarms:
            return False
        last = int(self.tags_of(np.array([before - 1]))[0]) if before else -1
        tags = np.array([a.tag for a in alarms], np.int64)
        where = self.rows.extend(len(alarms))
        self._write(range(where.start, where.stop), alarms)
        self._tables()
        if tags[0] > last:
            self._count(tags, last + 1, before)
            return False
        self._merge(np.concatenate([self.tags_of(np.arange(before)), tags]))
        return True

    def _merge(self, tags: Ints) -> None:
        """Order the rows by tag and kind."""
        order = np.lexsort((self.kind_of[self.rows.shared[: self.rows.n]], tags))
        self.rows.reorder(order)
        self._count(tags, 0, 0)

    def _count(self, tags: Ints, start: int, first_row: int) -> None:
        """Note how many rows each tag from `start` on has, and where they begin."""
        counts = np.bincount(tags - start, minlength=self.tags.n - start)
        self.tags.rows[start : self.tags.n] = counts
        self.tags.first[start : self.tags.n] = first_row + np.cumsum(counts) - counts

    def _write(self, rows: Sequence[int], alarms: Sequence[AlarmDef]) -> None:
        places = np.array(rows, np.int64)
        self.rows.limit[places] = np.array([a.limit for a in alarms], np.float64)
        self.rows.shared[places] = [self._row_class(alarm) for alarm in alarms]

    def _row_class(self, a: AlarmDef) -> int:
        source = self.sources.number(a.hazard_source)
        said = (a.on_delay_ms, a.off_delay_ms, a.deadband, a.latch, a.group, a.local, a.rule)
        return self.row_classes.number(RowClass(a.kind, a.priority, source, *said))

    def remove(self, rows: Sequence[int]) -> Ints:
        """Take rows away; return the old places of those that stay, in their new order."""
        stay = np.delete(np.arange(self.rows.n), np.array(rows, np.int64))
        tags = self.tags_of(stay)
        self.rows.reorder(stay)
        self._count(tags, 0, 0)
        return stay

    # snapshot

    def dump(self) -> dict[str, NDArray[Any] | bytes]:
        """Return columns as arrays, names and classes as JSON."""
        names = {"tags": self.names, "nodes": self.nodes, "sources": self.sources}
        return {
            **self.tags.dump("tags"),
            **self.rows.dump("rows"),
            **{f"register/{key}": found.said(str) for key, found in names.items()},
            "register/tag_classes": self.tag_classes.said(astuple),
            "register/row_classes": self.row_classes.said(astuple),
        }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.tags.load("tags", dumped)
        self.rows.load("rows", dumped)
        self.names, self.nodes, self.sources = (
            Interned(json.loads(bytes(dumped[f"register/{key}"]))) for key in ("tags", "nodes", "sources")
        )
        self.tag_classes = Interned(
            TagClass(node, source, PointKind(kind), *rest)
            for node, source, kind, *rest in json.loads(bytes(dumped["register/tag_classes"]))
        )
        self.row_classes = Interned(
            RowClass(Kind(kind), Priority(priority), *rest)
            for kind, priority, *rest in json.loads(bytes(dumped["register/row_classes"]))
        )
        self._tables()
