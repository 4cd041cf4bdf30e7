"""OPC UA DataValues to values, qualities and times. Pure, and without asyncua: it asks only for a few attributes.

A value keeps the time its server gave it, however old, as long as it is news; a value that is still what it was
carries the time it was confirmed, in the server's clock, so that the times of one point always ascend.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from davylamp_wire.point import DataType, Point
from davylamp_wire.quality import GOOD, Level, Reason, bad, code, uncertain
from davylamp_wire.reading import Value

from davylamp_edge.engineering import Conversion
from davylamp_edge.reply import Decoded

FAR_MS = 60_000
"""A stamp this far ahead of the edge's clock, or a server's clock this far off, is a clock quality (SAFETY S2)."""

ABSURD_MS = 3_600_000
"""A stamp this far ahead of its own server's clock is no time: no later one could pass it for as long."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

INTEGERS = {
    DataType.INT8: (-(1 << 7), (1 << 7) - 1),
    DataType.UINT8: (0, (1 << 8) - 1),
    DataType.INT16: (-(1 << 15), (1 << 15) - 1),
    DataType.UINT16: (0, (1 << 16) - 1),
    DataType.INT32: (-(1 << 31), (1 << 31) - 1),
    DataType.UINT32: (0, (1 << 32) - 1),
    DataType.INT64: (-(1 << 63), (1 << 63) - 1),
    DataType.UINT64: (0, (1 << 64) - 1),
    DataType.BCD16: (0, 9_999),
    DataType.BCD32: (0, 99_999_999),
}

REASONS: dict[int, Reason] = {
    0x8005: Reason.COMM,  # BadCommunicationError
    0x800A: Reason.COMM,  # BadTimeout
    0x8031: Reason.COMM,  # BadNoCommunication
    0x808A: Reason.COMM,  # BadNotConnected
    0x8032: Reason.NO_VALUE,  # BadWaitingForInitialData
    0x80B1: Reason.NO_VALUE,  # BadNoDataAvailable
    0x8033: Reason.DEVICE_EXCEPTION,  # BadNodeIdInvalid
    0x8034: Reason.DEVICE_EXCEPTION,  # BadNodeIdUnknown
    0x8035: Reason.DEVICE_EXCEPTION,  # BadAttributeIdInvalid
    0x803A: Reason.DEVICE_EXCEPTION,  # BadNotReadable
    0x801F: Reason.DEVICE_EXCEPTION,  # BadUserAccessDenied
    0x803C: Reason.OVER_RANGE,  # BadOutOfRange
    0x808D: Reason.MAINTENANCE,  # BadOutOfService
    0x408F: Reason.COMM,  # UncertainNoCommunicationLastUsable
    0x4090: Reason.STALE,  # UncertainLastUsableValue
    0x4091: Reason.MAINTENANCE,  # UncertainSubstituteValue
    0x4092: Reason.NO_VALUE,  # UncertainInitialValue
    0x4093: Reason.CALIBRATION,  # UncertainSensorNotAccurate
    0x4094: Reason.OVER_RANGE,  # UncertainEngineeringUnitsExceeded
}
"""What the sub-code of a StatusCode says (OPC 10000-4, 7.39; OPC 10000-8, 6.4). Others are a fault of the device."""

LIMIT_BITS, LIMIT_LOW = 0x0300, 0x0100
"""The limit bits of a StatusCode: stuck at the low end (OPC 10000-4, 7.39.1)."""


class DataValue(Protocol):
    """The attributes of an asyncua DataValue that are read here."""

    Value: Any
    StatusCode: Any
    SourceTimestamp: Any


def status_quality(status: int) -> int:
    """Return a StatusCode as quality: its severity as level, its sub-code as reason."""
    severity = status >> 30
    if severity == 0:
        return GOOD
    reason = REASONS.get(status >> 16, Reason.DEVICE_FAULT)
    if reason is Reason.OVER_RANGE and status & LIMIT_BITS == LIMIT_LOW:
        reason = Reason.UNDER_RANGE
    return code(Level.UNCERTAIN if severity == 1 else Level.BAD, reason)


