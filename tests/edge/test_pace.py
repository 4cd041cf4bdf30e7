"""The backlog's pace is found out from how long confirmations take, without a clock."""

from davylamp_edge.pace import FASTER, FIRST, QUEUE_MS, SLOWEST, Pace

LIMIT = 5_000.0
BEST_MS = 600
"""Of a slow way, such as over a satellite: what is slow at best is no queue."""


def rounds(pace: Pace, count: int, queue_ms: int, first: int = 0) -> None:
    """Let a record be sent and confirmed each half second."""
    for now_ms in range(first, first + count * 500, 500):
        pace.confirmed(now_ms - BEST_MS - queue_ms, now_ms)


def sent(pace: Pace, from_ms: int, seconds: int, size: int = 1) -> int:
    """Send whatever may go, looked at every 10 ms; return how much that was."""
    count = 0
    for now_ms in range(from_ms, from_ms + seconds * 1000, 10):
        while not pace.wait_ms(now_ms):
            pace.spend(size)
            count += 1
    return count


def test_a_way_that_is_slow_at_best_is_used_up_to_the_limit() -> None:
    pace = Pace(LIMIT)
    rounds(pace, 20, queue_ms=0)
    assert pace.rate == LIMIT
    assert 0.9 * LIMIT <= sent(pace, 10_000, 2) / 2 <= 1.1 * LIMIT


def test_it_begins_moderately_and_stays_there_where_nothing_comes_back() -> None:
    assert 0.9 * FIRST <= sent(Pace(LIMIT), 0, 5) / 5 <= 1.1 * FIRST


def test_a_large_record_counts_as_many() -> None:
    """A scan of a thousand points costs link and cloud what a hundred scans of ten do, about."""
    pace = Pace(LIMIT)
    rounds(pace, 20, queue_ms=0)
    assert 0.9 * LIMIT <= sent(pace, 10_000, 5, size=20_480) / 5 * 40 <= 1.1 * LIMIT


def test_one_queue_slows_it_once() -> None:
    """Everything that was sent before the rate was halved still comes out of the same queue."""
    pace = Pace(LIMIT)
    rounds(pace, 1, queue_ms=0, first=1_000)
    for now_ms in (2_500, 2_600, 2_700):
        pace.confirmed(1_500, now_ms)
    assert pace.rate == FIRST * FASTER / 2


def test_a_way_that_stays_full_is_left_to_live_records_almost_but_never_wholly() -> None:
    pace = Pace(LIMIT)
    rounds(pace, 1, queue_ms=0)
    rounds(pace, 200, queue_ms=QUEUE_MS + 1, first=1_000)
    assert pace.rate == SLOWEST


def test_a_limit_below_everything_is_kept() -> None:
    pace = Pace(7.0)
    rounds(pace, 1, queue_ms=0)
    rounds(pace, 20, queue_ms=QUEUE_MS + 1, first=1_000)
    assert pace.rate == 7.0


def test_a_pause_lets_nothing_go_for_a_second() -> None:
    pace = Pace(LIMIT)
    pace.pause()
    assert sent(pace, 0, 1) == 0
    assert sent(pace, 1_000, 1) > 0
