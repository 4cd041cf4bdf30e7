"""The alarm system's figures for one operating position and one span, from its transitions alone. NumPy, no state.

Figures and their targets: ISA-18.2 and EEMUA 191 by secondary sources (facts: alarm KPI targets), unverified.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Bools, Ints
from davylamp_alarms.performance.advice import CHATTER_COUNT, CHATTER_MS, FLEETING_MS
from davylamp_alarms.performance.flood import BEGINS_ABOVE, WINDOW_MS

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
STALE_MS = DAY_MS
"""An alarm that stands a day is stale: it says nothing any more."""

BUSY_HOUR = 30
TOP = 10


@dataclass(frozen=True, slots=True)
class Columns:
    """Transitions of one position in columns of equal length, those of each alarm in the order of the log.

    Args:
        at_ms: Host time.
        alarm: A number for each alarm.
        priority: 1 to 4, blue to red.
        annunciated: Whether it sounded (heard.py).
        raised: Whether a live occurrence was raised, hidden or not.
        ended: Whether a live occurrence ended.
        hidden: Whether it was hidden.
        acted: Whether a person acted.
    """

    at_ms: Ints
    alarm: Ints
    priority: Ints
    annunciated: Bools
    raised: Bools
    ended: Bools
    hidden: Bools
    acted: Bools


@dataclass(frozen=True, slots=True)
class Kpis:
    """What came of a span. Windows are aligned to the wall clock, and empty ones count.

    Args:
        per_10_min: Annunciated alarms in ten minutes, on average.
        most_in_10_min: The most in any aligned ten minutes (OPC 10000-9: MaximumAlarmRate).
        flooded: Share of the ten-minute windows with more than ten.
        busy_hours: Share of the hours with more than thirty.
        top: The alarms that came most often, each with its count.
        top_share: Their share of the load.
        priorities: Share of each priority among the annunciated, blue to red.
        suppressed: Occurrences that were raised while hidden; they are in no other figure.
    """

    annunciated: int
    windows: int
    per_10_min: float
    per_hour: float
    per_day: float
    most_in_10_min: int
    flooded: float
    busy_hours: float
    top: tuple[tuple[int, int], ...]
    top_share: float
    chattering: tuple[int, ...]
    fleeting: tuple[int, ...]
    stale: tuple[int, ...]
    priorities: tuple[float, float, float, float]
    suppressed: int


def kpis(of: Columns, from_ms: int, to_ms: int) -> Kpis:
    """Return the figures of ``from_ms <= at < to_ms``.

    `of` may begin earlier: each alarm's last raise or end before tells how long it has stood, and what was before that
    tells nothing. A span shorter than a window is one.
    """
    within = (of.at_ms >= from_ms) & (of.at_ms < to_ms)
    heard = of.annunciated & within
    times, alarms, total = of.at_ms[heard], of.alarm[heard], int(heard.sum())
    tens, hours = _windows(times, from_ms, to_ms, WINDOW_MS), _windows(times, from_ms, to_ms, HOUR_MS)
    top, top_share = _top(alarms)
    shares = np.bincount(of.priority[heard], minlength=5)[1:5] / max(1, total)
    span_ms = max(1, to_ms - from_ms)
    return Kpis(
        annunciated=total,
        windows=len(tens),
        per_10_min=total * WINDOW_MS / span_ms,
        per_hour=total * HOUR_MS / span_ms,
        per_day=total * DAY_MS / span_ms,
        most_in_10_min=int(tens.max(initial=0)),
        flooded=float((tens > BEGINS_ABOVE).mean()),
        busy_hours=float((hours > BUSY_HOUR).mean()),
        top=top,
        top_share=top_share,
        chattering=_chattering(of, within),
        fleeting=_fleeting(of, within),
        stale=_stale(of, from_ms, to_ms),
        priorities=(float(shares[0]), float(shares[1]), float(shares[2]), float(shares[3])),
        suppressed=int((of.raised & of.hidden & within).sum()),
    )


def _windows(times: Ints, from_ms: int, to_ms: int, width_ms: int) -> NDArray[np.int64]:
    """Return how many fell into each window of the wall clock that the span touches."""
    first, last = from_ms // width_ms, max(from_ms, to_ms - 1) // width_ms
    return np.bincount(times // width_ms - first, minlength=last - first + 1)


def _top(alarms: Ints) -> tuple[tuple[tuple[int, int], ...], float]:
    names, counts = np.unique(alarms, return_counts=True)
    order = np.lexsort((names, -counts))[:TOP]
    top = tuple((int(names[at]), int(counts[at])) for at in order)
    return top, sum(count for _, count in top) / max(1, len(alarms))


def _chattering(of: Columns, within: Bools) -> tuple[int, ...]:
    """Return the alarms with three raises in some sixty seconds."""
    raised = of.raised & within
    order = _by_alarm(of.alarm[raised])
    alarm, times = of.alarm[raised][order], of.at_ms[raised][order]
    reach = CHATTER_COUNT - 1
    same = alarm[reach:] == alarm[:-reach]
    return _names(alarm[reach:][same & (times[reach:] - times[:-reach] < CHATTER_MS)])


def _fleeting(of: Columns, within: Bools) -> tuple[int, ...]:
    """Return the alarms that once came and went within ten seconds while nobody acted."""
    matters = (of.raised | of.ended | of.acted) & within
    order = _by_alarm(of.alarm[matters])
    alarm, times = of.alarm[matters][order], of.at_ms[matters][order]
    raised, ended = of.raised[matters][order], of.ended[matters][order]
    next_to = (alarm[1:] == alarm[:-1]) & raised[:-1] & ended[1:]
    return _names(alarm[1:][next_to & (times[1:] - times[:-1] <= FLEETING_MS)])


def _stale(of: Columns, from_ms: int, to_ms: int) -> tuple[int, ...]:
    """Return the alarms that stood for a day or longer at some moment of the span."""
    matters = (of.raised | of.ended) & (of.at_ms < to_ms)
    order = _by_alarm(of.alarm[matters])
    alarm, times, raised = of.alarm[matters][order], of.at_ms[matters][order], of.raised[matters][order]
    last = np.append(alarm[1:] != alarm[:-1], True) if len(alarm) else np.zeros(0, np.bool_)
    until = np.where(last, to_ms, np.append(times[1:], to_ms)[: len(times)])
    return _names(alarm[raised & (until - times >= STALE_MS) & (until > from_ms)])


def _by_alarm(alarm: Ints) -> Ints:
    """Return the places that bring transitions together by alarm, those of each in the order they have."""
    return np.argsort(alarm, kind="stable")


def _names(alarms: Ints) -> tuple[int, ...]:
    return tuple(int(alarm) for alarm in np.unique(alarms))


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be at most, and what is still manageable; `source` says how far that can be trusted."""

    figure: str
    acceptable: float
    manageable: float | None
    source: str = "ISA-18.2-2016 / EEMUA 191 (secondary sources, unverified)"


TARGETS: Sequence[Target] = (
    Target("per_10_min", 1, 2),
    Target("per_hour", 6, 12),
    Target("per_day", 150, 300),
    Target("most_in_10_min", 10, None),
    Target("flooded", 0.01, None),
    Target("busy_hours", 0.01, None),
    Target("top_share", 0.05, None),
    Target("chattering", 0, None),
    Target("fleeting", 0, None),
    Target("stale", 5, None),
)
"""Of at least 30 days of data; a shorter span is a hint."""
