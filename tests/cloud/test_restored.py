"""A cloud restored from a backup gives no id of the lost time to anything else (SAFETY S23)."""

import json
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.book import occurrence_id, occurrence_number
from davylamp_alarms.transition import Why
from davylamp_cloud.monitor import Monitor
from davylamp_cloud.store import schema
from davylamp_cloud.store.verify import verify_chain
from davylamp_simulators.regulator import read_received
from sqlalchemy import select
from support.cloud_process import CloudProcess, JournalingEdge, until
from support.host import Host, host
from support.regulator import Regulator, regulator
from support.services import Broker
from support.speaker import Speaker, gas_point, limit


def leak(running: Host, edge: Speaker, *values: float) -> list[Mapping[str, Any]]:
    """Let the edge be born and say values; return the transitions there are then."""
    edge.now_ms = running.now_ms
    running.hear(*edge.birth())
    for value in values:
        edge.now_ms = running.now_ms = running.now_ms + 1000
        running.hear(edge.data([value]))
    running.settle()
    return running.state.transitions(limit=1000)


@pytest.mark.parametrize("number", [1, 42, 123456])
@pytest.mark.parametrize("run", ["", "run", "r12345678"])
@pytest.mark.parametrize("source", ["cl2-store", "s-7", "s-7-r1"])
def test_an_occurrence_tells_its_number_with_and_without_a_run(source: str, number: int, run: str) -> None:
    assert occurrence_number(occurrence_id(source, number, run)) == number


def test_s23_after_a_restore_no_id_stands_for_another_event(tmp_path: Path) -> None:
    before, lost, restored = tmp_path / "before", tmp_path / "lost", tmp_path / "restored"
    edge = Speaker()
    with host(before, run="ra") as running:
        leak(running, edge, 0.1)
        now_ms = running.now_ms
    shutil.copytree(before, lost)
    shutil.copytree(before, restored)
    with host(lost, now_ms=now_ms + 1000, run="rb") as running:
        gone = leak(running, deepcopy(edge), 5.0, 0.1, 5.0)
    with host(restored, now_ms=now_ms + 1000, run="rc") as running:
        now = leak(running, deepcopy(edge), 5.0, 0.1, 6.0)
        assert verify_chain(running.state) is None
    assert [step["source_no"] for step in now] == [step["source_no"] for step in gone], "the numbers do come again"
    assert {step["id"] for step in now}.isdisjoint(step["id"] for step in gone)
    assert {step["occurrence"] for step in now}.isdisjoint(step["occurrence"] for step in gone)


def test_s23_the_same_transition_has_the_same_id_whoever_comes_to_it(tmp_path: Path) -> None:
    """What lay in the log and was not evaluated at the copy comes out the same on both sides, and a replay agrees."""
    with host(tmp_path / "one") as running:
        leak(running, Speaker(), 5.0, 0.1)
        shutil.copytree(tmp_path / "one", tmp_path / "other", ignore=shutil.ignore_patterns("state.db*"))
        first = running.state.transitions(limit=1000)
    with host(tmp_path / "other", now_ms=running.now_ms, run="other") as again:
        again.settle()
        assert [step["id"] for step in again.state.transitions(limit=1000)] == [step["id"] for step in first]
        assert again.standing().keys() == running_kinds(first)


def running_kinds(steps: list[Mapping[str, Any]]) -> set[str]:
    """Return what stands after these transitions, by kind and lane."""
    last = {(step["alarm_id"], step["lane"]): step for step in steps}
    return {f"{step['kind']} {step['lane']}" for step in last.values() if step["letter"] != "A"}


def test_s23_an_acknowledgement_from_before_the_restore_is_unknown(tmp_path: Path) -> None:
    before, lost = tmp_path / "before", tmp_path / "lost"
    edge = Speaker()
    with host(before, run="ra") as running:
        leak(running, edge, 0.1)
        now_ms = running.now_ms
    shutil.copytree(before, lost)
    with host(lost, now_ms=now_ms + 1000, run="rb") as running:
        leak(running, deepcopy(edge), 5.0)
        seen = running.standing()["L2 live"]
    with host(before, now_ms=now_ms + 9000, run="rc") as running:
        leak(running, deepcopy(edge), 6.0)
        stands = running.standing()["L2 live"]
        assert stands["version"] == seen["version"]
        assert occurrence_number(stands["occurrence"]) == occurrence_number(seen["occurrence"])
        refusal = running.act("acknowledge", occurrence=seen["occurrence"], version=seen["version"]).refusal
        assert refusal is not None
        assert refusal.why is Why.UNKNOWN
        assert not running.standing()["L2 live"]["acknowledged"]
        own = running.act("acknowledge", occurrence=stands["occurrence"], version=stands["version"])
        assert own.refusal is None


