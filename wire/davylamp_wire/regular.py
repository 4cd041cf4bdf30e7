"""Payloads whose readings all have one shape: most that our edges send. Proved, and nothing decoded yet.

A payload is taken apart once; what it looks like is remembered as a pattern of all its bytes. The next one of its kind
is proved by one comparison with it. The pattern is a guess like the layout's: a payload it does not fit is taken apart.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from davylamp_wire.frame import front_mask, front_of, seq_of, time_of, varint_of
from davylamp_wire.layout import Bytes, Layout, layout_fitting

METRIC = 0x12
SHORTEST = 14
"""Bytes of the shortest metric with alias and time of ours."""
SEEN_MOST, SEEN_BYTES = 256, 1 << 14
"""So many patterns are remembered, of payloads up to this size: 8 MB at most."""


class Regular(NamedTuple):
    """A payload as far as it is known without its values: `metrics` of one layout lie in `flat`."""

    sent_ms: int
    record: int | None
    seq: int | None
    historical: bool
    """What the record number says; the readings' own word is the layout's."""
    layout: Layout
    flat: Bytes
    metrics: int


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """What all payloads of one kind have in common: the bits in ``mask`` are those in ``want``.

    The record number lies from ``record`` to ``start``, where it has one; the metrics from ``start`` to ``end``, and
    behind them, where there is more, the seq.
    """

    mask: Bytes
    want: bytes
    record: int | None
    start: int
    end: int
    historical: bool
    layout: Layout
    metrics: int

    def fits(self, payload: bytes) -> bool:
        """Return whether a payload of this size is of this kind."""
        return np.bitwise_and(np.frombuffer(payload, np.uint8), self.mask).tobytes() == self.want

    def read(self, payload: bytes) -> Regular:
        """Return a payload that fits."""
        flat = np.frombuffer(payload, np.uint8, self.end - self.start, self.start)
        return Regular(*self.numbers(payload), self.historical, self.layout, flat, self.metrics)

    def numbers(self, payload: bytes) -> tuple[int, int | None, int | None]:
        """Return when a payload that fits was sent, its record number and its seq."""
        size, end = len(payload), self.end
        record = None if self.record is None else varint_of(payload[self.record : self.start])
        seq = None if size == end else payload[end + 1] if size == end + 2 else varint_of(payload[end + 1 :])
        return time_of(payload[1:7]), record, seq

    def rows(self, payloads: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return payloads of this size as rows of bytes, and which of them are of this kind."""
        rows = np.frombuffer(b"".join(payloads), np.uint8).reshape(len(payloads), -1)
        masked, size = (rows & self.mask).tobytes(), len(self.want)
        fits = [masked[start : start + size] == self.want for start in range(0, len(masked), size)]
        return rows, np.array(fits, np.bool_)


_SEEN: dict[tuple[int, int, int], Pattern] = {}


def regular(payload: bytes) -> Regular | None:
    """Return a payload whose readings all have one shape; None where they have not."""
    pattern = pattern_of(payload)
    return None if pattern is None else pattern.read(payload)


def pattern_of(payload: bytes) -> Pattern | None:
    """Return the pattern a payload fits; None where its readings have not one shape."""
    known = pattern_like(payload)
    if known is not None and known.fits(payload):
        return known
    pattern = _taken_apart(payload)
    if pattern is not None and len(payload) <= SEEN_BYTES:
        if len(_SEEN) >= SEEN_MOST:
            _SEEN.clear()
        _SEEN[_key(payload)] = pattern
    return pattern


def pattern_like(payload: bytes) -> Pattern | None:
    """Return the remembered pattern a payload may fit; it has to be proved."""
    return _SEEN.get(_key(payload)) if len(payload) >= SHORTEST else None


def _key(payload: bytes) -> tuple[int, int, int]:
    """Return what tells kinds apart: the size, and the lengths of what should be record number and first metric."""
    first = payload[8]
    next_at = 10 + first
    return len(payload), first, payload[next_at] if next_at < len(payload) else 0


def _taken_apart(payload: bytes) -> Pattern | None:
    """Return the pattern of a payload; None where its readings have not one shape."""
    _, record, historical, start = front_of(payload)
    size = len(payload)
    if not start or start + SHORTEST > size or payload[start] != METRIC or payload[start + 1] & 0x80:
        return None
    stride = payload[start + 1] + 2
    metrics, rest = divmod(size - start, stride)
    end = size - rest
    if stride < SHORTEST or not metrics or (rest and seq_of(payload[end:]) is None):
        return None
    flat = np.frombuffer(payload, np.uint8, metrics * stride, start)
    layout = layout_fitting(payload[start : start + stride], flat)
    if layout is None or (layout.transient and record is None):
        return None
    front, number_at = front_mask(record is not None, historical, start)
    tail = bytes([0xFF, *[0x80] * (rest - 1)]) if rest else b""
    body = np.resize(layout.mask[:stride], len(flat)).tobytes()
    mask = np.frombuffer(front + body + tail, np.uint8)
    want = np.bitwise_and(np.frombuffer(payload, np.uint8), mask).tobytes()
    return Pattern(mask, want, number_at, start, end, historical, layout, metrics)
