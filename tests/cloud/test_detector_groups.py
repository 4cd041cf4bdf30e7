"""Groups of detectors from a profile to the duty room: votes, lost channels, blindness (SAFETY S12, S18)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from davylamp_alarms.definition import GroupDef
from davylamp_alarms.engine import Engine
from davylamp_cloud.introduction import described
from davylamp_cloud.outcomes import Outcome
from davylamp_cloud.replay import engine_register
from davylamp_wire.describe import DeviceDescription
from davylamp_wire.local_alarm import LocalAlarm
from davylamp_wire.point import Point
from davylamp_wire.profile import DetectorGroup
from davylamp_wire.quality import GOOD, Reason, bad
from support.host import Host, host
from support.speaker import Speaker, gas_point, group, limit

FAULTY = bad(Reason.DEVICE_FAULT)
LEAK = group("gas_1", "gas_2", "gas_3", limit="L2", need=2, blind_at=2)
ID = "park/edge-1/store/leak"


def points(**more: Any) -> dict[str, Point]:
    detectors = {f"gas_{number}": gas_point(plant_tag=f"GT-{number}", **more) for number in (1, 2, 3)}
    status = {"zh": "通信正常", "en": "device answers", "unit": "", "kind": "status", "type": "float64"}
    return {**detectors, "comm_ok": Point.model_validate(status)}


def store(**groups: DetectorGroup) -> Speaker:
    return Speaker(points=points(), groups=groups)


def born(running: Host, edge: Speaker) -> None:
    edge.now_ms = running.now_ms = max(edge.now_ms + 1000, running.now_ms)
    running.hear(*edge.birth())
    say(running, edge, [0.0, 0.0, 0.0])


def say(running: Host, edge: Speaker, values: Sequence[float], qualities: Sequence[int] = (GOOD,) * 3) -> None:
    edge.now_ms = running.now_ms = edge.now_ms + 1000
    running.hear(edge.data([*values, 1.0], quality=[*qualities, GOOD]))
    running.settle()


def of_group(running: Host) -> list[tuple[str, str, str]]:
    """Return what the group's alarms did: kind, event and the English sentence from the fourth part on."""
    rows = [json.loads(row["body"]) for row in running.state.transitions(limit=1000)]
    return [
        (row["kind"], row["event"], row["text"]["en"].split(" · ")[4]) for row in rows if row["alarm_id"].startswith(ID)
    ]


def known(running: Host) -> dict[str, GroupDef]:
    return running.monitor.look(Engine.groups)


def proposal(running: Host) -> str:
    return running.monitor.examine(lambda evaluator: next(iter(evaluator.register.proposals)))


def refused(outcome: Outcome) -> bool:
    return outcome.refusal is not None


def test_a_description_with_groups_is_read_as_it_was_written() -> None:
    words = LEAK.model_copy(update={"en": 'east of "points":{'})
    said = DeviceDescription(
        name="s", profile="p", hazard_source="h", zh="a", en="b", groups={"leak": words}, points=points()
    )
    assert described(said.encode()) == said


def test_s18_two_detectors_at_their_limit_are_a_vote_and_each_alarms_alone(tmp_path: Path) -> None:
    edge = store(leak=LEAK)
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, [5.0, 0.0, 0.0])
        assert of_group(running) == []
        say(running, edge, [5.0, 5.0, 0.0])
        assert of_group(running) == [("VOTE", "raised", "VOTE: 2 of 3 at level 2")]
        body = json.loads(next(row["body"] for row in running.state.transitions() if row["kind"] == "VOTE"))
        assert [event for event in running.events() if event.startswith("L2")] == ["L2 raised B", "L2 raised B"]
    assert (body["level"], body["hazard_source"]) == ("red", "cl2-store")
    assert body["tag_name"] == {"zh": "氯气探测器组", "en": "chlorine detectors"}
    assert "表决：3 台中 2 台达到二级报警" in body["text"]["zh"]


def test_s18_a_faulty_detector_makes_the_vote_easier(tmp_path: Path) -> None:
    edge = store(leak=LEAK)
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, [0.0, 0.0, 0.0], [FAULTY, GOOD, GOOD])
        say(running, edge, [0.0, 5.0, 0.0], [FAULTY, GOOD, GOOD])
        assert of_group(running) == [("VOTE", "raised", "VOTE: 1 of 3 at level 2")]


