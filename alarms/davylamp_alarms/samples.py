"""Readings in, steps out. Quiet tags cost a compare; only what leaves its calm band or is busy meets the rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from davylamp_wire.quality import GOOD, Level
from numpy.typing import NDArray

from davylamp_alarms import late
from davylamp_alarms.batch import Batch, Bools, Floats, Indices, Ints
from davylamp_alarms.columns import ALWAYS, NEVER
from davylamp_alarms.conditions import ACTIVE, CLEARING, NORMAL, PENDING, Evidence, Moves, Rows, advance
from davylamp_alarms.definition import KINDS
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.memory import JUMP_MS, Memory
from davylamp_alarms.rules import RULES, Rule, Samples, load
from davylamp_alarms.steps import Step, What

T = TypeVar("T", bound=np.generic)

SLACK_MS = 1_000
"""A source stamp further ahead of its edge's clock than this counts as that clock itself: a stamp from the future must
not keep later readings out of the present, not even for this long (SAFETY S2)."""

EARLIEST_MS = -2_208_988_800_000
"""The beginning of 1900. A far older stamp would overflow where times are subtracted, and pass for late (SAFETY S2)."""

NOT_CURRENT, CURRENT, PLAIN = 0, 1, 2
"""Of a tag: its newest reading is not a good live one; it is; it is, and every row is normal."""


def evaluate(memory: Memory, batch: Batch) -> list[Step]:
    """Move every alarm the readings touch, and remember the readings."""
    steps: list[Step] = []
    if int(batch.tag.min()) < 0 or int(batch.tag.max()) >= memory.layout.tags.n:
        raise IndexError(f"the batch names tags beyond the {memory.layout.tags.n} there are")
    batch = _placed(memory, batch)
    for part in rounds(batch, memory.layout.tags.n):
        _round(memory, part, steps)
    return steps


def _placed(memory: Memory, batch: Batch) -> Batch:
    """Return the batch with stamps from the future brought back to their edge's clock, and none before all clocks."""
    if int(batch.time_ms.min()) < EARLIEST_MS:
        batch = replace(batch, time_ms=np.maximum(batch.time_ms, EARLIEST_MS))
    if int((batch.time_ms - batch.arrival_ms).max()) <= memory.ahead_ms + SLACK_MS:
        return batch
    now_ms = batch.arrival_ms + memory.offset_of(batch.tag.astype(np.int64))
    return replace(batch, time_ms=np.where(batch.time_ms > now_ms + SLACK_MS, now_ms, batch.time_ms))


