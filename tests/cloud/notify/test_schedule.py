"""When a notice is tried again."""

import pytest
from davylamp_cloud.notify.queue import RANKS
from davylamp_cloud.notify.schedule import DAYS_OF_TRYING_S, JITTER, SCHEDULE, retry_after_s

NOW_MS = 1_700_006_400_000


def delays(priority: str) -> list[float]:
    found: list[float] = []
    while (delay := SCHEDULE.delay_s(priority, len(found) + 1, jitter=0.0)) is not None:
        found.append(delay)
    return found


@pytest.mark.parametrize("priority", ["red", "orange"])
def test_s22_red_and_orange_are_tried_within_seconds_and_then_each_minute(priority: str) -> None:
    found = delays(priority)
    assert found[:7] == [2, 5, 10, 20, 30, 60, 60]
    assert set(found[5:]) == {60}


@pytest.mark.parametrize("priority", ["yellow", "blue"])
def test_the_others_follow_the_standard_schedule(priority: str) -> None:
    hours = [delay / 3600 for delay in delays(priority)]
    assert hours[2:] == [0.5, 2, 5, 10, 14, 20, 24]
    assert delays(priority)[:2] == [5, 300]


@pytest.mark.parametrize("priority", RANKS)
def test_all_are_tried_for_three_days(priority: str) -> None:
    assert sum(delays(priority)) >= DAYS_OF_TRYING_S * 0.99 > 72 * 3600


def test_jitter_only_adds_and_not_much() -> None:
    assert SCHEDULE.delay_s("red", 1, jitter=1.0) == 2 * (1 + JITTER)


def test_a_receiver_s_wish_is_followed_but_red_never_waits_longer_than_a_minute() -> None:
    assert SCHEDULE.delay_s("blue", 1, 0.0, wish_s=7200) == 7200
    assert SCHEDULE.delay_s("red", 1, 0.0, wish_s=30) == 30
    assert SCHEDULE.delay_s("red", 1, 0.0, wish_s=7200) == 60
    assert SCHEDULE.delay_s("blue", 2, 0.0, wish_s=1) == 300


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 15 Nov 2023 00:01:00 GMT", 60.0),
        ("Wed, 15 Nov 2023 00:01:00 -0000", 60.0),
        ("Tue, 14 Nov 2023 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("99999999999999999999", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nonsense_is_nothing(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW_MS) == seconds
