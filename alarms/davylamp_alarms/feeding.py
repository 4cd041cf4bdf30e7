"""What watched tags said since the rules were last fed: of one tag for all its rules, and of several side by side."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from davylamp_wire.quality import Level
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.columns import NEVER
from davylamp_alarms.conditions import NORMAL
from davylamp_alarms.memory import Memory
from davylamp_alarms.samples import PLAIN
from davylamp_alarms.sight import look_where
from davylamp_alarms.warner import Fed, FedBySeveral, Warner
from davylamp_alarms.warning import Samples
from davylamp_alarms.warning.masks import every, some
from davylamp_alarms.warning.rule import Levels, Places, among, indices
from davylamp_alarms.warning.thin import Stretches

SET_BACK_MS = 1_000
"""By how much a rule's clock goes on where its edge's was set back; what is back by less came late."""

BAD = np.uint8(Level.BAD)


@dataclass(slots=True)
class News:
    """What watched tags said since the last tick: which of them, and what; their means where a stretch has ended.

    `places` are among the watched tags, or among the rows of one warner.
    """

    places: Places
    samples: Samples
    thinned: dict[float, "News | None"] = field(default_factory=dict)


def news_of(memory: Memory) -> News | None:
    """Return what watched tags said since they were last fed, and note it."""
    fed, tags = memory.early.watched.fed, memory.layout.tags
    if not fed.n:
        return None
    where = memory.early.watched.where()
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


def of_warner(warner: Warner, news: News | None) -> News | None:
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


def of_several(memory: Memory, warner: Warner, now_ms: int) -> News | None:
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


def _fed_at(memory: Memory, warner: Warner, own: FedBySeveral) -> Ints:
    """Return at what time each row is fed: where nothing came since, as before.

    What came late is no newer than what the row was fed already; it counts as just after that.
    """
    newest_ms, sum_ms = newest(memory, warner)
    fed_ms, news = own.fed_ms[: own.n], sum_ms != own.sum_ms[: own.n]
    own.sum_ms[: own.n] = sum_ms
    close = newest_ms > fed_ms - SET_BACK_MS
    return np.where(news, np.where(close, np.maximum(newest_ms, fed_ms + 1), newest_ms), fed_ms)


def newest(memory: Memory, warner: Warner) -> tuple[Ints, Ints]:
    """Return the newest time among the inputs of each row, by the clock of the row's own edge; and the sum of all."""
    inputs, tags = look_where(memory, warner).inputs, memory.layout.tags
    assert inputs is not None
    at = np.maximum(inputs, 0)
    known = (inputs >= 0) & (tags.time_ms[at] != NEVER)
    apart_ms = memory.offset_of(warner.members.tag[: len(warner)].astype(np.int64)) - memory.offset_of(at)
    newest_ms: Ints = np.where(known, tags.time_ms[at] + apart_ms, NEVER).max(axis=0)
    return newest_ms, np.where(known, tags.time_ms[at], 0).sum(axis=0)
