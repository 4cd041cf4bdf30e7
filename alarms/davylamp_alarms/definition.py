"""What can alarm: tags, alarm definitions, and the register the engine starts from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

NO_TAG = -1


class Kind(StrEnum):
    """What an alarm is about. The order is the order of alarms of one tag, and of the numbers in snapshots."""

    HH = "HH"
    H = "H"
    L = "L"
    LL = "LL"
    L1 = "L1"
    L2 = "L2"
    OVER_RANGE = "OVER_RANGE"
    FAULT = "FAULT"
    STALE = "STALE"
    COMM = "COMM"
    LINK = "LINK"
    SYSTEM = "SYSTEM"
    MASK = "MASK"
    VOTE = "VOTE"
    VOTE_LOST = "VOTE_LOST"
    BLIND = "BLIND"
    CLOCK = "CLOCK"
    TREND = "TREND"
    RATE = "RATE"
    FROZEN = "FROZEN"
    QUIET = "QUIET"
    DEVIATION = "DEVIATION"
    EWMA = "EWMA"
    CUSUM = "CUSUM"
    NORMAL = "NORMAL"
    UNIT = "UNIT"
    ROLLUP = "ROLLUP"
    COMMAND = "COMMAND"
    EXPRESSION = "EXPRESSION"


KINDS: tuple[Kind, ...] = tuple(Kind)
"""Kinds by the number they have in columns and snapshots: only add at the end."""

LIMIT_KINDS = frozenset({Kind.HH, Kind.H, Kind.L, Kind.LL, Kind.L1, Kind.L2})
LOCAL_KINDS = LIMIT_KINDS | {Kind.OVER_RANGE}
"""Kinds an edge may decide itself; what it is to be blind stays with who would have to see it."""

FALLING = frozenset({Kind.L, Kind.LL, Kind.COMM})
BLIND_KINDS = frozenset({Kind.FAULT, Kind.STALE, Kind.COMM, Kind.LINK, Kind.VOTE_LOST, Kind.BLIND})
"""What says that something is not seen; never sent as a gas alarm (SAFETY S12)."""


GROUP_KINDS = frozenset({Kind.VOTE, Kind.VOTE_LOST, Kind.BLIND})
"""What a group of detectors says, beside what each of them says alone."""

WARNING_KINDS = frozenset(KINDS[KINDS.index(Kind.TREND) :])
"""What a statistical rule warns of, one kind for each rule: beside the limits of its tag, and never in their place."""


class Priority(IntEnum):
    """The monitoring levels, lowest first (SAFETY, "Words")."""

    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4

    @property
    def word(self) -> str:
        """The level as profiles and notices write it: "red"."""
        return WORDS[self]

    @classmethod
    def of(cls, word: str) -> "Priority":
        """Return the priority a profile's word means."""
        return cls[word.upper()]


WORDS = ("", *(priority.name.lower() for priority in Priority))
"""The word of each priority by its number, as asking an enum for its name takes longer than a notice has."""


class PointKind(StrEnum):
    """What a point measures, as its profile says."""

    PROCESS = "process"
    GAS = "gas"
    FIRE = "fire"
    STATUS = "status"
    DIAGNOSTIC = "diagnostic"


_DEFAULTS = {
    Kind.L2: Priority.RED,
    Kind.OVER_RANGE: Priority.RED,
    Kind.HH: Priority.ORANGE,
    Kind.LL: Priority.ORANGE,
}


def default_priority(kind: Kind, point: PointKind = PointKind.PROCESS) -> Priority:
    """Return the priority of an alarm nobody gave another one (SAFETY, second paragraph).

    Fire is red, and so is a low limit of a gas: low oxygen is the only gas that alarms downwards.
    """
    if point is PointKind.FIRE and kind in LIMIT_KINDS | {Kind.OVER_RANGE}:
        return Priority.RED
    if point is PointKind.GAS and kind in (Kind.L, Kind.LL):
        return Priority.RED
    if kind in WARNING_KINDS:
        return Priority.BLUE
    return _DEFAULTS.get(kind, Priority.YELLOW)


@dataclass(frozen=True, slots=True)
class TagDef:
    """A tag as the engine knows it. Its index in the register is its place in every column.

    Args:
        id: ``group/node/device/point``.
        node: Edge node, ``group/node``: whose link and clock the tag depends on.
        silence_ms: Longest silence between two reports; a tag is stale after three (SAFETY S8).
        scan_ms: Period of its scan class: first-out within one scan is undecidable (SAFETY S25).
        range: What the instrument can show, in the tag's unit; another instrument may not return in its place (S19).
    """

    id: str
    node: str
    hazard_source: str
    kind: PointKind = PointKind.PROCESS
    silence_ms: int = 60_000
    scan_ms: int = 1_000
    range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class AlarmDef:
    """An alarm: one kind on one tag, or on a link.

    Args:
        id: ``<tag_id>#<KIND>``; a link's ``<group>/<node>#LINK@<hazard_source>``. Stable: state is kept by it.
        tag: Index of the tag, or `NO_TAG`.
        limit: In the tag's own unit, converted once when the profile was written (SAFETY S10); 0 where none applies.
        deadband: Same unit, >= 0: how far inside a good value must lie to clear.
        node: Edge node of a link alarm (a tag's alarm follows its tag's node).
        group: Operating position that sees it.
        local: Its edge decides, and says when it is raised and when it returns; no reading does so here.
        rule: Of a warning, by what it judges: settings, inputs and the limits it looks towards, as `said_rule` spells
            them.
    """

    id: str
    tag: int
    kind: Kind
    priority: Priority
    hazard_source: str
    limit: float = 0.0
    deadband: float = 0.0
    on_delay_ms: int = 0
    off_delay_ms: int = 0
    latch: bool = False
    node: str = ""
    group: str = ""
    local: bool = False
    rule: str = ""


