"""Tags: what they say now, and what they said."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.errors import ApiError, not_found
from davylamp_cloud.api.gate import Reader
from davylamp_cloud.api.language import both, mark
from davylamp_cloud.api.limits import limits_of
from davylamp_cloud.api.parts import REFUSALS, CloudParts, Limit, Offset, Parts, TagName, TimeMs, Words
from davylamp_cloud.api.views import TagView
from davylamp_cloud.beside import Hole
from davylamp_cloud.historian import HistorianUnavailable, Series, Trend
from davylamp_cloud.live import NEVER_MS

router = APIRouter(prefix="/api/v1/tags", tags=["tags"], responses=REFUSALS)

MOST_READINGS = 100_000
LONGEST_RAW_MS = 31 * 24 * 3600 * 1000
LONGEST_TREND_MS = 366 * 24 * 3600 * 1000
MOST_STEPS = 5000

Numbers = list[float | None]


@dataclass(frozen=True, slots=True)
class TagPage:
    """Some of the tags that match, in the register's order."""

    total: int
    items: list[TagView]


@dataclass(frozen=True, slots=True)
class HoleView:
    """Readings an edge lost for good in this time (SAFETY S26)."""

    first_ms: int
    last_ms: int
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """A tag's readings as parallel columns. Raw: `values`. Steps: `lows`, `highs`, `values` (means), `counts`.

    `qualities` are codes of raw readings; `doubtful` counts readings of a step that were not good.
    """

    tag: str
    unit: str
    resolution: Literal["raw", "minute", "steps"]
    step_ms: int
    times_ms: list[int]
    values: Numbers
    qualities: list[int]
    lows: Numbers
    highs: Numbers
    counts: list[int]
    doubtful: list[int]
    texts: dict[int, str]
    truncated: bool
    holes: list[HoleView]


def tag_view(entry: Entry, parts: Parts, with_limits: bool = False) -> TagView:
    """Return a tag with its newest reading."""
    now = parts.cloud.monitor.live.read(entry.index)
    arrived = now.arrival_ms != NEVER_MS
    return TagView(
        index=entry.index,
        tag=entry.tag,
        name=entry.name,
        device_name=entry.device_name,
        plant_tag=entry.plant_tag,
        unit=entry.unit,
        kind=entry.kind,
        hazard_source=entry.hazard_source,
        value=now.value if math.isfinite(now.value) else None,
        text=now.text,
        quality=now.quality,
        time_ms=now.time_ms if now.time_ms != NEVER_MS else None,
        arrival_ms=now.arrival_ms if arrived else None,
        age_ms=parts.cloud.now_ms() - now.arrival_ms if arrived else None,
        range=entry.range,
        limits=limits_of(parts.cloud.state.limits(entry.index)) if with_limits else None,
        states=dict(entry.states),
    )


def page_of_tags(parts: Parts, actor: Actor, words: str, limit: int, offset: int) -> TagPage:
    """Return the tags an actor may see that match some words."""
    found = list(parts.catalogue.register().search(words, actor.sees))
    return TagPage(len(found), [tag_view(entry, parts) for entry in found[offset : offset + limit]])


def entry_of(parts: Parts, actor: Actor, tag: str) -> Entry:
    """Return a tag of the register, or refuse: one of a hazard source the actor does not see does not exist."""
    entry = parts.catalogue.register().by_tag.get(tag)
    if entry is None or not actor.sees(entry.hazard_source):
        raise not_found(both(mark("tag")), tag)
    return entry


@router.get("")
def list_tags(parts: CloudParts, actor: Reader, q: Words = "", limit: Limit = 100, offset: Offset = 0) -> TagPage:
    """List tags with current value, quality and age; their limits are with each tag itself, null here."""
    return page_of_tags(parts, actor, q, limit, offset)


@router.get("/{group}/{node}/{device}/{point}")
def one_tag(parts: CloudParts, actor: Reader, tag: TagName) -> TagView:
    """Return one tag with current value and limits."""
    return tag_view(entry_of(parts, actor, tag), parts, with_limits=True)


