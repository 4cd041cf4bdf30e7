"""Ticks in, warnings out: each tick the statistical rules take what their tags have said since the last one.

The grid is that of the ticks, which are records of the log, so it does not matter where batches of readings are cut. A
tag that said nothing new is not asked about: silence is no evidence. Delays, deadbands of time and the life of a
warning are those of every alarm (conditions.py).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from davylamp_wire.quality import GOOD, Level
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Floats, Indices, Ints
from davylamp_alarms.columns import NEVER
from davylamp_alarms.conditions import ACTIVE, NORMAL, Evidence, Moves, advance
from davylamp_alarms.definition import FALLING, Kind
from davylamp_alarms.early import Fed, FedBySeveral, Seen, Wanted, Warner, wanted_of
from davylamp_alarms.evidence import evidence_text
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.memory import Memory
from davylamp_alarms.samples import NOT_CURRENT, PLAIN, before_of, write_moves
from davylamp_alarms.steps import Step, What
from davylamp_alarms.transition import Lane
from davylamp_alarms.warning import Bank, Samples, Verdict
from davylamp_alarms.warning.masks import every, some
from davylamp_alarms.warning.rule import Levels, among, indices
from davylamp_alarms.warning.thin import Stretches

SET_BACK_MS = 1_000
"""By how much a rule's clock goes on where its edge's was set back; what is back by less came late."""

BAD = np.uint8(Level.BAD)


Places = slice | NDArray[np.intp]


@dataclass(slots=True)
class News:
    """What watched tags said since the last tick: which of them, and what; their means where a stretch has ended.

    `places` are among the watched tags, or among the rows of one warner.
    """

    places: Places
    samples: Samples
    thinned: dict[float, "News | None"] = field(default_factory=dict)


def warn(memory: Memory, seq: int, now_ms: int) -> list[Step]:
    """Feed every rule what is new, and move the warnings. A rule that fails is left out and says so (SAFETY S14)."""
    steps: list[Step] = []
    if memory.early.moved:
        moved, memory.early.moved = memory.early.moved, set()
        look_towards(memory, np.array(sorted(moved), np.int32), at_once=True)
    at_work = [warner for warner in memory.early if warner.bank is not None]
    news = _shared(memory, [warner for warner in at_work if warner.own is None])
    for warner in at_work:
        judged = _judged(memory, warner, news, now_ms)
        if judged is not None:
            steps += _move(memory, warner, seq, *judged)
    return steps


def _shared(memory: Memory, warners: list[Warner]) -> News | None:
    """Return what watched tags said since the last tick; what fails there fails all rules over one tag."""
    try:
        return _news(memory) if warners else None
    except Exception as error:  # the limits go on (SAFETY S14)
        for warner in warners:
            warner.fail(error)
        return None


def _judged(memory: Memory, warner: Warner, news: News | None, now_ms: int) -> tuple[News, Verdict] | None:
    """Return what a warner was fed and says of it; None where nothing is new, or where it fails."""
    if warner.bank is None:
        return None
    try:
        _look_where(memory, warner)
        fed = _several(memory, warner, now_ms) if warner.own is not None else _of_warner(warner, news)
        return None if fed is None else (fed, warner.bank.step(fed.samples, fed.places))
    except Exception as error:  # whatever a rule fails by is its own alarm, and stops nothing (SAFETY S14)
        warner.fail(error)
        return None


@contextmanager
def setting_clocks(memory: Memory) -> Iterator[None]:
    """Let the rules' own clocks go on while those of edges, or what is known of them, are set: no time passes by it."""
    tags, watched = memory.layout.tags, memory.early.watched.fed
    several = [(warner.own, warner) for warner in memory.early if warner.own is not None and warner.bank is not None]
    before_ms = tags.time_ms[watched.tag[: watched.n]]
    were = [_newest(memory, warner) for _, warner in several]
    yield
    _follow(watched, tags.time_ms[watched.tag[: watched.n]] - before_ms)
    for (own, warner), (newest_ms, sum_ms) in zip(several, were, strict=True):
        now_ms, now_sum_ms = _newest(memory, warner)
        _follow(own, now_ms - newest_ms)
        own.sum_ms[: own.n] += now_sum_ms - sum_ms


def _follow(fed: Fed, moved_ms: Ints) -> None:
    fed.fed_ms[: fed.n] += moved_ms
    fed.write("ahead_ms", slice(0, fed.n), fed.ahead_ms[: fed.n] - moved_ms)


