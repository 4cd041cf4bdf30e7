"""Looking at single nodes of a real OPC UA server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes
from davylamp_edge.__main__ import BAD_INPUT, FAILED, OK, main
from support import services
from support.field import PLANT_URI, OpcuaPlant, opcua_plant

in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[OpcuaPlant]:
    async with opcua_plant(services.free_port(), plain=1.5, words="罐") as running:
        at, tank = running.namespace, running.server.nodes.objects
        level = await tank.add_variable(ua.NodeId(ua.String("T1.Level"), ua.Int16(at)), "Level", 42.5)
        await level.add_property(at, "EURange", ua.Range(0.0, 80.0))
        await level.add_property(at, "EngineeringUnits", ua.EUInformation(DisplayName=ua.LocalizedText("%")))
        await tank.add_variable(ua.NodeId(ua.String("Trend"), ua.Int16(at)), "Trend", [1.0, 2.0])
        yield running


def stamp(when: datetime) -> ua.DateTime:
    return ua.DateTime.fromtimestamp(when.timestamp(), UTC)


async def probe(plant: OpcuaPlant, *names: str) -> int:
    nodes = [f"nsu={PLANT_URI};s={name}" for name in names]
    return await asyncio.to_thread(main, ["probe", plant.address, *nodes])


@in_one_loop
async def test_a_node_is_shown_with_all_the_server_says_of_it(
    plant: OpcuaPlant, capsys: pytest.CaptureFixture[str]
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    told = ua.DataValue(
        ua.Variant(42.5),
        ua.StatusCode(ua.UInt32(StatusCodes.UncertainLastUsableValue)),
        SourceTimestamp=stamp(long_ago),
        ServerTimestamp=stamp(datetime.now(UTC)),
    )
    await plant.write("T1.Level", told)
    assert await probe(plant, "T1.Level") == OK
    lines = capsys.readouterr().out.splitlines()
    said = {line[:14].strip(): line[14:].strip() for line in lines[1:-1]}
    assert lines[0] == f"nsu={PLANT_URI};s=T1.Level"
    assert said["status"] == "UncertainLastUsableValue (0x40900000)"
    assert said["value"] == "42.5"
    assert said["read as"] == "42.5, uncertain, STALE"
    assert said["type"] == 'Double: type = "float64"'
    assert said["name"] == "Level"
    assert said["range, unit"] == "0 to 80 %"
    assert said["source time"].startswith(long_ago.isoformat(timespec="milliseconds"))
    assert said["source time"].endswith("s old")
    assert "T" in said["server time"]
    assert said["access"] == "read; for us: read"
    assert lines[-1].startswith("the server's clock is ")


@in_one_loop
async def test_what_a_server_does_not_say_and_what_is_no_tag_is_said(
    plant: OpcuaPlant, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await probe(plant, "plain", "words", "Trend") == OK
    said = capsys.readouterr().out
    assert "not said (no EURange, EngineeringUnits)" in said
    assert "'罐', good" in said
    assert "no tag, not a plain value" in said


@in_one_loop
async def test_a_node_that_is_not_there_harms_no_other_and_fails(
    plant: OpcuaPlant, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await probe(plant, "Nobody", "plain") == FAILED
    said = capsys.readouterr().out
    assert "BadNodeIdUnknown" in said
    assert "davylamp-edge browse lists what it has" in said
    assert "1.5, good" in said
    assert await asyncio.to_thread(main, ["probe", plant.address, "nsu=urn:another;s=plain"]) == FAILED


def test_what_cannot_be_asked_of_a_server_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "opc.tcp://127.0.0.1", "i=1"]) == BAD_INPUT
    assert "write opc.tcp://host:port/path" in capsys.readouterr().err
    assert main(["probe", "127.0.0.1:502", "holding:1", "holding:2"]) == BAD_INPUT
    assert "one place at a time" in capsys.readouterr().err
    assert main(["probe", f"opc.tcp://127.0.0.1:{services.free_port()}", "i=1"]) == FAILED
    said = capsys.readouterr().err
    assert "OPC UA server 127.0.0.1" in said
    assert "look at address, port and firewall" in said
    assert main(["probe", f"127.0.0.1:{services.free_port()}", "holding:1"]) == FAILED
    assert "look at address, cable, firewall and --unit" in capsys.readouterr().err


@in_one_loop
async def test_a_node_id_that_is_none_is_bad_input(plant: OpcuaPlant, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(main, ["probe", plant.address, "Level"]) == BAD_INPUT
    assert "'Level' is no node id" in capsys.readouterr().err
