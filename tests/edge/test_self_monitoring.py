"""The edge as a device of its own: real figures, on the way of every reading, with ordinary alarms in a real cloud."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.server import Server
from davylamp_edge.check import load_edge
from davylamp_edge.install import install_self
from davylamp_edge.journal import Journal
from davylamp_edge.machine import MACHINE, Machine
from davylamp_edge.records import Entry, JournalClass
from davylamp_edge.scan import ScanResult
from davylamp_edge.self_monitoring import SelfMonitor
from davylamp_edge.summary import summarise
from davylamp_wire.config import ConfigError
from davylamp_wire.describe import DeviceDescription
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import DESCRIPTION
from davylamp_wire.profile import load_profiles, shipped_profiles
from davylamp_wire.topic import MessageType
from support import pki, services
from support.certificates import tls_broker
from support.cloud_process import CloudProcess, until
from support.edge_host import EdgeHost, edge_host
from support.edge_process import came, config_of, edge_process
from support.field import edge_config, opcua_plant, plc
from support.services import Broker

PROFILES = load_profiles(shipped_profiles())
DEVICE = "davylamp/edge-1/_edge"
OWN = '[self_monitoring]\nhazard_source = "gateways"\n'


def told(host: EdgeHost) -> dict[str, Any]:
    """Return what the edge said last of each of its own points."""
    birth = next(seen for seen in host.of(MessageType.DBIRTH) if seen.topic.device == "_edge")
    names = {metric.alias: metric.name for metric in birth.message.metrics}
    data = [seen for seen in host.of(MessageType.DDATA) if seen.topic.device == "_edge"]
    return {names[metric.alias]: metric.value for seen in data for metric in seen.message.metrics}


async def test_the_real_edge_is_born_as_a_device_and_tells_what_it_measures(tmp_path: Path, mosquitto: Broker) -> None:
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig:
        with edge_host(mosquitto) as host, edge_process(config_of(tmp_path, mosquitto, rig.address, more=OWN)) as edge:
            await came(host, lambda: any(seen.topic.device == "_edge" for seen in host.of(MessageType.DBIRTH)), "birth")
            await came(host, lambda: len(told(host)) > 10, "its figures")
            birth = next(seen for seen in host.of(MessageType.DBIRTH) if seen.topic.device == "_edge")
            described = DeviceDescription.decode(str(birth.message.value(DESCRIPTION)))
            assert (described.profile, described.hazard_source) == ("edge", "gateways")
            assert described.points["disk_free"].limits["LL"].source.basis == "proposal"  # type: ignore[index]  # a StrEnum's text
            figures = told(host)
            assert 0 < figures["disk_free"] <= 100
            assert figures["memory"] > 10
            assert (figures["comm_ok"], figures["journal_refused"], figures["records_lost"]) == (True, False, 0)
            assert len(figures["config"]) == 12
            assert "certificate_days" not in described.points
            assert await edge.terminate() == 0


async def test_a_certificate_that_ends_today_is_an_alarm_in_the_cloud(tmp_path: Path) -> None:
    """30, 7 and 1 days have come; each is its own alarm, on the tag of the edge, where `gateways` hears it."""
    with tls_broker(tmp_path) as (authority, tls, plain):
        own = authority.sign("edge-1", days=0.5)
        lines = f'[broker.tls]\nca_file = "{authority.file}"\ncert_file = "{own.cert}"\nkey_file = "{own.key}"\n'
        cloud = CloudProcess(tmp_path, plain).start()
        try:
            async with plc(holding=[0] * 8, coils=[True] * 8) as rig:
                with edge_process(config_of(tmp_path, tls, rig.address, broker=lines, more=OWN)):
                    await asyncio.to_thread(until, lambda: len(raised(cloud)) == 3, "the three alarms")
                    assert not any("during link loss" in alarm["text"]["en"] for alarm in cloud.alarms())
                    assert raised(cloud) == {
                        (f"{DEVICE}/certificate_days", "L", "gateways", "yellow"),
                        (f"{DEVICE}/certificate_days", "LL", "gateways", "orange"),
                        (f"{DEVICE}/certificate_last_day", "HH", "gateways", "orange"),
                    }
        finally:
            cloud.stop()


async def test_an_opcua_certificate_that_ends_today_is_an_alarm_in_the_cloud(tmp_path: Path, mosquitto: Broker) -> None:
    """The server's ends first: the edge knows it from the handshake alone, though it refuses the server."""
    theirs = pki.write(tmp_path / "plc", "plc", pki.own("urn:plc", "127.0.0.1"))
    own = pki.write(tmp_path / "tls", "edge", pki.own("urn:plant:edge-1", days=20))
    pki.write(tmp_path / "trusted", "another", pki.own("urn:another"))

    async def secure(server: Server) -> None:
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        await server.load_certificate(str(theirs[0]))
        await server.load_private_key(str(theirs[1]), format="pem")

    cloud = CloudProcess(tmp_path, mosquitto).start()
    try:
        async with opcua_plant(services.free_port(), secure=secure) as server:
            path = config_of(tmp_path, mosquitto, server.address, more=f"{OWN}points.memory.scan_s = 0.5\n")
            settings = f'policy = "Basic256Sha256", certificate_file = "{own[0]}", key_file = "{own[1]}"'
            table = f'driver = "opcua"\nopcua = {{{settings}, trust_folder = "{tmp_path}/trusted"}}\n'
            config = path.read_text().replace('driver = "modbus"\n', table)
            path.write_text(config)
            profile = tmp_path / "profiles/test/rig.toml"
            profile.write_text(re.sub(r"modbus = .*}", 'opcua = "i=1"}', profile.read_text()))
            with edge_process(path) as edge:
                await asyncio.to_thread(until, lambda: len(raised(cloud)) == 3, "the three alarms")
                assert raised(cloud) == {
                    (f"{DEVICE}/opcua_certificate_days", "L", "gateways", "yellow"),
                    (f"{DEVICE}/opcua_certificate_days", "LL", "gateways", "orange"),
                    (f"{DEVICE}/opcua_certificate_last_day", "HH", "gateways", "orange"),
                }
                assert 'certificate="server of rig"' in edge.log.read_text()
    finally:
        cloud.stop()


