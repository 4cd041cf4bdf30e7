"""Another config while the edge runs: what it says nothing new about goes on, a bad one changes nothing at all."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.log import Log
from davylamp_edge.agent import Agent
from davylamp_edge.birth import Births
from davylamp_edge.config import DeviceConfig, EdgeConfig
from davylamp_edge.install import Installed, install, measured_alike
from davylamp_edge.journal import Journal
from davylamp_edge.records import Entry, JournalClass
from davylamp_edge.reload import Reloader, fixed_mistakes, uplink_differs
from davylamp_edge.scan import Scanner
from davylamp_edge.writer import Writer
from davylamp_wire.describe import DeviceDescription
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import DESCRIPTION
from davylamp_wire.point import LimitKind, Point
from davylamp_wire.profile import Profile, load_profile, load_profiles, shipped_profiles
from davylamp_wire.topic import MessageType
from support.cloud_process import CloudProcess, until
from support.counted import counted
from support.edge_host import EdgeHost, edge_host
from support.edge_process import PROFILE, Process, all_came, came, config_of, counting, edge_process, fetch
from support.field import Collector, device, edge_config, plc, point, profile
from support.holds import holds
from support.leaks import footprint, left_behind
from support.services import Broker, free_port

LIMIT = """
[points.count.limits.H]
value = {value}
action = {{zh = "查看", en = "look"}}
source = {{standard = "test", basis = "proposal"}}
"""
"""A limit of the point that stands last in its profile."""

POINTS = {"level": point(type="float32", address={"modbus": "holding:0"})}


def gas_profile(value: int) -> str:
    """Return the test rig's profile with a limit on its counter."""
    count, switch = PROFILE.split("[points.switch]")
    return f"{count}{LIMIT.format(value=value)}[points.switch]{switch}"


def with_profile(folder: Path, name: str, text: str) -> str:
    """Write another profile; return its name."""
    (folder / f"profiles/test/{name}.toml").write_text(text)
    return name


def rewritten(config: Path, change: Callable[[str], str]) -> None:
    config.write_text(change(config.read_text()))


def without(name: str) -> Callable[[str], str]:
    """Return what takes a device out of a config's text."""

    def taken_out(text: str) -> str:
        head, *devices = text.split("[[devices]]")
        return "[[devices]]".join([head, *(each for each in devices if f'name = "{name}"' not in each)])

    return taken_out


def of_device(name: str, was: str, wanted: str) -> Callable[[str], str]:
    """Return what changes a key of one device in a config's text."""

    def changed(text: str) -> str:
        parts = text.split("[[devices]]")
        return "[[devices]]".join(p.replace(was, wanted) if f'name = "{name}"' in p else p for p in parts)

    return changed


def logged(edge: Process, words: str, times: int = 1) -> Callable[[], bool]:
    return lambda: edge.log.read_text().count(words) >= times


def births_of(host: EdgeHost, name: str) -> list[Any]:
    return [seen.message for seen in host.of(MessageType.DBIRTH) if seen.topic.device == name]


def points_of(folder: Path) -> Mapping[str, Point]:
    """Return the points of the profile that `config_of` has written."""
    return load_profile(folder / "profiles/test/rig.toml").points


async def page(port: int, path: str) -> str:
    _, text = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/{path}")
    return text


def metric(text: str, name: str, labels: str = 'node="edge-1"') -> int:
    return int(
        next(line for line in text.splitlines() if line.startswith(f"davylamp_edge_{name}{{{labels}}}")).split()[1]
    )


