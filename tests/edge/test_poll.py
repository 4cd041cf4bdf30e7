"""Refused blocks: what is wrong is found within the scan, blinds nothing else, and is asked for again rarely.

A raw server has holes; the real driver reads it; the time that a poll is told is moved by hand.
"""

import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from davylamp_edge import poll as poll_module
from davylamp_edge.bypass import Bypasses
from davylamp_edge.deadband import Columns
from davylamp_edge.drivers.modbus import ModbusDriver
from davylamp_edge.install import install
from davylamp_edge.poll import Poll
from davylamp_edge.report import Post, ScanResult
from davylamp_wire.quality import GOOD, Reason, bad
from davylamp_wire.reading import Value
from support.field import asked, device, edge_config, exception_to, point, profile, reply_to, rogue

REFUSED = (None, bad(Reason.DEVICE_EXCEPTION))


@dataclass
class Rig:
    """A poll of one device, and a device with holes."""

    poll: Poll
    driver: ModbusDriver
    names: tuple[str, ...]
    holes: set[int]
    asked: list[tuple[int, int]]
    told: dict[str, tuple[Value, int]] = field(default_factory=dict)

    async def scan(self, now_s: float) -> list[tuple[int, int]]:
        """Scan once; return start and count of what was asked for."""
        self.asked.clear()
        post = Post("rig1", self._take, lambda: int(now_s * 1000))
        await self.poll.read(self.driver, post, now_s, lambda: False)
        post.send()
        return list(self.asked)

    def _take(self, result: ScanResult) -> None:
        columns = Columns(list(result.points), list(result.times_ms), list(result.values), list(result.qualities))
        for index, value, quality in zip(columns.points, columns.values, columns.qualities, strict=True):
            self.told[self.names[index]] = value, quality


@asynccontextmanager
async def rig(
    addresses: Iterable[int], *, holes: Iterable[int] = (), most: int = 125, code: int = 2, **said: Any
) -> AsyncIterator[Rig]:
    """Serve registers that hold their own addresses, with holes, at most so many at once."""
    gone, asked_for = set(holes), list[tuple[int, int]]()

    async def answer(frame: bytes) -> bytes:
        start, count = asked(frame)
        asked_for.append((start, count))
        if count > most or not gone.isdisjoint(range(start, start + count)):
            return exception_to(frame, code)
        return reply_to(frame, struct.pack(f">{count}H", *range(start, start + count)))

    points = {f"r{at}": point(address={"modbus": f"holding:{at}"}, type="uint16") for at in addresses}
    async with rogue(answer) as address:
        (installed,) = install(edge_config(device(address, timeout_s=5.0, **said)), {"rig": profile(points)})
        driver = ModbusDriver(address, 5.0)
        await driver.connect()
        yield Rig(
            Poll(installed, 1.0, Bypasses(installed.names, installed.points), every=True, jitter=lambda: 0.5),
            driver,
            installed.names,
            gone,
            asked_for,
        )
        await driver.close()


async def test_around_a_bad_address_there_are_as_few_requests_as_can_be() -> None:
    async with rig(range(100), holes=[40]) as it:
        first = await it.scan(0.0)
        assert len(first) <= 2 * 7 + 1
        assert it.told["r40"] == REFUSED
        assert all(it.told[f"r{at}"] == (at, GOOD) for at in range(100) if at != 40)
        assert await it.scan(1.0) == [(0, 40), (41, 59)]


@pytest.mark.parametrize("code", [2, 3])
@pytest.mark.parametrize("holes", [[0], [99], [0, 99], [10, 11, 12], [3, 50, 51, 97], list(range(0, 100, 9))])
async def test_every_other_point_is_good_and_every_bad_one_costs_one_request_more(holes: list[int], code: int) -> None:
    async with rig(range(100), holes=holes, code=code) as it:
        await it.scan(0.0)
        for at in range(100):
            assert it.told[f"r{at}"] == (REFUSED if at in holes else (at, GOOD))
        again = await it.scan(1.0)
        assert len(again) <= len(holes) + 1
        assert not set(holes) & {at for start, count in again for at in range(start, start + count)}


async def test_a_hole_that_nobody_wants_parts_the_block_and_blinds_nobody() -> None:
    async with rig([0, 1, 2, 8, 9], holes=[5]) as it:
        await it.scan(0.0)
        assert {it.told[f"r{at}"] for at in (0, 1, 2, 8, 9)} == {(at, GOOD) for at in (0, 1, 2, 8, 9)}
        assert len(await it.scan(1.0)) == 2


async def test_a_device_that_answers_no_more_at_once_is_read_in_what_it_answers() -> None:
    async with rig(range(100), most=30, code=3) as it:
        await it.scan(0.0)
        assert all(it.told[f"r{at}"] == (at, GOOD) for at in range(100))
        await it.scan(1.0)
        assert await it.scan(2.0) == [(0, 25), (25, 25), (50, 25), (75, 25)]


async def test_a_bad_address_is_asked_for_again_ever_more_rarely_and_not_less_than_every_ten_minutes_or_so() -> None:
    async with rig(range(10), holes=[4]) as it:
        tries = [now for now in range(0, 3600, 2) if (4, 1) in await it.scan(float(now))]
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps[:6] == [10, 20, 40, 80, 160, 320]
    assert set(gaps[6:]) == {600}


async def test_an_address_that_is_there_at_last_joins_its_block_again() -> None:
    async with rig(range(10), holes=[4]) as it:
        await it.scan(0.0)
        it.holes.clear()
        await it.scan(11.0)
        assert it.told["r4"] == (4, GOOD)
        assert await it.scan(12.0) == [(0, 10)]


async def test_blocks_that_were_too_large_are_tried_whole_again_some_time() -> None:
    async with rig([0, 1, 8, 9], holes=[5]) as it:
        await it.scan(0.0)
        it.holes.clear()
        assert len(await it.scan(poll_module.PLAN_AGAIN_S - 1)) == 2
        assert await it.scan(poll_module.PLAN_AGAIN_S) == [(0, 10)]


async def test_a_device_that_was_lost_is_asked_for_everything_when_it_is_back() -> None:
    async with rig(range(10), holes=[4]) as it:
        await it.scan(0.0)
        it.holes.clear()
        it.poll.lose(Post("rig1", lambda result: None, lambda: 0))
        assert await it.scan(1.0) == [(0, 10)]


async def test_a_device_of_small_reads_is_asked_for_one_value_at_a_time() -> None:
    async with rig([0, 1, 2], read="values") as it:
        assert await it.scan(0.0) == [(0, 1), (1, 1), (2, 1)]
        assert it.told["r2"] == (2, GOOD)


async def test_refusals_are_logged_once_and_so_is_their_end(caplog_lines: Callable[[], list[str]]) -> None:
    async with rig(range(30), holes=range(5, 20)) as it:
        for now in range(9):
            await it.scan(float(now))
        it.holes.clear()
        for now in range(20, 24):
            await it.scan(float(now))
    refused, back = caplog_lines()
    assert refused.startswith("points refused count=15 device=rig1 points=r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 …")
    assert back.startswith("points answered again count=15")


@pytest.fixture
def caplog_lines() -> Any:
    """What structlog was told, one line each, with its keys in order."""
    from structlog.testing import capture_logs

    with capture_logs() as logs:
        yield lambda: [
            f"{line['event']} "
            + " ".join(f"{k}={v}" for k, v in sorted(line.items()) if k not in ("event", "log_level"))
            for line in logs
        ]
