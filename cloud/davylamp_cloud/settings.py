"""A tag's settings: everything about it that decides when it alarms, and what the engine is told of it. Pure.

A birth introduces settings, a person decides on later ones; they are stored with a version and the place in the log
from which they hold, so that the register of any moment can be had again (DESIGN, "A birth introduces").
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from davylamp_alarms.definition import (
    NO_TAG,
    WARNING_KINDS,
    AlarmDef,
    Kind,
    PointKind,
    Priority,
    TagDef,
    alarm_id,
    clock_alarm_id,
    guarded_priority,
    link_alarm_id,
)
from davylamp_alarms.hiding import MAX_MASK_MS
from davylamp_alarms.templates import guards_of, warnings_of
from davylamp_wire.config import Section
from davylamp_wire.point import EarlyWarning, Limit, LimitKind, Point, Source
from davylamp_wire.profile import DetectorGroup
from pydantic import Field

from davylamp_cloud.handling import Handling, handling_of

COMM_LIMIT = 0.5
"""Between `comm_ok`'s 1 (answers) and 0 (does not)."""

SWITCH_LIMIT = 0.5
"""Between a mask switch's 1 (on) and 0 (off)."""

SYSTEM_SOURCE = "davylamp"
"""The hazard source under which the monitoring system's own alarms are numbered and chained."""


ASIDE = "record-set-aside"
"""Name of the alarm that a record of the log could not be evaluated; it latches, for the record does not come back."""

LISTENER = "listener"
"""Name of the alarm that a part of the cloud failed when it heard of a commit."""

SNAPSHOT = "snapshot"
"""Name of the alarm that the engine's state could not be stored; it ends with the next one that is."""

HOST_CLOCK = "host-clock"
"""Name of the alarm that the host's clock was set, or is not what most edges say."""

RESTORED = "restored"
"""Name of the alarm that the cloud's files were put back from a backup."""

STATE_LOST = "state-lost"
"""Name of the alarm that state.db is gone or too old: nobody knows any more what was edited, hidden, owed."""

LOG_LOST = "log-lost"
"""Name of the alarm that log.db is gone or older than state.db."""

LATCHED = frozenset({ASIDE, LISTENER, HOST_CLOCK, RESTORED, STATE_LOST, LOG_LOST})
"""What happened and is over, and must still be seen."""


RULE = "statistical-rule"
"""Begins the name of the alarm that a statistical rule failed and is left out (SAFETY S14); it ends when it works."""

REVIEW_LATE = "break-glass-review"
"""Name of the alarm that nobody reviewed in time what one person did alone (SAFETY S15)."""


NO_GROUPS: Mapping[str, DetectorGroup] = MappingProxyType({})


class Settings(Section):
    """What may not change behind a person's back."""

    hazard_source: str
    kind: str = "process"
    unit: str = ""
    range: tuple[float, float] | None = None
    silence_s: float = 60.0
    scan_s: float = 1.0
    required: bool = False
    local: bool = False
    limits: dict[LimitKind, Limit] = Field(default={})
    warnings: dict[str, EarlyWarning] = Field(default={})
    groups: dict[str, DetectorGroup] = Field(default={})
    """The groups of detectors of a device; they are settings of the point that says whether it answers."""

    def json_form(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return self.model_dump(mode="json")


def settings_of(point: Point, hazard_source: str, groups: Mapping[str, DetectorGroup] = NO_GROUPS) -> Settings:
    """Return what a point of a birth wants; `groups` are those of its device where it says whether that answers."""
    return Settings(
        hazard_source=hazard_source,
        kind=point.kind,
        unit=point.unit,
        range=point.range,
        silence_s=point.silence_s,
        scan_s=point.scan_s,
        required=point.required,
        local=point.local,
        limits=point.limits,
        warnings=point.warnings,
        groups=dict(groups),
    )


def differences(live: Settings, wanted: Settings) -> list[tuple[str, Any, Any]]:
    """Return (field, live, wanted) wherever two settings differ; one entry per limit, warning and group."""
    old, new = live.json_form(), wanted.json_form()
    tables = [(field, old.pop(field), new.pop(field)) for field in ("limits", "warnings", "groups")]
    found = [(name, old[name], new[name]) for name in old if old[name] != new[name]]
    for field, before, after in tables:
        names = (name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name))
        found += [(f"{field}.{name}", before.get(name), after.get(name)) for name in names]
    return found


def keep_verified(live: Settings, wanted: Settings) -> Settings:
    """Return what is wanted, with a person's verification kept wherever value and source are what they verified (S30).

    Whatever else claims to be verified is not: births and clients cannot verify.
    """
    limits = {kind: _marked(live.limits.get(kind), limit) for kind, limit in wanted.limits.items()}
    warnings = {name: _warning_marked(live.warnings.get(name), rule) for name, rule in wanted.warnings.items()}
    return wanted.model_copy(update={"limits": limits, "warnings": warnings})


def _marked(live: Limit | None, wanted: Limit) -> Limit:
    before = live.source if live is not None and live.value == wanted.value else None
    return wanted.model_copy(update={"source": _verified_as(before, wanted.source)})


def _warning_marked(live: EarlyWarning | None, wanted: EarlyWarning) -> EarlyWarning:
    before = live.source if live is not None and live.settings == wanted.settings else None
    return wanted.model_copy(update={"source": _verified_as(before, wanted.source)})


