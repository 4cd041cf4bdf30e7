"""Alarms without the cloud: the real agent decides on every raw scan, journals it first, and goes on over a SIGKILL."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.local import Conditions, Moment
from davylamp_edge.agent import Agent
from davylamp_edge.check import mistakes_in
from davylamp_edge.config import EdgeConfig
from davylamp_edge.install import Installed, install
from davylamp_edge.journal import Journal
from davylamp_edge.local_alarms import TRIES, LocalAlarms
from davylamp_edge.records import JournalClass
from davylamp_edge.summary import summarise
from davylamp_wire.local_alarm import EdgeWord, LocalAlarm, decode_word
from davylamp_wire.payload import LOCAL_ALARM, data_payload, decode
from davylamp_wire.quality import GOOD
from davylamp_wire.topic import MessageType
from support.edge_host import EdgeHost, edge_host
from support.edge_process import came, config_of, edge_process, fetch
from support.field import device, plc, point, profile
from support.services import Broker, free_port

SOURCE = {"standard": "test", "basis": "proposal"}


def limit(value: float, **more: Any) -> dict[str, Any]:
    return {"value": value, "action": {"zh": "查", "en": "look"}, "source": SOURCE, **more}


LEVEL = point(
    type="uint16", local=True, scan_s=0.05, address={"modbus": "holding:0"}, limits={"H": limit(80, deadband=5)}
)
PLAIN = point(type="uint16", scan_s=0.05, address={"modbus": "holding:1"}, limits={"H": limit(80)})

PROFILE = """
zh = "试验台"
en = "rig"
[points.level]
zh = "液位"
en = "level"
unit = "%"
type = "uint16"
scan_s = 0.05
local = true
address = {modbus = "holding:0"}
[points.level.limits.H]
value = 80
deadband = 5
action = {zh = "查看", en = "look"}
source = {standard = "test", basis = "proposal"}
"""


def agent_on(folder: Path, address: str, **points: Any) -> Agent:
    table = {
        "node": "edge-1",
        "broker": {"host": "127.0.0.1", "port": 1},
        "journal": {"path": str(folder / "journal.db"), "max_bytes": 1 << 24},
        "devices": [device(address)],
    }
    return Agent(EdgeConfig.model_validate(table), {"rig": profile(points or {"level": LEVEL, "plain": PLAIN})})


def said_in(bodies: Sequence[bytes]) -> list[LocalAlarm]:
    metrics = [metric for body in bodies for metric in decode(data_payload(body, seq=0, sent_ms=0)).metrics]
    return [alarm for m in metrics for alarm in decode_word(str(m.value), m.time_ms or 0).alarms]


def journaled(journal: Journal) -> list[LocalAlarm]:
    return said_in([record.body for record in journal.read(JournalClass.ALARM, 0, journal.last_record, 1000)])


def words(alarms: Sequence[LocalAlarm]) -> list[str]:
    return [f"{alarm.kind} {'raised' if alarm.active else 'normal'} {alarm.no}" for alarm in alarms]


async def until(condition: Any) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)  # the agent tells nobody
    raise AssertionError("it never came")


async def test_s08_a_raw_scan_over_a_local_limit_is_journaled_first_and_stands_for_the_beacon(tmp_path: Path) -> None:
    async with plc(holding=[50, 50, 0, 0]) as rig, asyncio.TaskGroup() as group:
        agent, stop = agent_on(tmp_path, rig.address), asyncio.Event()
        group.create_task(agent.run(stop))
        alarms = agent.local_alarms
        assert alarms is not None
        await until(lambda: words(journaled(agent.journal)) == ["H normal 0"])
        assert alarms.standing() == {}
        await rig.write("holding", 0, [81, 90])
        await until(lambda: alarms.standing())
        ((name, priority),) = alarms.standing().items()
        assert name.startswith("davylamp/edge-1/rig1/level#H:")
        assert priority == 2
        await until(lambda: alarms.stepped_s() is not None)
        await rig.write("holding", 0, [60])
        await until(lambda: words(journaled(agent.journal))[1:] == ["H raised 1", "H normal 1"])
        assert alarms.standing() == {}
        assert alarms.failures == 0
        (_, raised, returned) = journaled(agent.journal)
        assert (raised.point, raised.value, raised.limit) == ("level", 81, 80)
        assert returned.raised_ms == raised.time_ms
        stop.set()


async def test_s26_sigkill_between_raise_and_return_loses_and_repeats_nothing(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """The broker is away all the while: what was decided comes once, in order, with the times it was measured at."""
    status = free_port()
    mosquitto.kill()
    async with plc(holding=[50, 0, 0, 0]) as rig:
        config = config_of(tmp_path, mosquitto, rig.address, profile=PROFILE, report="changes", status=status)
        with edge_process(config) as edge:
            for value, standing in ((81, 1), (70, 0), (85, 1)):
                await rig.write("holding", 0, [value])
                batches = await asyncio.to_thread(decided, status, standing)
                await rig.write("holding", 0, [value + 1])
                await asyncio.to_thread(decided, status, standing, batches)
                edge.kill()
                if value == 85:
                    mosquitto.start()
                edge.start()
            with edge_host(mosquitto) as host:
                await came(host, lambda: len(raises(host)) == 2, "both raises")
                await came(host, lambda: not host.stored.missing(1, host.stored.highest or 0), "every number")
                assert [alarm.no for alarm in raises(host)] == [1, 2]
                steps = [(alarm.no, alarm.active) for alarm in arrived(host) if alarm.no]
                assert list(dict.fromkeys(steps)) == [(1, True), (1, False), (2, True)]
                metric = host.of(MessageType.DBIRTH)[0].message.find(LOCAL_ALARM)
                assert metric is not None
                (said,) = decode_word(str(metric.value), metric.time_ms or 0).alarms
                assert (said.no, said.active) == (2, True)
                assert abs((said.raised_ms or 0) - (raises(host)[1].raised_ms or 0)) <= 2, "two clocks in whole ms"


def decided(status: int, standing: int, batches: int = -1) -> int:
    """Wait until the edge has scanned, so many alarms stand and the journal has written on; return how often it has."""
    unread, wanted = 'device_scans_total{node="edge-1",device="rig"} 0\n', f'standing{{node="edge-1"}} {standing}\n'
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError):
            _, page = fetch(f"http://127.0.0.1:{status}/metrics")
            written = int(page.partition('journal_batches_total{node="edge-1"} ')[2].partition("\n")[0])
            if unread not in page and wanted in page and written > batches:
                return written
        time.sleep(0.02)  # the edge tells nobody
    raise AssertionError(f"there were never {standing} alarms")


def arrived(host: EdgeHost) -> list[LocalAlarm]:
    """Return what came in records, each record once, in the order of their numbers."""
    once = {record.number: record.seen.message.metrics[1:] for record in host.records if record.device == "rig"}
    metrics = [m for _, found in sorted(once.items()) for m in found if str(m.value).startswith('{"life"')]
    return [alarm for m in metrics for alarm in decode_word(str(m.value), m.time_ms or 0).alarms]


def raises(host: EdgeHost) -> list[LocalAlarm]:
    return [alarm for alarm in arrived(host) if alarm.active]


async def test_a_reload_with_other_limits_ends_nothing_that_stands(tmp_path: Path) -> None:
    async with plc(holding=[81, 0, 0, 0]) as rig, asyncio.TaskGroup() as group:
        agent, stop = agent_on(tmp_path, rig.address, level=LEVEL), asyncio.Event()
        group.create_task(agent.run(stop))
        alarms = agent.local_alarms
        assert alarms is not None
        await until(lambda: alarms.standing())
        higher = point(**{**LEVEL.model_dump(), "limits": {"H": limit(90, deadband=5)}})
        await agent.follow(agent._config, {"rig": profile({"level": higher})})
        await rig.write("holding", 0, [78])
        await asyncio.sleep(0.3)  # some scans of a value that the new limit alone would call normal
        assert list(alarms.standing().values()) == [2]
        await rig.write("holding", 0, [75])
        await until(lambda: not alarms.standing())
        await rig.write("holding", 0, [85])
        await asyncio.sleep(0.3)  # some scans
        assert not alarms.standing()
        stop.set()


def test_a_local_point_of_the_edge_itself_is_refused_with_words() -> None:
    own = {"hazard_source": "s", "points": {"cpu": {"local": True, "limits": {"H": limit(90)}}}}
    cpu = point(type="float64", unit="%", address={"self": "cpu_percent"})
    edge = profile({"cpu": cpu}, name="edge")
    (mistake,) = mistakes_in({"self_monitoring": own}, {"edge": edge}, Path("edge.toml"))
    assert "self_monitoring.points.cpu.local: what the edge says of itself is decided by the cloud" in mistake


def test_without_the_extra_check_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("davylamp_edge.check.find_spec", lambda name: None)
    table = {"devices": [device("127.0.0.1:502")]}
    (mistake,) = mistakes_in(table, {"rig": profile({"level": LEVEL})}, Path("edge.toml"))
    assert mistake.startswith("edge.toml: devices.rig1.points.level.local: ")
    assert mistake.endswith("pip install 'davylamp[edge-alarms]'")


def test_check_names_the_points_that_are_decided_here(tmp_path: Path) -> None:
    agent = agent_on(tmp_path, "127.0.0.1:1")
    lines = list(summarise(agent._config, {"rig": profile({"level": LEVEL, "plain": PLAIN})}))
    assert "    alarms decided here, without the cloud (local): level" in lines
    agent.close()


def test_local_without_a_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no limit that the edge could decide"):
        point(local=True)


def test_an_edge_that_decides_nothing_carries_no_numpy(tmp_path: Path) -> None:
    code = "import sys, davylamp_edge.agent; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_reload_takes_points_in_and_out(tmp_path: Path) -> None:
    """A point becomes local and its alarm stands at once; it is no longer local, and its alarm is forgotten."""
    local = {"rig": profile({"level": LEVEL})}
    plain = {"rig": profile({"level": point(**{**LEVEL.model_dump(), "local": False})})}
    async with plc(holding=[81, 0, 0, 0]) as rig, asyncio.TaskGroup() as group:
        agent, stop = agent_on(tmp_path, rig.address, plain=PLAIN), asyncio.Event()
        group.create_task(agent.run(stop))
        assert agent.local_alarms is None
        await agent.follow(agent._config, local)
        alarms = agent.local_alarms
        assert alarms is not None
        await until(lambda: alarms.standing())
        await agent.follow(agent._config, plain)
        assert alarms.standing() == {}
        await agent.follow(agent._config, local)
        await until(lambda: words(journaled(agent.journal))[-1:] == ["H raised 2"])
        stop.set()


async def test_an_alarm_of_before_the_edge_left_it_to_the_cloud_is_no_ghost_once_it_is_local_again(
    tmp_path: Path,
) -> None:
    """Started without a local point in between: what stood then says nothing, what was decided then is still told."""
    async with plc(holding=[81, 0, 0, 0]) as rig:
        async with running(agent_on(tmp_path, rig.address, level=LEVEL)) as agent:
            await until(lambda: words(journaled(agent.journal)) == ["H raised 1"])
        async with running(agent_on(tmp_path, rig.address, plain=PLAIN)) as agent:
            assert words(journaled(agent.journal)) == ["H raised 1"]
        again = agent_on(tmp_path, "127.0.0.1:1", level=LEVEL)
        assert again.local_alarms is not None
        assert again.local_alarms.standing() == {}
        again.writer.start()  # and is killed before it has read anything
        again.close()
        async with running(agent_on(tmp_path, rig.address, level=LEVEL)) as agent:
            assert agent.local_alarms is not None
            assert agent.local_alarms.standing() == {}
            await until(lambda: words(journaled(agent.journal)) == ["H raised 1", "H raised 2"])


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[Agent]:
    """Let an agent run for the length of a with block."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(agent.run(stop))
        yield agent
        stop.set()