@router.get("/{group}/{node}/{device}/{point}/history", responses={503: REFUSALS[404]})
async def tag_history(
    parts: CloudParts,
    actor: Reader,
    tag: TagName,
    from_ms: TimeMs,
    to_ms: TimeMs,
    resolution: Literal["raw", "minute", "auto"] = "auto",
    limit: Annotated[int, Query(ge=1, le=MOST_READINGS)] = 10_000,
) -> History:
    """Return what a tag said in ``from_ms <= source time < to_ms``: raw, by minute, or what a curve needs (auto)."""
    entry = await run_in_threadpool(entry_of, parts, actor, tag)
    _check_span(from_ms, to_ms, resolution)
    try:
        return await run_in_threadpool(_history, parts, entry, from_ms, to_ms, resolution, limit)
    except HistorianUnavailable:
        raise ApiError(
            503,
            "historian_unavailable",
            both(mark("The historian does not answer; readings wait in the log, alarms go on.")),
            both(mark("Try again later; /api/v1/health says how far it is behind.")),
            where=entry.tag,
        ) from None


def _check_span(from_ms: int, to_ms: int, resolution: str) -> None:
    longest = LONGEST_RAW_MS if resolution == "raw" else LONGEST_TREND_MS
    if to_ms <= from_ms or to_ms - from_ms > longest:
        raise ApiError(
            422,
            "bad_span",
            both(mark("from_ms must lie before to_ms, by at most {days} days."), days=longest // 86_400_000),
            both(mark("Ask for a shorter span, or for minutes instead of raw readings.")),
            where="from_ms, to_ms",
        )


def _history(parts: Parts, entry: Entry, from_ms: int, to_ms: int, resolution: str, limit: int) -> History:
    holes = _holes(parts.cloud.log.holes(entry.node), from_ms, to_ms)
    historian = parts.cloud.historian
    if resolution == "raw":
        return _raw(entry, historian.read(entry.index, from_ms, to_ms, limit), holes)
    if resolution == "auto":
        series = historian.read(entry.index, from_ms, to_ms, MOST_STEPS)
        if not series.truncated:
            return _raw(entry, series, holes)
    step_ms = 60_000
    while resolution == "auto" and (to_ms - from_ms) // step_ms > MOST_STEPS:
        step_ms *= 5
    return _steps(entry, historian.trend(entry.index, from_ms, to_ms, step_ms), step_ms, holes)


def _raw(entry: Entry, series: Series, holes: list[HoleView]) -> History:
    return History(
        tag=entry.tag,
        unit=entry.unit,
        resolution="raw",
        step_ms=0,
        times_ms=series.times_ms.tolist(),
        values=numbers(series.values),
        qualities=series.qualities.tolist(),
        lows=[],
        highs=[],
        counts=[],
        doubtful=[],
        texts=dict(series.texts),
        truncated=series.truncated,
        holes=holes,
    )


def _steps(entry: Entry, trend: Trend, step_ms: int, holes: list[HoleView]) -> History:
    return History(
        tag=entry.tag,
        unit=entry.unit,
        resolution="minute" if step_ms == 60_000 else "steps",
        step_ms=step_ms,
        times_ms=trend.times_ms.tolist(),
        values=numbers(trend.means),
        qualities=[],
        lows=numbers(trend.lows),
        highs=numbers(trend.highs),
        counts=trend.counts.tolist(),
        doubtful=trend.doubtful.tolist(),
        texts={},
        truncated=False,
        holes=holes,
    )


def numbers(values: NDArray[np.float64]) -> Numbers:
    """Return values as JSON can carry them: what is no finite number is null."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _holes(holes: Iterable[Hole], from_ms: int, to_ms: int) -> list[HoleView]:
    return [
        HoleView(hole.first_ms, hole.last_ms, hole.count, hole.reason)
        for hole in holes
        if hole.last_ms >= from_ms and hole.first_ms < to_ms
    ]
