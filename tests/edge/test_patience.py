"""One timer for all questions of a line: each wait ends when it is due, whatever was awaited before it."""

import asyncio

import pytest
from davylamp_edge.drivers.patience import Patience

LONG_S, SHORT_S = 3600.0, 0.001


def wait(patience: Patience, seconds: float) -> asyncio.Future[bytes]:
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    patience.awaits(answer, seconds)
    return answer


async def test_an_answer_that_does_not_come_ends_the_wait() -> None:
    with pytest.raises(TimeoutError):
        await wait(Patience(asyncio.get_running_loop()), SHORT_S)


async def test_a_short_wait_does_not_last_as_long_as_the_one_before() -> None:
    patience = Patience(asyncio.get_running_loop())
    wait(patience, LONG_S).set_result(b"in time")
    with pytest.raises(TimeoutError):
        await wait(patience, SHORT_S)


async def test_the_timer_of_an_answered_question_does_not_end_the_next_ones_wait() -> None:
    patience = Patience(asyncio.get_running_loop())
    wait(patience, SHORT_S).set_result(b"in time")
    later = wait(patience, LONG_S)
    with pytest.raises(TimeoutError):
        await wait(Patience(asyncio.get_running_loop()), 10 * SHORT_S)  # by then the first timer is over
    assert not later.done()
    patience.end()


async def test_after_a_timer_that_found_nothing_to_end_the_next_question_has_one() -> None:
    patience = Patience(asyncio.get_running_loop())
    wait(patience, SHORT_S).set_result(b"in time")
    with pytest.raises(TimeoutError):
        await wait(Patience(asyncio.get_running_loop()), 10 * SHORT_S)
    with pytest.raises(TimeoutError):
        await wait(patience, SHORT_S)
