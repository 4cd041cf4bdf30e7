"""The outbox on real sockets, a real state.db and a real log."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web
from davylamp_cloud.log import RecordKind
from davylamp_cloud.notify import NOTIFIERS, Notice
from davylamp_cloud.notify.heartbeat import HEARTBEAT_S
from davylamp_cloud.notify.queue import PLACES
from davylamp_cloud.notify.schedule import Schedule
from davylamp_cloud.notify.webhook import WebhookNotifier
from support import outbox as child
from support.outbox import LEVELS, Office, office, step
from support.receiver import Receiver, Seen, accept, config_of, first, receiver, status

ALL = {"priorities": LEVELS}


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return once a condition about the table holds: it changes on another thread, so it is looked at again."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a table has no event
            await asyncio.sleep(0.01)


async def all_marked(running: Office) -> None:
    await until(lambda: "pending" not in running.states())


async def test_a_notice_is_delivered_marked_and_recorded_in_the_log(tmp_path: Path) -> None:
    async with receiver() as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            running.start()
            running.tell([step(1)])
            await all_marked(running)
            (row,) = running.rows()
            assert (row["state"], row["attempts"], row["last_error"]) == ("delivered", 1, "")
            assert row["delivered_ms"] >= row["created_ms"]
            (record,) = running.log.read(0)
            assert record.kind is RecordKind.DELIVERY
            told = json.loads(record.body)
            assert (told["transition"], told["receiver"], told["status"]) == ("cl2-1", "regulator", "delivered")
    assert regulator.ids() == ["cl2-1"]


async def test_s23_a_notice_refused_at_first_is_sent_again_under_the_same_id(tmp_path: Path) -> None:
    async with receiver(first(3, status(500))) as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            running.start()
            running.tell([step(1)])
            await all_marked(running)
            assert running.rows()[0]["attempts"] == 4
            kinds = [json.loads(record.body)["status"] for record in running.log.read(0)]
    assert [seen.id for seen in regulator.seen] == ["cl2-1"] * 4
    assert [seen.content for seen in regulator.seen] == [regulator.seen[0].content] * 4
    assert kinds == ["unavailable", "delivered"]


async def test_s23_transitions_of_one_occurrence_arrive_in_order_though_each_fails_at_first(tmp_path: Path) -> None:
    async with receiver(first(1, status(503))) as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            running.start()
            running.tell([step(n, occurrence=f"cl2-{n % 3}") for n in range(30)])
            await all_marked(running)
    for occurrence in range(3):
        numbers = [int(one.removeprefix("cl2-")) for one in regulator.ids()]
        mine = [number for number in numbers if number % 3 == occurrence]
        assert mine == sorted(mine)
    assert len(regulator.ids()) == len(set(regulator.ids())) == 30


async def test_s22_red_goes_before_what_was_queued_earlier(tmp_path: Path) -> None:
    async with receiver() as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path, **ALL)]) as running:
            running.tell([step(n, "blue", f"blue-{n}") for n in range(50)])
            running.tell([step(100, "red", "red-1")])
            running.start()
            await all_marked(running)
    assert "cl2-100" in [seen.id for seen in regulator.seen][:2]


async def test_s22_red_does_not_wait_for_slow_blue_ones(tmp_path: Path) -> None:
    async with receiver() as regulator:

        async def slow_for_blue(seen: Seen) -> web.StreamResponse:
            if seen.content["data"]["level"] == "blue":
                await regulator.gate.wait()
            return web.Response(status=204)

        regulator.answer = slow_for_blue
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path, **ALL)]) as running:
            running.start()
            running.tell([step(n, "blue", f"blue-{n}") for n in range(50)])
            await regulator.until(lambda: len(regulator.seen) == PLACES["blue"])
            running.tell([step(100, "red", "red-1")])
            await regulator.until(lambda: "cl2-100" in regulator.ids())
            assert regulator.ids() == ["cl2-100"]
            regulator.gate.set()
            await all_marked(running)


async def test_s22_one_dead_receiver_never_delays_another(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with receiver() as regulator:
        dead = config_of("dead", f"http://127.0.0.1:{free_port()}/notices", tmp_path)
        with office(tmp_path, [dead, config_of("regulator", regulator.url, tmp_path)]) as running:
            outbox = running.start()
            running.tell([step(n, occurrence=f"cl2-{n}") for n in range(200)])
            await regulator.until(lambda: len(regulator.accepted) == 200)
            await until(lambda: running.states().count("delivered") == 200)
            shown = outbox.status()["receivers"]["dead"]
            assert not shown["accepting"]
            assert shown["pending"] == 200
            assert "cannot be reached" in shown["last_error"]


async def test_s22_a_receiver_that_says_gone_is_asked_again_and_shown(tmp_path: Path) -> None:
    async with receiver(first(5, status(410))) as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            outbox = running.start()
            running.tell([step(1)])
            await until(lambda: "410" in outbox.status()["receivers"]["regulator"]["last_error"])
            assert not outbox.status()["receivers"]["regulator"]["accepting"]
            await all_marked(running)
            assert running.states() == ["delivered"]
            assert outbox.status()["receivers"]["regulator"]["accepting"]


async def test_s22_who_takes_signs_of_life_and_no_notice_is_asked_by_the_schedule_and_shown(tmp_path: Path) -> None:
    clock, hourly = Stepping(), Schedule(dict.fromkeys(LEVELS, (3600.0,) * 9), dict.fromkeys(LEVELS, 60.0))
    async with receiver(status(503)) as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            outbox = running.start(schedule=hourly, monotonic_s=clock, heartbeat_s=HEARTBEAT_S)
            running.tell([step(1)])
            await until(lambda: running.rows()[0]["attempts"] == 1)
            for heard in (2, 3):
                clock.now_s += 30
                await regulator.until(lambda: len(regulator.beats) == heard)  # noqa: B023 - awaited here
            assert not outbox.status()["receivers"]["regulator"]["accepting"]
            assert len(regulator.seen) == 1


async def test_after_a_restart_a_notice_waits_for_its_planned_time_and_others_do_not(tmp_path: Path) -> None:
    hourly = Schedule(dict.fromkeys(LEVELS, (3600.0,) * 9), dict.fromkeys(LEVELS, 60.0))
    async with receiver(first(1, status(503))) as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            outbox = running.start(schedule=hourly)
            running.tell([step(1)])
            await until(lambda: running.rows()[0]["attempts"] == 1)
            outbox.stop()
            regulator.answer = accept
            running.start(schedule=hourly)
            running.tell([step(2, occurrence="cl2-2")])
            await until(lambda: running.states() == ["pending", "delivered"])
    assert [seen.id for seen in regulator.seen] == ["cl2-1", "cl2-2"]


async def test_s22_a_notice_given_up_is_recorded_and_the_receiver_still_gets_the_next(tmp_path: Path) -> None:
    twice = Schedule(dict.fromkeys(LEVELS, (0.02,)), dict.fromkeys(LEVELS, 60.0))

    async def refuse_first(seen: Seen) -> web.StreamResponse:
        return await (status(400) if seen.id == "cl2-1" else accept)(seen)

    async with receiver(refuse_first) as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            running.start(schedule=twice)
            running.tell([step(1), step(2)])
            await all_marked(running)
            assert running.states() == ["failed", "delivered"]
            assert "400" in running.rows()[0]["last_error"]
            told = [json.loads(record.body)["status"] for record in running.log.read(0)]
    assert told == ["unavailable", "failed", "delivered"]
    assert regulator.ids() == ["cl2-2"]


async def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    async with receiver(first(1, status(429, Retry_After="1"))) as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            running.start()
            running.tell([step(1)])
            await all_marked(running)
    first_try, second = regulator.seen
    stamps = [int(seen.headers["webhook-timestamp"]) for seen in (first_try, second)]
    assert stamps[1] - stamps[0] >= 1


async def test_a_receiver_that_is_back_gets_everything_at_once(tmp_path: Path) -> None:
    """What waits for its next turn in an hour goes out with the first success after the outage."""
    hourly = Schedule(dict.fromkeys(LEVELS, (3600.0,) * 9), dict.fromkeys(LEVELS, 3600.0))
    async with receiver(status(503)) as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            outbox = running.start(schedule=hourly, monotonic_s=Ticking())
            running.tell([step(n, occurrence=f"cl2-{n}") for n in range(40)])
            await until(lambda: outbox.status()["receivers"]["regulator"]["attempts_failed"] == 40)
            regulator.answer = accept
            running.tell([step(99, occurrence="cl2-99")])
            await all_marked(running)
    assert len(regulator.ids()) == 41


class Ticking:
    """A monotonic clock on which each look takes 0.1 s: outages last, and nobody waits for them."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        self._now_s += 0.1
        return self._now_s


