"""Payloads whose readings all have one shape: most that our edges send. Proved, and nothing decoded yet."""

from typing import NamedTuple

import numpy as np

from davylamp_wire.frame import front_of, seq_of
from davylamp_wire.layout import Bytes, Layout, layout_fitting

METRIC = 0x12
SHORTEST = 14
"""Bytes of the shortest metric with alias and time of ours."""


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


def regular(payload: bytes) -> Regular | None:
    """Return a payload whose readings all have one shape; None where they have not."""
    sent_ms, record, historical, start = front_of(payload)
    size = len(payload)
    if not start or start + SHORTEST > size or payload[start] != METRIC or payload[start + 1] & 0x80:
        return None
    stride = payload[start + 1] + 2
    count, rest = divmod(size - start, stride)
    seq = seq_of(payload[size - rest :]) if rest else None
    if stride < SHORTEST or not count or (rest and seq is None):
        return None
    flat = np.frombuffer(payload, np.uint8, count * stride, start)
    layout = layout_fitting(payload[start : start + stride], flat)
    if layout is None or (layout.transient and record is None):
        return None
    return Regular(sent_ms, record, seq, historical, layout, flat, count)
