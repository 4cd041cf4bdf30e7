"""Where the parts of a warning's figure lie."""

from typing import Any

import pytest
from davylamp_cloud.console.figure import BOTTOM, LEFT, RIGHT, TOP, draw, span_of
from hypothesis import given
from hypothesis import strategies as st

AT_MS = 1_760_000_000_000


def trend(**more: Any) -> dict[str, Any]:
    """Return the evidence of a level that rises by 1 % a minute and reaches 85 % in five."""
    line = [[AT_MS - 120_000, 78.0], [AT_MS, 80.0]]
    said = {"limit": 85.0, "at_limit_in_s": 300.0, "earliest_s": 240.0, "latest_s": 400.0, "line": line}
    return {**said, **more}


def corners(points: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, _, y in (pair.partition(",") for pair in points.split())]


def test_the_fitted_line_goes_on_to_the_limit_at_the_forecast_time() -> None:
    span = span_of(trend(), AT_MS, AT_MS)
    found = draw(trend(), [], span)
    assert found.fitted is not None
    assert found.ahead is not None
    assert found.limit is not None
    (x0, y0), (x1, y1) = found.fitted
    (x2, y2), (x3, y3) = found.ahead
    assert (x1, y1) == (x2, y2) == found.now
    assert y3 == pytest.approx(found.limit.y)
    assert (x3 - x2) / (x1 - x0) == pytest.approx(300 / 120)
    assert (y3 - y2) / (y1 - y0) == pytest.approx(5 / 2)


def test_the_interval_opens_from_the_newest_sample_to_the_earliest_and_the_latest_time_at_the_limit() -> None:
    found = draw(trend(), [], span_of(trend(), AT_MS, AT_MS))
    (x0, _), (early, _), (late, _) = corners(found.between)
    assert (late - x0) / (early - x0) == pytest.approx(400 / 240, rel=0.01)


def test_a_limit_that_may_never_be_reached_leaves_the_interval_open_to_the_edge() -> None:
    found = draw(trend(latest_s=None), [], span_of(trend(latest_s=None), AT_MS, AT_MS))
    assert [x for x, _ in corners(found.between)][2:] == [RIGHT, RIGHT]


def test_the_curve_is_cut_where_nothing_is_known_and_outside_what_is_shown() -> None:
    span = span_of(trend(), AT_MS, AT_MS)
    values = [(AT_MS - 10**9, 1.0), (AT_MS - 60_000, 79.0), (AT_MS - 50_000, 79.1), (AT_MS - 40_000, None)]
    found = draw(trend(), [*values, (AT_MS - 30_000, 79.5)], span)
    assert [len(corners(curve)) for curve in found.curves] == [2, 1]


def test_a_rule_without_a_line_shows_what_its_tag_said() -> None:
    said = {"rule": "frozen", "tag": "t"}
    span = span_of(said, AT_MS, AT_MS + 60_000)
    found = draw(said, [(AT_MS - 60_000.0, 5.0), (AT_MS - 0.0, 5.0)], span)
    assert len(found.curves) == 1
    assert (found.fitted, found.ahead, found.between, found.limit) == (None, None, "", None)


@given(
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.one_of(st.none(), st.floats(0, 1e6)),
    st.one_of(st.none(), st.floats(0, 1e9)),
    st.lists(st.tuples(st.integers(-300, 900), st.one_of(st.none(), st.floats(-1e6, 1e6))), max_size=9),
)
def test_nothing_is_drawn_outside_the_drawing(
    began: float, limit: float, in_s: float | None, latest_s: float | None, values: list[tuple[int, float | None]]
) -> None:
    line = [[AT_MS - 120_000, began], [AT_MS, began + 2.0]]
    said = trend(line=line, limit=limit, at_limit_in_s=in_s, earliest_s=in_s and in_s / 2, latest_s=latest_s)
    found = draw(said, [(AT_MS + 1000.0 * at, value) for at, value in values], span_of(said, AT_MS, AT_MS))
    places = [corner for curve in (*found.curves, found.between) for corner in corners(curve)]
    places += [*(found.fitted or ()), *(found.ahead or ())]
    for x, y in places:
        assert LEFT - 0.1 <= x <= RIGHT + 0.1
        assert TOP - 0.1 <= y <= BOTTOM + 0.1
