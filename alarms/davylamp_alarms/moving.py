"""How what a rule found moves its warnings: their delays and deadbands are those of every alarm (conditions.py)."""

import json
from collections.abc import Iterator

import numpy as np
from davylamp_wire.quality import GOOD
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Ints
from davylamp_alarms.columns import ALWAYS
from davylamp_alarms.conditions import ACTIVE, NORMAL, Evidence, Moves, advance
from davylamp_alarms.definition import Kind
from davylamp_alarms.feeding import News
from davylamp_alarms.layout import KIND_NUMBER, NO_SLOT
from davylamp_alarms.memory import Memory
from davylamp_alarms.samples import NOT_CURRENT, before_of, write_moves
from davylamp_alarms.shown import evidence_now
from davylamp_alarms.sight import ahead_of, rows_of, wanted
from davylamp_alarms.steps import Step, What
from davylamp_alarms.transition import Lane
from davylamp_alarms.warner import Warner
from davylamp_alarms.warning import Samples, Verdict
from davylamp_alarms.warning.masks import every, some


def move(memory: Memory, warner: Warner, seq: int, fed: News, verdict: Verdict) -> Iterator[Step]:
    """Lead the warnings that are met, or not at rest, through their delays."""
    busy, places = warner.seen.busy, fed.places
    if not (some(verdict.met) or some(busy)):
        return
    chosen = np.flatnonzero(verdict.met | busy[places])
    if not chosen.size:
        return
    at = chosen + places.start if isinstance(places, slice) else places[chosen]
    rows = _rows_at(memory, warner, at)
    if not fed.samples.plain:
        _distrust(memory, warner, at, fed.samples.part(chosen))
    moving = _moving(memory, warner, at, rows, verdict.met[chosen], verdict.back[chosen])
    if not moving.size:
        return
    chosen, at, rows = chosen[moving], at[moving], rows[moving]
    tags = warner.members.tag[at]
    slots = memory.slots.of(memory.layout.rows, rows)
    before = before_of(memory, rows, slots)
    good = fed.samples.good()[chosen]
    seen = Evidence(
        time_ms=fed.samples.time_ms[chosen] - ahead_of(memory, warner, tags),
        met=verdict.met[chosen],
        inside=verdict.back[chosen] & warner.untried.trusted(tags, fed.samples.time_ms[chosen], good),
        good=good,
        fresh=np.ones(len(at), np.bool_),
        live=_live(memory, warner, at),
        timed=np.ones(len(at), np.bool_),
    )
    moves = advance(before, seen)
    write_moves(memory, rows, slots, before, seen, moves)
    busy[at] = moves.phase != NORMAL
    for index in np.flatnonzero(moves.raised | moves.cleared).tolist():
        yield from _tell(memory, warner.kind, seq, int(tags[index]), int(rows[index]), index, moves, seen)
    if warner.kind is Kind.TREND and warner.bank is not None:
        stands = np.flatnonzero(warner.bank.state.anew[at] & seen.met & (moves.phase == ACTIVE))
        warner.bank.state.anew[at[stands]] = False
        for index in stands[~moves.raised[stands]].tolist():
            yield from _tell_further(memory, seq, int(tags[index]), int(seen.time_ms[index]))


def _distrust(memory: Memory, warner: Warner, at: NDArray[np.intp], samples: Samples) -> None:
    """Note of which alarms that are not at rest an uncertain value was judged: a rule remembers it (SAFETY S4).

    One over several goes on without a bad input, and remembers what stood in for it.
    """
    doubtful = warner.seen.busy[at] & ~samples.good()
    if warner.own is None:
        doubtful &= samples.usable()  # a bad one leaves no trace
    for tag in warner.members.tag[at[doubtful]].tolist():
        if not warner.untried.again(tag):
            warner.distrust(tag, wanted(memory, tag, warner.kind))


def _rows_at(memory: Memory, warner: Warner, at: NDArray[np.intp]) -> Ints:
    """Return the alarms at some of a warner's places: as a rule those that were looked up last."""
    seen = warner.seen
    if len(at) != len(seen.asked) or not every(at == seen.asked):
        seen.asked, seen.rows = at, rows_of(memory, warner, warner.members.tag[at])
    return seen.rows


def _moving(
    memory: Memory, warner: Warner, at: NDArray[np.intp], rows: Ints, met: Bools, back: Bools
) -> NDArray[np.intp]:
    """Return which alarms may be moved by what was found: one that stands, and is met or not shown gone, just goes on.

    No others ask for their delays, evidence and times.
    """
    layout, slots = memory.layout, memory.slots
    if warner.untried or not slots.n:
        return np.arange(len(at))
    slot = layout.rows.slot[rows]
    goes_on = warner.seen.busy[at] & (layout.rows.phase[rows] == ACTIVE) & (slot != NO_SLOT) & ~back
    goes_on &= ~met | (slots.until_ms[slot] == ALWAYS)
    if warner.kind is Kind.TREND and warner.bank is not None:
        goes_on &= ~(met & warner.bank.state.anew[at])
    return np.flatnonzero(~goes_on)


def _live(memory: Memory, warner: Warner, at: NDArray[np.intp]) -> Bools:
    """Return of which rows nothing that was judged came as backlog: that is what is good and yet not current."""
    inputs, column = warner.seen.inputs, memory.layout.tags
    if inputs is None:
        current: Bools = column.current[warner.members.tag[at]] != NOT_CURRENT
        return current
    looked = inputs[:, at]
    late = (looked >= 0) & (column.quality[looked] == GOOD) & (column.current[looked] == NOT_CURRENT)
    live: Bools = ~late.any(axis=0)
    return live


def _tell_further(memory: Memory, seq: int, tag: int, time_ms: int) -> Iterator[Step]:
    """Yield that a trend which stands reaches a further limit than it was last told to; told once, also beside a limit
    alarm that comes and goes."""
    record = memory.book.records.get((memory.facts(tag, Kind.TREND).alarm, Lane.LIVE))
    evidence = evidence_now(memory, tag, Kind.TREND)
    if record is not None and evidence and _beyond(evidence, record.evidence):
        column = memory.layout.tags
        said = (float(column.value[tag]), int(column.quality[tag]))
        yield Step(seq, tag, KIND_NUMBER[Kind.TREND], What.FURTHER, time_ms, None, *said, evidence=evidence)


def _beyond(evidence: str, told: str) -> bool:
    """Return whether a trend goes to a limit that lies beyond the one it was told to go to."""
    now, before = json.loads(evidence), json.loads(told) if told else {}
    if "limit" not in now or "slope_per_min" not in now:
        return False
    return "limit" not in before or bool((now["limit"] - before["limit"]) * now["slope_per_min"] > 0)


def _tell(
    memory: Memory, kind: Kind, seq: int, tag: int, row: int, index: int, moves: Moves, seen: Evidence
) -> Iterator[Step]:
    """Yield that a warning was raised, or cleared; or both, where its delay was over before it was back."""
    column, of = memory.layout.tags, (seq, tag, KIND_NUMBER[kind])
    said = (float(column.value[tag]), int(column.quality[tag]))
    if moves.raised[index]:
        raised_ms, due_ms = int(moves.raised_ms[index]), None
        if memory.layout.row_class(row).on_delay_ms:
            due_ms = raised_ms - int(memory.offset_of(np.array([tag]))[0])
        yield Step(*of, What.RAISED, raised_ms, due_ms, *said, evidence=evidence_now(memory, tag, kind))
    if moves.cleared[index]:
        yield Step(*of, What.CLEARED, int(seen.time_ms[index]), None, *said)