async def test_s13_readings_that_cannot_be_decided_are_counted_and_the_engine_counts_as_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with plc(holding=[50, 0, 0, 0]) as rig, asyncio.TaskGroup() as group:
        agent, stop = agent_on(tmp_path, rig.address, level=LEVEL), asyncio.Event()
        group.create_task(agent.run(stop))
        alarms = agent.local_alarms
        assert alarms is not None
        await until(lambda: alarms.stepped_s() is not None)
        with monkeypatch.context() as patch:
            patch.setattr(Conditions, "take", broken)
            await until(lambda: alarms.failures > 1)
            silent_s = alarms.stepped_s()
            await until(lambda: alarms.failures > 10)
            assert alarms.stepped_s() == silent_s
            assert alarms.figures()["failing"] == 1
        await until(lambda: alarms.stepped_s() != silent_s)
        assert alarms.figures()["failing"] == 0
        stop.set()


def broken(*_: object) -> None:
    raise RuntimeError("a mistake in the rule")


class Told:
    """Takes what local alarms tell; fails so often, and for ever where a point is poison."""

    def __init__(self, failures: int = 0, poison: str = "") -> None:
        self.failures, self.poison = failures, poison
        self.alarms: list[LocalAlarm] = []
        self.kept: dict[str, str] = {}

    def __call__(self, device: str, word: EdgeWord, kept: Mapping[str, str]) -> None:
        if self.failures or any(alarm.point == self.poison for alarm in word.alarms):
            self.failures = max(0, self.failures - 1)
            raise RuntimeError("a mistake in what is told")
        self.alarms += word.alarms
        self.kept |= kept


