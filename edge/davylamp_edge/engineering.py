"""From what a device says to what it means: scale, offset, loop current, range. All that doubts a number is here.

Nothing is rounded. A doubtful value is uncertain at once and keeps its number, so that it can still raise an alarm;
only where there is no measurement at all is it bad (SAFETY S4, S9). How long a doubt must last before it is a fault
is the alarm engine's business, never a reason to wait here.
"""

import math
import sys
from collections.abc import Callable, Sequence

from davylamp_wire.point import DataType, Loop, Point
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from davylamp_wire.reading import Value

LOOP_FAULT_MA = 3.6
LOOP_LOW_MA = 3.8
LOOP_HIGH_MA = 20.5
LOOP_FLOATS_HIGH_MA = 21.0
"""NAMUR NE 43: 3.8 to 20.5 mA measures, at or below 3.6 and at or above 21 mA is a fault."""

UNDER_TOLERANCE = (4.0 - LOOP_LOW_MA) / 16.0
"""How far below its range a value may drift and still be good, as a part of the span. NE 43 grants a loop the same;
without it a gas detector drifted to -0.2 %LEL would never clear an alarm. There is none above the range: doubt on the
high side raises."""

_LARGEST = sys.float_info.max
_FLOATS = frozenset({DataType.FLOAT32, DataType.FLOAT64})

LoopReading = Callable[[float], tuple[Value, int]]


def delivered_type(point: Point) -> DataType:
    """Return the type of the value that leaves the edge: a number that was scaled is a double, others stay exact."""
    if point.type in (DataType.BOOL, DataType.STRING):
        return point.type
    return DataType.FLOAT64 if _is_scaled(point) or point.loop else point.type


class Conversion:
    """Turns a column of raw numbers into engineering units; compiled once, run every scan."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._scaled = [(i, point.scale, point.offset) for i, point in enumerate(points) if _is_scaled(point)]
        self._loops = [(i, loop_reading(point)) for i, point in enumerate(points) if point.loop]
        bounds = [_bounds(point) for point in points]
        self._numbers = range(len(points))
        self._lows = [low for low, _ in bounds]
        self._highs = [high for _, high in bounds]
        self._any_finite = all(bound == (-_LARGEST, _LARGEST) for bound in bounds)
        """Whether every finite number is good without a second look."""

    def apply(self, raw: Sequence[float]) -> tuple[list[Value], dict[int, int]]:
        """Return the values, and the quality code of every position that is not good."""
        numbers = list(raw)
        for i, scale, offset in self._scaled:
            numbers[i] = numbers[i] * scale + offset
        values: list[Value] = [*numbers]
        doubts: dict[int, int] = {}
        if self._any_finite and math.isfinite(sum(numbers)):  # no sum with an infinity or a NaN in it is finite
            return values, doubts
        columns = zip(self._numbers, numbers, self._lows, self._highs, strict=True)
        suspects = [i for i, value, low, high in columns if not low <= value <= high]
        for i in suspects:
            values[i], doubts[i] = _outside(numbers[i], self._lows[i], self._highs[i])
        for i, reading in self._loops:
            values[i], quality = reading(numbers[i])
            if quality != GOOD:
                doubts[i] = quality
        return values, doubts


def _is_scaled(point: Point) -> bool:
    numeric = point.type not in (DataType.BOOL, DataType.STRING)
    return numeric and (point.scale != 1.0 or point.offset != 0.0)


def _bounds(point: Point) -> tuple[float, float]:
    """Return between what a number is good without a second look; NaN never is, because it fails every comparison."""
    if point.loop:
        return -math.inf, math.inf
    if point.range:
        low, high = point.range
        return low - UNDER_TOLERANCE * (high - low), high
    return (-_LARGEST, _LARGEST) if point.type in _FLOATS else (-math.inf, math.inf)


def _outside(number: float, low: float, high: float) -> tuple[Value, int]:
    """Return a suspect as value and quality. Infinity is beyond a range; where there is no range it is no number."""
    if math.isnan(number) or (math.isinf(number) and high == _LARGEST):
        return None, bad(Reason.NOT_A_NUMBER)
    if number > high:
        return number, uncertain(Reason.OVER_RANGE)
    return number, uncertain(Reason.UNDER_RANGE)


def loop_reading(point: Point) -> LoopReading:
    """Return how a point's loop current (in mA, after scale and offset) reads.

    The maker's bands come first, both ends included. What they leave open follows NE 43, except that a gas input
    above 20.5 mA is over-range however high it goes: the transmitter may mean a leak (SAFETY S9).
    """
    assert point.loop is not None
    assert point.range is not None
    scale = _LoopScale(point.loop, point.range)
    bands = [(band.from_ma, band.to_ma, band.code, band.level == "uncertain") for band in point.loop.bands]
    unmapped = _gas_current if point.kind == "gas" else _process_current

    def reading(current: float) -> tuple[Value, int]:
        if math.isnan(current):
            return None, bad(Reason.NOT_A_NUMBER)
        for low, high, quality, keeps_value in bands:
            if low <= current <= high:
                return (scale.value(current) if keeps_value else None), quality
        quality = unmapped(current)
        return (None if quality == bad(Reason.LOOP_LOW) else scale.value(current)), quality

    return reading


class _LoopScale:
    """The straight line through a loop's two ends."""

    def __init__(self, loop: Loop, span: tuple[float, float]) -> None:
        self._zero_ma = loop.zero_ma
        self._low = span[0]
        self._slope = (span[1] - span[0]) / (loop.span_ma - loop.zero_ma)

    def value(self, current: float) -> float:
        return self._low + (current - self._zero_ma) * self._slope


def _gas_current(current: float) -> int:
    return uncertain(Reason.OVER_RANGE) if current > LOOP_HIGH_MA else _low_current(current)


def _process_current(current: float) -> int:
    if current >= LOOP_FLOATS_HIGH_MA:
        return uncertain(Reason.LOOP_HIGH)
    return uncertain(Reason.OVER_RANGE) if current > LOOP_HIGH_MA else _low_current(current)


def _low_current(current: float) -> int:
    """A wire that carries next to nothing measures nothing: bad, and no low reading."""
    if current <= LOOP_FAULT_MA:
        return bad(Reason.LOOP_LOW)
    return uncertain(Reason.UNDER_RANGE) if current < LOOP_LOW_MA else GOOD
