"""The beacon of the real agent: what its config may say, how it is asked, and what its module shows when it dies."""

import asyncio
import json
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from davylamp_edge.__main__ import BAD_INPUT, FAILED, OK, main
from davylamp_edge.beacon.asking import LONGEST_PATH, ask, socket_of
from davylamp_edge.check import load_edge
from davylamp_simulators.beacon import WATCHDOG, RelayModule
from davylamp_wire.config import ConfigError
from davylamp_wire.payload import ENGINE, RED, BirthMetric, SparkplugType
from davylamp_wire.topic import MessageType, Topic
from support.cloud_process import CloudProcess
from support.edge_host import EdgeHost, edge_host
from support.edge_process import Process, came, config_of, edge_process, fetch
from support.field import plc
from support.relay_module import relay_module, shown, shows
from support.services import Broker, free_port

NODE = Topic(MessageType.NBIRTH, "davylamp", "edge-1")


def beacon(address: str, more: str = "") -> str:
    return f'[beacon]\naddress = "{address}"\n{more}[beacon.coils]\nlamp = 0\nhorn = 1\nwatchdog = 2\n'


@dataclass
class Site:
    """A real agent with a device, a relay module whose own watchdog waits 1.5 s, and a host."""

    edge: Process
    module: RelayModule
    host: EdgeHost
    config: Path
    status: str

    def engine_moved(self, ago_ms: int = 0) -> None:
        """Say what the cloud says of its engine."""
        self.host.command(NODE, BirthMetric(ENGINE, SparkplugType.INT64, None, ago_ms))

    async def living(self) -> None:
        """Wait until the contact is closed: the host says now and then that its engine moves."""
        async with asyncio.timeout(20):
            while not self.module.coils[WATCHDOG]:
                self.engine_moved()
                await asyncio.sleep(0.1)


@asynccontextmanager
async def site(tmp_path: Path, mosquitto: Broker) -> AsyncIterator[Site]:
    port = free_port()
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, relay_module(watchdog_s=1.5) as module:
        with edge_host(mosquitto) as host:
            own = '[self_monitoring]\nhazard_source = "gateways"\n[self_monitoring.points.beacon_lost]\nscan_s = 0.2\n'
            more = beacon(f"127.0.0.1:{module.port}") + own
            config = config_of(tmp_path, mosquitto, rig.address, status=port, more=more)
            with edge_process(config) as edge:
                yield Site(edge, module, host, config, f"http://127.0.0.1:{port}")


def command(act: str, config: Path) -> int:
    return main(["beacon", act, str(config)])


async def test_s28_the_contact_of_a_killed_agent_is_opened_by_the_module_itself(
    tmp_path: Path, mosquitto: Broker
) -> None:
    async with site(tmp_path, mosquitto) as at:
        await at.living()
        at.edge.kill()
        await shows(at.module, watchdog=False)


async def test_s28_the_contact_of_an_agent_that_hangs_is_opened_by_the_module_itself(
    tmp_path: Path, mosquitto: Broker
) -> None:
    async with site(tmp_path, mosquitto) as at:
        await at.living()
        at.edge.running.send_signal(signal.SIGSTOP)
        await shows(at.module, watchdog=False)
        at.edge.running.send_signal(signal.SIGCONT)
        await shows(at.module, watchdog=True)


async def test_s28_the_contact_of_an_agent_that_is_stopped_is_opened_by_it(tmp_path: Path, mosquitto: Broker) -> None:
    async with site(tmp_path, mosquitto) as at:
        await at.living()
        assert await at.edge.terminate() == 0
        assert not at.module.coils[WATCHDOG]
        assert not at.module.writes[-1].closed, "it wrote so itself"
        assert not socket_of(tmp_path / "journal.db").exists()