def evidence_now(memory: Memory, tag: int, kind: Kind) -> str:
    """Return what a rule shows of a tag now, as JSON text; one that fails at it is left out, and nothing is shown."""
    warner = memory.early.holder(tag, kind)
    if warner is None or warner.bank is None:
        return ""
    try:
        return _evidence(memory, warner, warner.bank, tag)
    except Exception as error:  # the warning itself is told all the same
        warner.fail(error)
        return ""


def shown(memory: Memory, tag: int, kind: Kind) -> tuple[str, str]:
    """Return what a rule shows of a tag now, and what it failed by; nothing changes."""
    warner = memory.early.holder(tag, kind)
    if warner is None or warner.bank is None:
        return "", "" if warner is None else warner.failure
    try:
        return _evidence(memory, warner, warner.bank, tag), ""
    except Exception as error:  # asked once more where it would raise, it says so by its alarm
        return "", str(error)


def _evidence(memory: Memory, warner: Warner, bank: Bank, tag: int) -> str:
    names, at = memory.layout.names.values, np.array([tag], np.int32)
    inputs = [full_name(name, device_of(names[tag])) for name in warner.inputs]
    row, ahead_ms = int(warner.members.find(at)[0]), int(ahead_of(memory, warner, at)[0])
    limits = _limits(memory, tag, warner.kind)
    return evidence_text(warner.rule, bank, row, names[tag], inputs, limits, ahead_ms)


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
        if warner.own is None:
            memory.early.watched.add(warner.members.tag[: len(warner)].copy(), warner.every_s)
        tags = warner.members.tag[: len(warner)].copy()
        for tag in tags:
            warner.teach(tag[None], _wanted(memory, int(tag), warner.kind))
            doubt(memory, int(tag), warner.kind)
        look_towards(memory, tags)


def doubt(memory: Memory, tag: int, kind: Kind) -> None:
    """Let a rule whose memory is new show nothing gone that stands until it has looked for long enough (SAFETY S4)."""
    row, warner = memory.layout.row(tag, kind), memory.early.holder(tag, kind)
    if row is not None and warner is not None and memory.layout.rows.phase[row] != NORMAL:
        warner.doubt(tag, _wanted(memory, tag, kind))


def _wanted(memory: Memory, tag: int, kind: Kind) -> Wanted:
    row = memory.layout.row(tag, kind)
    assert row is not None
    return wanted_of(memory.layout.row_class(row).rule)


def look_towards(memory: Memory, tags: Indices, at_once: bool = False) -> None:
    """Hold trends of tags against the limits these have now: the nearest above, and the nearest below.

    A limit whose alarm stands is reached; beyond it the next one is what to warn of, as long as there is one.
    """
    layout = memory.layout
    rows, position = layout.rows_of(tags)
    shared, stands = layout.rows.shared[rows], layout.rows.phase[rows] >= ACTIVE
    kinds = layout.kind_of[shared]
    trends = kinds == KIND_NUMBER[Kind.TREND]
    for number in np.unique(shared[trends]).tolist():
        towards = wanted_of(layout.row_classes.values[number].rule).towards
        if not towards:
            continue
        above = np.isin(kinds, [KIND_NUMBER[kind] for kind in towards if kind not in FALLING])
        below = np.isin(kinds, [KIND_NUMBER[kind] for kind in towards if kind in FALLING])
        limit, count = layout.rows.limit[rows], len(tags)
        high = _next(limit[above], position[above], stands[above], count)
        low = -_next(-limit[below], position[below], stands[below], count)
        mine = position[trends & (shared == number)]
        memory.early.look(tags[mine], high[mine], low[mine], at_once)


def _next(limit: Floats, position: Ints, stands: Bools, count: int) -> Floats:
    """Return the lowest limit at each of so many positions that is not reached; where all are, the highest."""
    ahead, last = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(ahead, position[~stands], limit[~stands])
    np.maximum.at(last, position, limit)
    return np.where(np.isinf(ahead) & np.isfinite(last), last, ahead)


def _look_where(memory: Memory, warner: Warner) -> Seen:
    """Return where a warner's rows lie, worked out anew after the register has changed."""
    if warner.seen.version != memory.register_version:
        warner.seen = _look(memory, warner)
    return warner.seen


