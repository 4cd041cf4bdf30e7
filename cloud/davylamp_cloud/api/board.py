"""What stands: alarms from state.db, sorted and counted by a few columns; words are read for those that are shown."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from davylamp_alarms.definition import GROUP_KINDS, WARNING_KINDS, Kind
from davylamp_alarms.finding import Finding
from davylamp_wire.point import Text
from davylamp_wire.profile import DetectorGroup
from sqlalchemy import select

from davylamp_cloud import telling
from davylamp_cloud.api.catalogue import Catalogue, Register, Watched
from davylamp_cloud.api.forecasts import Forecast, findings, inputs_of, of_the_raise, present
from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.api.limits import CHUNK, settings_in_force, source_words
from davylamp_cloud.api.views import PRIORITY_ORDER, AlarmView, Brief, Level
from davylamp_cloud.api.words import of
from davylamp_cloud.cloud import Cloud
from davylamp_cloud.detector_groups import device_of, kept_with, member_tags
from davylamp_cloud.handling import general
from davylamp_cloud.settings import Settings, handling_in, source_in
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
    """The alarms that stand, most urgent first, and how much is watched."""

    alarms: tuple[Brief, ...] = ()
    watched: Watched = field(default_factory=dict)

    def seen(self, sees: Callable[[str], bool]) -> list[Brief]:
        """Return the alarms of the hazard sources somebody sees."""
        return [alarm for alarm in self.alarms if sees(alarm.hazard_source)]


@dataclass(frozen=True, slots=True)
class About:
    """What the words of some alarms are made of: their tags and settings.

    `ties_ms` has the occurrences that came first in an upset that lasts (SAFETY S25), `told` what notices say of
    warnings, by transition; `found` is what their rules find now, by alarm.
    """

    register: Register
    settings: Mapping[int, Settings]
    ties_ms: Mapping[str, int]
    told: Mapping[str, Mapping[str, Any]]
    found: Mapping[str, Finding]
    now_ms: int


def read_standing(state: State) -> tuple[Brief, ...]:
    """Return what stands now, most urgent first; reads the disk."""
    with state.reading() as connection:
        found = [Brief(**_brief(dict(row))) for row in connection.execute(_BRIEFS).mappings()]
    return tuple(sorted(found, key=lambda alarm: alarm.order))


_BRIEFS = (
    select(*(schema.ALARMS.c[name] for name in ("occurrence", "alarm_id", "hazard_source", "kind", "priority")))
    .add_columns(*(schema.ALARMS.c[name] for name in ("letter", "condition", "suppressions", "raised_ms")))
    .where(schema.ALARMS.c.letter != "A")
    .order_by(schema.ALARMS.c.seq.desc())
)


def _brief(row: Row) -> dict[str, Any]:
    """Return the fields of a brief from a row of alarms."""
    return {
        "occurrence": row["occurrence"],
        "alarm_id": row["alarm_id"],
        "hazard_source": row["hazard_source"],
        "kind": row["kind"],
        "priority": Level(row["priority"]),
        "letter": row["letter"],
        "active": row["condition"] == "active",
        "suppressions": tuple(row["suppressions"]),
        "since_ms": row["raised_ms"],
    }


def read_board(state: State, catalogue: Catalogue) -> Standing:
    """Return what stands now, and how much is watched; reads the disk."""
    return Standing(read_standing(state), catalogue.watched())


def shown(cloud: Cloud, catalogue: Catalogue, alarms: Sequence[Brief]) -> list[AlarmView]:
    """Return some alarms in their order as readers see them; reads the disk."""
    table = schema.ALARMS
    rows: dict[str, Row] = {}
    for start in range(0, len(alarms), CHUNK):
        chunk = [alarm.occurrence for alarm in alarms[start : start + CHUNK]]
        found = cloud.state.rows(select(table).where(table.c.occurrence.in_(chunk)))
        rows |= {row["occurrence"]: row for row in found}
    return views(cloud, catalogue, [rows[alarm.occurrence] for alarm in alarms if alarm.occurrence in rows])


def views(cloud: Cloud, catalogue: Catalogue, rows: Sequence[Row]) -> list[AlarmView]:
    """Return rows of alarms as readers see them; reads the disk, and of warnings what the engine finds now."""
    state, warnings = cloud.state, [row for row in rows if row["kind"] in WARNING_KINDS]
    found = findings(cloud, [row["alarm_id"] for row in warnings])
    tags = {_about(row) for row in rows} | inputs_of(found.values())
    register = catalogue.some(tags)
    indices = [register.by_tag[tag].index for tag in tags if tag in register.by_tag]
    told = notices(state, [row["transition"] for row in warnings])
    about = About(register, settings_in_force(state, indices), first_outs(state), told, found, cloud.now_ms())
    return [_view(row, about) for row in rows]


def _about(row: Row) -> str:
    """Return the id of the tag an alarm has its words from; a group of detectors is kept with its device's."""
    return kept_with(row["alarm_id"])[0] if row["kind"] in GROUP_KINDS else row["tag_id"]


