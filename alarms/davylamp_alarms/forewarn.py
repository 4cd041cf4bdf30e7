"""Ticks in, warnings out: each tick the statistical rules take what their tags have said since the last one.

The grid is that of the ticks, which are records of the log, so it does not matter where batches of readings are cut. A
tag that said nothing new is not asked about: silence is no evidence. Delays, deadbands of time and the life of a
warning are those of every alarm (conditions.py).
"""

from collections.abc import Iterator

import numpy as np
from davylamp_wire.quality import Level
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.columns import NEVER
from davylamp_alarms.conditions import Evidence, Moves, Phase, advance
from davylamp_alarms.definition import Kind
from davylamp_alarms.early import Seen, Wanted, Warner, wanted_of
from davylamp_alarms.evidence import evidence_text
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.memory import Memory
from davylamp_alarms.samples import NOT_CURRENT, PLAIN, before_of, write_moves
from davylamp_alarms.steps import Step, What
from davylamp_alarms.warning import Samples, Verdict
from davylamp_alarms.warning.rule import Levels

SET_BACK_MS = 1_000
"""By how much a rule's clock goes on where its edge's was set back."""

BAD = np.uint8(Level.BAD)


def warn(memory: Memory, seq: int, now_ms: int) -> list[Step]:
    """Feed every rule what is new, and move the warnings. A rule that fails is left out and says so (SAFETY S14)."""
    steps: list[Step] = []
    for warner in memory.early:
        if warner.bank is None or not warner.fed.n:
            continue
        if warner.seen.version != memory.register_version:
            warner.seen = _look(memory, warner)
        fed = _feed(memory, warner, now_ms)
        if fed is None:
            continue
        places, samples = fed
        try:
            verdict = warner.bank.step(samples, places)
        except Exception as error:  # whatever a rule fails by is its own alarm, and stops nothing (SAFETY S14)
            warner.fail(error)
        else:
            steps += _move(memory, warner, seq, places, samples, verdict)
    return steps


def evidence_now(memory: Memory, tag: int, kind: Kind) -> str:
    """Return what a rule shows of a tag now, as JSON text; empty where it shows nothing or fails at it."""
    held = memory.early.holder(tag, kind)
    if held is None or held[0].bank is None:
        return ""
    warner, row = held
    names, prefix = memory.layout.names.values, device_of(memory.layout.names.values[tag])
    inputs = [full_name(name, prefix) for name in warner.inputs]
    ahead_ms = int(warner.fed.ahead_ms[row])
    try:
        return evidence_text(warner.rule, held[0].bank, row, names[tag], inputs, _limits(memory, tag, kind), ahead_ms)
    except Exception as error:  # the warning itself is told all the same
        warner.fail(error)
        return ""


def _limits(memory: Memory, tag: int, kind: Kind) -> dict[str, float]:
    """Return the limits that a tag's trend is held against, by kind."""
    towards = _wanted(memory, tag, kind).towards
    rows = {str(name): row for name in towards if (row := memory.layout.row(tag, name)) is not None}
    return {name: float(memory.layout.rows.limit[row]) for name, row in rows.items()}


def retry(memory: Memory) -> None:
    """Let rules that failed begin anew, by what their definitions say."""
    for warner in memory.early:
        if not warner.failure:
            continue
        warner.begin()
        for row in range(warner.fed.n):
            tag = int(warner.fed.tag[row])
            warner.give(row, _wanted(memory, tag, warner.kind))
            look_towards(memory, tag)


def _wanted(memory: Memory, tag: int, kind: Kind) -> Wanted:
    row = memory.layout.row(tag, kind)
    assert row is not None
    return wanted_of(memory.layout.row_class(row).rule)


def look_towards(memory: Memory, tag: int) -> None:
    """Hold a tag's trend against the limits its tag has now: the nearest above, and the nearest below."""
    row = memory.layout.row(tag, Kind.TREND)
    if row is None:
        return
    wanted = wanted_of(memory.layout.row_class(row).rule)
    if not wanted.towards:
        return
    high, low = np.inf, -np.inf
    for kind in wanted.towards:
        other = memory.layout.row(tag, kind)
        if other is None:
            continue
        limit = float(memory.layout.rows.limit[other])
        if kind in (Kind.L, Kind.LL):
            low = max(low, limit)
        else:
            high = min(high, limit)
    memory.early.look(tag, high, low)


def _look(memory: Memory, warner: Warner) -> Seen:
    """Work out where a warner's rows lie, after the register has changed."""
    layout, tags = memory.layout, warner.fed.tag[: warner.fed.n]
    rows, _ = layout.rows_of(tags)
    rows = rows[layout.kind_of[layout.rows.shared[rows]] == KIND_NUMBER[warner.kind]].astype(np.int32)
    first, last = int(tags[0]), int(tags[-1])
    where = slice(first, last + 1) if last - first == len(tags) - 1 else tags.astype(np.intp)
    return Seen(
        memory.register_version,
        where,
        rows,
        layout.rows.phase[rows] != Phase.NORMAL,
        _inputs(memory, warner) if warner.inputs else None,
    )