def rounds(batch: Batch, tags: int) -> Iterator[Batch]:
    """Yield parts in which no tag comes twice; together they are the batch, each tag's readings in log order."""
    if _distinct(batch.tag, tags):
        yield batch
        return
    order = np.argsort(batch.tag, kind="stable")
    ordered = batch.tag[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    by_rank = np.argsort(rank, kind="stable")
    edges = np.cumsum(np.bincount(rank))
    for start, stop in zip(np.concatenate([[0], edges[:-1]]), edges, strict=True):
        yield _take(batch, order[by_rank[start:stop]])


def _distinct(tag: Indices, tags: int) -> bool:
    """Return whether no tag comes twice. Payloads are runs of neighbouring tags: few runs are compared as runs."""
    if _rising(tag):
        return True
    breaks = np.flatnonzero(tag[1:] - tag[:-1] != 1)
    if len(breaks) * 8 > len(tag):
        return _found_once(tag.astype(np.intp), tags)
    starts, stops = tag[np.append(0, breaks + 1)], tag[np.append(breaks, len(tag) - 1)]
    order = np.argsort(starts)
    return bool((starts[order][1:] > stops[order][:-1]).all())


def _found_once(tag: NDArray[np.intp], tags: int) -> bool:
    """Return whether no tag comes twice: each must find its own mark where it left it."""
    marks = np.empty(tags, np.int32)
    own = np.arange(len(tag), dtype=np.int32)
    marks[tag] = own
    return bool((marks[tag] == own).all())


def _rising(tag: Indices) -> bool:
    return bool((tag[1:] > tag[:-1]).all())


def _take(batch: Batch, where: Ints) -> Batch:
    return Batch(
        batch.seq[where],
        batch.tag[where],
        batch.time_ms[where],
        batch.value[where],
        batch.quality[where],
        batch.late[where],
        batch.arrival_ms[where],
    )


def _where(tag: Indices) -> NDArray[np.intp] | slice:
    """Return the tags as a slice where they follow each other: a copy is four times faster than a gather."""
    count = len(tag)
    if count > 1 and int(tag[-1]) - int(tag[0]) == count - 1 and _rising(tag):
        return slice(int(tag[0]), int(tag[-1]) + 1)
    return tag.astype(np.intp)


def _gather(column: NDArray[T], where: NDArray[np.intp] | slice) -> NDArray[T]:
    """Return a column's places; `evaluate` has checked that they exist, so the faster unchecked form will do."""
    return column[where] if isinstance(where, slice) else column.take(where, mode="clip")


def _round(memory: Memory, part: Batch, steps: list[Step]) -> None:
    tags, where, value = memory.layout.tags, _where(part.tag), part.value
    calm = (value > _gather(tags.low, where)) & (value < _gather(tags.high, where)) & (part.quality == GOOD)
    fresh = part.time_ms > _gather(tags.time_ms, where)
    quiet = calm & fresh
    if part.late.any():
        quiet &= ~part.late
    if quiet.all():
        _remember(memory, part, where)
        return
    calm_ones = _take(part, np.flatnonzero(quiet))
    _remember(memory, calm_ones, calm_ones.tag.astype(np.intp))
    known = calm & ~fresh & (tags.current[where] == PLAIN)
    excited = np.flatnonzero(~quiet & ~known)
    if excited.size:
        _Excited(memory, _take(part, excited), fresh[excited]).run(steps)


def _remember(memory: Memory, quiet: Batch, where: NDArray[np.intp] | slice) -> None:
    """Keep quiet readings: their quality is good already, or their tag would not be calm."""
    tags = memory.layout.tags
    tags.value[where] = quiet.value
    tags.time_ms[where] = quiet.time_ms
    tags.arrival_ms[where] = quiet.arrival_ms
    tags.young[where] = 1


@dataclass(slots=True)
class _Excited:
    """Readings that may move something, one per tag, beside all rows of their tags."""

    memory: Memory
    part: Batch
    fresh: Bools

    def run(self, steps: list[Step]) -> None:
        memory, part = self.memory, self.part
        rows, position = memory.layout.rows_of(part.tag)
        met, inside = self._judge(rows, position)
        present = self._present()
        moved = (met | (memory.layout.rows.phase[rows] != NORMAL)) & present[position]
        if memory.layout.any_elsewhere:
            moved &= ~memory.layout.elsewhere_of[memory.layout.rows.shared[rows]]
        self._remember(present)
        self._advance(rows[moved], position[moved], met[moved], inside[moved], steps)
        late.follow(memory, part, self.fresh, present, rows, position, met, inside, steps)
        settle_bands(memory, part.tag)

    def _judge(self, rows: Ints, position: Ints) -> tuple[Bools, Bools]:
        """Ask each rule about its rows."""
        layout, part = self.memory.layout, self.part
        gas = layout.gas_of[layout.tags.shared[part.tag]]
        met, inside = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        for rule, chosen in by_rule(self.memory, rows):
            at, row = position[chosen], rows[chosen]
            level, reason = part.quality[at] >> 8, part.quality[at] & 0xFF
            limit, leave = layout.limits_of(row)
            met[chosen], inside[chosen] = rule.judge(Samples(part.value[at], level, reason, limit, leave, gas[at]))
        if not layout.any_elsewhere:
            return met, inside
        mine = ~layout.elsewhere_of[layout.rows.shared[rows]]  # what an edge decides, no reading moves here
        return met & mine, inside & mine

    def _present(self) -> Bools:
        """Return which readings have no newer good live one: those are the present, whatever their stamp (S2)."""
        return self.part.time_ms > live_good_ms(self.memory, self.part.tag)

    def _remember(self, present: Bools) -> None:
        tags, part, fresh = self.memory.layout.tags, self.part, self.fresh
        live, good = ~part.late, part.quality == GOOD
        tags.arrival_ms[part.tag[live]] = part.arrival_ms[live]
        tags.young[part.tag[live]] = 1
        proof = present & live & good
        tags.good_ms[part.tag] = np.where(proof, part.time_ms, live_good_ms(self.memory, part.tag))
        newest = part.tag[fresh]
        tags.current[newest] = np.where(proof[fresh], CURRENT, NOT_CURRENT)
        tags.value[newest] = part.value[fresh]
        tags.time_ms[newest] = part.time_ms[fresh]
        tags.quality[newest] = part.quality[fresh]

    def _timed(self, arrival_ms: Ints) -> Bools:
        ticked_ms = self.memory.clock.now_ms  # an edge's own engine goes by a clock that nobody sets, and has none
        return (arrival_ms - ticked_ms <= JUMP_MS) | (ticked_ms == NEVER)

    def _advance(self, rows: Ints, position: Ints, met: Bools, inside: Bools, steps: list[Step]) -> None:
        memory, part = self.memory, self.part
        if not rows.size:
            return
        slots = memory.slots.of(memory.layout.rows, rows)
        before = before_of(memory, rows, slots)
        seen = Evidence(
            time_ms=part.time_ms[position],
            met=met,
            inside=inside,
            good=part.quality[position] >> 8 == Level.GOOD,
            fresh=self.fresh[position],
            live=~part.late[position],
            timed=self._timed(part.arrival_ms[position]),
        )
        moves = advance(before, seen)
        went_back = write_moves(memory, rows, slots, before, seen, moves)
        for index in np.flatnonzero(moves.raised | moves.cleared | went_back).tolist():
            self._tell(int(rows[index]), int(position[index]), index, moves, bool(went_back[index]), steps)

    def _tell(self, row: int, at: int, index: int, moves: Moves, went_back: bool, steps: list[Step]) -> None:
        part, memory = self.part, self.memory
        tag, time_ms = int(part.tag[at]), int(part.time_ms[at])
        kind = KIND_NUMBER[memory.layout.row_class(row).kind]
        said = (int(part.seq[at]), tag, kind)
        value, quality, is_late = float(part.value[at]), int(part.quality[at]), bool(part.late[at])
        if moves.raised[index]:
            raised_ms, due_ms = int(moves.raised_ms[index]), None
            if memory.layout.row_class(row).on_delay_ms:
                due_ms = raised_ms - int(memory.offset_of(np.array([tag]))[0])
            steps.append(Step(*said, What.RAISED, raised_ms, due_ms, value, quality, is_late))
        if went_back:
            steps.append(Step(*said, What.WENT_BACK, time_ms, None, value, quality, is_late, until_ms=time_ms))
        if moves.cleared[index]:
            steps.append(Step(*said, What.CLEARED, time_ms, None, value, quality, is_late))


def before_of(memory: Memory, rows: Ints, slots: Indices) -> Rows:
    """Return rows as they are before a reading moves them."""
    layout, shared = memory.layout, memory.layout.rows.shared[rows]
    return Rows(
        phase=layout.rows.phase[rows],
        since_ms=memory.slots.since_ms[slots],
        mark_ms=memory.slots.mark_ms[slots],
        on_delay_ms=layout.on_delay_of[shared],
        off_delay_ms=layout.off_delay_of[shared],
    )


def write_moves(memory: Memory, rows: Ints, slots: Indices, before: Rows, seen: Evidence, moves: Moves) -> Bools:
    """Put the moves into the columns; return which standing rows backlog shows to have gone back (S5)."""
    column = memory.slots
    memory.layout.rows.phase[rows] = moves.phase
    column.since_ms[slots], column.mark_ms[slots] = moves.since_ms, moves.mark_ms
    going_on = (moves.phase != NORMAL) & (seen.met | (before.phase == NORMAL))
    until = np.where(going_on, ALWAYS, column.until_ms[slots])
    ended = moves.cleared | ((before.phase == PENDING) & (moves.phase == NORMAL))
    went_back: Bools = (moves.phase == ACTIVE) & seen.inside & seen.fresh & ~seen.live & (until == ALWAYS)
    column.until_ms[slots] = np.where(went_back | (ended & (until == ALWAYS)), seen.time_ms, until)
    return went_back


def live_good_ms(memory: Memory, tags: Indices) -> Ints:
    """Return the source time of each tag's newest good live reading."""
    column = memory.layout.tags
    return np.where(column.current[tags] != NOT_CURRENT, column.time_ms[tags], column.good_ms[tags])


def settle_bands(memory: Memory, tags: Indices) -> None:
    """Work out anew between which values each tag is calm; a busy tag has an empty band and is always looked at."""
    layout = memory.layout
    rows, position = layout.rows_of(tags)
    low, high, busy = calm_bands(memory, rows)
    column = layout.tags
    lows, highs = np.full(len(tags), -np.inf), np.full(len(tags), np.inf)
    np.maximum.at(lows, position, low)
    np.minimum.at(highs, position, high)
    standing, woken = np.zeros(len(tags), np.bool_), np.zeros(len(tags), np.bool_)
    moved = layout.rows.phase[rows] != NORMAL
    if layout.any_elsewhere:
        moved &= ~layout.elsewhere_of[layout.rows.shared[rows]]
    standing[position[moved]] = True
    woken[position[busy]] = True
    closed = woken | (column.current[tags] == NOT_CURRENT)
    column.low[tags], column.high[tags] = np.where(closed, np.inf, lows), np.where(closed, -np.inf, highs)
    current = column.current[tags]
    column.current[tags] = np.where(current == NOT_CURRENT, NOT_CURRENT, np.where(standing | woken, CURRENT, PLAIN))


def calm_bands(memory: Memory, rows: Ints) -> tuple[Floats, Floats, Bools]:
    """Return the calm span of each row by its rule, and which rows are busy whatever the value."""
    layout = memory.layout
    phase = layout.rows.phase[rows]
    low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    for rule, chosen in by_rule(memory, rows):
        limit, leave = layout.limits_of(rows[chosen])
        low[chosen], high[chosen] = rule.calm(limit, leave, phase[chosen] == ACTIVE)
    busy = memory.slots.following(layout.rows.slot[rows]) | (phase == PENDING) | (phase == CLEARING)
    if layout.any_elsewhere:
        elsewhere = layout.elsewhere_of[layout.rows.shared[rows]]
        low[elsewhere], high[elsewhere] = -np.inf, np.inf
        busy &= ~elsewhere
    return low, high, busy


PATHS = tuple(dict.fromkeys(RULES.values()))
"""The rules, each once."""

_RULE_OF_KIND = np.array([PATHS.index(RULES[kind]) if kind in RULES else -1 for kind in KINDS], np.int64)


def by_rule(memory: Memory, rows: Ints) -> Iterator[tuple[Rule, Ints]]:
    """Yield each rule that has rows among these, with their positions."""
    rules = _RULE_OF_KIND[memory.layout.kind_of[memory.layout.rows.shared[rows]]]
    for number, path in enumerate(PATHS):
        chosen = np.flatnonzero(rules == number)
        if chosen.size:
            yield load(path), chosen
