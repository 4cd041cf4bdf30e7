"""A clock that is wrong at the start and set later: marked and sent at once, and stamped anew what was not sent yet."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from davylamp_edge.agent import Agent
from davylamp_edge.boot_clock import CLOCK_SET_MS, DAY_MS, BootClock
from davylamp_edge.journal import Journal
from davylamp_edge.records import Entry, JournalClass
from davylamp_edge.report import ScanResult
from davylamp_wire.intervals import Intervals
from davylamp_wire.local_alarm import decode_word
from davylamp_wire.payload import data_payload, decode, metrics_body, restamped
from davylamp_wire.quality import Reason, uncertain
from davylamp_wire.reading import Readings
from support.edge_host import Delivered, EdgeHost, edge_host
from support.edge_process import came, config_of, counting, edge_process
from support.field import device, edge_config, plc, point, profile
from support.services import Broker, binary
from support.wall import Wall

LOST_MS = 1_000_000
"""What a machine without a battery takes for now."""

RIGHT_MS = 1_795_000_000_000


@dataclass
class Machine:
    """The clocks of a machine, and what it keeps over a restart of the agent."""

    wall_ms: int = LOST_MS
    steady_ms: int = 5_000
    boot: str = "first"
    kept: str = ""
    newest: list[tuple[int, int]] = field(default_factory=list)

    def started(self, last_record: int = 0) -> BootClock:
        return BootClock(
            self.kept,
            self.keep,
            self.newest,
            last_record,
            wall_ms=lambda: self.wall_ms,
            steady_ms=lambda: self.steady_ms,
            boot=self.boot,
        )

    def keep(self, text: str) -> None:
        self.kept = text

    def passes(self, ms: int) -> None:
        self.wall_ms += ms
        self.steady_ms += ms


def test_what_was_stamped_before_the_clock_was_set_moves_on_by_the_jump() -> None:
    machine = Machine()
    clock = machine.started(last_record=10)
    assert clock.wrong
    machine.passes(60_000)
    clock.look(20, None)
    machine.wall_ms = RIGHT_MS
    assert clock.look(30, None)
    assert not clock.wrong
    assert clock.right_ms(11, LOST_MS) == RIGHT_MS - 60_000
    assert clock.right_ms(30, RIGHT_MS - 5) == RIGHT_MS - 5, "made after the jump, before it was seen"
    assert clock.right_ms(10, LOST_MS) == LOST_MS, "made before the clock was lost"
    assert clock.right_ms(31, LOST_MS) == LOST_MS


def test_a_restart_in_the_same_boot_still_knows_and_sees_a_jump_that_came_meanwhile() -> None:
    machine = Machine()
    machine.started(last_record=10).look(15, None)
    machine.passes(60_000)
    machine.started(last_record=20)
    machine.passes(60_000)
    machine.wall_ms = RIGHT_MS
    for clock in (machine.started(last_record=25), machine.started(last_record=40)):
        assert not clock.wrong
        assert clock.right_ms(11, LOST_MS) == RIGHT_MS - 120_000
        assert clock.right_ms(26, LOST_MS) == LOST_MS


def test_another_boot_has_another_steady_clock_and_moves_nothing() -> None:
    machine = Machine()
    machine.started(last_record=10).look(20, None)
    machine.boot, machine.steady_ms, machine.wall_ms = "second", 3_000, RIGHT_MS
    clock = machine.started(last_record=20)
    assert not clock.wrong
    assert clock.right_ms(11, LOST_MS) == LOST_MS


def test_a_clock_set_twice_moves_what_was_first_by_both_jumps() -> None:
    machine = Machine()
    clock = machine.started()
    machine.wall_ms = CLOCK_SET_MS - DAY_MS
    assert clock.look(10, None)
    assert clock.wrong
    machine.wall_ms = RIGHT_MS
    assert clock.look(20, None)
    assert clock.right_ms(1, LOST_MS) == RIGHT_MS
    assert clock.right_ms(11, CLOCK_SET_MS - DAY_MS) == RIGHT_MS


def test_a_clock_that_runs_a_little_unlike_the_other_was_not_set() -> None:
    machine = Machine()
    clock = machine.started()
    kept = machine.kept
    for drift_ms in (-300, 200, 400):
        machine.wall_ms += drift_ms
        assert not clock.look(5, None)
        assert clock.wrong
    assert machine.kept == kept, "nothing is written where nothing has happened"


def test_a_clock_a_day_behind_the_journal_is_wrong_unless_the_host_agrees_with_it() -> None:
    newest = [(number, RIGHT_MS) for number in range(1, 9)]
    machine = Machine(wall_ms=RIGHT_MS - DAY_MS - 1, newest=[*newest, (9, RIGHT_MS * 2)])
    assert machine.started().wrong
    assert not Machine(wall_ms=RIGHT_MS - DAY_MS, newest=newest).started().wrong
    clock = machine.started()
    assert not clock.look(0, 1_500)
    assert not clock.wrong


def test_a_body_is_moved_whole_and_keeps_everything_else() -> None:
    readings = Readings([300, 301], [LOST_MS, RIGHT_MS], [2.5, 7.5], [0, uncertain(Reason.CLOCK)])
    body = metrics_body(readings, {300: 10, 301: 10})
    moved = decode(data_payload(restamped(body, lambda ms: RIGHT_MS + 1 if ms == LOST_MS else ms), seq=0, sent_ms=0))
    assert [(m.alias, m.time_ms, m.value, m.quality) for m in moved.metrics] == [
        (300, RIGHT_MS + 1, 2.5, 0),
        (301, RIGHT_MS, 7.5, uncertain(Reason.CLOCK)),
    ]


async def test_the_journal_stays_as_it_is_and_what_is_sent_from_it_has_the_right_time(tmp_path: Path) -> None:
    machine = Machine()
    journal = {"path": str(tmp_path / "journal.db"), "max_bytes": 1 << 24}
    config = edge_config(device("127.0.0.1:1"), journal=journal)
    points = {"level": point(type="float64", address={"modbus": "holding:0"})}
    agent = Agent(config, {"rig": profile(points)}, now_ms=lambda: machine.wall_ms, steady_ms=lambda: machine.steady_ms)
    agent.writer.start()
    agent._take(ScanResult("rig1", "live", [0], [LOST_MS], [2.5], [0], LOST_MS))
    machine.passes(10_000)
    machine.wall_ms = RIGHT_MS
    assert agent.snapshot().clock_wrong
    agent.look_at_clock()
    (record,) = agent.journal.unconfirmed(0, 10)
    assert record.first_ms == LOST_MS
    sent = agent.boot_clock.stamped(record)
    (metric,) = decode(data_payload(sent.body, seq=0, sent_ms=0)).metrics
    assert (sent.first_ms, metric.time_ms) == (RIGHT_MS - 10_000, RIGHT_MS - 10_000)
    assert (metric.value, metric.quality) == (2.5, uncertain(Reason.CLOCK))
    assert agent.snapshot().backlog_age_s == 10.0
    await asyncio.to_thread(agent.close)


async def test_s27_what_was_stamped_under_a_wrong_clock_is_kept_as_long_as_any_other(tmp_path: Path) -> None:
    """Confirmed records of 1970 would be the first to go, as soon as the clock is set."""
    machine = Machine()
    journal = {"path": str(tmp_path / "journal.db"), "max_bytes": 1 << 24, "confirmed_hours": 1}
    config = edge_config(device("127.0.0.1:1"), journal=journal)
    points = {"level": point(type="float64", address={"modbus": "holding:0"})}
    agent = Agent(config, {"rig": profile(points)}, now_ms=lambda: machine.wall_ms, steady_ms=lambda: machine.steady_ms)
    agent.writer.start()
    agent._take(ScanResult("rig1", "live", [0], [LOST_MS], [2.5], [0], LOST_MS))
    agent.writer.flush()
    machine.passes(10_000)
    machine.wall_ms = RIGHT_MS
    agent.look_at_clock()
    agent.journal.confirm(Intervals.parse("1-1"))
    assert agent.purge() == 0
    machine.passes(3_595_000)
    assert agent.purge() == 1
    await asyncio.to_thread(agent.close)


async def test_a_local_alarm_of_before_the_clock_was_set_has_the_right_time_after_a_restart(tmp_path: Path) -> None:
    machine = Machine()
    journal = {"path": str(tmp_path / "journal.db"), "max_bytes": 1 << 24}
    config = edge_config(device("127.0.0.1:1"), journal=journal)
    source = {"standard": "test", "basis": "proposal"}
    limits = {"H": {"value": 80, "action": {"zh": "查", "en": "look"}, "source": source}}
    rig = {"rig": profile({"level": point(type="float64", local=True, address={"modbus": "holding:0"}, limits=limits)})}

    def started() -> Agent:
        agent = Agent(config, rig, now_ms=lambda: machine.wall_ms, steady_ms=lambda: machine.steady_ms)
        agent.writer.start()
        return agent

    agent = started()
    agent._see("rig1", [0], [95.0], [0], [LOST_MS])
    machine.passes(10_000)
    machine.wall_ms = RIGHT_MS
    agent.look_at_clock()
    await asyncio.to_thread(agent.close)
    machine.passes(5_000)
    agent = started()
    (said,) = decode_word(agent._standing("rig1", machine.wall_ms), machine.wall_ms).alarms
    assert (said.active, said.raised_ms) == (True, RIGHT_MS - 10_000)
    await asyncio.to_thread(agent.close)


def test_s27_what_was_stamped_by_a_clock_nobody_ever_set_leaves_with_what_was_written_next(tmp_path: Path) -> None:
    machine = Machine(wall_ms=RIGHT_MS)
    clock = machine.started()
    with Journal.open(tmp_path / "journal.db", 1 << 24) as journal:
        for stamp_ms in (LOST_MS, LOST_MS, RIGHT_MS, RIGHT_MS + 1_000, LOST_MS):
            journal.append([Entry("rig1", JournalClass.LIVE, b"body", stamp_ms)])
        journal.confirm(Intervals.parse("1-5"))
        assert journal.purge(RIGHT_MS, clock.known_ms) == 0
        assert journal.purge(RIGHT_MS + 1, clock.known_ms) == 3
        assert journal.purge(RIGHT_MS + 1, clock.known_ms) == 0
        assert journal.purge(RIGHT_MS * 2, clock.known_ms) == 1


FORTY_YEARS_S = 40 * 365 * 86_400


async def test_s01_a_wrong_clock_delays_nothing_and_the_backlog_is_stamped_anew_once_it_is_set(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """The real agent under a clock of the eighties: heard at once; then the host is away, and the clock is set."""
    binary("faketime")
    wall = Wall(tmp_path)
    wall.set(-FORTY_YEARS_S)
    began_ms = time.time_ns() // 1_000_000
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, asyncio.TaskGroup() as group:
        plant = group.create_task(counting(rig))
        config = config_of(tmp_path, mosquitto, rig.address)
        with edge_host(mosquitto) as host, edge_process(config, **wall.environment()) as edge:
            await came(host, lambda: len(of_rig(host)) > 5, "records at once")
            early = [record for record in of_rig(host) if not record.historical]
            assert all(qualities(record) == {uncertain(Reason.CLOCK)} for record in early)
            assert all(max(times(record)) < began_ms - FORTY_YEARS_S * 900 for record in early)
            host.say(False, 1)
            await came(host, lambda: "primary host offline" in edge.log.read_text(), "that the edge waits")
            await asyncio.sleep(0.5)  # readings of a real device gather
            wall.set(0)
            await came(host, lambda: "the clock was set" in edge.log.read_text(), "that the edge notices")
            seen = len(host.records)
            host.say(True, 2)
            await came(host, lambda: live_and_good(host.records[seen:]), "good records again")
            highest = host.stored.highest or 0
            await came(host, lambda: not host.stored.missing(1, highest), "the backlog")
            assert await edge.terminate() == 0
            await came(host, lambda: not host.stored.missing(1, host.stored.highest or 0), "every number")
        plant.cancel()
    late = [r for r in host.records[seen:] if r.device == "rig" and uncertain(Reason.CLOCK) in qualities(r)]
    fresh = [record for record in late if record.number not in {r.number for r in host.records[:seen]}]
    assert fresh
    ended_ms = time.time_ns() // 1_000_000
    assert all(began_ms <= time_ms <= ended_ms for record in fresh for time_ms in times(record))


def of_rig(host: EdgeHost) -> list[Delivered]:
    return [record for record in host.records if record.device == "rig"]


def times(record: Delivered) -> list[int]:
    return [metric.time_ms or 0 for metric in record.seen.message.metrics]


def qualities(record: Delivered) -> set[int]:
    return {metric.quality for metric in record.seen.message.metrics[1:]}


def live_and_good(records: Iterable[Delivered]) -> bool:
    return any(not record.historical and qualities(record) == {0} for record in records)
