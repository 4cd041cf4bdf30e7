"""Rests grow, stay bounded and are never all the same."""

from davylamp_edge.backoff import Backoff


def rests(backoff: Backoff, failures: int) -> list[float]:
    """Return how long each of so many failures at time 0 makes it rest, to a quarter of a second."""
    found = []
    for _ in range(failures):
        backoff.fail(0.0)
        found.append(next(step / 4 for step in range(1000) if not backoff.rests(step / 4)))
    return found


def test_a_rest_doubles_up_to_30_s() -> None:
    assert rests(Backoff(lambda: 0.5), 8) == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_the_jitter_spreads_a_rest_from_half_to_one_and_a_half() -> None:
    assert rests(Backoff(lambda: 0.0), 3) == [0.5, 1.0, 2.0]
    assert rests(Backoff(lambda: 1.0), 3) == [1.5, 3.0, 6.0]


def test_an_answer_ends_the_rest_and_the_next_one_is_short_again() -> None:
    backoff = Backoff(lambda: 0.5)
    rests(backoff, 5)
    backoff.succeed()
    assert not backoff.rests(0.0)
    assert rests(backoff, 1) == [1.0]


def test_a_longer_rest_can_be_asked_for() -> None:
    backoff = Backoff(lambda: 0.5)
    backoff.fail(100.0, least_s=9.0)
    assert backoff.rests(108.9)
    assert not backoff.rests(109.0)
