"""What this node says of itself and its devices when it is born: names, aliases, types, and the values it last saw."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from davylamp_wire.describe import DeviceDescription, datatype_of, foreign_properties
from davylamp_wire.payload import (
    CLOCK,
    DESCRIPTION,
    EPOCH,
    HOLE,
    KEEPALIVE,
    LOCAL_ALARM,
    REBIRTH,
    RECORD,
    SENT,
    BirthMetric,
    SparkplugType,
    bd_seq_metric,
)
from davylamp_wire.quality import Reason, bad
from davylamp_wire.reading import Value

from davylamp_edge.install import Installed, groups_of, measured_alike
from davylamp_edge.journal import Journal
from davylamp_edge.records import NODE
from davylamp_edge.report import Clock, utc_ms
from davylamp_edge.together import Together

UNKNOWN = bad(Reason.NO_VALUE)

Standing = Callable[[str, int], str]


def nothing_stands(device: str, stamp_ms: int) -> str:
    """Return what an edge says that decides no alarms."""
    return ""


@dataclass(slots=True)
class Tags:
    """A device's points as they travel: `aliases` parallel to `Installed.points`, and what each point last said.

    The last values are for births alone and are written by the event loop, read by the publisher; a torn read shows
    one value of the scan before, which is harmless there.
    """

    installed: Installed
    aliases: tuple[int, ...]
    types: dict[int, int]
    alarm_alias: int | None
    """Of what this edge decides of its alarms; None where it decides nothing."""
    values: list[Value]
    qualities: list[int]
    times_ms: list[int | None]
    seen: Together | None = None

    def together(self, points: Sequence[int]) -> Together:
        """Return what is known of a scan's points: it mostly has the same ones as the scan before."""
        if self.seen is None or self.seen.points != points:
            self.seen = Together.of(points, self.aliases, self.types)
        return self.seen

    def remember(
        self, points: Sequence[int], values: Sequence[Value], qualities: Sequence[int], times_ms: Sequence[int]
    ) -> None:
        """Keep what a scan said, for the next birth."""
        run = self.together(points).run
        if run is not None:
            self.values[run] = values
            self.qualities[run] = qualities
            self.times_ms[run] = times_ms
            return
        for point, value, quality, time_ms in zip(points, values, qualities, times_ms, strict=True):
            self.values[point] = value
            self.qualities[point] = quality
            self.times_ms[point] = time_ms


def tags_of(journal: Journal, installed: Installed) -> Tags:
    """Return a device's tags, with an alias for each that it keeps for ever."""
    types = [datatype_of(point) for point in installed.points]
    aliases = tuple(journal.aliases(installed.name, list(zip(installed.names, types, strict=True))))
    count = len(aliases)
    by_alias: dict[int, int] = dict(zip(aliases, types, strict=True))
    is_local = any(point.local for point in installed.points)
    alarm_alias = journal.alias(installed.name, LOCAL_ALARM, SparkplugType.STRING) if is_local else None
    return Tags(installed, aliases, by_alias, alarm_alias, [None] * count, [UNKNOWN] * count, [None] * count)


def description_of(installed: Installed) -> DeviceDescription:
    """Return what the birth says about an installed device."""
    return DeviceDescription(
        name=installed.name,
        profile=installed.profile.name,
        profile_version=installed.profile.version,
        hazard_source=installed.config.hazard_source,
        driver=installed.config.driver,
        zh=installed.profile.zh,
        en=installed.profile.en,
        groups=groups_of(installed),
        points=dict(zip(installed.names, installed.points, strict=True)),
    )