def raised(cloud: CloudProcess) -> set[tuple[str, str, str, str]]:
    """Return tag, kind, level and hazard source of the alarms about certificates."""
    keys = ("tag", "kind", "hazard_source")
    alarms = [alarm for alarm in cloud.alarms() if "certificate" in str(alarm["tag"])]
    return {(*(str(alarm[key]) for key in keys), alarm["priority"]["level"]) for alarm in alarms}


def test_a_figure_that_is_not_known_yet_holds_nothing_back_and_repeats_are_held_back() -> None:
    config = edge_config({"name": "a", "profile": "p", "driver": "modbus", "hazard_source": "h", "address": "x"})
    config = config.model_validate(config.model_dump() | {"self_monitoring": {"hazard_source": "gateways"}})
    installed = install_self(config, PROFILES)
    assert installed is not None
    results: list[ScanResult] = []
    now = iter(range(0, 1_000_000, 10_000))
    stamps = [0]
    monitor = SelfMonitor(installed, results.append, dict, lambda: stamps[0])

    def said() -> dict[str, Any]:
        rows = [zip(result.points, result.values, strict=True) for result in results]
        results.clear()
        return {installed.names[point]: value for row in rows for point, value in row}

    for figures, expected in (
        ({"clock_offset": None, "disk_free": 50.0}, {"disk_free": 50.0, "comm_ok": True}),
        ({"clock_offset": 7, "disk_free": 50.0}, {"clock_offset": 7}),
        ({"clock_offset": 7, "disk_free": 9.0}, {"disk_free": 9.0}),
    ):
        stamps[0] = next(now)
        monitor.report(figures)
        assert said() == expected


def test_the_machine_says_what_it_can_and_is_silent_about_the_rest(tmp_path: Path) -> None:
    figures = Machine(tmp_path / "journal.db", board=tmp_path / "none").figures()
    assert figures.keys() == set(MACHINE) - {"board_temperature"}
    (tmp_path / "temp").write_text("51500\n")
    assert Machine(tmp_path / "journal.db", board=tmp_path / "temp").figures()["board_temperature"] == 51.5


def test_the_journal_says_how_much_waits_and_since_when(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", 1 << 20) as journal:
        assert journal.waiting() == (0.0, None)
        journal.append([Entry("rig", JournalClass.LIVE, bytes(1000), 1000 + n) for n in range(100)])
        share, oldest = journal.waiting()
        assert oldest is not None
        assert oldest[1] == 1000
        assert 0.1 < share <= 1
        journal.confirm(Intervals([(1, 50)]))
        half, oldest = journal.waiting()
        assert oldest == (51, 1050)
        assert half == pytest.approx(share / 2, rel=0.1)
        journal.confirm(Intervals([(1, 100)]))
        assert journal.waiting() == (0.0, None)


def test_mistakes_in_the_section_are_named(tmp_path: Path) -> None:
    path = config_of(
        tmp_path, Broker(tmp_path, 1), "127.0.0.1:1", more=f'{OWN}name = "RIG"\npoints.disk_fre.scan_s = 1\n'
    )
    with pytest.raises(ConfigError) as refused:
        load_edge(path)
    name, point = refused.value.mistakes
    assert "self_monitoring.name: a device is called 'rig' already" in name
    assert "self_monitoring.points.disk_fre: profile 'edge' has no such point" in point


def test_check_says_that_the_edge_watches_itself(tmp_path: Path) -> None:
    config, profiles = load_edge(config_of(tmp_path, Broker(tmp_path, 1), "127.0.0.1:1", more=OWN))
    assert any("_edge (edge, the edge itself): up to" in line for line in summarise(config, profiles))