async def test_s28_a_red_that_only_the_cloud_decides_lights_the_beacon_of_the_real_agent(
    tmp_path: Path, mosquitto: Broker
) -> None:
    async with site(tmp_path, mosquitto) as at:
        await at.living()
        for text, is_lit in (('{"store/gas#L2": "o-1"}', True), ("no text", True), ("{}", False)):
            at.host.command(NODE, BirthMetric(RED, SparkplugType.STRING, None, text))
            await shows(at.module, lamp=is_lit, horn=is_lit)


async def test_the_running_agents_beacon_is_tested_asked_and_silenced_on_its_own_machine(
    tmp_path: Path, mosquitto: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    async with site(tmp_path, mosquitto) as at:
        await at.living()
        assert await asyncio.to_thread(command, "test", at.config) == OK
        assert capsys.readouterr().out.startswith(
            "试验中，灯亮，声响，看门狗触点断开\ntesting, lamp on, horn on, watchdog open"
        )
        await shows(at.module, lamp=True, horn=True, watchdog=False)
        at.config.write_text(at.config.read_text() + "[colour]\n")
        assert await asyncio.to_thread(command, "silence", at.config) == OK, "the file may be half edited meanwhile"
        await shows(at.module, lamp=False, horn=False, watchdog=True)
        assert await asyncio.to_thread(command, "silence", at.config) == FAILED
        assert "nothing sounds that could be silenced" in capsys.readouterr().err
        assert await asyncio.to_thread(command, "state", at.config) == OK
        assert "正常，灯灭，声停，看门狗触点闭合\noff, lamp off, horn off, watchdog closed\n" in capsys.readouterr().out
        path = socket_of(tmp_path / "journal.db")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await asyncio.to_thread(ask, path, "reboot"))["done"] is False
        at.edge.kill()
        assert await asyncio.to_thread(command, "state", at.config) == FAILED
        assert "is it running, with a [beacon]?" in capsys.readouterr().err


async def test_s28_no_message_from_afar_silences_or_tests_it(tmp_path: Path, mosquitto: Broker) -> None:
    async with site(tmp_path, mosquitto) as at:
        await at.living()
        await asyncio.to_thread(command, "test", at.config)
        await shows(at.module, horn=True)
        for name in ("Davylamp/Beacon", "Davylamp/Silence", "silence", "horn"):
            at.host.command(NODE, BirthMetric(name, SparkplugType.BOOLEAN, None, False))
        at.engine_moved()
        status, text = await asyncio.to_thread(fetch, f"{at.status}/beacon/silence")
        assert (status, "metrics" in text) == (404, True)
        assert shown(at.module)["horn"]


async def test_a_module_that_is_lost_shows_on_the_page_in_the_metrics_and_in_the_cloud(
    tmp_path: Path, mosquitto: Broker
) -> None:
    async with site(tmp_path, mosquitto) as at:
        await at.living()
        page = json.loads((await asyncio.to_thread(fetch, f"{at.status}/healthz"))[1])
        assert page["beacon"] == {
            "state": "off", "lamp": False, "horn": False, "watchdog": True, "engines_silent": [], "module": "ok",
        }  # fmt: skip
        await came(at.host, lambda: at.host.newest("_edge", "beacon_lost") is False, "the beacon is well")
        await at.module.stop()
        await came(at.host, lambda: at.host.newest("_edge", "beacon_lost") is True, "the beacon is lost")
        page = json.loads((await asyncio.to_thread(fetch, f"{at.status}/healthz"))[1])
        assert page["beacon"]["module"].startswith("lost: 127.0.0.1:")
        metrics = (await asyncio.to_thread(fetch, f"{at.status}/metrics"))[1]
        assert 'davylamp_edge_beacon_lost{node="edge-1"} 1' in metrics
        assert 'davylamp_edge_beacon_losses_total{node="edge-1"} 1' in metrics


async def site_of_a_cloud(tmp_path: Path, mosquitto: Broker, cloud: CloudProcess, until_killed: bool) -> None:
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig, relay_module(watchdog_s=5) as module:
        more = beacon(f"127.0.0.1:{module.port}", 'engine = "cloud"\nsilent_s = 10\n')
        with edge_process(config_of(tmp_path, mosquitto, rig.address, more=more)):
            await shows(module, seconds=30, watchdog=True)
            if until_killed:
                cloud.kill()
                await shows(module, seconds=20, watchdog=False)
                await shows(module, lamp=True, horn=False)