async def test_what_a_new_config_says_nothing_about_goes_on_without_a_gap(tmp_path: Path, mosquitto: Broker) -> None:
    """One device gets another limit, one is taken out, one is new; the fourth must not notice."""
    port = free_port()
    still_scans = 'node="edge-1",device="still"'
    config_of(tmp_path, mosquitto, "")
    points = points_of(tmp_path)
    async with (
        counted(tmp_path, "rig", points) as rig,
        counted(tmp_path, "still", points) as still,
        plc(holding=[0] * 8, coils=[True] * 8) as other,
    ):
        others = {"still": still.address, "gone": other.address}
        config = config_of(tmp_path, mosquitto, rig.address, others=others, status=port)
        with_profile(tmp_path, "gas", gas_profile(50))
        rewritten(config, of_device("rig", 'profile = "rig"', 'profile = "gas"'))
        with edge_host(mosquitto) as host, edge_process(config) as edge:
            await came(host, lambda: {"rig", "still", "gone"} <= {r.device for r in host.records[-50:]}, "records")
            scans = metric(await page(port, "metrics"), "device_scans_total", still_scans)

            with_profile(tmp_path, "gas", gas_profile(60))
            rewritten(config, without("gone"))
            rewritten(config, lambda text: text + text[text.rindex("[[devices]]") :].replace("still", "new"))
            rewritten(config, of_device("new", still.address, other.address.replace("127.0.0.1", "localhost")))
            edge.reload()

            await came(host, lambda: len(births_of(host, "rig")) == 2, "the changed device's birth")
            await came(host, lambda: births_of(host, "new"), "the new device's birth")
            await came(host, lambda: host.of(MessageType.DDEATH), "the death of the one taken out")
            await came(host, lambda: {"rig", "still", "new"} <= {r.device for r in host.records[-30:]}, "records")
            text = await page(port, "metrics")
            assert metric(text, "device_scans_total", still_scans) > scans
            assert (metric(text, "config_reloads_total"), metric(text, "config_refused")) == (1, 0)
            assert await edge.terminate() == 0
            await all_came(host, tmp_path)
            assert "lines_kept=2 lines_ended=1 lines_begun=1" in edge.log.read_text()
    limits = [DeviceDescription.decode(str(birth.value(DESCRIPTION))) for birth in births_of(host, "rig")]
    assert [said.points["count"].limits[LimitKind.H].value for said in limits] == [50, 60]
    assert len(host.of(MessageType.NBIRTH)) == len(births_of(host, "still")) == 1
    assert [seen.topic.device for seen in host.of(MessageType.DDEATH)] == ["gone"]
    assert not [record for record in host.records if record.historical and record.device == "still"]
    assert len(host.numbers()) == len(set(host.numbers()))
    for device_read in (rig, still):
        held = device_read.held_against(host, "count")
        assert (held.lost, held.extra) == ([], [])
    story = [(seen.topic.type, seen.topic.device) for seen in host.seen]
    assert story.index((MessageType.DBIRTH, "new")) < story.index((MessageType.DDATA, "new"))
    death = story.index((MessageType.DDEATH, "gone"))
    assert (MessageType.DDATA, "gone") not in story[death:]


OTHERWISE: dict[str, Any] = {
    "zh": "别的",
    "en": "other",
    "unit": "kPa",
    "kind": "status",
    "gas": "CH4",
    "type": "uint16",
    "range": (0, 50),
    "scan_s": 2,
    "address": {"modbus": "holding:9"},
    "order": "CDAB",
    "scale": 2,
    "offset": 1,
    "length": 2,
    "loop": {"zero_ma": 3.9},
    "bypass": ({"by": "key", "level": "bad", "reason": "INHIBIT"},),
    "limits": {"H": {"value": 60, "source": {"standard": "x", "basis": "proposal"}}},
    "warnings": {"rate": {"settings": {"limit": 2}, "source": {"standard": "x", "basis": "proposal"}}},
    "deadband": 2,
    "max_silence_s": 30,
    "journal_class": "bulk",
    "required": True,
    "states": {"1": {"zh": "开", "en": "on"}},
    "local": True,
    "plant_tag": "LT-9",
}
PLAIN: dict[str, Any] = {
    "zh": "液位",
    "en": "level",
    "unit": "m",
    "range": (0, 100),
    "address": {"modbus": "holding:0"},
    "limits": {"H": {"value": 50, "source": {"standard": "x", "basis": "proposal"}}},
}


