"""An alarm without the cloud, end to end: a Modbus device, the real edge, Mosquitto, the real cloud, all processes."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cloud_process import CloudProcess
from support.edge_process import config_of, edge_process, fetch
from support.field import plc
from support.services import Broker, free_port, stop

PROFILE = """
zh = "氯气库"
en = "chlorine store"
[points.cl2_1]
zh = "氯气浓度"
en = "chlorine"
unit = "ppm"
kind = "gas"
type = "uint16"
scale = 0.1
range = [0, 20]
scan_s = 0.1
local = true
address = {modbus = "holding:0"}
[points.cl2_1.limits.L2]
value = 3
deadband = 0.3
action = {zh = "撤离", en = "leave"}
source = {standard = "test", basis = "proposal"}
"""


async def until(condition: Callable[[], Any], what: str, seconds: float = 40) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = await asyncio.to_thread(condition)
        if found:
            return found
        await asyncio.sleep(0.05)  # other processes are at work
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


def standing(port: int) -> int:
    """Return how many local alarms stand at the edge; -1 while it does not answer."""
    try:
        page = fetch(f"http://127.0.0.1:{port}/metrics")[1]
    except OSError:
        return -1
    return int(page.partition('local_alarms_standing{node="edge-1"} ')[2].partition("\n")[0] or -1)


def story(cloud: CloudProcess) -> list[dict[str, Any]]:
    """Return what the cloud recorded of the detector's L2, oldest first."""
    rows = cloud.get("/api/v1/transitions?limit=1000")["items"]
    return sorted((row for row in rows if row["alarm_id"].endswith("cl2_1#L2")), key=lambda row: row["source_no"])


@pytest.mark.timeout(240)
async def test_an_alarm_raised_without_broker_and_over_a_sigkill_arrives_once_with_its_own_time(
    tmp_path: Path, mosquitto: Broker
) -> None:
    port = free_port()
    cloud = CloudProcess(tmp_path, mosquitto).start()
    assert cloud.running is not None
    try:
        async with plc(holding=[5, 0, 0, 0]) as rig:
            config = config_of(tmp_path, mosquitto, rig.address, profile=PROFILE, report="changes", status=port)
            with edge_process(config) as edge:
                await until(lambda: cloud.get("/api/v1/tags")["items"], "the tags")
                mosquitto.kill()
                before_ms = int(time.time() * 1000)
                await rig.write("holding", 0, [45])
                await until(lambda: standing(port) == 1, "the raise at the edge")
                after_ms = int(time.time() * 1000)
                await rig.write("holding", 0, [52])
                await asyncio.sleep(1)  # the record is on disk
                edge.kill()
                edge.start()
                await until(lambda: standing(port) == 1, "the edge again, its alarm standing")
                assert story(cloud) == []
                mosquitto.start()
                (raised,) = await until(lambda: story(cloud), "the raise in the cloud")
                assert before_ms <= raised["raised_ms"] <= after_ms
                assert (raised["event"], raised["value"], raised["limit"]) == ("raised", 4.5, 3.0)
                (alarm,) = [each for each in cloud.alarms() if each["kind"] == "L2"]
                path = f"/api/v1/alarms/{alarm['occurrence']}/acknowledge"
                cloud.post(path, version=alarm["version"], comment="seen")
                await rig.write("holding", 0, [5])
                await until(lambda: len(story(cloud)) == 3, "acknowledgement and return")
                assert [row["event"] for row in story(cloud)] == ["raised", "acknowledged", "cleared"]
                assert edge.terminate() == 0
    finally:
        stop(cloud.running)