async def test_a_wild_clock_of_the_process_before_does_not_hold_a_notice_back(tmp_path: Path) -> None:
    """The row says "next attempt in a year" because the clock was wrong when it was written."""
    async with receiver(status(503)) as regulator:
        receivers = [config_of("regulator", regulator.url, tmp_path)]
        with office(tmp_path, receivers) as running:
            outbox = running.start()
            running.tell([step(1)])
            await until(lambda: running.rows()[0]["attempts"] > 0)
            outbox.stop()
            with running.state.writing() as connection:
                connection.exec_driver_sql("UPDATE outbox SET next_attempt_ms = next_attempt_ms + 31536000000")
            regulator.answer = accept
            running.start()
            await all_marked(running)
    assert set(regulator.ids()) == {"cl2-1"}


async def test_a_receiver_that_left_the_config_keeps_its_rows_and_is_shown(tmp_path: Path) -> None:
    async with receiver() as regulator:
        old, new = (config_of(name, regulator.url, tmp_path) for name in ("old", "new"))
        with office(tmp_path, [old, new]) as running:
            running.tell([step(1)])
            running.receivers = [new]
            outbox = running.start()
            await until(lambda: outbox.status()["not_configured"] == {"old": 1})
            await until(lambda: running.states() == ["pending", "delivered"])


