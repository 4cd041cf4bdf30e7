"""All the engine remembers, in one place, so that a snapshot can be complete."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from davylamp_wire.quality import GOOD
from numpy.typing import NDArray

from davylamp_alarms.batch import Ints
from davylamp_alarms.book import Book, Facts
from davylamp_alarms.columns import NEVER, Columns, Fields, then
from davylamp_alarms.definition import BLIND_KINDS, KINDS, WARNING_KINDS, Kind, MaskDef, alarm_id
from davylamp_alarms.early import Early
from davylamp_alarms.edge_heard import Heard
from davylamp_alarms.groups import Group
from davylamp_alarms.layout import Layout
from davylamp_alarms.lone import Lone
from davylamp_alarms.slots import Slots

JUMP_MS = 1_000
"""A host clock that runs this far from its monotonic clock, or an edge's offset that moves this far, was set. What is
smaller (a leap second) makes a delay wrong by no more than that."""

DOWN, UP, UNSEEN = 0, 1, 2
UNMEASURED, MEASURED, BEFORE_START = 0, 1, 2
"""Of an edge's clock offset: not known; known; known before the host was started, and not measured since."""


class Nodes(Columns):
    """One place per edge node.

    `base_ms` is the host time from which its silence counts; `offset_ms` is edge clock minus host clock. `before_ms` is
    an offset that was measured before the host's clock was set: at that tick, the same again is nothing new.
    """

    NOTED: ClassVar[tuple[str, ...]] = ("base_ms",)
    FIELDS: ClassVar[Fields] = {
        "link": (np.uint8, UNSEEN),
        "base_ms": (np.int64, NEVER),
        "offset_ms": (np.int64, 0),
        "before_ms": (np.int64, NEVER),
        "measured": (np.uint8, 0),
        **then(NOTED),
    }
    link: NDArray[np.uint8]
    base_ms: Ints
    offset_ms: Ints
    before_ms: Ints
    measured: NDArray[np.uint8]


class Clock:
    """The host's clocks at the last tick, by how much they were set then, and when stale tags are looked for next."""

    def __init__(self) -> None:
        self.now_ms = NEVER
        self.monotonic_ms = 0
        self.boot_id = ""
        self.sweep_ms = NEVER
        self.jump_ms = 0


class Memory:
    """Columns of tags, rows, slots and nodes; the book of occurrences; alarms without a tag; statistical rules.

    `heard` is what an edge said last of each alarm it decides, `edge_runs` in which run each device was born. `quiet`
    says that nothing was taken or moved since the last tick, `waiting` that an on-delay ran at the last look: both save
    work, decide nothing, and are never kept.
    """

    def __init__(self, shifts_ms: Sequence[int] = ()) -> None:
        self.layout, self.slots, self.nodes = Layout(), Slots(), Nodes()
        self.book, self.clock = Book(), Clock()
        self.lone: dict[str, Lone] = {}
        self.early = Early()
        self.shifts_ms = tuple(sorted(shifts_ms))
        self.groups: dict[str, Group] = {}
        self.groups_of: dict[str, tuple[str, ...]] = {}
        self.masks: dict[str, MaskDef] = {}
        self.one_person: frozenset[str] = frozenset()
        self.heard: dict[str, Heard] = {}
        self.edge_runs: dict[str, tuple[str, int]] = {}
        self.seq, self.register_version = -1, 0
        self.ahead_ms = 0
        self.quiet, self.waiting = False, True

    def hear(self, seq: int) -> None:
        """Begin a record that is no tick."""
        self.seq, self.quiet = seq, False

    def node(self, name: str) -> int:
        """Return the place of an edge node, a new one if it was never named."""
        number = self.layout.nodes.number(name)
        self.grow_nodes()
        return number

    def grow_nodes(self) -> None:
        """Give every node in the layout its place."""
        missing = len(self.layout.nodes) - self.nodes.n
        if missing > 0:
            self.nodes.extend(missing)
            self.weigh_offsets()

    def note(self) -> None:
        """Forget at a tick what was young until then: a clock that is set is held against the tick before (S3)."""
        if not self.quiet:
            self.layout.tags.young[: self.layout.tags.n] = 0
            self.slots.note()
            self.nodes.note()
        self.quiet = True
        self.book.young.clear()
        for lone in self.lone.values():
            lone.then_ms = lone.since_ms

    def weigh_offsets(self) -> None:
        """Note the smallest clock offset: no stamp below it can be from the future."""
        self.ahead_ms = int(self.nodes.offset_ms[: self.nodes.n].min()) if self.nodes.n else 0

    def offset_of(self, tags: Ints) -> Ints:
        """Return the clock offset of each tag's edge."""
        return self.nodes.offset_ms[self.layout.node_of[self.layout.tags.shared[tags]]]

    def facts(self, tag: int, kind: Kind, name: str = "") -> Facts:
        """Return what a transition says about its alarm's definition."""
        if tag < 0:
            return self.lone[name].facts
        layout = self.layout
        row = layout.row(tag, kind)
        if row is None:
            raise LookupError(f"tag {tag} has no alarm {kind}")
        shared, of_tag = layout.row_class(row), layout.tag_class(tag)
        measured = kind is not Kind.OVER_RANGE and kind not in BLIND_KINDS | WARNING_KINDS
        return Facts(
            alarm=alarm_id(layout.names.values[tag], kind),
            tag=tag,
            tag_id=layout.names.values[tag],
            kind=kind,
            priority=shared.priority,
            hazard_source=layout.sources.values[shared.source],
            limit=float(layout.rows.limit[row]) if measured else None,
            latch=shared.latch or kind is Kind.OVER_RANGE,  # whatever the profile says (SAFETY S11)
            scan_ms=of_tag.scan_ms,
        )

    def index_groups(self) -> None:
        """Note which groups each alarm matters to; again whenever a group changed."""
        found: dict[str, list[str]] = {}
        for name, group in self.groups.items():
            for alarm in {alarm for m in group.definition.members for alarm in (m.alarm, *m.blinds)}:
                found.setdefault(alarm, []).append(name)
        self.groups_of = {alarm: tuple(sorted(names)) for alarm, names in found.items()}

    def find(self, name: str) -> Facts | None:
        """Return the facts of the alarm with this id; None if there is none."""
        if name in self.lone:
            return self.lone[name].facts
        found = self.layout.find(name)
        return None if found is None else self.facts(*found)

    def newest_good(self, tag_id: str, now_ms: int) -> float | None:
        """Return a tag's value where its newest reading is good and no staler than the tag may be; else None."""
        tag = self.layout.names.find(tag_id)
        if tag is None or self.layout.tags.quality[tag] != GOOD:
            return None
        old_ms = now_ms - int(self.layout.tags.arrival_ms[tag])
        return float(self.layout.tags.value[tag]) if old_ms <= self.layout.tag_class(tag).stale_ms else None

    def facts_of(self, tag: int, kind: int, name: str) -> Facts:
        """Return the same, for a kind's number."""
        return self.facts(tag, KINDS[kind], name)
