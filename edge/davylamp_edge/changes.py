"""Decides which pushed values are worth sending, and when each of them was so. Transport only (SAFETY S8).

A server sends what changed, so nearly everything goes on: held back are exact repeats and what a deadband covers. A
value that stands is confirmed by every response of its living subscription, keepalives too; it is repeated within the
point's max silence and then carries the time of that confirmation: a stamp that stands still is no staleness.
"""

from collections.abc import Iterable, Sequence

from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD, Level, Reason, uncertain
from davylamp_wire.reading import Value

from davylamp_edge.datavalue import ABSURD_MS, FAR_MS, after
from davylamp_edge.deadband import Band, Columns, Report
from davylamp_edge.pushed import Pushed

REPEAT_EARLY_MS = 1_500
"""A repeat goes out early rather than late; whoever calls `repeat` does so once a second."""


class Changes:
    """What the points of one device last said, and what of it was sent. Monotonic times decide when to repeat."""

    def __init__(self, indices: Sequence[int], points: Sequence[Point], *, every: bool = False) -> None:
        count = len(points)
        self._indices = indices
        self._every = every
        self._classes = [point.journal_class for point in points]
        self._periods_ms = [int(point.scan_s * 1000) for point in points]
        self._silences_ms = [max(0, int(point.silence_s * 1000) - REPEAT_EARLY_MS) for point in points]
        self._bands = {at: Band(point, point.deadband) for at, point in enumerate(points) if point.deadband}
        self._values: list[Value] = [None] * count
        self._qualities: list[int | None] = [None] * count
        """None before a point has said anything."""
        self._times_ms = [0] * count
        self._held: set[int] = set()
        self._far: set[int] = set()
        """Points whose values are doubted only because their server's clock was far off when they came."""
        self._sent_ms = [0] * count
        self._due_ms = 0

    def last(self, at: int) -> Value:
        """Return what a point last said."""
        return self._values[at]

    def take(self, pushed: Iterable[Pushed], arrived_ms: int, ahead_ms: int, now_ms: int, into: Report) -> None:
        """Add to ``into`` what these readings have to say, in their order.

        Args:
            arrived_ms: When they came, UTC; ``ahead_ms`` is how far the server's clock is ahead of ours.
            now_ms: The same moment on a clock that nobody sets.
        """
        is_far = abs(ahead_ms) > FAR_MS
        for at, value, quality, stamp_ms in pushed:
            is_ahead = stamp_ms - arrived_ms > FAR_MS
            time_ms = self._time(at, stamp_ms, arrived_ms + ahead_ms)
            self._far.discard(at)
            if quality == GOOD and (is_far or is_ahead or time_ms - arrived_ms > FAR_MS):
                quality = uncertain(Reason.CLOCK)
                if is_far:
                    self._far.add(at)
            is_known = self._qualities[at] is not None
            if not self._is_news(at, value, quality):
                self._values[at], self._times_ms[at] = value, time_ms
                self._held.add(at)
                continue
            if is_known:
                self._send_what_stood(at, time_ms, into)
            self._values[at], self._qualities[at], self._times_ms[at] = value, quality, time_ms
            self._send(at, time_ms, into)
            self._sent_ms[at] = now_ms
        self._due_ms = min(self._due_ms, now_ms + min(self._silences_ms, default=0))

    def repeat(self, confirmed_ms: int, heard_ms: int, now_ms: int, into: Report, ahead_ms: int = 0) -> None:
        """Add whoever has been silent too long and was confirmed since: at ``confirmed_ms`` UTC, heard at ``heard_ms``.

        ``heard_ms`` is on the clock of ``now_ms``. What was doubted for its server's clock is so no longer once that
        has been set right: a value that stands may say nothing new for days.
        """
        if now_ms < self._due_ms:
            return
        for at, sent_ms in enumerate(self._sent_ms):
            is_due = self._qualities[at] is not None and now_ms - sent_ms >= self._silences_ms[at]
            if is_due and heard_ms > sent_ms:
                if at in self._far and abs(ahead_ms) <= FAR_MS:
                    self._far.discard(at)
                    self._qualities[at] = GOOD
                self._times_ms[at] = max(confirmed_ms, after(self._times_ms[at], confirmed_ms) + 1)
                self._send(at, self._times_ms[at], into)
                self._sent_ms[at] = now_ms
        silences = zip(self._sent_ms, self._silences_ms, strict=True)
        self._due_ms = min((sent + silence for sent, silence in silences), default=now_ms)

    def _is_news(self, at: int, value: Value, quality: int) -> bool:
        if self._every or quality != self._qualities[at] or quality & 0xFF == Reason.OVER_RANGE:
            return True
        if value == self._values[at]:
            return False
        return at not in self._bands or self._bands[at].is_left_by(value)

    def _time(self, at: int, stamp_ms: int, server_ms: int) -> int:
        """Return a reading's time: its stamp if that is later than what was said before, and always later than that.

        A stamp from shortly before the last confirmation is moved by a millisecond; one from long before belongs to a
        value that stood while nobody listened, and counts from now. So does an absurd one.
        """
        last = after(self._times_ms[at], server_ms)
        if last < stamp_ms <= server_ms + ABSURD_MS:
            return stamp_ms
        return last + 1 if 0 < last - stamp_ms < FAR_MS else max(server_ms, last + 1)

    def _send_what_stood(self, at: int, time_ms: int, into: Report) -> None:
        """Add the value before a jump as of the last time it was sampled: a trend then shows the edge, not a slope."""
        stood_ms = time_ms - self._periods_ms[at]
        has_stood = stood_ms > self._times_ms[at] + self._periods_ms[at] // 2
        is_known = (self._qualities[at] or GOOD) >> 8 != Level.BAD
        if is_known and (has_stood or at in self._held):
            self._send(at, stood_ms if has_stood else self._times_ms[at], into)

    def _send(self, at: int, time_ms: int, into: Report) -> None:
        journal_class = self._classes[at]
        columns = into.get(journal_class)
        if columns is None:
            columns = into[journal_class] = Columns()
        columns.points.append(self._indices[at])
        columns.times_ms.append(time_ms)
        columns.values.append(self._values[at])
        columns.qualities.append(self._qualities[at] or GOOD)
        self._held.discard(at)
        if at in self._bands:
            self._bands[at].sent(self._values[at])
