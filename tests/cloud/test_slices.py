"""How many records are taken at once: the config's number, and in a storm a commit's worth of transitions."""

from davylamp_cloud.slices import FEWEST, MOST_TRANSITIONS, slice_after
from hypothesis import given
from hypothesis import strategies as st


def test_what_leads_to_nothing_is_taken_as_the_config_says() -> None:
    assert slice_after(2000, 0, 2000) == 2000


def test_a_storm_of_one_transition_a_record_is_taken_a_commit_at_a_time() -> None:
    assert slice_after(2000, 2000, 2000) == MOST_TRANSITIONS


def test_a_few_alarms_among_many_readings_change_nothing() -> None:
    assert slice_after(2000, 20, 2000) == 2000


@given(st.integers(1, 5000), st.integers(0, 100_000), st.integers(1, 5000))
def test_at_least_one_is_taken_and_never_more_than_the_config_says(records: int, transitions: int, most: int) -> None:
    assert min(most, FEWEST) <= slice_after(records, transitions, most) <= most
