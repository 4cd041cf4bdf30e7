"""What stands: alarms from state.db with the names of their tags, counted, most urgent first."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from davylamp_alarms.definition import GROUP_KINDS, Kind
from davylamp_wire.profile import DetectorGroup
from sqlalchemy import select

from davylamp_cloud import telling
from davylamp_cloud.api.catalogue import NO_TAGS, Catalogue, Register, Watched
from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.api.limits import settings_in_force, source_words
from davylamp_cloud.api.views import PRIORITY_ORDER, AlarmView, Level
from davylamp_cloud.api.words import of
from davylamp_cloud.detector_groups import device_of, kept_with, member_tags
from davylamp_cloud.handling import general
from davylamp_cloud.settings import Settings, handling_in, limit_of
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row, State


@dataclass(frozen=True, slots=True)
class Count:
    """How many alarms of one priority stand, and how many of them nobody has acknowledged."""

    level: str
    standing: int
    unacknowledged: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The alarms that stand, as rows, with their tags and settings at that moment, and how much is watched.

    `ties_ms` has the occurrences that came first in an upset that lasts (SAFETY S25).
    """

    rows: tuple[Row, ...] = ()
    register: Register = NO_TAGS
    settings: Mapping[int, Settings] = field(default_factory=dict)
    ties_ms: Mapping[str, int] = field(default_factory=dict)
    watched: Watched = field(default_factory=dict)


def read_standing(state: State, catalogue: Catalogue) -> Standing:
    """Return what stands now, without how much is watched; reads the disk."""
    return standing_of(state, catalogue, state.standing_alarms())


def read_board(state: State, catalogue: Catalogue) -> Standing:
    """Return what stands now, and how much is watched; reads the disk."""
    return replace(read_standing(state, catalogue), watched=catalogue.watched())


def standing_of(state: State, catalogue: Catalogue, rows: Iterable[Row]) -> Standing:
    """Return some alarms with what is needed to show them; reads the disk."""
    rows = tuple(rows)
    about = {_about(row) for row in rows}
    register = catalogue.some(about)
    indices = [register.by_tag[tag].index for tag in about if tag in register.by_tag]
    return Standing(rows, register, settings_in_force(state, indices), first_outs(state))


def _about(row: Row) -> str:
    """Return the id of the tag an alarm has its words from; a group of detectors is kept with its device's."""
    return kept_with(row["alarm_id"])[0] if row["kind"] in GROUP_KINDS else row["tag_id"]


def first_outs(state: State) -> dict[str, int]:
    """Return the occurrences that came first in an upset that lasts, and within what time they tie; 0: one alone."""
    table = schema.UPSETS
    upsets = state.rows(select(table.c.first, table.c.tie_ms).where(table.c.ended_ms == 0))
    return {occurrence: upset["tie_ms"] for upset in upsets for occurrence, _, _ in upset["first"]}


def alarm_view(row: Row, standing: Standing) -> AlarmView:
    """Return an alarm row as readers see it."""
    kind = Kind(row["kind"])
    keeper = standing.register.by_tag.get(_about(row))
    settings = standing.settings.get(keeper.index) if keeper else None
    entry = None if kind in GROUP_KINDS else keeper
    handling = handling_in(settings, kind) if settings else general(kind, name=row["alarm_id"].rpartition("@")[2])
    limit = limit_of(settings, kind) if settings else None
    return AlarmView(
        occurrence=row["occurrence"],
        version=row["version"],
        alarm_id=row["alarm_id"],
        hazard_source=row["hazard_source"],
        tag=row["tag_id"],
        tag_index=entry.index if entry else None,
        tag_name=entry.name if entry else _name_of(row, kind, settings),
        device_name=keeper.device_name if keeper else _node_of(row["alarm_id"]),
        plant_tag=entry.plant_tag if entry else "",
        kind=row["kind"],
        priority=Level(row["priority"]),
        letter=row["letter"],
        active=row["condition"] == "active",
        acknowledged=row["acknowledged"],
        acknowledged_by=row["acknowledged_by"],
        latched=row["latched"],
        suppressions=tuple(row["suppressions"]),
        quality=row["quality"],
        value=row["value"],
        limit=row["limit"],
        unit=entry.unit if entry else "",
        since_ms=row["raised_ms"],
        late=row["late"],
        late_until_ms=row["late_until_ms"],
        shelved_until_ms=row["shelved_until_ms"],
        hidden_until_ms=row["hidden_until_ms"],
        first_out=row["occurrence"] in standing.ties_ms,
        tie_ms=standing.ties_ms.get(row["occurrence"], 0),
        action=of(handling.action),
        verified=limit is None or limit.source.verified,
        text=Bilingual(row["text_zh"], row["text_en"]),
        cause=of(handling.cause),
        consequence=of(handling.consequence),
        respond_s=handling.respond_s,
        respond_by_ms=None if row["late"] else row["raised_ms"] + round(handling.respond_s * 1000),
        handling=handling.origin,
        limit_source=source_words(limit.source) if limit else "",
        why_tag=entry.tag if entry else _detector_of(row, kind, settings),
    )


def _group_of(row: Row, kind: Kind, settings: Settings | None) -> DetectorGroup | None:
    """Return the group of detectors an alarm is about."""
    return settings.groups.get(kept_with(row["alarm_id"])[1]) if settings and kind in GROUP_KINDS else None


def _name_of(row: Row, kind: Kind, settings: Settings | None) -> Bilingual:
    """Return what an alarm without a tag is called: as its group of detectors, else as its kind."""
    group = _group_of(row, kind, settings)
    return Bilingual(group.zh, group.en) if group else of(telling.KINDS[kind])


def _detector_of(row: Row, kind: Kind, settings: Settings | None) -> str:
    """Return the first detector of the group an alarm is about."""
    group = _group_of(row, kind, settings)
    return member_tags(device_of(kept_with(row["alarm_id"])[0]), group)[0] if group else ""


def _node_of(alarm_id: str) -> Bilingual:
    """Return what an alarm without a tag is about: its edge node, or the part of the system its id names."""
    name = alarm_id.partition("#")[0]
    return Bilingual(name, name)


def board(standing: Standing, sees: Callable[[str], bool]) -> list[AlarmView]:
    """Return what stands of the hazard sources somebody sees, most urgent first."""
    alarms = [alarm_view(row, standing) for row in standing.rows if sees(row["hazard_source"])]
    return sorted(alarms, key=lambda alarm: alarm.order)


def counts(alarms: Iterable[AlarmView]) -> list[Count]:
    """Return standing and unacknowledged alarms by priority, red first; hidden ones are not counted."""
    open_alarms = [alarm for alarm in alarms if not alarm.hidden]
    return [
        Count(
            level,
            sum(alarm.level == level for alarm in open_alarms),
            sum(alarm.level == level and alarm.calls for alarm in open_alarms),
        )
        for level in PRIORITY_ORDER
    ]
