"""What people call an alarm of which only the id is at hand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from davylamp_alarms.definition import GROUP_KINDS
from davylamp_wire.profile import DetectorGroup

from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.api.limits import settings_in_force
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.detector_groups import kept_with


@dataclass(frozen=True, slots=True)
class AlarmName:
    """An alarm's tag and kind; `tag` is empty where the alarm has none (a link, a group)."""

    alarm_id: str
    tag: str
    name: Bilingual
    kind: str


def names_of(parts: Parts, alarms: Iterable[str]) -> dict[str, AlarmName]:
    """Return the names of some alarms by their ids; one that is no longer known is called by its id."""
    ids = list(alarms)
    known = parts.catalogue.some(_tag(alarm) for alarm in ids).by_tag
    groups = _groups(parts, [alarm for alarm in ids if _kind(alarm) in GROUP_KINDS])
    return {alarm: _named(alarm, known.get(_tag(alarm)), groups.get(alarm)) for alarm in ids}


def _named(alarm: str, entry: Entry | None, group: DetectorGroup | None) -> AlarmName:
    if group is not None:
        return AlarmName(alarm, "", Bilingual(group.zh, group.en), _kind(alarm))
    name = entry.name if entry else Bilingual(_tag(alarm), _tag(alarm))
    return AlarmName(alarm, _tag(alarm) if entry else "", name, _kind(alarm))


def _groups(parts: Parts, alarms: Iterable[str]) -> Mapping[str, DetectorGroup]:
    """Return the groups of detectors that alarms are about, where they are known."""
    kept = {alarm: kept_with(alarm) for alarm in alarms}
    if not kept:
        return {}
    keepers = parts.catalogue.some(tag for tag, _ in kept.values()).by_tag
    indices = {tag: keepers[tag].index for tag, _ in kept.values() if tag in keepers}
    settings = settings_in_force(parts.cloud.state, indices.values())
    groups = {tag: settings[index].groups for tag, index in indices.items() if index in settings}
    return {alarm: groups[tag][name] for alarm, (tag, name) in kept.items() if name in groups.get(tag, {})}


def _tag(alarm: str) -> str:
    return alarm.rpartition("#")[0] or alarm


def _kind(alarm: str) -> str:
    return alarm.rpartition("#")[2].partition("@")[0]
