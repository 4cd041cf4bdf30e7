"""Where the parts of a warning's figure lie: the last minutes of its tag, the limit, the fitted line and its interval.

Pure geometry, in the units of the drawing; `parts/evidence.html` draws it. Time runs to the right, values upwards.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

WIDTH, HEIGHT = 640, 250
LEFT, RIGHT, TOP, BOTTOM = 10.0, 630.0, 34.0, 214.0
BEFORE = 0.5
"""Share of the window that is shown before it."""
AHEAD = 1.6
"""The furthest that is shown ahead, as a multiple of the time to the limit."""
WITHOUT_LINE_MS = 15 * 60_000
"""What is shown before the raise where a rule has fitted no line."""
ROOM = 0.12
"""Share of the height left free above and below."""

LABEL = 106.0
"""How wide a time of day is, written."""

Reading = tuple[float, float | None]
"""Time in milliseconds and value; None: nothing known, the curve is cut."""


class Place(NamedTuple):
    """A place in the drawing."""

    x: float
    y: float

    def __str__(self) -> str:
        return f"{self.x:.1f},{self.y:.1f}"


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of time that is shown."""

    from_ms: float
    to_ms: float


@dataclass(frozen=True, slots=True)
class Figure:
    """What is drawn; what a rule says nothing of is None or empty."""

    curves: tuple[str, ...]
    fitted: tuple[Place, Place] | None = None
    ahead: tuple[Place, Place] | None = None
    between: str = ""
    limit: Place | None = None
    now: Place | None = None

    @property
    def reach_words_x(self) -> float:
        """Where the time at the limit is written: below it, but inside the drawing."""
        return min(self.ahead[1].x, WIDTH - LABEL / 2) if self.ahead else 0.0

    @property
    def now_words_x(self) -> float:
        """Where the time of the newest sample is written: below it, but not into the other."""
        here = self.now.x if self.now else 0.0
        return min(here, self.reach_words_x - LABEL) if self.ahead else here


def span_of(evidence: Mapping[str, Any], raised_ms: int, now_ms: int) -> Span:
    """Return which stretch of time to show: the window and a little before it, and on to the limit."""
    line = evidence.get("line")
    if not line:
        return Span(raised_ms - WITHOUT_LINE_MS, max(raised_ms, min(now_ms, raised_ms + WITHOUT_LINE_MS)))
    began_ms, at_ms = float(line[0][0]), float(line[1][0])
    window_ms = max(at_ms - began_ms, 1000.0)
    return Span(began_ms - BEFORE * window_ms, at_ms + (_ahead_ms(evidence) or window_ms))


def _ahead_ms(evidence: Mapping[str, Any]) -> float:
    """Return how far ahead is shown: to the latest time at the limit, but not endlessly."""
    in_s, latest_s = evidence.get("at_limit_in_s"), evidence.get("latest_s")
    if in_s is None:
        return 0.0
    furthest_s = AHEAD * float(in_s)
    return 1000.0 * max(min(furthest_s if latest_s is None else float(latest_s) * 1.05, furthest_s), float(in_s) * 1.1)


def draw(evidence: Mapping[str, Any], readings: Sequence[Reading], span: Span) -> Figure:
    """Return the figure of a warning's evidence over the readings of its tag."""
    line, limit = evidence.get("line"), evidence.get("limit")
    shown = [value for _, value in readings if value is not None]
    if not line:
        scale = _Scale.of(shown, span)
        return Figure(tuple(_curves(readings, scale)))
    (began_ms, began), (at_ms, now) = line
    scale = _Scale.of([*shown, began, now, *([] if limit is None else [limit])], span)
    here = scale.at(at_ms, now)
    return Figure(
        curves=tuple(_curves(readings, scale)),
        fitted=(scale.at(began_ms, began), here),
        ahead=_ahead(evidence, here, scale),
        between=_between(evidence, here, scale),
        limit=None if limit is None else scale.at(span.from_ms, limit),
        now=here,
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """From time and value to a place."""

    span: Span
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float], span: Span) -> "_Scale":
        found = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(found), max(found)
        room = ROOM * (high - low) or abs(high) * ROOM or 1.0
        return cls(span, low - room, high + room)

    def at(self, time_ms: float, value: float) -> Place:
        across = (time_ms - self.span.from_ms) / ((self.span.to_ms - self.span.from_ms) or 1.0)
        up = (value - self.low) / (self.high - self.low)
        return Place(LEFT + min(max(across, 0.0), 1.0) * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP))


def _curves(readings: Sequence[Reading], scale: _Scale) -> Iterable[str]:
    """Yield the readings as lines, cut where nothing is known."""
    part: list[Place] = []
    for time_ms, value in readings:
        if value is None or not scale.span.from_ms <= time_ms <= scale.span.to_ms:
            if part:
                yield " ".join(map(str, part))
            part = []
        else:
            part.append(scale.at(time_ms, value))
    if part:
        yield " ".join(map(str, part))


def _ahead(evidence: Mapping[str, Any], here: Place, scale: _Scale) -> tuple[Place, Place] | None:
    """Return the fitted line on to the limit."""
    in_s, limit = evidence.get("at_limit_in_s"), evidence.get("limit")
    if not in_s or limit is None:
        return None
    return here, scale.at(_time_ms(evidence, in_s), limit)


def _between(evidence: Mapping[str, Any], here: Place, scale: _Scale) -> str:
    """Return the area between the earliest and the latest way to the limit; a way that never comes ends at the edge."""
    early_s, latest_s, limit = evidence.get("earliest_s"), evidence.get("latest_s"), evidence.get("limit")
    if early_s is None or limit is None:
        return ""
    corners = [here, scale.at(_time_ms(evidence, early_s), limit)]
    if latest_s is None:
        corners += [scale.at(scale.span.to_ms, limit), Place(RIGHT, here.y)]
    else:
        corners += _late_way(here, scale, _time_ms(evidence, latest_s), limit)
    return " ".join(map(str, corners))


def _late_way(here: Place, scale: _Scale, latest_ms: float, limit: float) -> list[Place]:
    """Return where the latest way meets the limit; where that is off the drawing, where it leaves it."""
    if latest_ms <= scale.span.to_ms:
        return [scale.at(latest_ms, limit)]
    at_limit = scale.at(scale.span.to_ms, limit)
    from_ms = scale.span.from_ms + (here.x - LEFT) / (RIGHT - LEFT) * (scale.span.to_ms - scale.span.from_ms)
    share = (scale.span.to_ms - from_ms) / (latest_ms - from_ms)
    return [at_limit, Place(RIGHT, here.y + share * (at_limit.y - here.y))]


def _time_ms(evidence: Mapping[str, Any], after_s: float) -> float:
    """Return a time that the evidence tells in seconds from its newest sample."""
    return float(evidence["line"][1][0]) + 1000.0 * after_s