def _inputs(memory: Memory, warner: Warner) -> NDArray[np.intp]:
    names = memory.layout.names
    found = np.full((len(warner.inputs), warner.fed.n), -1, np.intp)
    for row in range(warner.fed.n):
        prefix = device_of(names.values[int(warner.fed.tag[row])])
        for at, name in enumerate(warner.inputs):
            tag = names.find(full_name(name, prefix))
            found[at, row] = -1 if tag is None else tag
    return found


def device_of(tag_id: str) -> str:
    """Return the part of a tag's id that names its device."""
    return tag_id.rpartition("/")[0]


def full_name(name: str, device: str) -> str:
    """Return the id of an input: a name without a slash is a point of the same device."""
    return name if "/" in name else f"{device}/{name}"


def _feed(memory: Memory, warner: Warner, now_ms: int) -> tuple[slice | NDArray[np.intp], Samples] | None:
    """Return the rows whose tags said something new, and what; None where none did."""
    if warner.seen.inputs is not None:
        time_ms, value, level, calm = _several(memory, warner.seen.inputs, now_ms)
    else:
        tags, where = memory.layout.tags, warner.seen.tags
        time_ms, value = tags.time_ms[where], tags.value[where]
        level, calm = (tags.quality[where] >> 8).astype(np.uint8), tags.current[where] == PLAIN
    fed, n = warner.fed, warner.fed.n
    news = time_ms != fed.fed_ms[:n]
    if news.all():
        places: slice | NDArray[np.intp] = slice(0, n)
    else:
        places = np.flatnonzero(news)
        if not places.size:
            return None
        time_ms, value, level, calm = time_ms[places], value[..., places], level[..., places], calm[places]
    before_ms = fed.fed_ms[places]
    back = time_ms < before_ms
    if back.any():
        fed.ahead_ms[places] += np.where(back, before_ms - time_ms + SET_BACK_MS, 0)
    fed.fed_ms[places] = time_ms
    own_ms = time_ms + fed.ahead_ms[places]
    return places, Samples(own_ms, value, level, None if calm.all() else ~calm)


def _several(memory: Memory, inputs: NDArray[np.intp], now_ms: int) -> tuple[Ints, Floats, Levels, Bools]:
    """Return the newest of several tags side by side; what is stale, or not there, is bad."""
    tags, layout = memory.layout.tags, memory.layout
    there = inputs >= 0
    silent = now_ms - tags.arrival_ms[inputs] > layout.stale_of[tags.shared[inputs]]
    level = np.where(there & ~silent, (tags.quality[inputs] >> 8).astype(np.uint8), BAD).astype(np.uint8)
    value = np.where(there, tags.value[inputs], np.nan)
    time_ms = np.where(there, tags.time_ms[inputs], NEVER).max(axis=0)
    return time_ms, value, level, (there & (tags.current[inputs] == PLAIN)).all(axis=0)


def _move(
    memory: Memory,
    warner: Warner,
    seq: int,
    places: slice | NDArray[np.intp],
    samples: Samples,
    verdict: Verdict,
) -> Iterator[Step]:
    """Lead the warnings that are met, or not at rest, through their delays."""
    busy = warner.seen.busy
    chosen = np.flatnonzero(verdict.met | busy[places])
    if not chosen.size:
        return
    at = chosen + places.start if isinstance(places, slice) else places[chosen]
    rows = warner.seen.rows[at].astype(np.int64)
    tags = warner.fed.tag[at]
    slots = memory.slots.of(memory.layout.rows, rows)
    before = before_of(memory, rows, slots)
    seen = Evidence(
        time_ms=warner.fed.fed_ms[at],
        met=verdict.met[chosen],
        inside=verdict.back[chosen],
        good=samples.good()[chosen],
        fresh=np.ones(len(at), np.bool_),
        live=memory.layout.tags.current[tags] != NOT_CURRENT,
    )
    moves = advance(before, seen)
    write_moves(memory, rows, slots, before, seen, moves)
    busy[at] = moves.phase != Phase.NORMAL
    for index in np.flatnonzero(moves.raised | moves.cleared).tolist():
        yield _tell(memory, warner.kind, seq, int(tags[index]), int(rows[index]), index, moves, seen)


def _tell(memory: Memory, kind: Kind, seq: int, tag: int, row: int, index: int, moves: Moves, seen: Evidence) -> Step:
    column = memory.layout.tags
    said = (float(column.value[tag]), int(column.quality[tag]), not bool(seen.live[index]))
    if moves.cleared[index]:
        return Step(seq, tag, KIND_NUMBER[kind], What.CLEARED, int(seen.time_ms[index]), None, *said)
    raised_ms, due_ms = int(moves.raised_ms[index]), None
    if memory.layout.row_class(row).on_delay_ms:
        due_ms = raised_ms - int(memory.offset_of(np.array([tag]))[0])
    evidence = evidence_now(memory, tag, kind)
    return Step(seq, tag, KIND_NUMBER[kind], What.RAISED, raised_ms, due_ms, *said, evidence=evidence)
