"""Interval sets against the obvious twin, a plain set."""

from itertools import pairwise

import pytest
from davylamp_wire.intervals import Confirmation, Intervals
from hypothesis import given
from hypothesis import strategies as st

numbers = st.sets(st.integers(0, 60), max_size=40)
ranges = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def of(plain: set[int]) -> Intervals:
    return Intervals((number, number) for number in plain)


def members(intervals: Intervals) -> set[int]:
    return {number for first, last in intervals for number in range(first, last + 1)}


def assert_compact(intervals: Intervals) -> None:
    """Sorted, apart, and never touching."""
    assert all(first <= last for first, last in intervals)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(intervals))


@given(numbers, ranges)
def test_adding_equals_a_plain_set(plain: set[int], added: tuple[int, int]) -> None:
    first, last = added
    found = of(plain).add_range(first, last)
    assert members(found) == plain | set(range(first, last + 1))
    assert_compact(found)
    assert members(of(plain).add(first)) == plain | {first}


@given(numbers, numbers)
def test_union_equals_a_plain_set(one: set[int], other: set[int]) -> None:
    found = of(one) | of(other)
    assert members(found) == one | other
    assert_compact(found)
    assert found == of(one | other)


@given(numbers, ranges)
def test_missing_equals_a_plain_set(plain: set[int], asked: tuple[int, int]) -> None:
    first, last = asked
    found = of(plain).missing(first, last)
    assert members(found) == set(range(first, last + 1)) - plain
    assert_compact(found)


@given(numbers)
def test_questions_equal_a_plain_set(plain: set[int]) -> None:
    found = of(plain)
    assert [number for number in range(80) if found.covers(number)] == sorted(plain)
    assert [number for number in range(80) if number in found] == sorted(plain)
    assert found.count == len(plain)
    assert found.highest == max(plain, default=None)
    assert bool(found) == bool(plain)
    assert len(found) == len(list(found))


@given(numbers)
def test_any_set_survives_text_and_back(plain: set[int]) -> None:
    found = of(plain)
    assert Intervals.parse(str(found)) == found
    assert Confirmation.parse(Confirmation("ab12", found).text) == Confirmation("ab12", found)


def test_the_text_is_the_one_of_the_contract() -> None:
    assert str(Intervals([(1, 500), (502, 502), (503, 900)])) == "1-500,502-900"
    assert repr(Intervals([(7, 7)])) == "Intervals.parse('7')"
    assert Confirmation("ab12", Intervals([(1, 500), (502, 900)])).text == "ab12:1-500,502-900"


@pytest.mark.parametrize("text", ["x", "1-", "-1", "5-3", "1,,2", "1-2-3", " 1", "١", "1.5"])
def test_a_text_that_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no interval"):
        Intervals.parse(text)


@pytest.mark.parametrize("text", ["", "ab12", ":1-5"])
def test_a_text_that_is_no_confirmation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no confirmation"):
        Confirmation.parse(text)


def test_a_backward_range_is_refused() -> None:
    with pytest.raises(ValueError, match="5-3 is no interval"):
        Intervals().add_range(5, 3)


def test_a_hundred_thousand_numbers_in_order_stay_one_interval() -> None:
    confirmed = Intervals()
    for number in range(100_000):
        confirmed = confirmed.add(number)
    assert list(confirmed) == [(0, 99_999)]
