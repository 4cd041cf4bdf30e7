"""An alarm without the cloud, end to end: a Modbus device, the real edge, Mosquitto, the real cloud, all processes."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.told import AT_EDGE
from davylamp_edge.journal import Journal
from davylamp_edge.records import JournalClass
from davylamp_wire.intervals import Intervals
from davylamp_wire.local_alarm import decode_word
from davylamp_wire.payload import data_payload, decode
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


def occurrence_in(row: dict[str, Any]) -> int | None:
    """Return which of the edge's occurrences a transition is about."""
    said = str(row["comment"])
    return int(said.partition(",")[0].rpartition("-")[2]) if said.startswith(AT_EDGE) else None


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
                assert await edge.terminate() == 0
    finally:
        stop(cloud.running)


def decided(folder: Path) -> set[int]:
    """Return the occurrences of the detector's L2 in the journal of an edge that has stopped."""
    with Journal.open(folder / "journal.db", 1 << 26) as journal:
        journal.confirm(Intervals())
        kept = journal.read(JournalClass.ALARM, 0, journal.last_record, 100_000)
    metrics = [metric for r in kept for metric in decode(data_payload(r.body, seq=0, sent_ms=0)).metrics]
    words = [decode_word(str(metric.value), metric.time_ms or 0) for metric in metrics]
    return {alarm.no for word in words for alarm in word.alarms if alarm.kind == "L2" and alarm.no}


@pytest.mark.torture
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_killed_each_occurrence_is_told_once(tmp_path: Path, mosquitto: Broker, seed: int) -> None:
    """Forty seconds of a value that comes and goes, while edge, cloud and broker are killed at random."""
    chance, port = random.Random(seed), free_port()
    cloud = CloudProcess(tmp_path, mosquitto).start()
    assert cloud.running is not None
    try:
        async with plc(holding=[5, 0, 0, 0]) as rig:
            config = config_of(tmp_path, mosquitto, rig.address, profile=PROFILE, report="changes", status=port)
            with edge_process(config) as edge:
                await until(lambda: cloud.get("/api/v1/tags")["items"], "the tags")
                deadline = time.monotonic() + 40
                while time.monotonic() < deadline:
                    await rig.write("holding", 0, [chance.choice([5, 5, 45, 60, 28])])
                    await asyncio.sleep(chance.uniform(0.05, 1.2))  # the plant's own pace
                    what = chance.random()
                    if what < 0.1:
                        edge.kill()
                        edge.start()
                    elif what < 0.18:
                        cloud.kill()
                        cloud.begin()
                    elif what < 0.26:
                        mosquitto.kill()
                        await rig.write("holding", 0, [chance.choice([5, 45])])
                        await asyncio.sleep(chance.uniform(0.1, 3))  # the cut
                        mosquitto.start()
                last = chance.choice([5, 45])
                await rig.write("holding", 0, [last])
                await until(lambda: standing(port) == (last == 45), "the edge's last word")
                await until(cloud.answers, "the cloud")
                await until(lambda: standing_there(cloud) == (last == 45), "the same in the cloud")
                await until(lambda: backlog(port) == 0, "every confirmation", 120)
                rows = story(cloud)
                assert await edge.terminate() == 0
    finally:
        stop(cloud.running)
    assert decided(tmp_path) <= {occurrence_in(row) for row in rows}
    loud = [occurrence_in(row) for row in rows if row["event"] == "raised" and row["lane"] == "live"]
    assert len(loud) == len(set(loud))


def standing_there(cloud: CloudProcess) -> bool:
    return any(alarm["kind"] == "L2" and alarm["letter"] in "BC" for alarm in cloud.alarms())


def backlog(port: int) -> int:
    page = fetch(f"http://127.0.0.1:{port}/metrics")[1]
    return int(page.partition('backlog_records{node="edge-1"} ')[2].partition("\n")[0])