@pytest.mark.parametrize("until_killed", [False, pytest.param(True, marks=pytest.mark.torture)])
async def test_s13_a_real_clouds_engine_holds_the_contact_of_a_real_beacon_and_its_end_opens_it(
    tmp_path: Path, mosquitto: Broker, until_killed: bool
) -> None:
    cloud = CloudProcess(tmp_path, mosquitto).start()
    try:
        await site_of_a_cloud(tmp_path, mosquitto, cloud, until_killed)
    finally:
        cloud.stop()


async def test_a_reload_gives_the_agent_another_module_and_takes_it_away(tmp_path: Path, mosquitto: Broker) -> None:
    async with site(tmp_path, mosquitto) as at, relay_module() as other:
        await at.living()
        text = at.config.read_text()
        at.config.write_text(text.replace(f":{at.module.port}", f":{other.port}"))
        at.edge.reload()
        await shows(other, watchdog=True)
        assert not at.module.coils[WATCHDOG]
        at.config.write_text(text.replace(beacon(f"127.0.0.1:{at.module.port}"), ""))
        at.edge.reload()
        await shows(other, watchdog=False)


# What stands here


LOCAL = """
zh = "试验台"
en = "rig"
""" + "".join(
    f"""
[points.{name}]
zh = "液位"
en = "level"
unit = "%"
type = "uint16"
scan_s = 0.05
local = true
address = {{modbus = "holding:{at}"}}
[points.{name}.limits.H]
value = 80
deadband = 5
action = {{zh = "查看", en = "look"}}
source = {{standard = "test", basis = "proposal"}}
"""
    for at, name in enumerate(("level", "pressure"))
)


async def test_s28_local_alarms_light_sound_break_a_silence_and_outlive_a_killed_agent_and_a_dead_broker(
    tmp_path: Path,
) -> None:
    """No broker at all: register, scan, limit, journal and relay are all on site."""
    async with plc(holding=[50, 50, 0, 0]) as rig, relay_module(watchdog_s=1.5) as module:
        more = beacon(f"127.0.0.1:{module.port}", 'engine = "local"\n')
        config = config_of(tmp_path, Broker(tmp_path, 1), rig.address, profile=LOCAL, more=more)
        with edge_process(config) as edge:
            await shows(module, lamp=False, horn=False, watchdog=True)
            await rig.write("holding", 0, [81])
            await shows(module, lamp=True, horn=True, watchdog=True)
            assert await asyncio.to_thread(command, "silence", config) == OK
            await shows(module, lamp=True, horn=False)
            assert await asyncio.to_thread(command, "test", config) == FAILED
            await rig.write("holding", 1, [90])
            await shows(module, lamp=True, horn=True)
            edge.kill()
            await shows(module, watchdog=False)
            edge.start()
            await shows(module, lamp=True, horn=True, watchdog=True)
            await rig.write("holding", 0, [50, 50])
            await shows(module, lamp=False, horn=False, watchdog=True)


# What a config may say


def checked(folder: Path, more: str, address: str = "192.0.2.1:502") -> str:
    """Return what `load_edge` says of a config; nothing where it is sound."""
    config = config_of(folder, Broker(folder, 1883), address, more=more)
    try:
        load_edge(config)
    except ConfigError as error:
        return str(error)
    return ""


def test_a_beacon_with_its_own_module_is_a_sound_config_and_check_says_what_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(tmp_path, beacon("192.0.2.9:502")) == ""
    assert main(["check", str(tmp_path / "edge.toml")]) == OK
    said = capsys.readouterr().out
    assert "beacon: unit 1 at 192.0.2.9:502: lamp 0, horn 1, watchdog 2" in said
    assert "these coils are all that Davylamp ever writes" in said


