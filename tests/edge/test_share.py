"""What a silent device may cost its line, in time."""

from davylamp_edge.share import PART, Share
from hypothesis import given
from hypothesis import strategies as st


def test_a_first_miss_is_tried_again_at_once_and_paid_for_with_the_second() -> None:
    share = Share()
    assert share.charge(0.0, 2.0, silent=1) == 2.0
    assert share.charge(3.0, 5.0, silent=1) == 60.0
    assert share.charge(60.0, 62.0, silent=1) == 90.0


def test_a_device_that_comes_and_goes_is_tried_at_once_only_where_it_owes_nothing() -> None:
    share = Share()
    share.charge(0.0, 2.0, silent=1)
    share.answer()
    assert share.charge(10.0, 12.0, silent=1) == 60.0
    share.answer()
    assert share.charge(60.0, 62.0, silent=1) == 62.0


def test_several_silent_devices_share_one_part() -> None:
    share = Share()
    share.charge(0.0, 1.0, silent=4)
    assert share.charge(1.0, 2.0, silent=4) == 2 * 4 * PART


@given(st.lists(st.tuples(st.floats(0.05, 5.0), st.booleans()), min_size=3, max_size=60), st.floats(0.0, 30.0))
def test_whatever_a_device_does_it_costs_its_part_and_one_try_in_advance(
    tries: list[tuple[float, bool]], backoff_s: float
) -> None:
    share, now_s, spent_s = Share(), 0.0, 0.0
    for wait_s, answers_then in tries:
        assert spent_s <= now_s / PART + 5.0 + 1e-6
        rests_until_s = share.charge(now_s, now_s + wait_s, silent=1)
        spent_s += wait_s
        now_s = max(rests_until_s, now_s + wait_s + backoff_s)
        if answers_then:
            share.answer()
