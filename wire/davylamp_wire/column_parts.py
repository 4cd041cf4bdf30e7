"""From metrics of one layout to columns, and what columns are; `columns` puts payloads together from this."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from davylamp_wire.decode import NO_VALUE, NOT_A_NUMBER
from davylamp_wire.layout import Bytes, Kind, Layout
from davylamp_wire.names import BITS, SIGNED, SparkplugType
from davylamp_wire.quality import GOOD

Types = Callable[[NDArray[np.int64]], NDArray[np.integer]]
"""From aliases to the Sparkplug datatypes of their birth; 0 where it knows none."""

WHOLE = (Kind.INT, Kind.LONG)
EXACT = 1 << 53
"""Whole numbers beyond this are kept as text beside the float."""

Part = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint16], dict[int, str]]
"""Keys (aliases and times, shape (2, metrics)), values, qualities, texts."""


class Columns(NamedTuple):
    """The readings of one payload, in its order. A tuple, because one is made for every payload.

    ``aliases`` are the birth's (an unsigned alias from 2**63 on shows as negative; a metric without alias has
    `names.name_alias`), ``values`` NaN for a null or a text, ``qualities`` codes of `davylamp_wire.quality`, ``texts``
    by position the exact text of strings and of integers a float cannot hold. ``historical`` is whether any reading is
    backlog. ``record`` is the journal number, which stands in no column.
    """

    record: int | None
    seq: int | None
    sent_ms: int | None
    aliases: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    qualities: NDArray[np.uint16]
    historical: bool
    texts: dict[int, str]


SHARED = 4096
"""Readings up to which arrays of one quality are kept: a payload's, not those of a hundred payloads."""


def same(quality: int, count: int) -> NDArray[np.uint16]:
    """Return one quality, many times, in an array that may be shared and cannot be written."""
    return _kept(quality, count) if count <= SHARED else _made(quality, count)


@lru_cache(maxsize=1 << 10)
def _kept(quality: int, count: int) -> NDArray[np.uint16]:
    return _made(quality, count)


def _made(quality: int, count: int) -> NDArray[np.uint16]:
    qualities = np.full(count, quality, np.uint16)
    qualities.flags.writeable = False
    return qualities


def part(layout: Layout, flat: Bytes, count: int, types: Types | None) -> Part:
    """Return keys (aliases and times), values, qualities and texts of metrics that fit a layout."""
    keys = layout.keys(flat, count)
    qualities = same(layout.quality, count)
    if layout.kind is Kind.NULL:
        return keys, np.full(count, np.nan), same(layout.quality or NO_VALUE, count), {}
    if layout.kind in WHOLE:
        values, texts = _wholes(layout, flat.reshape(count, layout.stride), keys[0], types)
        return keys, values, qualities, texts
    values = layout.floats(flat, count)
    highest = values[values.argmax()]
    if highest != highest and not layout.quality:
        # A NaN counts as the highest, and is never good, whoever says so.
        qualities = np.where(np.isnan(values), NOT_A_NUMBER, GOOD).astype(np.uint16)
    return keys, values, qualities, {}


def _wholes(
    layout: Layout, rows: Bytes, aliases: NDArray[np.int64], types: Types | None
) -> tuple[NDArray[np.float64], dict[int, str]]:
    raw = layout.wholes(rows)
    if layout.datatype:
        datatypes: NDArray[np.integer] = np.full(len(rows), layout.datatype, np.int64)
    else:
        datatypes = np.zeros(len(rows), np.int64) if types is None else types(aliases)
    return whole_values(raw, datatypes)


def whole_values(raw: NDArray[np.uint64], datatypes: NDArray[np.integer]) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Return integers of the wire as their datatypes mean them, and the exact text of those a float cannot hold."""
    present = set(datatypes.tolist())
    values = raw.astype(np.float64)
    signed = raw.view(np.int64).copy()
    negative = np.zeros(len(raw), np.bool_)
    for datatype in SIGNED & present:
        mine = datatypes == datatype
        shift = 64 - BITS[datatype]
        signed[mine] = signed[mine] << shift >> shift
        values[mine] = signed[mine]
        negative |= mine
    if SparkplugType.BOOLEAN in present:
        booleans = datatypes == SparkplugType.BOOLEAN
        values[booleans] = raw[booleans] != 0
    large = np.flatnonzero(np.abs(values) >= EXACT).tolist()
    exact = {at: int(signed[at] if negative[at] else raw[at]) for at in large}
    return values, {at: str(number) for at, number in exact.items() if abs(number) > EXACT}