def first_outs(state: State) -> dict[str, int]:
    """Return the occurrences that came first in an upset that lasts, and within what time they tie; 0: one alone."""
    table = schema.UPSETS
    upsets = state.rows(select(table.c.first, table.c.tie_ms).where(table.c.ended_ms == 0))
    return {occurrence: upset["tie_ms"] for upset in upsets for occurrence, _, _ in upset["first"]}


def notices(state: State, transitions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the data of some transitions' notices."""
    table = schema.TRANSITIONS
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(transitions), CHUNK):
        chunk = transitions[start : start + CHUNK]
        rows = state.rows(select(table.c.id, table.c.body).where(table.c.id.in_(chunk)))
        found |= {row["id"]: json.loads(row["body"]) for row in rows}
    return found


def _view(row: Row, about: About) -> AlarmView:
    kind = Kind(row["kind"])
    keeper = about.register.by_tag.get(_about(row))
    settings = about.settings.get(keeper.index) if keeper else None
    entry = None if kind in GROUP_KINDS else keeper
    handling = handling_in(settings, kind) if settings else general(kind, name=row["alarm_id"].rpartition("@")[2])
    source = source_in(settings, kind) if settings else None
    forecast = _forecast(row, kind, settings, about)
    return AlarmView(
        **_brief(row),
        version=row["version"],
        tag=row["tag_id"],
        tag_index=entry.index if entry else None,
        tag_name=entry.name if entry else _name_of(row, kind, settings),
        device_name=keeper.device_name if keeper else _node_of(row["alarm_id"]),
        plant_tag=entry.plant_tag if entry else "",
        acknowledged=row["acknowledged"],
        acknowledged_by=row["acknowledged_by"],
        latched=row["latched"],
        quality=row["quality"],
        value=row["value"],
        limit=row["limit"],
        unit=entry.unit if entry else "",
        late=row["late"],
        late_until_ms=row["late_until_ms"],
        shelved_until_ms=row["shelved_until_ms"],
        hidden_until_ms=row["hidden_until_ms"],
        first_out=row["occurrence"] in about.ties_ms,
        tie_ms=about.ties_ms.get(row["occurrence"], 0),
        action=of(handling.action),
        verified=source is None or source.verified,
        text=forecast.renewed(Bilingual(row["text_zh"], row["text_en"])),
        cause=of(handling.cause),
        consequence=of(handling.consequence),
        respond_s=handling.respond_s,
        respond_by_ms=None if row["late"] else row["raised_ms"] + round(handling.respond_s * 1000),
        handling=handling.origin,
        limit_source=source_words(source) if source else "",
        why_tag=entry.tag if entry else _detector_of(row, kind, settings),
        forecast=forecast.words,
        evidence=forecast.evidence,
        forecast_ms=forecast.made_ms,
        reach_ms=forecast.reach_ms,
    )


def _forecast(row: Row, kind: Kind, settings: Settings | None, about: About) -> Forecast:
    """Return what a warning finds now, or found when it was raised; nothing of any other alarm."""
    told, found = about.told.get(row["transition"], {}), about.found.get(row["alarm_id"])
    if found is None or settings is None:
        return of_the_raise(told, row["raised_ms"], about.now_ms)
    return present(found, told, kind, settings, partial(_named, about.register), about.now_ms)


def _named(register: Register, tag: str) -> Text:
    entry = register.by_tag.get(tag)
    return Text(zh=entry.name.zh, en=entry.name.en) if entry else Text(zh=tag, en=tag)


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


def counts(alarms: Iterable[Brief]) -> list[Count]:
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
