"""What a server pushes, as values and qualities of the profile's points. Pure; times are `davylamp_edge.changes`'s."""

from collections.abc import Iterable, Sequence

from davylamp_wire.point import DataType, Point
from davylamp_wire.quality import GOOD, Level, Reason, bad
from davylamp_wire.reading import Value

from davylamp_edge.datavalue import as_type, status_quality, worse
from davylamp_edge.engineering import Conversion
from davylamp_edge.notification import Row

Pushed = tuple[int, Value, int, int]
"""A point's place among the points, its value, its quality code, and the source's stamp in UTC milliseconds (or 0)."""


def failed(positions: Iterable[int], reason: Reason) -> list[Pushed]:
    """Return readings of points that are not heard: bad, since now."""
    return [(at, None, bad(reason), 0) for at in positions]


class PushDecoder:
    """Turns rows off the wire into readings; the handle of a row is the place of its point."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._kinds = [point.type for point in points]
        self._conversions = [_conversion(point) for point in points]

    def decode(self, rows: Iterable[Row]) -> list[Pushed]:
        """Return rows as readings, in their order: limits see every one of them (SAFETY S8)."""
        return [(at, *self._reading(at, value, status), stamp) for at, value, status, stamp in rows]

    def _reading(self, at: int, raw: object, status: int) -> tuple[Value, int]:
        quality = status_quality(status) if status else GOOD
        value = as_type(raw, self._kinds[at]) if quality >> 8 != Level.BAD else None
        if value is None:
            if quality >> 8 != Level.BAD:
                quality = bad(Reason.NO_VALUE if raw is None else Reason.DEVICE_FAULT)
            return None, quality
        conversion = self._conversions[at]
        if conversion is None:
            return value, quality
        values, doubts = conversion.apply([value])  # type: ignore[list-item]  # a number: texts have no conversion
        return values[0], worse(quality, doubts.get(0, GOOD))


def _conversion(point: Point) -> Conversion | None:
    return None if point.type in (DataType.BOOL, DataType.STRING) else Conversion([point])
