"""Alarms decided at this edge: raw readings in, what changed out. The only module that carries NumPy with it.

lines ─see─► conditions ─► tell(device, what changed, what to keep) ─► journal, class alarm
                 └─► standing ─► the beacon            └─► said ─► births

Nothing of an alarm but its process condition is decided here: the cloud records what this edge says, and adds who
acknowledged, shelved or was told (decision 0024).
"""

import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256

import structlog
from davylamp_alarms.definition import AlarmDef, PointKind, TagDef, alarm_id
from davylamp_alarms.local import Change, Conditions, Kept, Moment, Reading
from davylamp_alarms.templates import guards_of
from davylamp_wire.local_alarm import EdgeWord, LocalAlarm, encode_word
from davylamp_wire.point import Point
from davylamp_wire.reading import Value

from davylamp_edge.alarm_memory import KEPT, LEFT, LIFE, RUN
from davylamp_edge.config import EdgeConfig
from davylamp_edge.install import Installed, measured_alike
from davylamp_edge.journal import Journal
from davylamp_edge.report import Clock

log = structlog.get_logger(__name__)

Tell = Callable[[str, EdgeWord, Mapping[str, str]], None]
"""Takes what there is to say of a device's alarms, and what to keep with it for the next start."""

NOTHING = EdgeWord("", 0, ())

JITTER_MS = 2
"""By so much the difference of two clocks in whole milliseconds may move that run alike."""

TRIES = 25
"""How often, five times a second at least, what cannot be told is tried again."""


@dataclass(slots=True)
class Untold:
    """What there is to tell of one device, and what to keep with it."""

    said: list[LocalAlarm] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    failures: int = 0

    def failed(self) -> bool:
        """Count a failure; return whether its words must go one by one, so that one costs no other (SAFETY S14)."""
        self.failures += 1
        return self.failures >= TRIES