class Births:
    """The births of a node and its devices.

    While the journal holds unconfirmed records from before this start, points and devices that have since been taken
    out of the config are born too, valueless: their last readings must still find their names (SAFETY S26).
    """

    def __init__(
        self,
        journal: Journal,
        installed: Iterable[Installed],
        standing: Standing = nothing_stands,
        now_ms: Clock = utc_ms,
    ) -> None:
        """`standing` tells where a device's local alarms are at a moment, as the text of their metric."""
        self._journal = journal
        self._standing = standing
        self._now_ms = now_ms
        self.tags = {device.name: tags_of(journal, device) for device in installed}
        self._until = journal.last_record
        self._former = journal.former_devices(self.tags) if journal.backlog() else {}
        self._with_former_points = journal.backlog() > 0
        self.clock_alias = journal.alias(NODE, CLOCK, SparkplugType.INT64)
        self._descriptions = {name: description_of(tags.installed).encode() for name, tags in self.tags.items()}
        for name, description in self._descriptions.items():
            journal.describe(name, description)

    def inherit(self, before: "Births") -> None:
        """Take over what points last said under the config before, where they are measured as they were."""
        for name, tags in self.tags.items():
            if name in before.tags:
                _inherit(tags, before.tags[name])

    def follow(self, before: "Births") -> list[str]:
        """Take the place of other births in the middle of a session; return the devices that must be born anew.

        What was taken out since stays born, as after a restart, until everything up to now is confirmed.
        """
        taken_out = {name: text for name, text in before._descriptions.items() if name not in self.tags}
        before_that = {name: text for name, text in before._former.items() if name not in self.tags}
        self._former = {**before_that, **taken_out}
        self._until = self._journal.last_record
        self._with_former_points = True
        return [name for name in self.tags if self._says(name) != before._says(name)]

    def _says(self, name: str) -> tuple[object, ...]:
        """Return everything a device's birth says but its values."""
        tags = self.tags.get(name)
        return () if tags is None else (self._descriptions[name], tags.installed.names, tags.aliases)

    def node(self, bd_seq: int, keepalive_s: int, clock_offset_ms: int | None) -> list[BirthMetric]:
        """Return the metrics of the NBIRTH."""
        journal, text = self._journal, SparkplugType.STRING
        keepalive = journal.alias(NODE, KEEPALIVE, SparkplugType.INT32)
        return [
            bd_seq_metric(bd_seq),
            BirthMetric(REBIRTH, SparkplugType.BOOLEAN, None, False),
            BirthMetric(EPOCH, text, journal.alias(NODE, EPOCH, text), journal.epoch),
            BirthMetric(RECORD, SparkplugType.UINT64, journal.record_alias(NODE), journal.last_record),
            BirthMetric(SENT, SparkplugType.UINT64, None, journal.sent_upto),
            BirthMetric(HOLE, text, journal.alias(NODE, HOLE, text), None),
            BirthMetric(CLOCK, SparkplugType.INT64, self.clock_alias, clock_offset_ms),
            BirthMetric(KEEPALIVE, SparkplugType.INT32, keepalive, keepalive_s),
        ]

    def devices(self) -> Iterator[tuple[str, list[BirthMetric]]]:
        """Yield each device with the metrics of its DBIRTH."""
        for name in self.tags:
            yield name, self.device(name)
        for name, description in self._former.items():
            yield name, [*self._own(name, description), *self._former_points(name, ())]

    def device(self, name: str) -> list[BirthMetric]:
        """Return the metrics of an installed device's DBIRTH."""
        tags = self.tags[name]
        former = self._former_points(name, tags.installed.names) if self._with_former_points else []
        return [*self._own(name, self._descriptions[name]), *self._alarms(name, tags), *_points(tags), *former]

    def _alarms(self, device: str, tags: Tags) -> list[BirthMetric]:
        """Return where the local alarms are: what stands here must stand in the cloud too."""
        if tags.alarm_alias is None:
            return []
        now_ms = self._now_ms()
        said = self._standing(device, now_ms)
        return [BirthMetric(LOCAL_ALARM, SparkplugType.STRING, tags.alarm_alias, said or None, time_ms=now_ms)]

    def _is_local(self, device: str) -> bool:
        return device in self.tags and self.tags[device].alarm_alias is not None

    def settled(self) -> list[str]:
        """Return former devices whose last records are confirmed now, each once; their death may be told."""
        if not self._with_former_points or self._journal.confirmed.missing(1, self._until):
            return []
        self._with_former_points = False
        gone, self._former = list(self._former), {}
        return gone

    def _own(self, device: str, description: str) -> list[BirthMetric]:
        text = SparkplugType.STRING
        return [
            BirthMetric(RECORD, SparkplugType.UINT64, self._journal.record_alias(device), None),
            BirthMetric(DESCRIPTION, text, self._journal.alias(device, DESCRIPTION, text), description),
        ]

    def _former_points(self, device: str, installed: Iterable[str]) -> list[BirthMetric]:
        """Return the points a device had and has not any more.

        A point whose datatype changed keeps its name for its new alias: a name cannot stand twice in a birth.
        """
        taken = {*installed, RECORD, DESCRIPTION, *([LOCAL_ALARM] if self._is_local(device) else [])}
        had = {name: (datatype, alias) for name, datatype, alias in self._journal.aliases_of(device)}
        return [BirthMetric(name, *had[name], None) for name in had if name not in taken]


def _inherit(tags: Tags, before: Tags) -> None:
    places = {alias: place for place, alias in enumerate(before.aliases)}
    for place, alias in enumerate(tags.aliases):
        had = places.get(alias)
        if had is not None and measured_alike(tags.installed.points[place], before.installed.points[had]):
            tags.values[place] = before.values[had]
            tags.qualities[place] = before.qualities[had]
            tags.times_ms[place] = before.times_ms[had]


def _points(tags: Tags) -> list[BirthMetric]:
    installed = tags.installed
    columns = zip(
        installed.names, installed.points, tags.aliases, tags.values, tags.qualities, tags.times_ms, strict=True
    )
    return [
        BirthMetric(name, tags.types[alias], alias, value, foreign_properties(point), quality, time_ms)
        for name, point, alias, value, quality, time_ms in columns
    ]
