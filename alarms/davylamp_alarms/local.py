"""Limits decided where their readings are: an edge's own conditions. The life of an alarm is the cloud's.

The rules, delays and deadbands are the engine's (samples.py, conditions.py), and every raw reading meets them (SAFETY
S8). Time is the order of arrival on a clock that nobody sets: a wrong or set wall clock delays nothing (S2).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from davylamp_wire.quality import GOOD

from davylamp_alarms.batch import Batch
from davylamp_alarms.columns import NEVER
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import KINDS, AlarmDef, Changes, TagDef, alarm_id
from davylamp_alarms.edits import redefine
from davylamp_alarms.explain import judged
from davylamp_alarms.memory import Memory
from davylamp_alarms.planning import row_of
from davylamp_alarms.samples import evaluate, settle_bands
from davylamp_alarms.steps import Step, What
from davylamp_alarms.timers import raise_pending
from davylamp_alarms.transition import Refusal


class Moment(NamedTuple):
    """Now, on the clock that nobody sets and on the wall's."""

    steady_ms: int
    wall_ms: int

    def wall(self, steady_ms: int) -> int:
        """Return what the wall's clock said then."""
        return self.wall_ms - (self.steady_ms - steady_ms)

    def steady(self, wall_ms: int) -> int:
        """Return what the steady clock said then; never later than now."""
        return self.steady_ms - max(0, self.wall_ms - wall_ms)


