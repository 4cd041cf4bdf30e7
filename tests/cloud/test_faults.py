"""Processes killed in the middle of a run: nothing confirmed is lost, no transition lost or repeated (SAFETY S26)."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.store.state import State
from davylamp_cloud.store.verify import verify_chain
from davylamp_wire.head import head_of
from support.cloud_process import CloudProcess, JournalingEdge, until
from support.services import Broker

BATCH = 100


@pytest.fixture
def cloud(tmp_path: Path, mosquitto: Broker) -> Iterator[CloudProcess]:
    running = CloudProcess(tmp_path, mosquitto).start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def edge(tmp_path: Path, mosquitto: Broker) -> Iterator[JournalingEdge]:
    running = JournalingEdge(tmp_path, mosquitto)
    try:
        yield running
    finally:
        running.close()


def scan(edge: JournalingEdge, gas: float, times: int = BATCH) -> None:
    for n in range(times):
        edge.read(cl2_1=gas, level=1.0 + n / 1000)


def stored(folder: Path) -> Counter[int]:
    """Return how often each journal record lies in the log."""
    with sqlite3.connect(folder / "log.db") as db:
        bodies = [row[0] for row in db.execute("SELECT body FROM records WHERE kind = 'data' AND device != ''")]
    db.close()
    return Counter(number for body in bodies if (number := head_of(body).record) is not None)


def transitions(folder: Path) -> list[dict[str, Any]]:
    state = State(folder / "state.db")
    try:
        assert verify_chain(state) is None
        return [dict(row) for row in state.transitions(limit=100_000)]
    finally:
        state.close()


def assert_all_there_once(edge: JournalingEdge, cloud: CloudProcess) -> None:
    until(edge.all_confirmed, "the confirmation of everything")
    found = stored(cloud.folder)
    assert len(found) == edge.count
    assert set(found.values()) == {1}


def assert_each_step_once(steps: list[dict[str, Any]]) -> None:
    """No transition twice, none left out: numbers and versions count on without a gap."""
    numbers: dict[str, list[int]] = {}
    versions: dict[str, list[int]] = {}
    for step in steps:
        numbers.setdefault(step["hazard_source"], []).append(step["source_no"])
        versions.setdefault(step["occurrence"], []).append(step["version"])
    for counted in (*numbers.values(), *versions.values()):
        assert counted == list(range(1, len(counted) + 1))


def acknowledged(cloud: CloudProcess, kind: str) -> bool:
    return any(alarm["kind"] == kind and alarm["acknowledged"] for alarm in cloud.alarms())


def l2(cloud: CloudProcess) -> dict[str, Any] | None:
    return next((alarm for alarm in cloud.alarms() if alarm["kind"] == "L2"), None)


def test_s26_a_killed_cloud_loses_nothing_it_confirmed_and_repeats_nothing(
    edge: JournalingEdge, cloud: CloudProcess
) -> None:
    scan(edge, 0.1)
    until(edge.all_confirmed, "the first confirmation")
    scan(edge, 5.0)
    alarm = until(lambda: l2(cloud), "the alarm")
    cloud.post(f"/api/v1/alarms/{alarm['occurrence']}/acknowledge", version=alarm["version"], comment="seen")
    for _ in range(3):
        scan(edge, 5.0)
        cloud.kill()
        scan(edge, 5.0)
        cloud.start()
        assert acknowledged(cloud, "L2"), "what was acknowledged stays acknowledged"
        until(lambda: cloud.get("/api/v1/edges")[0]["online"], "the edge's return")
    scan(edge, 0.1)
    assert_all_there_once(edge, cloud)
    assert cloud.stop() == 0
    steps = transitions(cloud.folder)
    assert_each_step_once(steps)
    raised = Counter(step["occurrence"] for step in steps if step["event"] == "raised")
    assert set(raised.values()) == {1}
    assert [step["event"] for step in steps if step["kind"] == "L2" and step["lane"] == "live"][:2] == [
        "raised",
        "acknowledged",
    ]
    # A loaded machine may be behind after a kill, and then says so; nothing else may be wrong.
    own = {step["alarm_id"]: step["comment"] for step in steps if step["kind"] == "SYSTEM"}
    assert not [said for alarm, said in own.items() if "lag" not in alarm], own


def test_s26_a_killed_broker_loses_nothing(edge: JournalingEdge, cloud: CloudProcess, mosquitto: Broker) -> None:
    scan(edge, 0.1)
    until(edge.all_confirmed, "the first confirmation")
    for _ in range(2):
        scan(edge, 0.2)
        mosquitto.kill()
        scan(edge, 0.2)
        mosquitto.start()
        scan(edge, 0.2)
        until(edge.all_confirmed, "the confirmation after the broker's return")
    assert_all_there_once(edge, cloud)


def test_s27_a_cloud_restored_from_an_old_backup_is_filled_again(
    edge: JournalingEdge, cloud: CloudProcess, tmp_path: Path
) -> None:
    scan(edge, 0.1)
    until(edge.all_confirmed, "the first confirmation")
    cloud.stop()
    backup = {path.name: path.read_bytes() for path in cloud.folder.glob("*.db")}
    cloud.start()
    scan(edge, 0.2)
    until(edge.all_confirmed, "the second confirmation")
    cloud.kill()
    for path in cloud.folder.glob("*.db*"):
        path.unlink()
    for name, content in backup.items():
        (cloud.folder / name).write_bytes(content)
    cloud.start()
    scan(edge, 0.3)
    until(lambda: len(stored(cloud.folder)) == edge.count, "what the backup lacked")
    assert_all_there_once(edge, cloud)


def test_a_second_cloud_in_the_same_folder_is_refused(cloud: CloudProcess, mosquitto: Broker, tmp_path: Path) -> None:
    from davylamp_cloud.__main__ import FAILED, main

    assert main(["run", str(cloud.config)]) == FAILED
