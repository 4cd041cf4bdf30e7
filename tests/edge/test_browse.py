"""What a real server has, listed and drafted as a profile."""

import asyncio
import os
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from davylamp_edge.__main__ import BAD_INPUT, FAILED, OK, main
from davylamp_edge.browse import browsed, drafted, listed
from davylamp_edge.drivers import opcua_browse
from davylamp_edge.drivers.opcua_browse import Variable
from davylamp_edge.opcua_settings import OpcuaSettings
from davylamp_edge.point_list.draft import table_text
from davylamp_wire.piping import UNREAD
from davylamp_wire.profile import load_profile
from support import services
from support.field import PLANT_URI, OpcuaPlant, opcua_plant

in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[OpcuaPlant]:
    """A server with a tank, as a PLC shows it: properties, an array, a circle, names in Chinese."""
    async with opcua_plant(services.free_port(), level=1.5) as running:
        at, objects = running.namespace, running.server.nodes.objects
        tank = await objects.add_object(at, "Tank1")
        level = await tank.add_variable(ua.NodeId(ua.String("T1.Level"), ua.Int16(at)), "Level", 42.5)
        await level.add_property(at, "EURange", ua.Range(0.0, 80.0))
        await level.add_property(at, "EngineeringUnits", ua.EUInformation(DisplayName=ua.LocalizedText("%")))
        described = ua.DataValue(ua.Variant(ua.LocalizedText("罐 1 液位")))
        await level.write_attribute(AttributeIds.Description, described)
        gas = await tank.add_variable(at, "气体", 0.0)
        await gas.add_property(at, "EngineeringUnits", ua.EUInformation(DisplayName=ua.LocalizedText("%LEL")))
        await tank.add_variable(at, "Trend", [1.0, 2.0])
        pump = await tank.add_object(at, "Pump")
        await pump.add_variable(at, "Running", True)
        await pump.add_variable(at, "Level", 7, ua.VariantType.UInt16)
        await pump.add_reference(tank, ObjectIds.Organizes)
        yield running


async def look(plant: OpcuaPlant, under: str = "", depth: int = 10, match: tuple[str, ...] = ()) -> list[Variable]:
    return await browsed(plant.address, OpcuaSettings(), under=under, depth=depth, match=match)


@in_one_loop
async def test_every_variable_is_found_once_with_its_type_range_unit_and_description(plant: OpcuaPlant) -> None:
    found = {"/".join(each.path): each for each in await look(plant)}
    assert found.keys() == {
        "level",
        "Tank1/Level",
        "Tank1/气体",
        "Tank1/Trend",
        "Tank1/Pump/Running",
        "Tank1/Pump/Level",
    }
    assert found["Tank1/Level"] == Variable(
        ("Tank1", "Level"), f"nsu={PLANT_URI};s=T1.Level", "float64", "%", (0.0, 80.0), "罐 1 液位", "42.5"
    )
    assert found["Tank1/Trend"].type == ""
    assert [found[name].type for name in ("Tank1/Pump/Running", "Tank1/Pump/Level")] == ["bool", "uint16"]


@in_one_loop
async def test_depth_pattern_and_start_narrow_what_is_listed(plant: OpcuaPlant) -> None:
    assert [each.path for each in await look(plant, depth=1)] == [("level",)]
    assert len(await look(plant, match=("*/Level", "level"))) == 3
    assert [each.path for each in await look(plant, match=("*Run*",))] == [("Tank1", "Pump", "Running")]
    with pytest.raises(ValueError, match="Tank1"):
        await look(plant, under="Tank1")