def wants(running: Host, edge: Speaker, level: float) -> Mapping[str, Any]:
    """Let the edge be born with another limit; return what is proposed then."""
    edge.points = {"gas": gas_point(limits={"L1": limit(level)})}
    edge.now_ms = running.now_ms
    running.hear(*edge.birth())
    running.settle()
    return running.state.rows(select(schema.PROPOSALS))[-1]


def test_s23_a_proposal_from_before_the_restore_is_unknown(tmp_path: Path) -> None:
    before, lost = tmp_path / "before", tmp_path / "lost"
    edge = Speaker()
    with host(before, run="ra") as running:
        leak(running, edge, 0.1)
        now_ms = running.now_ms
    shutil.copytree(before, lost)
    with host(lost, now_ms=now_ms + 1000, run="rb") as running:
        seen = wants(running, deepcopy(edge), 0.7)
    with host(before, now_ms=now_ms + 9000, run="rc") as running:
        there = wants(running, deepcopy(edge), 0.8)
        assert (there["tag"], there["seq"]) == (seen["tag"], seen["seq"])
        refusal = running.change("accept", proposal=seen["id"], second="wang").refusal
        assert refusal is not None
        assert refusal.why is Why.UNKNOWN
        assert running.change("accept", proposal=there["id"], second="wang").refusal is None


def test_what_began_in_an_earlier_run_keeps_its_id(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path, run="ra") as running:
        leak(running, edge, 5.0)
        old = running.standing()["L2 live"]
    with host(tmp_path, now_ms=running.now_ms + 1000, run="rb") as running:
        leak(running, edge, 5.5)
        kept = running.standing()["L2 live"]
        assert kept["occurrence"] == old["occurrence"]
        assert running.act("acknowledge", occurrence=kept["occurrence"], version=kept["version"]).refusal is None


def test_a_log_from_before_starts_had_names_gives_the_ids_it_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version's folder: its snapshots are not read, its log is played again and has no start in it."""
    edge, change = Speaker(), Monitor._change
    with monkeypatch.context() as older:
        older.setattr(Monitor, "_change", lambda self, said: None if said["op"] == "start" else change(self, said))
        with host(tmp_path) as running:
            leak(running, edge, 5.0)
            old = running.standing()["L2 live"]
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("UPDATE snapshots SET engine_version = engine_version - 1")
    db.close()
    with host(tmp_path, now_ms=running.now_ms + 1000, run="rb") as running:
        steps = leak(running, edge, 5.5)
        assert old["occurrence"] in ("cl2-store-1", "cl2-store-2")
        assert [step["alarm_id"] for step in steps if step["kind"] == "SYSTEM"] == [], "the replay agrees"
        kept = running.standing()["L2 live"]
        assert kept["occurrence"] == old["occurrence"]
        assert running.act("acknowledge", occurrence=kept["occurrence"], version=kept["version"]).refusal is None
        leak(running, edge, 0.1, 6.0)
        assert running.standing()["L2 live"]["occurrence"].endswith("-rb")


def test_s23_no_receiver_gets_two_events_under_one_id_from_a_restored_cloud(tmp_path: Path, mosquitto: Broker) -> None:
    with regulator(tmp_path) as bureau:
        raised = restored_by_hand(CloudProcess(tmp_path, mosquitto, bureau.entry).start(), mosquitto, bureau)
    told: defaultdict[str, set[str]] = defaultdict(set)
    for one in read_received(bureau.log):
        told[one.id].add(json.dumps(one.data, sort_keys=True))
    assert raised
    assert {name: bodies for name, bodies in told.items() if len(bodies) > 1} == {}


def restored_by_hand(cloud: CloudProcess, mosquitto: Broker, bureau: Regulator) -> set[str]:
    """Lose a red with the time since a copy; return the ids of the reds there are then, once all are told."""
    tmp_path = cloud.folder.parent
    edge = JournalingEdge(tmp_path, mosquitto)
    try:
        edge.read(cl2_1=0.1)
        until(edge.all_confirmed, "the first confirmation")
        cloud.stop()
        shutil.copytree(cloud.folder, tmp_path / "backup")
        cloud.start()
        edge.read(cl2_1=5.0)
        until(lambda: bureau.reds() == 1, "the red of the time that will be lost")
        cloud.kill()
        shutil.rmtree(cloud.folder)
        shutil.copytree(tmp_path / "backup", cloud.folder)
        cloud.start()
        edge.read(cl2_1=0.1)
        edge.read(cl2_1=6.0)
        kinds = ("L2 live", "L2 late")
        until(lambda: bureau.reds() >= 2 and any(f"{a['kind']} live" in kinds for a in cloud.alarms()), "the new red")
        until(edge.all_confirmed, "what the backup lacked")
        raised = {step["id"] for step in cloud.get("/api/v1/transitions?limit=1000")["items"] if red(step)}
        until(lambda: raised <= {one.id for one in read_received(bureau.log)}, "every red at the receiver")
        return raised
    finally:
        edge.close()
        cloud.stop()


def red(step: Mapping[str, Any]) -> bool:
    return bool(step["event"] == "raised" and step["priority"] == "red")