def _look(memory: Memory, warner: Warner) -> Seen:
    """Work out where a warner's rows lie."""
    tags = warner.members.tag[: len(warner)]
    return Seen(
        memory.register_version,
        _tight(memory.early.watched.fed.find(tags)) if warner.own is None else slice(0, len(tags)),
        memory.layout.rows.phase[_rows(memory, warner, tags)] != NORMAL,
        None if warner.own is None else _inputs(memory, warner),
    )


def _rows(memory: Memory, warner: Warner, tags: Indices) -> Ints:
    """Return a warner's alarms of some of its tags."""
    layout = memory.layout
    rows, _ = layout.rows_of(tags)
    mine: Ints = rows[layout.kind_of[layout.rows.shared[rows]] == KIND_NUMBER[warner.kind]]
    return mine


def _tight(places: NDArray[np.intp]) -> Places:
    """Return rising places as a slice where they follow each other: a view needs no copy."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first == len(places) - 1 else places


def _inputs(memory: Memory, warner: Warner) -> NDArray[np.intp]:
    names = memory.layout.names
    found = np.full((len(warner.inputs), len(warner)), -1, np.intp)
    for row, tag_of_row in enumerate(warner.members.tag[: len(warner)].tolist()):
        prefix = device_of(names.values[tag_of_row])
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


def _news(memory: Memory) -> News | None:
    """Return what watched tags said since they were last fed, and note it."""
    fed, tags = memory.early.watched.fed, memory.layout.tags
    if not fed.n:
        return None
    where = _tight(fed.tag[: fed.n].astype(np.intp))
    quality = tags.quality[where]
    level = (quality >> 8).astype(np.uint8) if some(quality) else np.zeros(fed.n, np.uint8)
    calm = _calm(memory, where)
    news = _fresh(fed, tags.time_ms[where], tags.value[where], level, calm)
    if news is not None:
        for every_s, stretches in memory.early.watched.stretches.items():
            news.thinned[every_s] = _thin(stretches, every_s, news)
    return news


def _fresh(fed: Fed, time_ms: Ints, value: Floats, level: Levels, calm: Bools) -> News | None:
    """Return the rows whose time is another than they were fed up to; a rule's own clock never goes back."""
    places: Places = slice(0, fed.n)
    if not every(time_ms > fed.fed_ms[places]):
        places = np.flatnonzero(time_ms != fed.fed_ms[places])
        if not places.size:
            return None
        time_ms, value, level, calm = time_ms[places], value[..., places], level[..., places], calm[places]
        _go_on(fed, places, time_ms)
    fed.fed_ms[places] = time_ms
    own_ms = time_ms if fed.one("ahead_ms") == 0 else time_ms + fed.ahead_ms[places]
    samples = Samples(own_ms, value, level, None if every(calm) else ~calm)
    _ = samples.clock_ms, samples.latest_ms, samples.plain  # found out once, for all rules that get parts of them
    return News(places, samples)


def _go_on(fed: Fed, places: NDArray[np.intp], time_ms: Ints) -> None:
    """Let a rule's clock go on where its edge's was set back."""
    before_ms = fed.fed_ms[places]
    back = time_ms < before_ms
    if some(back):
        fed.write("ahead_ms", places, fed.ahead_ms[places] + np.where(back, before_ms - time_ms + SET_BACK_MS, 0))


def _thin(stretches: Stretches, every_s: float, news: News) -> News | None:
    """Add usable samples to the stretches under way; return the means of those that are over."""
    places, samples = news.places, news.samples
    if not samples.plain:
        usable = np.flatnonzero(samples.usable())
        if not usable.size:
            return None
        places, samples = indices(places)[usable], samples.part(usable)
    with np.errstate(all="ignore"):  # what overflows is unusual, and judged so
        ended = stretches.take(every_s, places, samples)
    return None if ended is None else News(among(places, ended.at), ended.means)


def _of_warner(warner: Warner, news: News | None) -> News | None:
    """Return the news of a warner's own tags, by its own rows; thinned where it is."""
    if news is not None and warner.every_s:
        news = news.thinned[warner.every_s]
    if news is None:
        return None
    own, places = warner.seen.places, news.places
    if isinstance(own, slice) and isinstance(places, slice):
        part = slice(max(own.start, places.start), min(own.stop, places.stop))
        if part.start >= part.stop:
            return None
        samples = news.samples if part == places else news.samples.part(_less(part, places.start))
        return News(_less(part, own.start), samples)
    at = np.searchsorted(own := indices(own), places := indices(places))
    at[at == len(own)] = 0
    mine = np.flatnonzero(own[at] == places)
    return News(at[mine], news.samples.part(mine)) if mine.size else None