@in_one_loop
async def test_a_servers_limits_and_long_answers_are_kept(plant: OpcuaPlant, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await look(plant)
    monkeypatch.setattr(opcua_browse, "AT_ONCE", 1)
    assert await look(plant) == whole
    monkeypatch.setattr(opcua_browse, "MOST", 2)
    assert len(await look(plant)) == 2


@in_one_loop
async def test_the_draft_is_a_profile_that_check_accepts(plant: OpcuaPlant, tmp_path: Path) -> None:
    (tmp_path / "drafts").mkdir()
    path = tmp_path / "drafts" / "tank.toml"
    path.write_text(drafted(await look(plant), plant.address), encoding="utf-8")
    points = load_profile(path).points
    assert set(points) == {"level", "Level", "Tank1", "Running", "Pump_Level"}
    assert points["Level"].range == (0.0, 80.0)
    assert (points["Level"].zh, points["Level"].plant_tag) == ("罐 1 液位", "Level")
    assert points["Tank1"].kind == "gas"
    assert points["Running"].kind == "status"
    config = tmp_path / "edge.toml"
    config.write_text(
        'node = "e"\nprofiles = "."\nbroker.host = "b"\njournal.path = "j"\n'
        '[[devices]]\nname = "tank"\nprofile = "tank"\n'
        f'driver = "opcua"\nhazard_source = "h"\naddress = "{plant.address}"\n'
    )
    assert main(["check", str(config)]) == OK


@in_one_loop
async def test_the_command_lists_and_writes_and_replaces_nothing(
    plant: OpcuaPlant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["browse", plant.address, "--match", "Tank1/*", "--write-profile", str(tmp_path / "tank" / "tank.toml")]
    assert await asyncio.to_thread(main, command) == OK
    said = capsys.readouterr().out
    assert f'Tank1/Level  float64  0..80 %  = 42.5  nsu={PLANT_URI};s=T1.Level  "罐 1 液位"' in said
    assert "(no tag: not a plain value)" in said
    assert '[[devices]] with profile = "tank"' in said
    assert await asyncio.to_thread(main, command) == BAD_INPUT
    said = capsys.readouterr().err
    assert "exists and is not replaced" in said
    assert "已存在，不会覆盖" in said


@in_one_loop
async def test_a_pattern_that_fits_nothing_is_said(plant: OpcuaPlant, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(main, ["browse", plant.address, "--match", "Tank9/*"]) == BAD_INPUT
    assert "try another --under or --match" in capsys.readouterr().err


def test_a_server_that_is_not_there_and_an_address_that_is_none_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["browse", f"opc.tcp://127.0.0.1:{services.free_port()}"]) == FAILED
    said = capsys.readouterr().err
    assert "OPC UA server 127.0.0.1" in said
    assert "请检查地址、端口、防火墙" in said
    assert main(["browse", "127.0.0.1:4840"]) == BAD_INPUT
    assert "write opc.tcp://host:port/path" in capsys.readouterr().err
    assert main(["browse", "opc.tcp://127.0.0.1:4840", "--policy", "Basic256Sha256"]) == BAD_INPUT
    assert "needs certificate_file, key_file, trust_folder" in capsys.readouterr().err
    assert main(["browse", "opc.tcp://127.0.0.1:4840", "--username", "reader"]) == BAD_INPUT
    assert "command line: username and password_file belong together" in capsys.readouterr().err


def test_a_variable_without_a_latin_letter_gets_a_number() -> None:
    found = [Variable(("罐", "液位"), "nsu=urn:x;i=1", "float32")]
    assert "[points.point_1]" in drafted(found, "opc.tcp://plc")
    assert list(listed(found)) == ["罐/液位  float32  =   nsu=urn:x;i=1"]


@in_one_loop
async def test_a_list_that_is_read_no_further_ends_in_silence(plant: OpcuaPlant) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = (sys.executable, "-u", "-m", "davylamp_edge", "browse", plant.address)
    asked = await asyncio.create_subprocess_exec(*command, stdout=writes, stderr=asyncio.subprocess.PIPE)
    os.close(writes)
    _, complaint = await asked.communicate()
    assert (asked.returncode, complaint.decode()) == (UNREAD, "")


def test_whatever_a_server_says_can_be_written_into_a_profile() -> None:
    said = "".join(map(chr, range(0x100))) + "液位\U0001f525"
    assert tomllib.loads(table_text("[x]", {"name": said})) == {"x": {"name": said}}