class Reading(NamedTuple):
    """What a tag last said, and when on the steady clock."""

    value: float
    quality: int
    steady_ms: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What of one alarm outlives a restart; its times are the wall's while it lies on disk.

    `no` counts its occurrences. `pending_ms` is since when the condition is met while the on-delay runs; the figures
    are those the standing occurrence was entered by.
    """

    no: int = 0
    active: bool = False
    pending_ms: int | None = None
    raised_ms: int | None = None
    returned_ms: int | None = None
    value: float | None = None
    quality: int = GOOD
    figures: tuple[float, float, int, int] | None = None

    def moved(self, move: Callable[[int], int]) -> "Kept":
        """Return the same by another clock."""
        times = (self.pending_ms, self.raised_ms, self.returned_ms)
        pending_ms, raised_ms, returned_ms = (None if time_ms is None else move(time_ms) for time_ms in times)
        return replace(self, pending_ms=pending_ms, raised_ms=raised_ms, returned_ms=returned_ms)

    def left(self) -> "Kept":
        """Return what is kept of an alarm that is decided here no longer: its number, and that it returned if it did.

        What stood goes on standing under another author; to have left it is no evidence of a return (SAFETY S4).
        """
        return Kept(self.no, returned_ms=None if self.active else self.returned_ms)


@dataclass(frozen=True, slots=True)
class Change:
    """What an edge says of one of its alarms: that it was raised, that it returned, or where it stands.

    Times are the wall's. `time_ms` is when that was measured, `before_ms` when the occurrence before this one
    returned; `value` and `quality` are of the reading that decided. `found`: nothing changed, this is where it stands.
    """

    alarm: AlarmDef
    no: int
    active: bool
    time_ms: int
    raised_ms: int | None
    before_ms: int | None
    value: float | None
    quality: int
    found: bool = False


class Conditions:
    """The conditions of an edge's local limits. What changed in `take` and `tick` is in `dirty` until it is kept."""

    def __init__(
        self, tags: Sequence[TagDef], alarms: Sequence[AlarmDef], kept: Mapping[str, Kept], now: Moment
    ) -> None:
        """Go on from what was kept: what stood stands; of the rest nothing is known before a good reading.

        Raises:
            ValueError: The alarms contradict their tags; the message says where.
        """
        self._memory = Memory()
        self._configured = {alarm.id: alarm for alarm in alarms}
        self._kept = {name: kept.get(name, Kept()).moved(now.steady) for name in self._configured}
        in_force = tuple(_entered_by(alarm, self._kept[alarm.id]) for alarm in alarms)
        answer = redefine(self._memory, -1, Changes(0, tags=tuple(tags), alarms=in_force))
        if isinstance(answer, Refusal):
            raise ValueError(answer.en)
        self._last_ms = now.steady_ms
        self._pending = {n: k.pending_ms for n, k in self._kept.items() if k.pending_ms is not None}
        self._unknown: dict[str, int | None] = {n: None for n, k in self._kept.items() if not k.active}
        self._active = self._configured.keys() - self._unknown.keys()
        self._of_tag: dict[int, list[str]] = {}
        for name in self._unknown:
            self._of_tag.setdefault(self._configured[name].tag, []).append(name)
        for name in self._active:
            self._memory.layout.rows.phase[self._row(name)] = Phase.ACTIVE
        settle_bands(self._memory, np.arange(len(tags), dtype=np.int32))
        self._phases = self._memory.layout.rows.phase[: self._memory.layout.rows.n].copy()
        self.dirty: set[str] = set()

    def take(
        self,
        tags: Sequence[int],
        values: Sequence[float],
        qualities: Sequence[int],
        times_ms: Sequence[int],
        now: Moment,
    ) -> list[Change]:
        """Meet readings of different tags, NaN where there is no value; `times_ms` are when they were measured."""
        at_ms, count = self._at(now), len(tags)
        self._make_way(tags, at_ms)
        stamps = np.full(count, at_ms, np.int64)
        nothing, live = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        batch = Batch.of(nothing, tags, stamps, values, qualities, live, stamps)
        steps = evaluate(self._memory, batch)
        if self._pending:
            steps += self._resumed(tags, at_ms)
        measured = dict(zip(tags, times_ms, strict=True))
        changes = [self._changed(step, measured, now) for step in sorted(steps, key=lambda step: step.order)]
        if self._of_tag:
            changes += self._found(measured, at_ms, now)
        self._mark()
        return changes

    def tick(self, now: Moment) -> list[Change]:
        """Let on-delays fall due without a new reading (SAFETY S3)."""
        steps = raise_pending(self._memory, 0, self._at(now))
        changes = [self._changed(step, {}, now) for step in steps]
        self._mark()
        return changes

    def said(self, names: Iterable[str], now: Moment) -> list[Change]:
        """Return where these alarms stand, as far as that is known; of the others nothing is said (SAFETY S4)."""
        return [self._standing(name, now) for name in names if name not in self._unknown]

    def standing(self, now: Moment) -> list[Change]:
        """Return what stands."""
        return [self._standing(name, now) for name in sorted(self._active)]

    def occurrences(self) -> dict[str, int]:
        """Return the number of the occurrence that stands, by alarm. The beacon asks ten times a second."""
        return {name: kept.no for name, kept in self._kept.items() if kept.active}

    def readings(self) -> dict[str, Reading]:
        """Return what each tag last said, by its id; nothing of tags that have said nothing."""
        tags, names = self._memory.layout.tags, self._memory.layout.names.values
        read = np.flatnonzero(tags.time_ms[: tags.n] != NEVER).tolist()
        return {names[at]: Reading(float(tags.value[at]), int(tags.quality[at]), int(tags.time_ms[at])) for at in read}

    def keep(self, now: Moment) -> dict[str, Kept]:
        """Return what changed since the last call and must outlive a restart."""
        names, self.dirty = self.dirty, set()
        return {name: self._to_keep(name, now) for name in sorted(names)}

    def memory(self, now: Moment) -> dict[str, Kept]:
        """Return all that must outlive these conditions."""
        return {name: self._to_keep(name, now) for name in self._configured}

    def _at(self, now: Moment) -> int:
        self._last_ms = max(now.steady_ms, self._last_ms)
        return self._last_ms

    def _make_way(self, tags: Sequence[int], at_ms: int) -> None:
        """Let what arrives now be later than what these tags had, within the same millisecond too."""
        column, mine = self._memory.layout.tags, np.asarray(tags, np.int64)
        column.time_ms[mine] = np.minimum(column.time_ms[mine], at_ms - 1)
        column.good_ms[mine] = np.minimum(column.good_ms[mine], at_ms - 1)

    def _row(self, name: str) -> int:
        alarm = self._configured[name]
        return row_of(self._memory, alarm.tag, alarm.kind)

    def _mark(self) -> None:
        """Note whose phase moved."""
        layout = self._memory.layout
        phases = layout.rows.phase[: layout.rows.n]
        moved = np.flatnonzero(phases != self._phases)
        if moved.size:
            for row, tag in zip(moved.tolist(), layout.tags_of(moved).tolist(), strict=True):
                self.dirty.add(layout.alarm(tag, row).id)
            self._phases = phases.copy()

    def _changed(self, step: Step, measured: Mapping[int, int], now: Moment) -> Change:
        """Number a step of the conditions, and note what follows from it."""
        name = alarm_id(self._memory.layout.names.values[step.tag], KINDS[step.kind])
        before, active = self._kept[name], step.what is What.RAISED
        time_ms = step.time_ms if step.due_ms is not None else now.steady(measured[step.tag])
        self._unknown.pop(name, None)
        self._pending.pop(name, None)
        value = None if step.value is None or not np.isfinite(step.value) else step.value
        said = replace(before, active=active, pending_ms=None, value=value, quality=step.quality)
        alarm = self._in_force(name)
        if active:
            said = replace(said, no=before.no + 1, raised_ms=time_ms, figures=_figures(alarm))
        else:
            said = replace(said, returned_ms=time_ms, figures=None)
            self._follow_config(name)
        self._kept[name] = said
        (self._active.add if active else self._active.discard)(name)
        self.dirty.add(name)
        return _change(alarm, said, before.returned_ms, now)

    def _in_force(self, name: str) -> AlarmDef:
        return self._memory.layout.alarm(self._configured[name].tag, self._row(name))

    def _follow_config(self, name: str) -> None:
        """Let a limit that was changed while its alarm stood hold from now on."""
        alarm = self._configured[name]
        if self._in_force(name) != alarm:
            self._memory.layout.put([alarm])
            settle_bands(self._memory, np.array([alarm.tag], np.int32))

    def _resumed(self, tags: Sequence[int], at_ms: int) -> list[Step]:
        """Give delays that ran before the restart their beginning back, where the condition is still met."""
        layout, slots = self._memory.layout, self._memory.slots
        for name in [name for name in self._pending if self._configured[name].tag in tags]:
            row, tag = self._row(name), self._configured[name].tag
            if layout.rows.phase[row] == Phase.PENDING:
                slots.since_ms[layout.rows.slot[row]] = self._pending.pop(name)
            elif layout.tags.quality[tag] == GOOD:
                del self._pending[name]
        return raise_pending(self._memory, 0, at_ms)

    def _found(self, measured: Mapping[int, int], at_ms: int, now: Moment) -> Iterator[Change]:
        """Yield what is known to be normal from now on: shown by a good reading inside, for the off-delay (S4)."""
        for name in [name for tag in sorted(self._of_tag.keys() & measured.keys()) for name in self._of_tag[tag]]:
            if name not in self._unknown:
                continue
            alarm, row = self._configured[name], self._row(name)
            inside = judged(self._memory, alarm.tag, row)[1] and self._phases_of(row) is Phase.NORMAL
            since_ms = self._unknown[name]
            self._unknown[name] = (at_ms if since_ms is None else since_ms) if inside else None
            since_ms = self._unknown[name]
            if since_ms is not None and at_ms - since_ms >= alarm.off_delay_ms:
                del self._unknown[name]
                tags, kept = self._memory.layout.tags, self._kept[name]
                returned_ms = kept.returned_ms
                if kept.no and kept.raised_ms is None:  # another decided meanwhile: it has returned by now
                    returned_ms = now.steady(measured[alarm.tag])
                    self.dirty.add(name)
                value = float(tags.value[alarm.tag])
                self._kept[name] = replace(kept, value=value, quality=GOOD, returned_ms=returned_ms)
                yield replace(self._standing(name, now), time_ms=measured[alarm.tag])
        for tag in [
            tag for tag in self._of_tag.keys() & measured.keys() if not self._unknown.keys() & self._of_tag[tag]
        ]:
            del self._of_tag[tag]

    def _phases_of(self, row: int) -> Phase:
        return Phase(int(self._memory.layout.rows.phase[row]))

    def _standing(self, name: str, now: Moment) -> Change:
        kept = self._kept[name]
        change = _change(self._in_force(name), kept, kept.returned_ms if kept.active else None, now)
        return replace(change, found=True)

    def _to_keep(self, name: str, now: Moment) -> Kept:
        kept, row = replace(self._kept[name], pending_ms=self._pending.get(name)), self._row(name)
        if self._phases_of(row) is Phase.PENDING:
            slot = int(self._memory.layout.rows.slot[row])
            kept = replace(kept, pending_ms=int(self._memory.slots.since_ms[slot]))
        return kept.moved(now.wall)


def _figures(alarm: AlarmDef) -> tuple[float, float, int, int]:
    return alarm.limit, alarm.deadband, alarm.on_delay_ms, alarm.off_delay_ms


def _entered_by(alarm: AlarmDef, kept: Kept) -> AlarmDef:
    """Return an alarm by the figures its standing occurrence was entered by, where one stands."""
    if not kept.active or kept.figures is None:
        return alarm
    limit, deadband, on_delay_ms, off_delay_ms = kept.figures
    return replace(alarm, limit=limit, deadband=deadband, on_delay_ms=on_delay_ms, off_delay_ms=off_delay_ms)


def _change(alarm: AlarmDef, kept: Kept, before_ms: int | None, now: Moment) -> Change:
    time_ms = kept.raised_ms if kept.active else kept.returned_ms
    return Change(
        alarm,
        kept.no,
        kept.active,
        now.wall_ms if time_ms is None else now.wall(time_ms),
        None if kept.raised_ms is None else now.wall(kept.raised_ms),
        None if before_ms is None else now.wall(before_ms),
        kept.value,
        kept.quality,
    )
