"""The block planner: every point exactly once, nothing split, no request a device may refuse for its size."""

from itertools import pairwise

import pytest
from davylamp_edge.plan import MAX_BITS, MAX_REGISTERS, Area, Span, halves, parse_place, plan_requests, span_of
from hypothesis import given
from hypothesis import strategies as st
from support.field import point

widths = st.sampled_from([1, 1, 1, 2, 2, 4, 10])
areas = st.sampled_from([Area.HOLDING, Area.INPUT])


@st.composite
def register_spans(draw: st.DrawFn) -> list[Span]:
    count = draw(st.integers(1, 60))
    starts = draw(st.lists(st.integers(0, 600), min_size=count, max_size=count))
    return [Span(i, draw(areas), start, draw(widths)) for i, start in enumerate(starts)]


@given(register_spans(), st.integers(0, 40), st.integers(10, 125))
def test_every_point_is_read_exactly_once_and_whole(spans: list[Span], gap: int, most: int) -> None:
    blocks = plan_requests(spans, gap=gap, max_registers=most)
    assert sorted(span.index for block in blocks for span in block.spans) == [span.index for span in spans]
    for block in blocks:
        for span in block.spans:
            assert span.area is block.area
            assert block.start <= span.start
            assert span.end <= block.start + block.count


@given(register_spans(), st.integers(0, 40), st.integers(10, 200))
def test_no_request_is_larger_than_it_may_be(spans: list[Span], gap: int, most: int) -> None:
    blocks = plan_requests(spans, gap=gap, max_registers=most)
    assert all(block.count <= min(most, MAX_REGISTERS) for block in blocks)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=80), st.integers(0, 40), st.integers(1, 125))
def test_no_bit_request_is_larger_than_2000_bits(starts: list[int], gap: int, most: int) -> None:
    spans = [Span(i, Area.COIL, start, 1) for i, start in enumerate(starts)]
    blocks = plan_requests(spans, gap=gap, max_registers=most)
    assert all(block.count <= MAX_BITS for block in blocks)
    assert sum(len(block.spans) for block in blocks) == len(spans)


@given(register_spans(), st.integers(0, 40))
def test_no_gap_between_wanted_registers_is_wider_than_allowed(spans: list[Span], gap: int) -> None:
    for block in plan_requests(spans, gap=gap, max_registers=125):
        end = block.start
        for span in sorted(block.spans, key=lambda span: span.start):
            assert span.start - end <= gap
            end = max(end, span.end)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True), st.integers(0, 8), st.integers(1, 20))
def test_there_is_no_plan_with_fewer_requests(starts: list[int], gap: int, most: int) -> None:
    starts.sort()
    spans = [Span(i, Area.HOLDING, start, 1) for i, start in enumerate(starts)]
    assert len(plan_requests(spans, gap=gap, max_registers=most)) == _fewest(starts, gap, most)


def _fewest(starts: list[int], gap: int, most: int) -> int:
    """Try every way of cutting the sorted starts into runs."""
    best = [0] + [len(starts)] * len(starts)
    for end in range(1, len(starts) + 1):
        for first in range(end):
            run = starts[first:end]
            gaps = all(b - a - 1 <= gap for a, b in pairwise(run))
            if gaps and run[-1] + 1 - run[0] <= most:
                best[end] = min(best[end], best[first] + 1)
    return best[-1]


def test_a_gap_is_read_along_rather_than_asked_around() -> None:
    spans = [Span(0, Area.HOLDING, 0, 2), Span(1, Area.HOLDING, 18, 2), Span(2, Area.HOLDING, 37, 2)]
    blocks = plan_requests(spans, gap=16, max_registers=120)
    assert [(block.start, block.count) for block in blocks] == [(0, 20), (37, 2)]


def test_a_value_at_the_end_of_a_full_block_moves_whole_to_the_next() -> None:
    spans = [Span(i, Area.HOLDING, 2 * i, 2) for i in range(61)]
    blocks = plan_requests(spans, gap=0, max_registers=121)
    assert [(block.start, block.count) for block in blocks] == [(0, 120), (120, 2)]


def test_a_value_wider_than_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="a value of 8 at holding:0 is wider than a block of 4"):
        plan_requests([Span(0, Area.HOLDING, 0, 8)], gap=0, max_registers=4)


@given(register_spans())
def test_halving_a_block_down_ends_with_each_point_alone(spans: list[Span]) -> None:
    waiting = plan_requests(spans, gap=16, max_registers=125)
    alone = []
    while waiting:
        block = waiting.pop()
        both = halves(block)
        if both is None:
            alone.append(block.spans[0])
        else:
            waiting.extend(both)
    assert sorted(span.index for span in alone) == [span.index for span in spans]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("holding:100", (Area.HOLDING, 100, None)),
        ("input:0", (Area.INPUT, 0, None)),
        ("coil:7", (Area.COIL, 7, None)),
        ("discrete:65535", (Area.DISCRETE, 65535, None)),
        ("holding:100.15", (Area.HOLDING, 100, (15, 15))),
        ("input:7.4-11", (Area.INPUT, 7, (4, 11))),
        ("holding:9.low", (Area.HOLDING, 9, (0, 7))),
        ("holding:9.high", (Area.HOLDING, 9, (8, 15))),
    ],
)
def test_an_address_is_an_area_a_start_and_perhaps_a_bit(
    address: str, place: tuple[Area, int, tuple[int, int] | None]
) -> None:
    found = parse_place(address)
    assert (found.area, found.start, found.bits) == place


@pytest.mark.parametrize(
    "address", ["", "100", "holding", "holding:-1", "holding:65536", "coil:7.1", "holding:1.7-4", "input:1.up"]
)
def test_an_address_that_is_none_says_how_it_should_look(address: str) -> None:
    with pytest.raises(ValueError, match=address or "holding:100"):
        parse_place(address)


def test_a_string_takes_its_length_and_a_bit_takes_one() -> None:
    assert span_of(0, parse_place("holding:5"), point(type="string", length=8)).end == 13
    assert span_of(0, parse_place("coil:5"), point(type="bool")).end == 6


def test_a_value_within_another_shortens_no_block() -> None:
    """Two points may read the same registers differently; the gap to the next begins behind the longer of them."""
    spans = [Span(0, Area.HOLDING, 0, 4), Span(1, Area.HOLDING, 1, 1), Span(2, Area.HOLDING, 5, 1)]
    (block,) = plan_requests(spans, gap=1, max_registers=MAX_REGISTERS)
    assert (block.start, block.count) == (0, 6)


@pytest.mark.parametrize(("apart", "blocks"), [(33, 1), (34, 2)])
def test_a_gap_of_registers_is_sixteen_times_as_many_bits(apart: int, blocks: int) -> None:
    spans = [Span(0, Area.COIL, 0, 1), Span(1, Area.COIL, apart, 1)]
    assert len(plan_requests(spans, gap=2, max_registers=MAX_REGISTERS)) == blocks
