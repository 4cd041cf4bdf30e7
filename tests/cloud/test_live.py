"""The newest value of each tag is the same however the log is cut, whatever the stamps say (SAFETY S2, S29)."""

import numpy as np
from davylamp_cloud.live import AHEAD_MS, SET_BACK_MS, Live, Now
from davylamp_wire.quality import GOOD
from hypothesis import example, given
from hypothesis import strategies as st

Reading = tuple[int, int, int, bool, bool]
"""Tag, stamp against its arrival, arrival, whether it came as backlog, whether it has a text."""

AT_MS, HOUR_MS = 1_760_000_000_000, 3_600_000
AGES_MS = st.sampled_from([0, 300, 2_000, 45_000, -900, -3_000, -4_000_000])
ARRIVALS_MS = st.integers(0, 40) | st.integers(0, 40).map(lambda ms: ms - HOUR_MS)
READINGS = st.lists(st.tuples(st.integers(0, 2), AGES_MS, ARRIVALS_MS, st.booleans(), st.booleans()), max_size=12)
HELD_BY_A_FUTURE_STAMP: list[Reading] = [(0, -3_000, 0, False, False), (0, 0, 1, True, False)]
AFTER_THE_CLOCK_WAS_SET_BACK: list[Reading] = [(0, 0, 0, False, False), (0, -HOUR_MS, 1 - HOUR_MS, False, False)]


def stored(readings: list[Reading], cuts: list[int]) -> list[Now]:
    live = Live()
    live.grow(3)
    numbered = list(enumerate(readings))
    for first, last in zip([0, *cuts], [*cuts, len(readings)], strict=True):
        part = numbered[first:last]
        arrivals = np.array([AT_MS + arrival for _, (_, _, arrival, _, _) in part], np.int64)
        ages = np.array([age for _, (_, age, _, _, _) in part], np.int64)
        live.store(
            np.array([tag for _, (tag, *_) in part], np.int32),
            arrivals - ages,
            np.array([number for number, _ in part], np.float64),
            np.full(len(part), GOOD, np.uint16),
            arrivals,
            {place: f"text {number}" for place, (number, said) in enumerate(part) if said[4]},
            np.array([said[3] for _, said in part], np.bool_),
        )
    return [live.read(tag) for tag in range(3)]


def expected(readings: list[Reading]) -> list[int | None]:
    """Return the number of each tag's newest reading: placed last in time, of two at one time the later heard.

    A live one is also newer than what a clock said that has been set back since.
    """
    found: list[int | None] = [None] * 3
    placed = [-1] * 3
    for number, (tag, age, arrival, late, _) in enumerate(readings):
        ahead = -age > AHEAD_MS
        at = AT_MS + (arrival if ahead else arrival - age)
        set_back = not late and placed[tag] > AT_MS + arrival + SET_BACK_MS
        if not (ahead and late) and (at >= placed[tag] or set_back):
            found[tag], placed[tag] = number, at
    return found


@given(READINGS)
@example(HELD_BY_A_FUTURE_STAMP)
@example(AFTER_THE_CLOCK_WAS_SET_BACK)
def test_s29_the_newest_reading_is_the_one_placed_last_however_the_log_is_cut(readings: list[Reading]) -> None:
    whole = stored(readings, [])
    singly = stored(readings, list(range(1, len(readings))))
    assert str(whole) == str(singly)
    for now, number in zip(whole, expected(readings), strict=True):
        assert (None if np.isnan(now.value) else now.value) == number
        if number is not None:
            assert now.text == (f"text {number}" if readings[number][4] else None)


def test_s02_a_value_is_shown_at_once_after_the_clouds_clock_was_set_back_an_hour() -> None:
    assert [stored(AFTER_THE_CLOCK_WAS_SET_BACK, cuts)[0].value for cuts in ([], [1])] == [1.0, 1.0]
