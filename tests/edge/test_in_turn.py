"""Requests asked one behind the other without a task in between: never two at once, and nothing heard is lost."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest
import uvloop
from davylamp_edge.bypass import Bypasses
from davylamp_edge.drivers import Answer, DeviceRefused, DeviceUnreachable
from davylamp_edge.drivers.modbus import ModbusDriver, ModbusRequest
from davylamp_edge.install import install
from davylamp_edge.poll import Poll
from davylamp_edge.report import Post
from support.field import asked, device, edge_config, exception_to, point, profile, reply_to, rogue, settings, wanted

FOUR = [0, 200, 400, 600]
"""Too far apart for one request."""

Say = Callable[[bytes, int], Awaitable[bytes | None]]


def always(now_s: float) -> bool:
    return True


def never(now_s: float) -> bool:
    return False


def requests(starts: Sequence[int], **said: Any) -> Sequence[ModbusRequest]:
    points = {f"r{at}": point(address={"modbus": f"holding:{at}"}, type="uint16") for at in starts}
    return ModbusDriver.plan(settings(**said), wanted(points))


async def said_by(say: Say, goes_on: Callable[[float], bool] = always, **more: Any) -> tuple[list[Answer], list[int]]:
    """Read four requests in turn from a device; return its answers, and where it was asked."""
    starts: list[int] = []

    async def answer(frame: bytes) -> bytes | None:
        starts.append(asked(frame)[0])
        return await say(frame, len(starts))

    async with rogue(answer) as address:
        driver = ModbusDriver(address, 5.0)
        await driver.connect()
        answers = list(await driver.read_in_turn(requests(FOUR, **more), goes_on))
        await driver.close()
        return answers, starts


async def itself(frame: bytes, count: int) -> bytes:
    """Answer with the address that was asked for."""
    return reply_to(frame, struct.pack(">H", asked(frame)[0]))


def numbers(answers: Sequence[Answer]) -> list[int]:
    return [int.from_bytes(answer.said, "big") for answer in answers]


async def test_a_question_goes_out_only_when_the_one_before_is_answered() -> None:
    under_way, most = 0, 0

    async def slow(frame: bytes, count: int) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.002)
        under_way -= 1
        return await itself(frame, count)

    answers, starts = await said_by(slow)
    assert (numbers(answers), starts, most) == (FOUR, FOUR, 1)
    assert [answer.at_s for answer in answers] == sorted(answer.at_s for answer in answers)


async def test_a_refusal_is_the_last_answer_and_behind_it_nothing_is_asked() -> None:
    async def third_is_refused(frame: bytes, count: int) -> bytes:
        return exception_to(frame, 2) if count == 3 else await itself(frame, count)

    answers, starts = await said_by(third_is_refused)
    assert numbers(answers[:-1]) == FOUR[:2]
    assert isinstance(answers[-1].said, DeviceRefused)
    assert starts == FOUR[:3]


async def test_an_answer_of_another_length_is_the_last_and_behind_it_nothing_is_asked() -> None:
    async def second_is_long(frame: bytes, count: int) -> bytes:
        return reply_to(frame, b"\0\1\0\2") if count == 2 else await itself(frame, count)

    answers, starts = await said_by(second_is_long)
    assert numbers(answers[:-1]) == FOUR[:1]
    assert isinstance(answers[-1].said, DeviceRefused)
    assert starts == FOUR[:2]


@pytest.mark.parametrize("silence", [None, b""])
async def test_what_came_before_a_silence_is_there_when_the_timeout_or_the_end_comes(silence: bytes | None) -> None:
    async def third_is_silent(frame: bytes, count: int) -> bytes | None:
        return silence if count == 3 else await itself(frame, count)

    answers, _ = await said_by(third_is_silent, timeout_s=0.05)
    assert numbers(answers[:-1]) == FOUR[:2]
    assert isinstance(answers[-1].said, DeviceUnreachable)


async def test_nothing_is_asked_once_it_is_to_end_and_one_always_is() -> None:
    answers, starts = await said_by(itself, never)
    assert (numbers(answers), starts) == (FOUR[:1], FOUR[:1])


async def test_a_device_that_wants_a_pause_is_asked_one_at_a_time() -> None:
    answers, _ = await said_by(itself, pause_ms=1)
    assert numbers(answers) == FOUR[:1]


async def test_a_late_answer_to_what_was_silent_starts_no_question_that_was_left_over() -> None:
    starts: list[int] = []

    async def late(frame: bytes) -> bytes:
        starts.append(asked(frame)[0])
        await asyncio.sleep(0.1)
        return await itself(frame, 1)

    async with rogue(late) as address:
        driver = ModbusDriver(address, 5.0)
        await driver.connect()
        (answer,) = await driver.read_in_turn(requests(FOUR, timeout_s=0.02), always)
        assert isinstance(answer.said, DeviceUnreachable)
        again = await driver.read_in_turn(requests([900], timeout_s=5.0), always)
        assert (numbers(again), starts) == ([900], [0, 900])
        await driver.close()


async def test_s08_who_decides_alarms_sees_a_reading_before_the_next_request_is_asked() -> None:
    order: list[str] = []
    source = {"standard": "t", "basis": "proposal"}
    limits = {"H": {"value": 80, "action": {"zh": "查", "en": "look"}, "source": source}}

    async def answer(frame: bytes) -> bytes:
        order.append(f"asked {asked(frame)[0]}")
        return await itself(frame, 1)

    points = {
        f"r{at}": point(address={"modbus": f"holding:{at}"}, type="uint16", local=at == 200, limits=limits)
        for at in FOUR
    }
    async with rogue(answer) as address:
        (installed,) = install(edge_config(device(address)), {"rig": profile(points)})
        driver = ModbusDriver(address, 5.0)
        await driver.connect()
        post = Post("rig1", lambda result: None, lambda: 0, lambda *columns: order.append("seen"))
        poll = Poll(installed, 1.0, Bypasses(installed.names, installed.points), every=True, jitter=lambda: 0.5)
        await poll.read(driver, post, 0.0, lambda: False)
        await driver.close()
    assert order == ["asked 0", "asked 200", "seen", "asked 400", "asked 600"]


@pytest.mark.parametrize(
    "scenario",
    [
        test_a_question_goes_out_only_when_the_one_before_is_answered,
        test_a_refusal_is_the_last_answer_and_behind_it_nothing_is_asked,
        test_a_late_answer_to_what_was_silent_starts_no_question_that_was_left_over,
        test_s08_who_decides_alarms_sees_a_reading_before_the_next_request_is_asked,
    ],
)
def test_it_is_so_on_the_loop_that_run_has(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


@pytest.mark.parametrize("silence", [None, b""])
def test_a_silence_ends_on_the_loop_that_run_has(silence: bytes | None) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_what_came_before_a_silence_is_there_when_the_timeout_or_the_end_comes(silence))