def rig1(**points: Any) -> tuple[Installed, ...]:
    """Return a device with these points, as it is installed."""
    table = {"node": "edge-1", "broker": {"host": "127.0.0.1", "port": 1}, "devices": [device("127.0.0.1:1")]}
    config = EdgeConfig.model_validate({**table, "journal": {"path": "journal.db", "max_bytes": 1 << 24}})
    return install(config, {"rig": profile(points)})


def deciding(tell: Told) -> LocalAlarms:
    """Return local alarms of two points, on a clock that stands."""
    alarms = LocalAlarms("davylamp/edge-1", "life", 1, {}, tell, lambda: Moment(1_000, 1_795_500_000_000))
    alarms.follow(rig1(level=LEVEL, other=LEVEL))
    return alarms


@pytest.mark.parametrize(
    ("change", "told"),
    [({}, ["H raised 1"]), ({"scale": 0.5}, [])],
    ids=["read alike", "read otherwise"],
)
def test_s03_a_delay_that_runs_over_a_reload_ends_without_another_reading(
    change: dict[str, Any], told: list[str]
) -> None:
    """A point that is read once a minute waited for that minute; what was scaled otherwise says nothing."""
    slow = point(**{**LEVEL.model_dump(), "limits": {"H": limit(80, on_delay_s=10)}})
    clock, tell = [1_000], Told()
    alarms = LocalAlarms("davylamp/edge-1", "life", 1, {}, tell, lambda: Moment(clock[0], 1_795_500_000_000 + clock[0]))
    alarms.follow(rig1(level=slow))
    alarms.see("rig1", [0], [81], [GOOD], [1_795_500_001_000])
    clock[0] += 5_000
    alarms.follow(rig1(level=point(**{**slow.model_dump(), **change}), other=LEVEL))
    alarms.tick()
    assert tell.alarms == []
    clock[0] += 5_001
    alarms.tick()
    assert words(tell.alarms) == told