class LocalAlarms:
    """The local alarms of all devices. Lines and ticks come in the event loop's thread, births ask in the uplink's."""

    def __init__(
        self, node: str, life: str, run: int, kept: Mapping[str, str], tell: Tell, now: Callable[[], Moment]
    ) -> None:
        """Begin with nothing to decide.

        Args:
            node: ``group/node``.
            run: Counts the starts within a life.
            kept: What was kept of each alarm, by its id.
        """
        self._node, self._life, self._run = node, life, run
        self._tell = tell
        self._now = now
        self._lock = threading.Lock()
        self._places: dict[str, dict[int, int]] = {}
        self._device_of: dict[str, str] = {}
        self._names_of: dict[str, list[str]] = {}
        self._priorities: dict[str, int] = {}
        self._memory = {name: _kept(text) for name, text in kept.items()}
        self._conditions = Conditions([], [], {}, now())
        self._untold: dict[str, Untold] = {}
        self._points: dict[str, Point] = {}
        self._tags: dict[str, int] = {}
        self._unread: dict[str, Reading] = {}
        """What was read before a reload and not since: delays must not wait for a scan that is far off (S3)."""
        self._stepped_s: float | None = None
        self.changes = self.failures = 0
        self._failing: set[str] = set()
        """Devices whose readings were last not decided; while there are any, the engine counts as silent (S13)."""

    def follow(self, devices: Iterable[Installed]) -> None:
        """Decide the local limits of these devices from now on, and forget all but the numbers of others."""
        tags, alarms, places, points = _installed(devices, self._node)
        names = {alarm.id for alarm in alarms}
        with self._lock:
            now = self._now()
            known = self._memory | self._conditions.memory(now)
            read = self._conditions.readings()
            self._unread = {name: read[name] for name in read if _alike(points.get(name), self._points.get(name))}
            self._points, self._tags = points, {tag.id: at for at, tag in enumerate(tags)}
            self._memory = {name: kept if name in names else kept.left() for name, kept in known.items()}
            self._conditions = Conditions(tags, alarms, self._memory, now)
            self._places = places
            self._failing &= places.keys() | {""}
            self._untold = {device: untold for device, untold in self._untold.items() if device in places}
            self._device_of = {alarm.id: alarm.id.split("/")[2] for alarm in alarms}
            self._names_of = {}
            for name, device in self._device_of.items():
                self._names_of.setdefault(device, []).append(name)
            self._priorities = {alarm.id: int(alarm.priority) for alarm in alarms}
        forgotten = {name: kept for name, kept in self._memory.items() if name not in names and kept != known[name]}
        if forgotten:
            self._tell("", NOTHING, _texts(forgotten))

    def see(
        self,
        device: str,
        points: Sequence[int],
        values: Sequence[Value],
        qualities: Sequence[int],
        times: Sequence[int],
    ) -> None:
        """Meet raw readings of a device (SAFETY S8). An error here is nobody else's silence (S14)."""
        try:
            places = self._places[device]
            tags, numbers = [places[point] for point in points], [_number(value) for value in values]
            with self._lock:
                now = self._now()
                self._hand_on(self._conditions.take(tags, numbers, qualities, times, now), now)
            self._recover(device)
        except Exception:
            self._fail(device)

    def tick(self) -> None:
        """Let delays fall due that no new reading is needed for (SAFETY S3)."""
        try:
            with self._lock:
                now = self._now()
                self._hand_on([*self._met_again(now), *self._conditions.tick(now)], now)
            self._recover("")
        except Exception:
            self._fail("")
        if not self._failing:
            self._stepped_s = time.monotonic()

    def _met_again(self, now: Moment) -> list[Change]:
        """Meet what was read before the reload, where nothing newer was."""
        unread, self._unread = self._unread, {}
        newer = self._conditions.readings() if unread else {}
        again = {self._tags[name]: reading for name, reading in unread.items() if name not in newer}
        if not again:
            return []
        values, qualities = [each.value for each in again.values()], [each.quality for each in again.values()]
        times = [now.wall(each.steady_ms) for each in again.values()]
        return self._conditions.take(list(again), values, qualities, times, now)

    def keep_anew(self) -> None:
        """Keep everything once more: the wall's clock was set, and what lies on disk has times of before that."""
        with self._lock:
            self._tell("", NOTHING, _texts(self._conditions.memory(self._now())))

    def _recover(self, device: str) -> None:
        if device not in self._untold:
            self._failing.discard(device)

    def _fail(self, device: str) -> None:
        self.failures += 1
        if device not in self._failing:
            log.exception("local alarms failed", device=device)
        self._failing.add(device)

    def _hand_on(self, changes: Sequence[Change], now: Moment) -> None:
        """Tell what changed, device by device, and what to keep with it. What cannot be told now is told next time."""
        self.changes += len(changes)
        for change in changes:
            self._untold.setdefault(self._device_of[change.alarm.id], Untold()).said.append(self._said(change))
        for name, text in _texts(self._conditions.keep(now)).items():
            self._untold.setdefault(self._device_of[name.removeprefix(KEPT)], Untold()).kept[name] = text
        for device, untold in list(self._untold.items()):
            if self._told(device, untold.said, untold.kept):
                del self._untold[device]
            elif untold.failed():
                del self._untold[device]
                for alarm in untold.said:
                    self._told(device, [alarm], {})
                self._told("", [], untold.kept)

    def _told(self, device: str, said: Sequence[LocalAlarm], kept: Mapping[str, str]) -> bool:
        try:
            self._tell(device, EdgeWord(self._life, self._run, tuple(said)), kept)
        except Exception:
            self._fail(device)
            return False
        return True

    def _said(self, change: Change) -> LocalAlarm:
        point, _, kind = change.alarm.id.rpartition("/")[2].partition("#")
        return LocalAlarm(
            point=point,
            kind=kind,
            no=change.no,
            active=change.active,
            time_ms=change.time_ms,
            raised_ms=change.raised_ms,
            before_ms=change.before_ms,
            value=change.value,
            quality=change.quality,
            limit=change.alarm.limit,
            version=_version(change.alarm),
            found=change.found,
        )

    # looking

    def text(self, device: str, stamp_ms: int) -> str:
        """Return where a device's alarms stand, for a birth with this stamp; of what is not known nothing is said."""
        with self._lock:
            said = self._conditions.said(self._names_of.get(device, ()), self._now())
            return encode_word(EdgeWord(self._life, self._run, tuple(map(self._said, said))), stamp_ms)

    def standing(self) -> Mapping[str, int]:
        """Return the priority of every occurrence that stands, a graver one the higher number."""
        with self._lock:
            occurrences = self._conditions.occurrences()
        return {f"{name}:{self._life}-{no}": self._priorities[name] for name, no in occurrences.items()}

    def decides(self, alarm: str) -> bool:
        """Return whether the alarm with this id is decided here."""
        return alarm in self._priorities

    def figures(self) -> dict[str, int]:
        """Return how many stand, and what happened since the start."""
        counts = {"changes_total": self.changes, "failures_total": self.failures}
        return {"standing": len(self.standing()), "failing": len(self._failing), **counts}

    def stepped_s(self) -> float | None:
        """Return the monotonic time up to which everything was decided; None before the first."""
        return self._stepped_s