def installed(point: Mapping[str, Any], said: Mapping[str, Any]) -> Installed:
    config = DeviceConfig.model_validate(
        {"name": "d", "profile": "p", "driver": "modbus", "hazard_source": "s", "address": "h:502", "points": said}
    )
    return Installed(
        config,
        Profile.model_validate({"name": "p", "family": "f", "zh": "表", "en": "gauge", "points": {"level": PLAIN}}),
        ("level",),
        (Point.model_validate(point),),
    )


@pytest.mark.parametrize("name", list(Point.model_fields))
def test_a_changed_rule_or_text_reconnected_its_device(name: str) -> None:
    """Only what is read otherwise is read anew; of a new field of a point somebody has to say here which it is."""
    before, after = installed(PLAIN, {}), installed({**PLAIN, name: OTHERWISE[name]}, {"level": {"tag": "LT-9"}})
    assert before.points != after.points
    said = {"zh", "en", "warnings", "states", "required", "plant_tag", "limits"}
    assert after.reads_like(before) == (name in said)
    assert measured_alike(after.points[0], before.points[0]) == (name in said)


def test_s8_another_limit_beside_a_deadband_is_followed_by_the_line() -> None:
    narrow = {**PLAIN, "deadband": 2}
    before, after = installed(narrow, {}), installed({**narrow, "limits": OTHERWISE["limits"]}, {})
    assert not after.reads_like(before)


async def test_a_real_cloud_takes_a_new_point_and_a_new_device_from_births_in_the_middle(
    tmp_path: Path, mosquitto: Broker
) -> None:
    def values() -> dict[str, Any]:
        return {row["tag"]: row["value"] for row in cloud.get("/api/v1/tags?limit=100")["items"]}

    cloud = CloudProcess(tmp_path, mosquitto).start()
    try:
        async with plc(holding=[7, 8, 0, 0], coils=[True] * 8) as rig:
            config = config_of(tmp_path, mosquitto, rig.address)
            with edge_process(config) as edge:
                await asyncio.to_thread(until, lambda: values().get("davylamp/edge-1/rig/count") == 7, "a value")
                second = PROFILE[PROFILE.index("[points.count]") : PROFILE.index("[points.switch]")]
                with_profile(tmp_path, "rig", PROFILE + second.replace("count", "second").replace(":0", ":1"))
                rewritten(config, lambda text: text + text[text.rindex("[[devices]]") :].replace('"rig"', '"new"', 1))
                rewritten(config, of_device("new", 'profile = "new"', 'profile = "rig"'))
                edge.reload()
                wanted = {f"davylamp/edge-1/{name}/second" for name in ("rig", "new")}
                await asyncio.to_thread(until, lambda: {t for t, v in values().items() if v == 8} >= wanted, "both")
                assert await edge.terminate() == 0
    finally:
        cloud.stop()
    log = Log(cloud.folder / "log.db")
    assert list(log.quarantined(10)) == []
    log.close()


async def test_a_bad_config_is_refused_whole_and_the_old_one_runs_on(tmp_path: Path, mosquitto: Broker) -> None:
    port = free_port()
    config_of(tmp_path, mosquitto, "")
    async with counted(tmp_path, "rig", points_of(tmp_path)) as rig:
        config = config_of(tmp_path, mosquitto, rig.address, status=port)
        sound = config.read_text()
        with edge_host(mosquitto) as host, edge_process(config) as edge:
            await came(host, lambda: host.records, "a record")
            config.write_text(sound.replace('profile = "rig"', 'profile = "no-such"').replace("backlog_rate", "speed"))
            edge.reload()
            await came(host, logged(edge, "config refused"), "the refusal")
            told = json.loads(await page(port, "healthz"))["config"]
            assert ["speed" in line or "no-such" in line for line in told] == [True, True]

            config.write_text(sound.replace('node = "edge-1"', 'node = "edge-2"').replace("timeout_s = 1.0", ""))
            edge.reload()
            await came(host, logged(edge, "config refused", 2), "the second refusal")
            assert "node: edge-2 needs a restart, the edge runs with edge-1" in (await page(port, "healthz"))
            text = await page(port, "metrics")
            assert [metric(text, f"config_{name}") for name in ("refused_total", "refused", "reloads_total")] == [
                2,
                1,
                0,
            ]

            config.write_text(sound)
            edge.reload()
            await came(host, logged(edge, "config reloaded"), "the good one")
            assert json.loads(await page(port, "healthz"))["config"] == "ok"
            assert "lines_kept=1 lines_ended=0 lines_begun=0" in edge.log.read_text()
            assert await edge.terminate() == 0
            await all_came(host, tmp_path)
    assert len(host.of(MessageType.DBIRTH)) == 1
    held = rig.held_against(host, "count")
    assert (held.lost, held.extra) == ([], [])