LONE_KINDS = GROUP_KINDS | {Kind.LINK, Kind.SYSTEM, Kind.CLOCK}
"""Kinds without a tag."""


@dataclass(frozen=True, slots=True)
class Member:
    """A channel of a group: the alarm it votes with, and the alarms that say the channel is lost."""

    alarm: str
    blinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupDef:
    """Detectors that are counted together (SAFETY S12, S18).

    Args:
        id: ``group/…/slug``; its alarms are ``<id>#VOTE``, ``<id>#VOTE_LOST`` and ``<id>#BLIND``.
        need: How many members must stand for the vote; 0: they do not vote.
        blind_at: How many lost members make the group blind; 0: that is no alarm.
        priority: Of the vote, at least that of its members: votes only raise it.
        guard: Of the blindness: the highest priority among what the members guard.
    """

    id: str
    hazard_source: str
    members: tuple[Member, ...]
    need: int = 0
    blind_at: int = 0
    priority: Priority = Priority.RED
    guard: Priority = Priority.YELLOW
    zh: str = ""
    en: str = ""


@dataclass(frozen=True, slots=True)
class MaskDef:
    """What may be hidden while blasting or cleaning goes on (SAFETY S17).

    Args:
        id: A slug, unique on this cloud.
        alarms: Ids of the alarms it hides. One whose tag is not born yet, or belongs to another hazard source, stays
            audible. Ceiling limits are refused.
        people: Tag that counts who is inside; the mask is refused while it does not say a good 0. Empty: nobody counts.
        input: Tag of the mask's own switch: it must say a good 1, and ends the mask with a good 0. Empty: none.
        responsible: Who answers for it on site, as people know them.
    """

    id: str
    hazard_source: str
    alarms: tuple[str, ...]
    people: str = ""
    input: str = ""
    zh: str = ""
    en: str = ""
    responsible: str = ""


CEILINGS = frozenset({Kind.HH, Kind.LL, Kind.L2, Kind.OVER_RANGE})
"""Kinds no mask hides, and nobody hides alone (SAFETY S15, S17; HH includes LL)."""


@dataclass(frozen=True, slots=True)
class Register:
    """Everything that can alarm at one moment.

    `shifts_ms` are the shift changes, in milliseconds after midnight UTC; empty: none. `one_person` are the operating
    positions where one person is alone on duty (SAFETY S15).
    """

    tags: tuple[TagDef, ...] = ()
    alarms: tuple[AlarmDef, ...] = ()
    shifts_ms: tuple[int, ...] = ()
    masks: tuple[MaskDef, ...] = ()
    one_person: tuple[str, ...] = ()
    groups: tuple[GroupDef, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """An edit of the register, from a birth (nobody's name) or from a person.

    `tags` are new ones, appended in order: the first takes the next free index. `alarms` are new or replace the one
    with the same id; `removed` are alarm ids. `shifts_ms`, `masks` and `one_person` replace what there was, where they
    are given; an open mask stays open until its own end. `groups` are new or replace the one with the same id,
    `removed_groups` are their ids; `ranges` are those of instruments, by tag index. An edit that would end a standing
    alarm needs `by` and a different `second`, and is journaled as closed by limit change (SAFETY S20).
    """

    at_ms: int
    tags: tuple[TagDef, ...] = ()
    alarms: tuple[AlarmDef, ...] = ()
    removed: tuple[str, ...] = ()
    shifts_ms: tuple[int, ...] | None = None
    by: str = ""
    second: str = ""
    comment: str = ""
    masks: tuple[MaskDef, ...] | None = None
    one_person: tuple[str, ...] | None = None
    groups: tuple[GroupDef, ...] = ()
    removed_groups: tuple[str, ...] = ()
    ranges: tuple[tuple[int, tuple[float, float] | None], ...] = ()


def position_of(alarm: str) -> str:
    """Return the operating position that sees an alarm: the first part of its id."""
    return alarm.partition("/")[0]


def alarm_id(tag_id: str, kind: Kind) -> str:
    """Return the id of a tag's alarm."""
    return f"{tag_id}#{kind}"


def link_alarm_id(node: str, hazard_source: str) -> str:
    """Return the id of the alarm that says a hazard source cannot be seen through an edge node."""
    return f"{node}#{Kind.LINK}@{hazard_source}"


def clock_alarm_id(node: str, hazard_source: str) -> str:
    """Return the id of the alarm that the clock of an edge node is off."""
    return f"{node}#{Kind.CLOCK}@{hazard_source}"


def guarded_priority(alarms: Iterable[AlarmDef]) -> Priority:
    """Return the priority of losing sight of what these alarms guard: the highest among them (SAFETY S12).

    A warning guards nothing, and makes no blindness quieter where nothing else is there.
    """
    return max((a.priority for a in alarms if a.kind not in BLIND_KINDS | WARNING_KINDS), default=Priority.YELLOW)


def said_rule(settings: Mapping[str, Any], inputs: Iterable[str] = (), towards: Iterable[str] = ()) -> str:
    """Return what a definition says of its rule, as text: the same for all tags that share it."""
    said = {"settings": dict(settings), "inputs": list(inputs), "towards": [str(kind) for kind in towards]}
    return canonical({name: value for name, value in said.items() if value or name == "settings"})


def canonical(said: object) -> str:
    """Return JSON types as text: equal ones give the same text."""
    return json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