async def test_s13_heartbeats_are_signed_and_say_how_far_the_engine_got(tmp_path: Path) -> None:
    async with receiver() as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            running.start(heartbeat_s=0.0)
            await regulator.until(lambda: len(regulator.beats) >= 2)
        one, two = regulator.beats[:2]
    assert one.kind == two.kind == "system.heartbeat"
    assert two.content["data"]["engine_position"] > one.content["data"]["engine_position"]
    assert one.id != two.id


async def test_s13_a_silent_engine_is_said_at_once_and_not_covered_up(tmp_path: Path) -> None:
    clock = Stepping()
    async with receiver() as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            running.start(position=lambda: 41, monotonic_s=clock)
            await regulator.until(lambda: len(regulator.beats) == 1)
            clock.now_s += 30
            await regulator.until(lambda: len(regulator.beats) == 2)
    assert [beat.kind for beat in regulator.beats] == ["system.heartbeat", "system.silent"]
    assert "人工巡查" in regulator.beats[1].content["data"]["text"]["zh"]


async def test_s13_a_receiver_hears_a_beat_every_half_minute_and_may_miss_one(tmp_path: Path) -> None:
    clock = Stepping()
    async with receiver() as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            running.start(heartbeat_s=HEARTBEAT_S, monotonic_s=clock)
            for heard in (1, 2, 3):
                await regulator.until(lambda: len(regulator.beats) == heard)  # noqa: B023 - awaited here
                clock.now_s += 30
    assert all(beat.content["data"]["next_within_s"] <= 30 for beat in regulator.beats)


class Stepping:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_s05_a_late_notice_says_so(tmp_path: Path) -> None:
    async with receiver() as regulator:
        with office(tmp_path, [config_of("regulator", regulator.url, tmp_path)]) as running:
            running.start()
            running.tell([step(1, late=True, late_until_ms=5)])
            await all_marked(running)
            assert running.rows()[0]["late"]
    assert regulator.seen[0].content["data"]["late"] is True


def start_child(folder: Path, url: str) -> subprocess.Popen[bytes]:
    path = Path(child.__file__)
    return subprocess.Popen([sys.executable, str(path), str(folder), url], env={"PYTHONPATH": str(path.parent.parent)})


async def killed_again_and_again(tmp_path: Path, regulator: Receiver, kills: int, notices: int) -> None:
    for kill in range(1, kills + 1):
        process = await asyncio.to_thread(start_child, tmp_path, regulator.url)
        try:
            wanted = notices * kill // (kills + 1)
            await regulator.until(lambda wanted=wanted: len(regulator.accepted) >= wanted, 60)  # type: ignore[misc]  # bound
        finally:
            process.kill()
            process.wait(10)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.torture)])
async def test_s23_sigkill_of_the_sender_loses_nothing_and_keeps_ids_and_order(tmp_path: Path, kills: int) -> None:
    async def hesitate(seen: Seen) -> web.StreamResponse:
        await asyncio.sleep(0.001)  # a receiver takes its time; without it no kill would hit an attempt
        return web.Response(status=204)

    notices = 600
    async with receiver(hesitate) as regulator:
        receivers = [config_of("regulator", regulator.url, tmp_path)]
        with office(tmp_path, receivers) as running:
            running.tell([step(n, occurrence=f"cl2-{n % 40}") for n in range(notices)])
        await killed_again_and_again(tmp_path, regulator, kills, notices)
        with office(tmp_path, receivers) as running:
            running.start()
            await all_marked(running)
            assert running.states() == ["delivered"] * notices
    assert set(regulator.ids()) == {f"cl2-{n}" for n in range(notices)}
    for occurrence in range(40):
        numbers = [int(one.removeprefix("cl2-")) for one in regulator.ids()]
        mine = [number for number in numbers if number % 40 == occurrence]
        # A notice may come again right after a kill; nothing overtakes what came before it.
        assert all(later >= earlier for earlier, later in pairwise(mine))


async def test_a_notifier_that_fails_at_a_heartbeat_silences_no_other_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(WebhookNotifier):
        async def send(self, notice: Notice) -> None:
            raise UnicodeError("label too long")

    async with receiver() as regulator:
        monkeypatch.setitem(NOTIFIERS, "faulty", f"{__name__}:Faulty")
        monkeypatch.setattr(sys.modules[__name__], "Faulty", Faulty, raising=False)
        broken = config_of("broken", regulator.url, tmp_path, kind="faulty")
        with office(tmp_path, [broken, config_of("regulator", regulator.url, tmp_path)]) as running:
            outbox = running.start()
            await until(lambda: bool(outbox.status()["receivers"]["broken"]["last_error"]))
            running.tell([step(1)])
            await until(lambda: "cl2-1" in regulator.ids())
            assert not running.errors