def _verified_as(before: Source | None, wanted: Source) -> Source:
    """Return a source with the verification it had, where it is the same figure's; whatever else it claims is not."""
    bare = wanted.model_copy(update={"verified_by": "", "verified_on": None})
    same = before is not None and bare == before.model_copy(update={"verified_by": "", "verified_on": None})
    return before if before is not None and same else bare


def tag_def(tag_id: str, node: str, settings: Settings) -> TagDef:
    """Return a tag as the engine knows it."""
    return TagDef(
        id=tag_id,
        node=node,
        hazard_source=settings.hazard_source,
        kind=PointKind(settings.kind),
        silence_ms=round(settings.silence_s * 1000),
        scan_ms=round(settings.scan_s * 1000),
        range=settings.range,
    )


def alarm_defs(tag_id: str, tag: int, node: str, templates: Iterable[AlarmDef]) -> tuple[AlarmDef, ...]:
    """Return the alarms of a tag, made from the templates of its settings."""
    group = node.split("/", 1)[0]
    return tuple(
        AlarmDef(
            alarm_id(tag_id, t.kind),
            tag,
            t.kind,
            t.priority,
            t.hazard_source,
            t.limit,
            t.deadband,
            t.on_delay_ms,
            t.off_delay_ms,
            t.latch,
            "",
            group,
            t.local,
            t.rule,
        )
        for t in templates
    )


def templates_of(settings: Settings) -> tuple[AlarmDef, ...]:
    """Return every alarm of a tag with these settings: limits, over-range where it guards, blindness, warnings."""
    s = settings
    guards = tuple(guards_of(s.limits.items(), s.kind, s.range, s.hazard_source, local=s.local))
    return (*guards, *_blindness(settings, guards), *warnings_of(s.warnings.items(), s.hazard_source))


def comm_alarm(tag_id: str, tag: int, node: str, settings: Settings, guarded: Priority) -> AlarmDef:
    """Return the alarm of a device that does not answer, as loud as what the device guards (SAFETY S12)."""
    alarm = AlarmDef(alarm_id(tag_id, Kind.COMM), tag, Kind.COMM, guarded, settings.hazard_source, limit=COMM_LIMIT)
    return replace(alarm, group=node.split("/", 1)[0])


def mask_alarm(tag_id: str, tag: int, settings: Settings) -> AlarmDef:
    """Return the alarm of a mask's switch that was left on (SAFETY S17)."""
    name, source = alarm_id(tag_id, Kind.MASK), settings.hazard_source
    alarm = AlarmDef(name, tag, Kind.MASK, Priority.YELLOW, source, limit=SWITCH_LIMIT, on_delay_ms=MAX_MASK_MS)
    return replace(alarm, group=tag_id.split("/", 1)[0])


def link_alarm(node: str, hazard_source: str, guarded: Priority) -> AlarmDef:
    """Return the alarm that a hazard source is not seen through an edge node."""
    name = link_alarm_id(node, hazard_source)
    alarm = AlarmDef(name, -1, Kind.LINK, guarded, hazard_source, node=node)
    return replace(alarm, group=node.split("/", 1)[0])


def clock_alarm(node: str, hazard_source: str) -> AlarmDef:
    """Return the alarm that an edge's clock is off: it delays nothing, and times it tells are not to be trusted."""
    alarm = AlarmDef(clock_alarm_id(node, hazard_source), -1, Kind.CLOCK, Priority.YELLOW, hazard_source, node=node)
    return replace(alarm, group=node.split("/", 1)[0])


def system_alarm(name: str) -> AlarmDef:
    """Return an alarm of the monitoring system itself: lag, damage on disk, a receiver that cannot be reached."""
    return AlarmDef(system_alarm_id(name), -1, Kind.SYSTEM, Priority.ORANGE, SYSTEM_SOURCE, latch=name in LATCHED)


def system_alarm_id(name: str) -> str:
    """Return the id of an alarm of the monitoring system itself."""
    return f"{SYSTEM_SOURCE}/cloud#{Kind.SYSTEM}@{name}"


def is_guarded(settings: Settings) -> bool:
    """True for a point whose blindness is an alarm: it has limits, sees gas or fire, or its profile requires it."""
    return bool(settings.limits) or settings.kind in (PointKind.GAS, PointKind.FIRE) or settings.required


def limit_of(settings: Settings, kind: Kind) -> Limit | None:
    """Return the limit an alarm of a tag is about; None where it is about no limit."""
    return settings.limits.get(LimitKind(kind)) if kind in LimitKind.__members__ else None


def warning_of(settings: Settings, kind: Kind) -> EarlyWarning | None:
    """Return the statistical rule a warning of a tag comes from; None where it is no warning."""
    return settings.warnings.get(kind.lower()) if kind in WARNING_KINDS else None


def source_in(settings: Settings, kind: Kind) -> Source | None:
    """Return where the limit or the rule of an alarm comes from; None where it has neither (SAFETY S30)."""
    by = limit_of(settings, kind) or warning_of(settings, kind)
    return None if by is None else by.source


def handling_in(settings: Settings, kind: Kind) -> Handling:
    """Return how an alarm of a tag with these settings is handled (SAFETY S24)."""
    return handling_of(kind, PointKind(settings.kind), limit_of(settings, kind) or warning_of(settings, kind))


def _blindness(settings: Settings, guards: Iterable[AlarmDef]) -> Iterator[AlarmDef]:
    if not is_guarded(settings):
        return
    for kind in (Kind.FAULT, Kind.STALE):
        yield AlarmDef("", NO_TAG, kind, guarded_priority(guards), settings.hazard_source)
