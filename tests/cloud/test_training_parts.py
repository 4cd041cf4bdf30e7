"""Readings laid out part by part are the rows that they are as a whole, wherever the parts are cut."""

from itertools import pairwise

import numpy as np
from davylamp_alarms.watching.window import Grid, Readings, laid_out, seen
from davylamp_cloud.historian.past import Stretch
from davylamp_cloud.training.parts import Tag, rows_of_stretches
from davylamp_wire.quality import Level, Reason, bad
from hypothesis import given, settings
from hypothesis import strategies as st

TAGS = (Tag(2, "a", 3.0), Tag(5, "b", 0.0), Tag(6, "c", 9.0))
READING = st.tuples(
    st.sampled_from([tag.index for tag in TAGS]),
    st.integers(-20_000, 60_000),
    st.floats(-1e6, 1e6) | st.just(float("nan")),
    st.sampled_from([0, 0, 0, bad(Reason.COMM)]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(READING, max_size=60), st.lists(st.integers(0, 60), max_size=6), st.integers(1, 70), st.integers(1, 12))
def test_parts_make_the_rows_of_the_whole(
    readings: list[tuple[int, int, float, int]], cuts: list[int], tenths: int, rows: int
) -> None:
    grid = Grid(0, tenths * 100, rows)
    whole = _stretch(sorted(readings, key=lambda one: one[1]))
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    parts = [_cut(whole, start, stop) for start, stop in pairwise(edges)]
    found = rows_of_stretches(grid, TAGS, parts)
    for place, tag in enumerate(TAGS):
        own = whole.tags == tag.index
        value = whole.values[own]
        good = (whole.qualities[own] >> 8 == Level.GOOD) & np.isfinite(value)
        its = Readings(tag.tag_id, whole.times_ms[own], value, good)
        expected = laid_out(its, grid, tag.hold_ms(grid.every_ms))
        assert found.rows.value[:, place].tobytes() == expected.tobytes()
        assert found.seen[place] == seen(its, expected, grid)


def test_nothing_stored_is_no_reading_at_all() -> None:
    found = rows_of_stretches(Grid(0, 1000, 3), TAGS, [])
    assert [(one.samples, one.missing, one.longest_gap_s) for one in found.seen] == [(0, 1.0, 3.0)] * 3


def _stretch(readings: list[tuple[int, int, float, int]]) -> Stretch:
    tags, times, values, codes = zip(*readings, strict=True) if readings else ((), (), (), ())
    return Stretch(
        np.array(tags, np.int32), np.array(times, np.int64), np.array(values, np.float64), np.array(codes, np.uint16)
    )


def _cut(one: Stretch, start: int, stop: int) -> Stretch:
    return Stretch(*(getattr(one, name)[start:stop] for name in Stretch.__slots__))