def begun(config: EdgeConfig, journal: Journal, tell: Tell, wall_ms: Clock, steady_ms: Clock) -> LocalAlarms:
    """Return local alarms that begin a run of their own; occurrences are numbered on from the journal's memory."""
    life = journal.kept(LIFE) or secrets.token_hex(4)
    run = int(journal.kept(RUN) or 0) + 1
    journal.keep(LIFE, life)
    journal.keep(RUN, str(run))
    kept, node = journal.kept_under(KEPT), f"{config.group}/{config.node}"
    if journal.kept(LEFT):  # others have decided since: what stood then says nothing of now
        kept = _texts({name: _kept(text).left() for name, text in kept.items()})
        tell("", NOTHING, {**kept, LEFT: ""})
        kept = {name.removeprefix(KEPT): text for name, text in kept.items()}
    return LocalAlarms(node, life, run, kept, tell, _Now(wall_ms, steady_ms))


class _Now:
    """Reads both clocks. What they are apart moves by a millisecond with each look, and what is told must not."""

    def __init__(self, wall_ms: Clock, steady_ms: Clock) -> None:
        self._wall_ms, self._steady_ms = wall_ms, steady_ms
        self._apart_ms = wall_ms() - steady_ms()

    def __call__(self) -> Moment:
        steady_ms = self._steady_ms()
        apart_ms = self._wall_ms() - steady_ms
        if abs(apart_ms - self._apart_ms) > JITTER_MS:
            self._apart_ms = apart_ms
        return Moment(steady_ms, steady_ms + self._apart_ms)


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _texts(memory: Mapping[str, Kept]) -> dict[str, str]:
    """Return what the journal is to keep for the next start."""
    return {KEPT + name: json.dumps(_said_of(kept)) for name, kept in memory.items()}


def _said_of(kept: Kept) -> dict[str, object]:
    return {name: value for name, value in asdict(kept).items() if value is not None}


def _kept(text: str) -> Kept:
    """Return what was kept; a text nobody can read is as good as none: a reading will tell (SAFETY S4)."""
    try:
        said = json.loads(text)
        figures = said.pop("figures", None)
        return Kept(**said, figures=None if figures is None else tuple(figures))
    except (ValueError, TypeError, AttributeError) as error:
        log.error("memory of a local alarm is unreadable", text=text[:200], error=str(error))
        return Kept()


def _version(alarm: AlarmDef) -> str:
    """Return a name for how an alarm is defined: another definition has another."""
    figures = (alarm.limit, alarm.deadband, alarm.on_delay_ms, alarm.off_delay_ms, alarm.latch, int(alarm.priority))
    return sha256(repr(figures).encode()).hexdigest()[:8]


Places = dict[str, dict[int, int]]


def _alike(point: Point | None, before: Point | None) -> bool:
    return point is not None and before is not None and measured_alike(point, before)


def _installed(
    devices: Iterable[Installed], node: str
) -> tuple[list[TagDef], list[AlarmDef], Places, dict[str, Point]]:
    """Return the tags and alarms to decide, the place of each device's points among the tags, and points by tag."""
    tags: list[TagDef] = []
    alarms: list[AlarmDef] = []
    places: Places = {}
    points: dict[str, Point] = {}
    for device in devices:
        for index, (name, point) in enumerate(zip(device.names, device.points, strict=True)):
            if point.local:
                tag_id = f"{node}/{device.name}/{name}"
                points[tag_id] = point
                places.setdefault(device.name, {})[index] = len(tags)
                alarms += _alarms(point, tag_id, len(tags), device.config.hazard_source)
                tags.append(TagDef(tag_id, node, device.config.hazard_source, PointKind(point.kind)))
    return tags, alarms, places, points


def _alarms(point: Point, tag_id: str, tag: int, hazard_source: str) -> Iterator[AlarmDef]:
    for alarm in guards_of(point.limits.items(), point.kind, point.range, hazard_source):
        yield replace(alarm, id=alarm_id(tag_id, alarm.kind), tag=tag)
