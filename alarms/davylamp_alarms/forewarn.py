"""Ticks in, warnings out: each tick the statistical rules take what their tags have said since the last one.

The grid is that of the ticks, which are records of the log, so it does not matter where batches of readings are cut. A
tag that said nothing new is not asked about: silence is no evidence. Delays, deadbands of time and the life of a
warning are those of every alarm (conditions.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from davylamp_alarms.batch import Ints
from davylamp_alarms.conditions import NORMAL
from davylamp_alarms.definition import Kind
from davylamp_alarms.feeding import News, newest, news_of, of_several, of_warner
from davylamp_alarms.memory import Memory
from davylamp_alarms.moving import move
from davylamp_alarms.sight import look_where, wanted
from davylamp_alarms.steps import Step
from davylamp_alarms.towards import look_towards
from davylamp_alarms.warner import Fed, Warner
from davylamp_alarms.warning import Verdict


def warn(memory: Memory, seq: int, now_ms: int) -> list[Step]:
    """Feed every rule what is new, and move the warnings. A rule that fails is left out and says so (SAFETY S14)."""
    steps: list[Step] = []
    if memory.early.moved:
        moved, memory.early.moved = memory.early.moved, set()
        look_towards(memory, np.array(sorted(moved), np.int32), at_once=True)
    if memory.quiet:  # nobody said anything
        return steps
    at_work = [warner for warner in memory.early if warner.bank is not None]
    news = _shared(memory, [warner for warner in at_work if warner.own is None])
    for warner in at_work:
        judged = _judged(memory, warner, news, now_ms)
        if judged is not None:
            steps += move(memory, warner, seq, *judged)
    return steps


def _shared(memory: Memory, warners: list[Warner]) -> News | None:
    """Return what watched tags said since the last tick; what fails there fails all rules over one tag."""
    try:
        return news_of(memory) if warners else None
    except Exception as error:  # the limits go on (SAFETY S14)
        for warner in warners:
            warner.fail(error)
        return None


def _judged(memory: Memory, warner: Warner, news: News | None, now_ms: int) -> tuple[News, Verdict] | None:
    """Return what a warner was fed and says of it; None where nothing is new, or where it fails."""
    if warner.bank is None:
        return None
    try:
        look_where(memory, warner)
        fed = of_several(memory, warner, now_ms) if warner.own is not None else of_warner(warner, news)
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
    were = [newest(memory, warner) for _, warner in several]
    yield
    _follow(watched, tags.time_ms[watched.tag[: watched.n]] - before_ms)
    for (own, warner), (newest_ms, sum_ms) in zip(several, were, strict=True):
        now_ms, now_sum_ms = newest(memory, warner)
        _follow(own, now_ms - newest_ms)
        own.sum_ms[: own.n] += now_sum_ms - sum_ms


def _follow(fed: Fed, moved_ms: Ints) -> None:
    fed.fed_ms[: fed.n] += moved_ms
    fed.write("ahead_ms", slice(0, fed.n), fed.ahead_ms[: fed.n] - moved_ms)


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
            warner.teach(tag[None], wanted(memory, int(tag), warner.kind))
            doubt(memory, int(tag), warner.kind)
        look_towards(memory, tags)


def doubt(memory: Memory, tag: int, kind: Kind) -> None:
    """Let a rule whose memory is new show nothing gone that stands until it has looked for long enough (SAFETY S4)."""
    row, warner = memory.layout.row(tag, kind), memory.early.holder(tag, kind)
    if row is not None and warner is not None and memory.layout.rows.phase[row] != NORMAL:
        warner.doubt(tag, wanted(memory, tag, kind))
