"""What people call an alarm of which only the id is at hand."""

from collections.abc import Iterable
from dataclasses import dataclass

from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.api.parts import Parts


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
    found = {}
    for alarm in ids:
        entry, short = known.get(_tag(alarm)), alarm.rpartition("#")[2].partition("@")[0]
        name = entry.name if entry else Bilingual(_tag(alarm), _tag(alarm))
        found[alarm] = AlarmName(alarm, _tag(alarm) if entry else "", name, short)
    return found


def _tag(alarm: str) -> str:
    return alarm.rpartition("#")[0] or alarm