def test_s26_what_cannot_be_told_at_once_is_told_later_in_its_order() -> None:
    told = Told(failures=2)
    alarms = deciding(told)
    alarms.see("rig1", [0], [81], [GOOD], [1])
    assert (told.alarms, alarms.figures()["failing"]) == ([], 1)
    alarms.see("rig1", [0], [50], [GOOD], [2])
    assert told.alarms == []
    alarms.tick()
    assert words(told.alarms) == ["H raised 1", "H normal 1"]
    assert len(told.kept) == 1
    alarms.see("rig1", [0], [50], [GOOD], [3])
    assert alarms.figures()["failing"] == 0


def test_s14_a_word_that_can_never_be_told_keeps_no_other_back_for_long() -> None:
    told = Told(poison="level")
    alarms = deciding(told)
    alarms.see("rig1", [0, 1], [81, 81], [GOOD, GOOD], [1, 1])
    for _ in range(TRIES):
        alarms.tick()
    assert [alarm.point for alarm in told.alarms] == ["other"]
    assert len(told.kept) == 2


async def test_s03_delays_end_although_the_device_says_the_same_again_and_again(tmp_path: Path) -> None:
    """What repeats itself is not sent, and still it is looked at: the off-delay needs readings, the on-delay time."""
    slow = point(**{**LEVEL.model_dump(), "limits": {"H": limit(80, on_delay_s=0.3, off_delay_s=0.3)}})
    async with plc(holding=[81, 0, 0, 0]) as rig, asyncio.TaskGroup() as group:
        agent, stop = agent_on(tmp_path, rig.address, level=slow), asyncio.Event()
        group.create_task(agent.run(stop))
        await until(lambda: words(journaled(agent.journal)) == ["H raised 1"])
        await rig.write("holding", 0, [60])
        await until(lambda: words(journaled(agent.journal)) == ["H raised 1", "H normal 1"])
        raised, returned = journaled(agent.journal)
        assert returned.time_ms - raised.time_ms >= 300
        stop.set()


async def test_s13_a_failing_device_that_the_config_no_longer_has_keeps_no_engine_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with plc(holding=[50, 0, 0, 0]) as rig, asyncio.TaskGroup() as group:
        agent, stop = agent_on(tmp_path, rig.address, level=LEVEL), asyncio.Event()
        alarms = agent.local_alarms
        assert alarms is not None
        group.create_task(agent.run(stop))
        await until(lambda: alarms.stepped_s() is not None)
        with monkeypatch.context() as patch:
            patch.setattr(Conditions, "take", broken)
            await until(lambda: alarms.failures > 1)
            silent_s = alarms.stepped_s()
            await agent.follow(agent._config.model_copy(update={"devices": ()}), {"rig": profile({"level": LEVEL})})
        assert alarms.figures()["failing"] == 0
        await until(lambda: alarms.stepped_s() != silent_s)
        stop.set()