def _less(part: slice, start: int) -> slice:
    return slice(part.start - start, part.stop - start)


def _several(memory: Memory, warner: Warner, now_ms: int) -> News | None:
    """Return the newest of several tags side by side, where any is news; what is stale, or not there, is bad."""
    tags, inputs, own = memory.layout.tags, warner.seen.inputs, warner.own
    assert inputs is not None
    assert own is not None
    there, at = inputs >= 0, np.maximum(inputs, 0)
    silent = now_ms - tags.arrival_ms[at] > memory.layout.stale_of[tags.shared[at]]
    level = np.where(there & ~silent, (tags.quality[at] >> 8).astype(np.uint8), BAD).astype(np.uint8)
    value = np.where(there, tags.value[at], np.nan)
    calm: Bools = np.logical_and.reduce(there & _calm(memory, at), axis=0)
    return _fresh(own, _fed_at(memory, warner, own), value, level, calm)


def _calm(memory: Memory, where: Places) -> Bools:
    """Return of which tags no limit alarm stands or waits, whoever decides it, and which are in service.

    From others no baseline learns.
    """
    calm: Bools = memory.layout.tags.current[where] == PLAIN
    odd = [*_standing_at_edges(memory).tolist(), *_out_of_service(memory)]
    if odd:
        told = np.zeros(memory.layout.tags.n, np.bool_)
        told[odd] = True
        calm &= ~told[where]
    return calm


def _out_of_service(memory: Memory) -> Iterator[int]:
    """Yield the tags that are out of service (SAFETY S19): their values are a calibration's, not the plant's."""
    found = (memory.layout.names.find(name) for name in sorted(memory.book.out))
    return (tag for tag in found if tag is not None)


def _standing_at_edges(memory: Memory) -> Ints:
    """Return the tags whose edge says that one of its alarms stands."""
    rows, early = memory.layout.rows, memory.early
    if early.local[0] != memory.register_version:
        early.local = memory.register_version, np.flatnonzero(memory.layout.local_of[rows.shared[: rows.n]])
    local = early.local[1]
    return memory.layout.tags_of(local[rows.phase[local] != NORMAL]) if local.size else local


def _newest(memory: Memory, warner: Warner) -> tuple[Ints, Ints]:
    """Return the newest time among the inputs of each row, by the clock of the row's own edge; and the sum of all."""
    inputs, tags = _look_where(memory, warner).inputs, memory.layout.tags
    assert inputs is not None
    at = np.maximum(inputs, 0)
    known = (inputs >= 0) & (tags.time_ms[at] != NEVER)
    apart_ms = memory.offset_of(warner.members.tag[: len(warner)].astype(np.int64)) - memory.offset_of(at)
    newest_ms: Ints = np.where(known, tags.time_ms[at] + apart_ms, NEVER).max(axis=0)
    return newest_ms, np.where(known, tags.time_ms[at], 0).sum(axis=0)


def _fed_at(memory: Memory, warner: Warner, own: FedBySeveral) -> Ints:
    """Return at what time each row is fed: where nothing came since, as before.

    What came late is no newer than what the row was fed already; it counts as just after that.
    """
    newest_ms, sum_ms = _newest(memory, warner)
    fed_ms, news = own.fed_ms[: own.n], sum_ms != own.sum_ms[: own.n]
    own.sum_ms[: own.n] = sum_ms
    close = newest_ms > fed_ms - SET_BACK_MS
    return np.where(news, np.where(close, np.maximum(newest_ms, fed_ms + 1), newest_ms), fed_ms)


def _move(memory: Memory, warner: Warner, seq: int, fed: News, verdict: Verdict) -> Iterator[Step]:
    """Lead the warnings that are met, or not at rest, through their delays."""
    busy = warner.seen.busy
    if not (some(verdict.met) or some(busy)):
        return
    chosen = np.flatnonzero(verdict.met | busy[fed.places])
    if not chosen.size:
        return
    at = indices(fed.places)[chosen]
    tags = warner.members.tag[at]
    rows = _rows(memory, warner, tags)
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


def ahead_of(memory: Memory, warner: Warner, tags: Indices) -> Ints:
    """Return by how much the clock of a warner is ahead of each tag's own."""
    fed = memory.early.watched.fed if warner.own is None else warner.own
    return fed.ahead_ms[fed.find(tags)]


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
