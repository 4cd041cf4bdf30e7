"""Edits on the real path: log, engine, register and chain agree, whatever is saved and whoever is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms import edits
from davylamp_alarms.definition import Changes, GroupDef
from davylamp_alarms.edit_preview import EditPreview
from davylamp_alarms.memory import Memory
from davylamp_alarms.planning import Plan, plan
from davylamp_alarms.transition import Refusal, Why
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.log import NewRecord, RecordKind
from davylamp_cloud.store import schema
from davylamp_cloud.store.verify import verify_chain
from davylamp_cloud.units import is_other
from davylamp_wire.point import Limit
from sqlalchemy import func, select
from support.host import Host, host
from support.speaker import Speaker, gas_point, limit

TAG = "park/edge-1/store/gas"
L2 = limit(3.0, deadband=0.3)


def born(running: Host, edge: Speaker) -> None:
    edge.now_ms = running.now_ms = max(edge.now_ms + 1000, running.now_ms)
    running.hear(*edge.birth())
    running.settle()


def say(running: Host, edge: Speaker, *values: float) -> None:
    for value in values:
        edge.now_ms = running.now_ms = edge.now_ms + 1000
        running.hear(edge.data([value]))
    running.settle()


def limits(l1: float = 1.0, **more: Any) -> dict[str, Any]:
    found: dict[str, Limit] = {"L1": limit(l1, deadband=0.1, **more), "L2": L2}
    return {kind: one.model_dump(mode="json") for kind, one in found.items()}


def audit(running: Host, action: str) -> list[Mapping[str, Any]]:
    return running.state.rows(select(schema.AUDIT).where(schema.AUDIT.c.action == action))


def version(running: Host) -> int:
    row = running.state.limits(0)
    assert row is not None
    return int(row["version"])


def engine_state(running: Host) -> tuple[object, ...]:
    return running.monitor.look(
        lambda engine: (engine.register_version, [(r.occurrence, r.state, r.raised_ms) for r in engine.standing()])
    )


def test_s29_an_edit_is_in_the_chain_with_who_when_from_what_to_what_and_why(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        born(running, Speaker())
        running.change("limits", tag=TAG, base=1, limits=limits(0.7), comment="GB 50493 review", second="wang")
        row = audit(running, "limits changed")[0]
        assert (row["actor"], row["subject"], row["comment"]) == ("li + wang", TAG, "GB 50493 review")
        assert json.loads(row["before"])["limits"]["L1"]["value"] == 1.0
        assert json.loads(row["after"])["limits"]["L1"]["value"] == 0.7
        assert row["at_ms"] == running.now_ms
        assert verify_chain(running.state) is None


def test_s29_a_refused_edit_is_in_the_chain_with_what_was_wanted(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 1.5)
        outcome = running.change("limits", tag=TAG, base=1, limits=limits(2.0), comment="too many alarms")
        assert outcome.refusal is not None
        assert outcome.refusal.why is Why.SECOND_PERSON
        row = audit(running, "limits refused")[0]
        assert (row["actor"], row["comment"]) == ("li", "too many alarms")
        assert json.loads(row["before"])["limits"]["L1"]["value"] == 1.0
        assert json.loads(json.loads(row["after"])["wanted"])["limits"]["L1"]["value"] == 2.0
        assert "two persons" in row["after"]
        assert (version(running), running.events()) == (1, ["L1 raised B"])
        assert verify_chain(running.state) is None


def test_s20_two_persons_close_it_on_the_real_path(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 1.5)
        running.change("limits", tag=TAG, base=1, limits=limits(2.0), second="wang", comment="new limit")
        assert running.events() == ["L1 raised B", "L1 closed A"]
        assert "closed by limit change" in running.state.transitions()[-1]["comment"]
        say(running, edge, 1.9, 2.1)
        assert running.events()[2:] == ["L1 raised B"]


def test_s20_a_thousand_saves_of_what_is_in_force_leave_no_trace(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 1.5)
        before = engine_state(running)
        said = {"op": "limits", "by": "li", "tag": TAG, "base": 1, "comment": "saved"}
        order = [dict(sorted(limits().items(), reverse=turned)) for turned in (False, True)]
        bodies = [json.dumps({**said, "limits": order[n % 2]}).encode() for n in range(1_000)]
        running.commits.append([NewRecord(RecordKind.CHANGE, body, running.now_ms) for body in bodies], 20)
        running.settle()
        assert engine_state(running) == before
        assert running.events() == ["L1 raised B"]
        assert version(running) == 1
        rows = running.state.row(select(func.count().label("n")).select_from(schema.AUDIT))
        assert rows is not None
        assert rows["n"] == 1, "the tags that were introduced"


@pytest.mark.parametrize("starts", [1, 2], ids=["one start", "another start"])
def test_s10_readings_of_a_birth_in_another_unit_clear_nothing_and_are_said_to_be_unseen(
    tmp_path: Path, starts: int
) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 1.5)
        edge.points = {"gas": gas_point(unit="ppb")}
        born(running, edge)
    for _ in range(starts):
        with host(tmp_path, now_ms=edge.now_ms) as running:
            born(running, edge)
            say(running, edge, 0.5, 0.5)
            assert running.events() == ["L1 raised B", "FAULT raised B"]


def test_s10_a_birth_back_in_the_own_unit_is_heard_again(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 1.5)
        for unit in ("ppb", "ppm"):
            edge.points = {"gas": gas_point(unit=unit)}
            born(running, edge)
            say(running, edge, 0.5)
        assert running.events() == ["L1 raised B", "FAULT raised B", "L1 cleared D", "FAULT cleared D"]


@pytest.mark.parametrize(
    ("unit", "said", "own", "other"),
    [
        ("m3/h", "m³/h", True, False),
        ("°C", "℃", True, False),
        ("kPa", "MPa", True, True),
        ("mW", "MW", True, True),
        ("ppm", "", True, True),
        ("ppm", "", False, False),
    ],
)
def test_s10_another_spelling_is_no_other_unit(unit: str, said: str, own: bool, other: bool) -> None:
    assert is_other(unit, said, own) is other


def test_an_edit_of_a_version_nobody_has_any_more_is_refused(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        born(running, Speaker())
        running.change("limits", tag=TAG, base=1, limits=limits(0.7))
        outcome = running.change("limits", tag=TAG, base=1, limits=limits(0.8))
        assert outcome.refusal is not None
        assert outcome.refusal.why is Why.STALE_VERSION
        assert version(running) == 2


def test_s10_what_a_limit_is_measured_in_cannot_be_edited(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        edge.points = {"gas": gas_point(unit="mg/m3")}
        born(running, edge)
        proposal = running.state.rows(select(schema.PROPOSALS))[0]
        outcome = running.change("accept", proposal=proposal["id"], second="wang")
        assert outcome.refusal is not None
        assert "unit" in outcome.refusal.en


# stable ids


DELAYED = {"L1": limit(1.0, deadband=0.1), "L2": limit(3.0, deadband=0.3, on_delay_s=30)}


@pytest.mark.parametrize(
    "more",
    [{"zh": "一号氯气", "en": "chlorine one", "plant_tag": "AT-7"}, {"limits": dict(reversed(DELAYED.items()))}, {}],
    ids=["other words", "limits in another order", "the same"],
)
def test_s04_a_birth_that_says_no_new_limit_leaves_everything_that_runs(tmp_path: Path, more: dict[str, Any]) -> None:
    edge = Speaker(points={"gas": gas_point(limits=DELAYED)})
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 5.0)
        row = running.standing()["L1 live"]
        running.act("acknowledge", occurrence=row["occurrence"], version=row["version"])
        began_ms = edge.now_ms
        edge.points = {"other": gas_point(limits={}), "gas": gas_point(**{"limits": DELAYED, **more})}
        born(running, edge)
        assert running.standing()["L1 live"]["acknowledged"]
        for _ in range(40):
            edge.now_ms = running.now_ms = edge.now_ms + 1000
            running.hear(edge.data([0.1, 5.0]))
        running.settle()
        assert running.events() == ["L1 raised B", "L1 acknowledged C", "L2 raised B"]
        assert running.standing()["L2 live"]["raised_ms"] == began_ms + 30_000
        assert running.state.rows(select(schema.PROPOSALS)) == []


# verification


def test_s30_a_person_verifies_a_source_and_no_alarm_changes(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 1.5)
        before = engine_state(running)
        running.change("verify", tag=TAG, base=1, kind="L1", comment="read GB/T 50493-2019, 5.5")
        source = running.state.limits(0)["settings"]["limits"]["L1"]["source"]  # type: ignore[index]
        assert (source["verified_by"], source["verified_on"]) == ("li", "2025-10-09")
        assert (engine_state(running), running.events()) == (before, ["L1 raised B"])
        running.change("verify", tag=TAG, base=2, kind="L1", by="wang", comment="read it too")
        source = running.state.limits(0)["settings"]["limits"]["L1"]["source"]  # type: ignore[index]
        assert source["verified_by"] == "li", "who read it first stays"
        (row,) = audit(running, "limit verified")
        assert row["comment"] == "read GB/T 50493-2019, 5.5"
    with host(tmp_path, now_ms=edge.now_ms) as running:
        assert running.state.limits(0)["settings"]["limits"]["L1"]["source"]["verified_by"] == "li"  # type: ignore[index]


def test_s30_another_value_is_unverified_again_and_the_other_limit_stays_verified(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        born(running, Speaker())
        for kind, base in (("L1", 1), ("L2", 2)):
            running.change("verify", tag=TAG, base=base, kind=kind)
        running.change("limits", tag=TAG, base=3, limits=limits(0.7))
        found = running.state.limits(0)["settings"]["limits"]  # type: ignore[index]
        assert (found["L1"]["source"]["verified_by"], found["L2"]["source"]["verified_by"]) == ("", "li")


def test_s30_the_same_value_by_another_source_is_unverified_again(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        born(running, Speaker())
        running.change("verify", tag=TAG, base=1, kind="L1")
        other = limits()
        other["L1"]["source"]["clause"] = "another"
        running.change("limits", tag=TAG, base=2, limits=other)
        source = running.state.limits(0)["settings"]["limits"]["L1"]["source"]  # type: ignore[index]
        assert (source["clause"], source["verified_by"]) == ("another", "")


def test_s30_an_edit_that_says_it_is_verified_is_not(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        born(running, Speaker())
        claimed = limits(0.7)
        claimed["L1"]["source"]["verified_by"] = "somebody"
        running.change("limits", tag=TAG, base=1, limits=claimed)
        assert running.state.limits(0)["settings"]["limits"]["L1"]["source"]["verified_by"] == ""  # type: ignore[index]


def test_s30_a_birth_without_the_verification_proposes_nothing(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        running.change("verify", tag=TAG, base=1, kind="L1")
        edge.points = {"gas": gas_point(zh="又一次")}
        born(running, edge)
        assert running.state.rows(select(schema.PROPOSALS)) == []


def test_verifying_a_limit_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        born(running, Speaker())
        outcome = running.change("verify", tag=TAG, base=1, kind="HH")
        assert outcome.refusal is not None
        assert "HH" in outcome.refusal.en


# whole or not at all


def test_s14_an_edit_the_engine_fails_on_is_set_aside_and_register_and_engine_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = Speaker()

    whole = edits._group

    def failing(memory: Memory, changes: Changes, groups: list[GroupDef]) -> None:
        if changes.by == "li":
            raise ValueError("a fault in the middle of an edit")
        whole(memory, changes, groups)

    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 0.8)
        with monkeypatch.context() as fault:
            fault.setattr(edits, "_group", failing)
            running.change("limits", tag=TAG, base=1, limits=limits(0.7))
        running.settle()
        assert version(running) == 1
        known = running.monitor.look(lambda engine: engine.definition(f"{TAG}#L1"))
        assert known is not None
        assert known.limit == 1.0
        assert len(audit(running, "record set aside")) == 1
        assert running.change("limits", tag=TAG, base=1, limits=limits(0.7)).refusal is None
        assert "L1 raised B" in running.events(), "the engine goes on, and takes the edit when it can"
        assert verify_chain(running.state) is None


def test_s14_a_birth_the_engine_refuses_is_set_aside_and_later_births_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tags were in the register and not in the engine, which then refused every later birth."""
    whole = plan

    def refusing(memory: Memory, seq: int, changes: Changes) -> Plan | Refusal:
        odd = any(tag.node == "park/odd" for tag in changes.tags)
        return Refusal(seq, Why.BAD_EDIT, "?", "refused by a fault") if odd else whole(memory, seq, changes)

    monkeypatch.setattr(edits, "plan", refusing)
    sound = Speaker()
    with host(tmp_path) as running:
        running.hear(*Speaker(node="odd").birth())
        running.settle()
        assert len(audit(running, "record set aside")) == 1
        born(running, sound)
        say(running, sound, 5.0)
        assert [event for event in running.events() if event[0] == "L"] == ["L1 raised B", "L2 raised B"]
        assert verify_chain(running.state) is None
    with host(tmp_path, now_ms=sound.now_ms) as running:
        born(running, sound)
        say(running, sound, 0.2)
        assert [event for event in running.events() if "cleared" in event][-2:] == ["L1 cleared D", "L2 cleared D"]


