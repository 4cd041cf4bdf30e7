"""The OPC UA server on a real socket, read by asyncua's client through a line that can fail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.common.subscription import DataChangeEvent
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError
from davylamp_simulators.ledger import read_ledger
from davylamp_simulators.opcua import NAMESPACE, local_id
from davylamp_simulators.scenario import LineMode, LineState
from davylamp_simulators.site import Site
from davylamp_wire.config import ConfigError
from davylamp_wire.point import Point
from support.sites import SPHERE, small_site

BROKEN = """
zh = "断"
en = "broken"
[[actions]]
at_s = 0.0
device = "lpg-sphere"
point = "gas_1"
condition = "wire-break"
[[actions]]
at_s = 0.0
device = "lpg-sphere"
point = "gas_2"
condition = "over-range"
[[actions]]
at_s = 0.0
device = "lpg-sphere"
point = "press"
condition = "no-value"
"""


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[Client]:
    async with site:
        client = Client(f"opc.tcp://127.0.0.1:{site.ports['lpg-sphere']}", timeout=10)
        async with client:
            yield client


async def node(client: Client, name: str) -> Node:
    index = await client.get_namespace_index(NAMESPACE)
    return client.get_node(f"ns={index};s={name}")


async def test_a_point_is_read_with_its_time_and_noted_once_a_read(tmp_path: Path) -> None:
    async with connected(small_site(tmp_path, SPHERE)) as client:
        level = await node(client, "level_a")
        first = await level.read_data_value()
        assert first.Value is not None
        await level.read_data_value()
    noted = read_ledger(tmp_path / "ledger.jsonl")["lpg-sphere", "level_a"]
    assert [one.value for one in noted][:1] == [first.Value.Value]
    assert len(noted) == 2
    assert first.SourceTimestamp is not None
    assert first.SourceTimestamp.microsecond // 1000 == noted[0].served_ms % 1000


async def test_each_condition_has_its_status(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text(BROKEN)
    site = small_site(tmp_path, SPHERE, scenario="broken.toml")
    async with connected(site) as client:
        device = site.devices[0]
        device.source.advance(0.1)
        device.show()
        statuses = {}
        for name in ("gas_1", "gas_2", "press", "temp", "esdv", "hh_switch"):
            read = await (await node(client, name)).read_data_value(raise_on_bad_status=False)
            statuses[name] = (read.StatusCode.value if read.StatusCode else 0, read.Value.Value if read.Value else None)
    assert statuses["gas_1"] == (StatusCodes.BadSensorFailure, None)
    assert statuses["gas_2"] == (StatusCodes.UncertainEngineeringUnitsExceeded, 110.0)
    assert statuses["press"] == (StatusCodes.BadNoDataAvailable, None)
    assert statuses["temp"][0] == StatusCodes.Good
    assert statuses["esdv"] == (StatusCodes.Good, 1)
    assert statuses["hh_switch"] == (StatusCodes.Good, False)
    noted = read_ledger(tmp_path / "ledger.jsonl")
    assert [noted["lpg-sphere", name][-1].value for name in ("gas_1", "gas_2", "press")] == [None, 110.0, None]


async def test_a_subscriber_is_told_what_changes_and_each_telling_is_noted_once(tmp_path: Path) -> None:
    site = small_site(tmp_path, SPHERE)
    async with connected(site) as client:
        subscription = await client.create_subscription(50)
        await subscription.subscribe_data_change(await node(client, "level_a"))
        came = []
        async for event in subscription:
            assert isinstance(event, DataChangeEvent)
            came.append(event.value)
            if len(came) == 3:
                break
        await subscription.delete()
    noted = read_ledger(tmp_path / "ledger.jsonl")["lpg-sphere", "level_a"]
    assert [one.value for one in noted][:3] == came
    assert len(set(came)) == 3


async def test_a_dead_line_holds_requests_back_so_nothing_is_served_unseen(tmp_path: Path) -> None:
    site = small_site(tmp_path, SPHERE)
    line = site.devices[0].line
    async with site:
        client = Client(f"opc.tcp://127.0.0.1:{site.ports['lpg-sphere']}", timeout=1)
        async with client:
            level = await node(client, "level_a")
            site.devices[0].source.line = LineState(mode=LineMode.DEAD)  # type: ignore[misc]  # a process's is plain
            line.move(LineState(mode=LineMode.DEAD), 0.0)
            with pytest.raises((TimeoutError, UaError, ConnectionError)):
                await level.read_data_value()
            assert read_ledger_points(site, tmp_path) == 0
            site.devices[0].source.line = LineState()  # type: ignore[misc]  # a process's is plain
            line.move(LineState(), 0.0)
    assert line.mode is LineMode.OK


def read_ledger_points(site: Site, folder: Path) -> int:
    assert site._ledger is not None
    site._ledger.flush()
    return len(read_ledger(folder / "ledger.jsonl"))


def test_a_node_id_of_another_server_is_refused() -> None:
    point = Point.model_validate({"zh": "点", "en": "p", "unit": "", "address": {"opcua": "ns=2;s=x"}})
    with pytest.raises(ConfigError, match="ns=2;s=x"):
        local_id("p", point)