@pytest.mark.parametrize(
    ("address", "polled"),
    [
        ("192.0.2.1:502", "192.0.2.1:502"),
        ("tcp://192.0.2.1", "192.0.2.1:502"),
        ("rtu-tcp://192.0.2.1:4001", "rtu-tcp://192.0.2.1:4001"),
        ("serial:///dev/ttyUSB0?baud=9600&parity=none", "serial:///dev/ttyUSB0?baud=9600&parity=even"),
    ],
)
def test_s28_a_module_on_a_line_of_the_plant_is_refused(tmp_path: Path, address: str, polled: str) -> None:
    said = checked(tmp_path, beacon(address), polled)
    assert "is polled as device 'rig', and Davylamp writes to no plant" in said
    assert "relay module on a connection of its own" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (beacon("ftp://192.0.2.9"), "beacon.address: 'ftp://192.0.2.9': Modbus does not go over 'ftp'"),
        (beacon("rtu-tcp://192.0.2.9:4001", "unit = 0\n"), "beacon.unit: 0 is every device of a serial line"),
        (beacon("192.0.2.9").replace("horn = 1", "horn = 0"), "beacon.coils: two outputs share a coil"),
        (beacon("192.0.2.9") + "[beacon.buttons]\ntest = 1\nsilence = 1\n", "test and silence share an input"),
        (
            beacon("192.0.2.9").replace("horn = 1\n", "") + "[beacon.buttons]\nsilence = 1\n",
            "beacon: lamp and horn share a coil: nothing can be silenced",
        ),
        (beacon("192.0.2.9", "silent_s = 300\n"), "beacon.silent_s"),
        (beacon("192.0.2.9").replace("watchdog = 2\n", ""), "beacon.coils.watchdog: is missing"),
    ],
)
def test_each_mistake_of_a_beacon_is_named(tmp_path: Path, more: str, said: str) -> None:
    assert said in checked(tmp_path, more)


def test_a_link_that_carries_nothing_back_cannot_prove_the_clouds_engine(tmp_path: Path) -> None:
    config = config_of(tmp_path, Broker(tmp_path, 1883), "192.0.2.1:502", more=beacon("192.0.2.9"))
    config.write_text("one_way = true\n" + config.read_text())
    with pytest.raises(ConfigError, match=r'beacon.engine: with one_way .* write engine = "local"'):
        load_edge(config)


def test_the_engine_of_an_edge_that_decides_nothing_is_refused_and_a_beacon_without_alarms_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = beacon("192.0.2.9", 'engine = "local"\n')
    assert "beacon.engine: no point has local = true" in checked(tmp_path, alone)
    assert (
        main(["check", str(config_of(tmp_path, Broker(tmp_path, 1883), "192.0.2.1", more=beacon("192.0.2.9")))]) == OK
    )
    assert "it tells of a silent engine, and of red alarms while the cloud says so" in capsys.readouterr().out
    config = config_of(tmp_path, Broker(tmp_path, 1883), "192.0.2.1", profile=LOCAL, more=alone)
    assert main(["check", str(config)]) == OK
    config.write_text(config.read_text() + "[devices.points.level]\nlocal = false\n")
    assert main(["check", str(config)]) == OK
    config.write_text(config.read_text() + "[devices.points.pressure]\nlocal = false\n")
    assert main(["check", str(config)]) == BAD_INPUT


def test_a_journal_too_deep_for_the_beacons_socket_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * LONGEST_PATH)
    folder.mkdir()
    assert f"longer than {LONGEST_PATH} bytes; choose a shorter one" in checked(folder, beacon("192.0.2.9"))


def test_asking_where_nobody_answers_says_so_and_a_config_without_journal_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(tmp_path, Broker(tmp_path, 1883), "192.0.2.1:502")
    assert command("state", config) == FAILED
    assert "is it running, with a [beacon]?" in capsys.readouterr().err
    config.write_text("[journal]\n")
    assert command("state", config) == BAD_INPUT
    assert "journal.path: names no file" in capsys.readouterr().err