def test_s12_a_link_is_as_loud_as_the_limits_seen_through_it_after_every_edit_and_restart(tmp_path: Path) -> None:
    edge = Speaker(points={"gas": gas_point(kind="process", limits={"H": limit(5.0)})})
    mild = {"H": limit(5.0).model_dump(mode="json")}
    loud = {**mild, "HH": limit(8.0, priority="red").model_dump(mode="json")}
    told = []
    with host(tmp_path) as running:
        born(running, edge)
        for base, wanted in enumerate((loud, mild, loud, {}, mild), 1):
            running.change("limits", tag=TAG, base=base, limits=wanted)
            told.append(running.monitor.examine(loudness_of_the_link))
    assert told == [("red", 1), ("yellow", 1), ("red", 1), ("yellow", 0), ("yellow", 1)]
    with host(tmp_path) as running:
        assert running.monitor.examine(loudness_of_the_link) == told[-1]


def loudness_of_the_link(evaluator: Evaluator) -> tuple[str, int]:
    link = evaluator.engine.definition("park/edge-1#LINK@cl2-store")
    assert link is not None
    return link.priority.word, evaluator.register.guarded("cl2-store", "park/edge-1")


def test_a_preview_by_the_register_says_what_the_record_then_does(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 1.5)
        before = engine_state(running)
        said = {"op": "limits", "base": 1, "limits": limits(2.0)}
        seen = running.monitor.examine(lambda evaluator: evaluator.preview(TAG, said, running.now_ms))
        assert isinstance(seen, EditPreview)
        assert seen.two
        assert [one.ending for one in seen.touched] == [(running.standing()["L1 live"]["occurrence"],)]
        assert engine_state(running) == before
        stale = running.monitor.examine(lambda evaluator: evaluator.preview(TAG, {**said, "base": 9}, 0))
        assert isinstance(stale, Refusal)


def test_an_edit_survives_a_restart_with_its_version(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        running.change("limits", tag=TAG, base=1, limits=limits(0.7))
    with host(tmp_path, now_ms=edge.now_ms) as running:
        born(running, edge)
        say(running, edge, 0.8)
        assert (version(running), running.events()) == (2, ["L1 raised B"])
