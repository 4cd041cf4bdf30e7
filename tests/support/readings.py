"""What travels: readings of every datatype, quality and shape, for hypothesis."""

import struct

from davylamp_wire.payload import FIRST_ALIAS, SparkplugType
from davylamp_wire.quality import Level, Reason, code
from davylamp_wire.reading import Readings, Value
from hypothesis import strategies as st

T = SparkplugType
NOW = 1_795_500_000_000


def whole(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.one_of(st.sampled_from([low, high, 0, 1]), st.integers(low, high))


def any_double() -> st.SearchStrategy[float]:
    """Doubles by their bits: NaNs with every payload, infinities, -0.0, subnormals."""
    return st.one_of(st.floats(), st.binary(min_size=8, max_size=8).map(lambda b: struct.unpack("<d", b)[0]))


VALUES: dict[SparkplugType, st.SearchStrategy[Value]] = {
    T.INT8: whole(8, True),
    T.INT16: whole(16, True),
    T.INT32: whole(32, True),
    T.INT64: whole(64, True),
    T.UINT8: whole(8, False),
    T.UINT16: whole(16, False),
    T.UINT32: whole(32, False),
    T.UINT64: whole(64, False),
    T.FLOAT: st.floats(width=32),
    T.DOUBLE: any_double(),
    T.BOOLEAN: st.booleans(),
    T.STRING: st.text(),
}

qualities = st.one_of(
    st.just(0),
    st.builds(code, st.sampled_from([Level.UNCERTAIN, Level.BAD]), st.sampled_from(list(Reason))),
)
times = st.one_of(st.integers(NOW, NOW + 5_000), st.sampled_from([0, 1, (1 << 42) - 1, 1 << 42]))
aliases = st.one_of(st.integers(FIRST_ALIAS, FIRST_ALIAS + 500), st.sampled_from([0, 127, 1 << 21, (1 << 63) - 1]))


@st.composite
def typed_readings(draw: st.DrawFn, max_size: int = 40) -> tuple[Readings, dict[int, int]]:
    """Readings in which each alias keeps its datatype, as a birth has it."""
    drawn = draw(st.lists(aliases, min_size=1, max_size=max_size))
    kinds = draw(st.sampled_from([[T.DOUBLE], [T.FLOAT], [T.BOOLEAN], [T.INT16, T.UINT16], list(VALUES)]))
    types: dict[int, int] = {alias: draw(st.sampled_from(kinds)) for alias in set(drawn)}
    nulls = draw(st.booleans())
    values: list[Value] = [
        None if nulls and draw(st.booleans()) else draw(VALUES[SparkplugType(types[alias])]) for alias in drawn
    ]
    codes = st.just(0) if draw(st.booleans()) else qualities
    moments = st.just(NOW) if draw(st.booleans()) else times
    size = len(drawn)
    return Readings(
        drawn,
        draw(st.lists(moments, min_size=size, max_size=size)),
        values,
        draw(st.lists(codes, min_size=size, max_size=size)),
    ), types