def test_s12_a_blind_group_is_as_loud_as_what_it_guarded(tmp_path: Path) -> None:
    edge = store(leak=LEAK)
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, [0.0, 0.0, 0.0], [FAULTY, FAULTY, GOOD])
        say(running, edge, [0.0, 0.0, 0.0], [FAULTY, FAULTY, FAULTY])
        assert of_group(running) == [
            ("BLIND", "raised", "BLIND: 2 of 3 points lost"),
            ("VOTE_LOST", "raised", "BLIND: 3 of 3 points lost"),
            ("BLIND", "updated", "BLIND: 3 of 3 points lost"),
        ]
        guard = known(running)[ID].guard
        assert {row["priority"] for row in running.state.standing_alarms() if row["kind"] == "BLIND"} == {guard.word}


def test_s12_a_group_guards_what_its_members_guard_after_every_edit(tmp_path: Path) -> None:
    mild = {"L2": limit(3.0, priority="yellow").model_dump(mode="json")}
    edge = Speaker(points=points(limits={"L2": limit(3.0, priority="yellow")}, kind="process"), groups={"leak": LEAK})
    with host(tmp_path) as running:
        born(running, edge)
        told = [known(running)[ID].guard.word]
        loud = {"L2": limit(3.0, priority="red").model_dump(mode="json")}
        for base, wanted in enumerate((loud, mild), 1):
            running.change("limits", tag="park/edge-1/store/gas_2", base=base, limits=wanted)
            told.append(known(running)[ID].guard.word)
    assert told == ["yellow", "red", "yellow"]


def test_groups_outlive_a_restart_and_a_start_without_snapshot_and_log(tmp_path: Path) -> None:
    edge = store(leak=LEAK)
    with host(tmp_path) as running:
        born(running, edge)
        before = known(running)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        assert known(running) == before
        cold = running.monitor.examine(lambda evaluator: Engine(engine_register(evaluator.register, ())).groups())
        assert cold == before
        born(running, edge)
        say(running, edge, [5.0, 5.0, 0.0])
        assert of_group(running) == [("VOTE", "raised", "VOTE: 2 of 3 at level 2")]


def test_another_group_in_a_later_birth_waits_for_a_person(tmp_path: Path) -> None:
    edge = store(leak=LEAK)
    with host(tmp_path) as running:
        born(running, edge)
        before = known(running)
        edge.groups = {"leak": group("gas_1", "gas_2", limit="L2", need=2)}
        born(running, edge)
        assert known(running) == before
        say(running, edge, [5.0, 0.0, 5.0])
        name = proposal(running)
        assert refused(running.change("accept", proposal=name, by="li")), "it would end the vote that stands"
        assert not refused(running.change("accept", proposal=name, second="wang"))
        assert (known(running)[ID].blind_at, len(known(running)[ID].members)) == (0, 2)
        assert of_group(running)[-1][:2] == ("VOTE", "closed")


def test_a_group_that_a_later_birth_no_longer_has_stays_until_a_person_lets_it_go(tmp_path: Path) -> None:
    edge = store(leak=LEAK)
    with host(tmp_path) as running:
        born(running, edge)
        edge.groups = {}
        born(running, edge)
        assert list(known(running)) == [ID]
        assert not refused(running.change("accept", proposal=proposal(running)))
        assert known(running) == {}


def test_a_birth_is_taken_whatever_numbers_its_group_has(tmp_path: Path) -> None:
    edge = store(leak=group("gas_1", "gas_1", "gas_9", limit="L2", need=9, blind_at=9, priority="blue"))
    with host(tmp_path) as running:
        born(running, edge)
        found = known(running)[ID]
        assert (len(found.members), found.need, found.blind_at) == (2, 0, 2)
        say(running, edge, [5.0, 0.0, 0.0])
        assert [event for event in running.events() if event.startswith("L2")] == ["L2 raised B"]


def test_limits_saved_for_the_point_that_keeps_the_groups_keep_them(tmp_path: Path) -> None:
    edge = store(leak=LEAK)
    with host(tmp_path) as running:
        born(running, edge)
        wanted = {"L": limit(0.5).model_dump(mode="json")}
        assert not refused(running.change("limits", tag="park/edge-1/store/comm_ok", base=1, limits=wanted))
        assert list(known(running)) == [ID]


def test_s18_detectors_that_their_edge_decides_are_counted_as_any_other(tmp_path: Path) -> None:
    edge = Speaker(points=points(local=True), groups={"leak": LEAK})
    with host(tmp_path) as running:
        born(running, edge)
        for number in (1, 2):
            word = LocalAlarm(f"gas_{number}", "L2", 1, True, edge.now_ms, edge.now_ms, None, 4.0, GOOD, 3.0, "v")
            running.hear(edge.alarms(word))
        running.settle()
        assert [(kind, event) for kind, event, _ in of_group(running)] == [("VOTE", "raised")]
        say(running, edge, [0.0, 0.0, 0.0], [FAULTY, GOOD, GOOD])
        assert [kind for kind, _, _ in of_group(running)] == ["VOTE", "VOTE"]