async def test_a_password_file_that_is_no_text_is_refused_and_the_old_config_runs_on(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """Whatever was no `ConfigError` ended the agent, and its devices were not read until somebody came."""
    (tmp_path / "password").write_bytes(b"\xff\xfe\x00")
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, asyncio.TaskGroup() as group:
        plant = group.create_task(counting(rig))
        config = config_of(tmp_path, mosquitto, rig.address)
        with edge_host(mosquitto) as host, edge_process(config) as edge:
            await came(host, lambda: host.records, "a record")
            login = 'username = "edge"\npassword_file = "password"\n'
            config.write_text(config.read_text().replace("keepalive_s", f"{login}keepalive_s"))
            edge.reload()
            await came(host, logged(edge, "config refused"), "the refusal")
            assert "password is not UTF-8; save it as UTF-8" in edge.log.read_text()
            seen = len(host.records)
            await came(host, lambda: len(host.records) > seen + 10, "records after it")
            assert await edge.terminate() == 0
        plant.cancel()


async def test_a_config_that_fails_in_a_way_nobody_foresaw_is_refused_like_any_other() -> None:
    def load() -> Any:
        raise ZeroDivisionError("in a profile")

    async def follow(*_: Any) -> None:
        raise AssertionError("nothing was loaded")

    stop = asyncio.Event()
    reloader = Reloader(load, follow)
    reloader.asked.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(reloader.run(stop))
        await holds(lambda: reloader.count.refused)
        stop.set()
    assert reloader.count.mistakes == ("the config cannot be read: ZeroDivisionError: in a profile",)


async def test_s26_other_broker_settings_end_the_session_and_no_line(tmp_path: Path, mosquitto: Broker) -> None:
    config_of(tmp_path, mosquitto, "")
    async with counted(tmp_path, "rig", points_of(tmp_path)) as rig:
        config = config_of(tmp_path, mosquitto, rig.address)
        with edge_host(mosquitto) as host, edge_process(config) as edge:
            await came(host, lambda: len(host.records) > 10, "records")
            rewritten(config, lambda text: text.replace("keepalive_s = 15", "keepalive_s = 7"))
            edge.reload()
            await came(host, lambda: len(host.of(MessageType.NBIRTH)) == 2, "the second birth")
            before = host.stored.highest or 0
            await came(host, lambda: (host.stored.highest or 0) > before + 20, "what came after")
            await came(host, lambda: not host.stored.missing(1, before + 20), "what was journaled before")
            assert await edge.terminate() == 0
            await all_came(host, tmp_path)
            assert "lines_kept=1 lines_ended=0 lines_begun=0" in edge.log.read_text()
    assert [seen.message.value("Davylamp/Keepalive") for seen in host.of(MessageType.NBIRTH)] == [15, 7]
    held = rig.held_against(host, "count")
    assert (held.lost, held.extra) == ([], [])


def config_at(folder: Path, broker: Broker, *devices: dict[str, Any], **said: Any) -> EdgeConfig:
    journal = {"path": str(folder / "journal.db"), "max_bytes": 1 << 24}
    return edge_config(*devices, broker={"host": broker.host, "port": broker.port}, journal=journal, **said)


async def test_ten_reloads_in_a_row_leave_no_task_and_no_socket(tmp_path: Path, mosquitto: Broker) -> None:
    profiles, stop = {"rig": profile(POINTS), **load_profiles(shipped_profiles())}, asyncio.Event()
    own = {"hazard_source": "gateways"}
    async with plc(holding=[0] * 8) as one, plc(holding=[0] * 8) as two:
        configs = [
            config_at(tmp_path, mosquitto, device(one.address)),
            config_at(
                tmp_path,
                mosquitto,
                device(one.address, timeout_s=2),
                device(two.address, name="rig2"),
                self_monitoring=own,
            ),
        ]
        agent = Agent(configs[0], profiles)
        with edge_host(mosquitto) as host:
            running = asyncio.create_task(agent.run(stop))
            await came(host, lambda: host.records, "a record")
            tasks = len(asyncio.all_tasks())
            before = footprint()
            for turn in range(10):
                await agent.follow(configs[1 - turn % 2], profiles)
                await came(host, lambda: agent.scanner.statuses["rig1"].connected, "the line that began")
            await asyncio.to_thread(lambda: None)
            assert len(asyncio.all_tasks()) == tasks
            # The one connection to the device that is left was made anew, at both of its ends.
            assert len(left_behind(before, grace_s=0.5)) <= 2
            assert [status.name for status in agent.snapshot().devices] == ["rig1"]
            dead = {"rig2", "_edge"}
            await came(host, lambda: dead <= {s.topic.device for s in host.of(MessageType.DDEATH)}, "both deaths")
            assert births_of(host, "_edge")
            stop.set()
            await running
            await came(host, lambda: not host.stored.missing(1, host.stored.highest or 0), "every number")
            assert len(host.numbers()) == len(set(host.numbers()))


async def test_a_line_that_hangs_is_cut_off_and_keeps_nobody_waiting(monkeypatch: Any) -> None:
    monkeypatch.setattr("davylamp_edge.scan.END_S", 0.05)
    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(64):
            asked.set()
        writer.close()

    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with silent:
        address = f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        profiles, stop = {"rig": profile(POINTS)}, asyncio.Event()
        scanner = Scanner(edge_config(device(address, timeout_s=30)), profiles, Collector())
        running = asyncio.create_task(scanner.run(stop))
        await asyncio.wait_for(asked.wait(), 10)
        plan = scanner.planned(install(edge_config(device(address, timeout_s=20)), profiles), every=False)
        await scanner.end(plan)
        scanner.begin(plan)
        assert [(len(plan.ending), len(plan.beginning))] == [(1, 1)]
        assert plan.ending[0].task is not None
        assert plan.ending[0].task.done()
        plan.beginning[0].task.cancel()  # type: ignore[union-attr]  # it was begun
        stop.set()
        await running


async def test_a_device_beside_a_changed_one_on_the_same_address_goes_on_as_it_was() -> None:
    """Both share a connection, which is made anew; what the untouched one has said and counted stays."""
    async with plc(holding=[7] * 8, units=(1, 2)) as rig:
        points = {"level": point(type="uint16", address={"modbus": "holding:0"}, scan_s=0.02)}
        profiles, stop, collector = {"rig": profile(points)}, asyncio.Event(), Collector()
        first, second = device(rig.address), device(rig.address, name="rig2", unit=2)
        scanner = Scanner(edge_config(first, second), profiles, collector)
        running = asyncio.create_task(scanner.run(stop))
        await collector.until(lambda: {result.device for result in collector.results} == {"rig1", "rig2"})
        before, scans = scanner.statuses["rig1"], scanner.statuses["rig1"].scans
        changed = second | {"points": {"level": {"scan_s": 0.03}}}
        plan = scanner.planned(install(edge_config(first, changed), profiles), every=False)
        collector.results.clear()
        await scanner.end(plan)
        scanner.begin(plan)
        await collector.until(lambda: any(result.device == "rig2" for result in collector.results))
        assert scanner.statuses["rig1"] is before
        assert scanner.statuses["rig2"].losses == 0
        await holds(lambda: before.scans > scans)
        assert not [result for result in collector.results if result.device == "rig1"], "nothing is said again"
        stop.set()
        await running


def test_a_plan_ends_and_begins_only_lines_that_read_otherwise() -> None:
    profiles = {"rig": profile(POINTS)}
    first, second = device("127.0.0.1:1"), device("127.0.0.1:2", name="rig2")
    scanner = Scanner(edge_config(first, second), profiles, Collector())

    def planned(*devices: dict[str, Any], every: bool = False) -> tuple[list[str], list[str]]:
        plan = scanner.planned(install(edge_config(*devices), profiles), every=every)
        return [run.sharing[0].name for run in plan.ending], [run.sharing[0].name for run in plan.beginning]

    assert planned(second, first) == ([], [])
    assert planned(first) == (["rig2"], [])
    assert planned(first, second | {"timeout_s": 2}) == (["rig2"], ["rig2"])
    assert planned(first, device("127.0.0.1:2", name="rig3", unit=2), second) == (["rig2"], ["rig3"])
    assert planned(first, second, every=True) == (["rig1", "rig2"], ["rig1", "rig2"])


def test_a_restart_is_asked_for_by_key_and_only_broker_settings_touch_the_session() -> None:
    running = edge_config(device("127.0.0.1:1"))
    wanted = edge_config(device("127.0.0.1:1"), group="other", journal={"path": "elsewhere.db"}, backlog_rate=7)
    assert [line.partition(":")[0] for line in fixed_mistakes(running, wanted)] == ["group", "journal.path"]
    assert uplink_differs(running, wanted)
    kept = edge_config(device("127.0.0.1:2"), journal={"path": "journal.db", "confirmed_hours": 1})
    assert list(fixed_mistakes(running, kept)) == []
    assert not uplink_differs(running, kept)


def test_births_keep_what_points_last_said_and_forget_what_is_measured_otherwise(tmp_path: Path) -> None:
    flow, scaled = point(type="float32", address={"modbus": "holding:2"}), {"scale": 2.0}
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal:
        profiles = {"rig": profile({**POINTS, "flow": flow})}
        first = Births(journal, install(edge_config(device("127.0.0.1:1")), profiles))
        first.tags["rig1"].remember([0, 1], [2.5, 7.0], [0, 0], [10, 10])
        again = device("127.0.0.1:1", points={"flow": scaled})
        second = Births(journal, install(edge_config(again, device("127.0.0.1:2", name="rig2")), profiles))
        second.inherit(first)
        assert second.tags["rig1"].values[0] == 2.5
        assert second.tags["rig1"].values[1] is None
        assert second.follow(first) == ["rig1", "rig2"]


def test_s26_a_device_taken_out_in_a_session_dies_once_all_before_is_confirmed(tmp_path: Path) -> None:
    profiles = {"rig": profile(POINTS)}
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal:
        two = install(edge_config(device("127.0.0.1:1"), device("127.0.0.1:2", name="rig2")), profiles)
        journal.append([Entry("rig2", JournalClass.LIVE, b"", 1)])
        births = Births(journal, install(edge_config(device("127.0.0.1:1")), profiles))
        assert births.follow(Births(journal, two)) == []
        assert dict(births.devices()).keys() == {"rig1", "rig2"}
        assert births.settled() == []
        journal.confirm(Intervals([(1, journal.last_record)]))
        assert births.settled() == ["rig2"]
        assert births.settled() == []


def test_a_flush_returns_once_what_was_submitted_has_its_number(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal:
        writer = Writer(journal, lambda records: None)
        writer.start()
        writer.flush()
        for _ in range(50):
            writer.submit(Entry("rig1", JournalClass.LIVE, b"", 1))
        writer.flush()
        assert journal.last_record == 50
        writer.stop()