def worse(said: int, judged: int) -> int:
    """Return the graver of what a server says of a value and what its number says.

    Of two alike it is the server's, but over its range a value may mean a leak, and no word hides that (SAFETY S9).
    """
    graver = judged >> 8 > said >> 8
    alike = judged >> 8 == said >> 8
    return judged if graver or (alike and judged & 0xFF == Reason.OVER_RANGE) else said


def stamp_ms(stamp: datetime | None) -> int | None:
    """Return a timestamp in UTC milliseconds; None where the server left it out (or sent the year 1601 for it)."""
    if stamp is None:
        return None
    aware = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MILLISECOND if aware > _EPOCH else None


def after(last_ms: int, server_ms: int) -> int:
    """Return the time that the next must be later than; none where a clock was set back from far in the future."""
    return last_ms if last_ms <= server_ms + ABSURD_MS else 0


def by_kind(points: Sequence[Point]) -> list[int]:
    """Return the order in which a `DataValueDecoder` wants its points: numbers first."""
    return sorted(range(len(points)), key=lambda i: points[i].type in (DataType.BOOL, DataType.STRING))


class DataValueDecoder:
    """Decodes the reply of one Read, for points in the order of `by_kind`; remembers each point's last stamp."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._types = [point.type for point in points]
        self._numbers = sum(kind not in (DataType.BOOL, DataType.STRING) for kind in self._types)
        self._conversion = Conversion(points[: self._numbers])
        self._stamps_ms: list[int | None] = [None] * len(points)
        self._times_ms = [0] * len(points)

    def decode(self, replies: Sequence[DataValue], arrived_ms: int, ahead_ms: int) -> Decoded:
        """Return a reply in columns. ``ahead_ms`` is how far the server's clock is ahead of the edge's."""
        raw, doubts = self._values(replies)
        numbers = [math.nan if value is None else value for value in raw[: self._numbers]]
        values, judged = self._conversion.apply(numbers)
        values += raw[self._numbers :]
        times = [self._time(i, stamp_ms(each.SourceTimestamp), arrived_ms + ahead_ms) for i, each in enumerate(replies)]
        for i, time_ms in enumerate(times):
            latest_ms = max(time_ms, self._stamps_ms[i] or 0)
            if latest_ms - arrived_ms > FAR_MS or abs(ahead_ms) > FAR_MS:
                judged.setdefault(i, uncertain(Reason.CLOCK))
        for i, quality in doubts.items():
            judged[i] = worse(quality, judged.get(i, GOOD))
        return Decoded(values, judged, times)

    def _values(self, replies: Sequence[DataValue]) -> tuple[list[Any], dict[int, int]]:
        """Return each value as its point's type, None where there is none, and what the server says of them."""
        values: list[Any] = []
        doubts: dict[int, int] = {}
        for i, (reply, kind) in enumerate(zip(replies, self._types, strict=True)):
            status = reply.StatusCode.value if reply.StatusCode is not None else 0
            quality = status_quality(status) if status else GOOD
            value = reply.Value.Value if reply.Value is not None and quality >> 8 != Level.BAD else None
            fitting = as_type(value, kind)
            if fitting is None and quality >> 8 != Level.BAD:
                quality = bad(Reason.NO_VALUE if value is None else Reason.DEVICE_FAULT)
            if quality != GOOD:
                doubts[i] = quality
            values.append(fitting)
        return values, doubts

    def _time(self, i: int, stamp: int | None, now_ms: int) -> int:
        """Return a reading's time: its stamp where that is news, else now; always after the one before.

        An absurd stamp is none.
        """
        last = after(self._times_ms[i], now_ms)
        is_news = stamp is not None and stamp != self._stamps_ms[i] and last < stamp <= now_ms + ABSURD_MS
        time_ms = stamp if stamp is not None and is_news else now_ms
        self._stamps_ms[i] = stamp
        self._times_ms[i] = max(time_ms, last + 1)
        return self._times_ms[i]


def as_type(value: object, kind: DataType) -> Value:
    """Return a value as its profile's type; None where it is something else, because nothing is bent to fit."""
    if kind is DataType.BOOL:
        return bool(value) if isinstance(value, bool | int) else None
    if kind is DataType.STRING:
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        whole = int(value) if isinstance(value, int) or value.is_integer() else None
        return whole if whole is not None and low <= whole <= high else None
    return value if isinstance(value, float) or float(value) == value else None
