"""What hides an alarm, from the config and an act to what is stored, over restarts (SAFETY S15, S17, S19)."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.definition import Register as EngineRegister
from davylamp_alarms.engine import Engine
from davylamp_alarms.hiding import MAX_MASK_MS
from davylamp_alarms.persons import REVIEW_MS
from davylamp_alarms.transition import Why
from davylamp_cloud import site
from davylamp_cloud.config import MaskConfig, SiteConfig
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.live import Live
from davylamp_cloud.log import Log
from davylamp_cloud.outcomes import Outcome
from davylamp_cloud.register import Register
from davylamp_cloud.settings import REVIEW_LATE, system_alarm_id
from davylamp_cloud.store import schema
from davylamp_cloud.store.verify import verify_chain
from davylamp_wire.point import Point
from pydantic import ValidationError
from sqlalchemy import select
from support.host import Host, host
from support.speaker import Speaker, gas_point

GAS, PEOPLE, SWITCH = (f"park/edge-1/store/{name}" for name in ("gas", "people", "key"))
CLEANING = MaskConfig(
    name="cleaning", hazard_source="cl2-store", zh="清洗", en="cleaning", alarms=(f"{GAS}#L1", f"{GAS}#STALE"),
    people=PEOPLE, input=SWITCH, responsible="Li Lei",
)  # fmt: skip
ALONE = SiteConfig(name="park", zh="园区", en="park", groups=("park",), one_person=True)


def status(zh: str, en: str) -> Point:
    return Point.model_validate({"zh": zh, "en": en, "unit": "", "kind": "status", "type": "float64"})


def store() -> Speaker:
    """A chlorine store with a detector, a count of who is inside, and the key switch of its mask."""
    points = {"gas": gas_point(), "people": status("室内人数", "people inside"), "key": status("屏蔽钥匙", "mask key")}
    return Speaker(points=points)


def say(running: Host, edge: Speaker, gas: float, people: float = 0, key: float = 1) -> None:
    if not running.intake.nodes.get("park/edge-1") or not running.intake.nodes["park/edge-1"].births:
        edge.now_ms = max(edge.now_ms, running.now_ms)
        running.hear(*edge.birth())
    edge.now_ms = running.now_ms = max(edge.now_ms, running.now_ms) + 1000
    running.hear(edge.data([gas, people, key]))
    running.settle()


def after(running: Host, ms: int) -> None:
    running.now_ms += ms
    running.settle()


def mask(running: Host, **more: Any) -> Outcome:
    fields = {"mask": "cleaning", "comment": "floor is washed", "until_ms": running.now_ms + MAX_MASK_MS, **more}
    return running.act("mask", **fields)


def take_out(running: Host, **more: Any) -> Outcome:
    until_ms = running.now_ms + 3_600_000
    fields = {"tag": GAS, "reason": "calibration", "permit": "HW-17", "comment": "yearly", "until_ms": until_ms}
    return running.act("take_out", **{**fields, "second": "wang", **more})


def test_s17_a_mask_of_the_config_hides_what_it_names_over_a_restart_and_ends_by_tick(tmp_path: Path) -> None:
    edge = store()
    with host(tmp_path, masks=[CLEANING]) as running:
        say(running, edge, 0.1)
        assert mask(running).refusal is None
        say(running, edge, 5.0)
        assert running.standing()["L1 live"]["letter"] == "H"
        assert running.standing()["L2 live"]["letter"] == "B", "the ceiling stays live"
    with host(tmp_path, masks=[CLEANING], now_ms=running.now_ms) as again:
        assert list(again.monitor.look(lambda engine: engine.open_masks())) == ["cleaning"]
        after(again, MAX_MASK_MS)
        assert again.standing()["L1 live"]["letter"] == "B"
        assert again.monitor.look(lambda engine: engine.open_masks()) == {}


@pytest.mark.parametrize(("people", "key", "why"), [(1, 1, Why.OCCUPIED), (0, 0, Why.NOT_ARMED)])
def test_s17_a_mask_asks_the_plant_who_is_inside_and_whether_its_key_is_on(
    tmp_path: Path, people: float, key: float, why: Why
) -> None:
    with host(tmp_path, masks=[CLEANING]) as running:
        say(running, store(), 0.1, people, key)
        refusal = mask(running).refusal
        assert refusal is not None
        assert refusal.why is why


def test_s17_a_key_left_on_for_half_an_hour_is_an_alarm_also_where_its_tag_is_born_after_the_mask(
    tmp_path: Path,
) -> None:
    edge = store()
    with host(tmp_path, masks=[CLEANING]) as running:
        say(running, edge, 0.1, key=1)
        after(running, MAX_MASK_MS - 10_000)
        assert "MASK live" not in running.standing()
        after(running, 20_000)
        row = running.standing()["MASK live"]
        assert (row["priority"], row["tag_id"]) == ("yellow", SWITCH)
        assert "屏蔽开关未复位" in row["text_zh"]
        assert "mask switch left on" in row["text_en"]


def test_s17_a_mask_that_comes_with_a_later_start_watches_its_key_and_one_that_goes_does_not(tmp_path: Path) -> None:
    edge, stuck = store(), f"{SWITCH}#MASK"
    with host(tmp_path) as running:
        say(running, edge, 0.1, key=0)
        assert running.monitor.look(lambda engine: engine.definition(stuck)) is None
    with host(tmp_path, masks=[CLEANING], now_ms=running.now_ms) as running:
        running.settle()
        assert running.monitor.look(lambda engine: engine.definition(stuck)) is not None
    with host(tmp_path, now_ms=running.now_ms) as running:
        running.settle()
        assert running.monitor.look(lambda engine: engine.definition(stuck)) is None


@pytest.mark.parametrize("cold", [True, False])
def test_s17_the_alarm_of_a_key_whose_mask_is_gone_ends_when_the_key_is_off(tmp_path: Path, cold: bool) -> None:
    edge = store()
    with host(tmp_path, masks=[CLEANING]) as running:
        say(running, edge, 0.1, key=1)
        after(running, MAX_MASK_MS + 10_000)
        assert running.standing()["MASK live"]["condition"] == "active"
        if cold:
            running.log.trim(running.log.last_seq, running.now_ms + 10**9, 0)
    if cold:
        with sqlite3.connect(tmp_path / "state.db") as db:
            db.execute("DELETE FROM snapshots")
        db.close()
    with host(tmp_path, now_ms=running.now_ms) as running:
        running.settle()
        assert running.standing()["MASK live"]["condition"] == "active"
        say(running, edge, 0.1, key=1)
        assert running.standing()["MASK live"]["condition"] == "active"
        say(running, edge, 0.1, key=0)
        assert running.standing()["MASK live"]["condition"] == "normal"


def test_s17_a_mask_of_an_alarm_nobody_knows_is_kept_and_hides_the_rest(tmp_path: Path) -> None:
    odd = CLEANING.model_copy(update={"alarms": ("park/edge-9/none/none#L1", f"{GAS}#L1")})
    with host(tmp_path, masks=[odd]) as running:
        say(running, store(), 2.0)
        steps = mask(running).transitions
        assert [step["alarm_id"] for step in steps] == [f"{GAS}#L1"]
        known = running.monitor.look(lambda engine: engine.masks())
        assert known["cleaning"].responsible == "Li Lei"


@pytest.mark.parametrize("alarm", [f"{GAS}#L2", f"{GAS}#HH", f"{GAS}#OVER_RANGE", GAS, f"{GAS}#NONE"])
def test_s17_a_config_that_would_mask_a_ceiling_or_nothing_is_refused_by_name(alarm: str) -> None:
    with pytest.raises(ValidationError, match=alarm):
        CLEANING.model_validate({**CLEANING.model_dump(), "alarms": (alarm,)})


def test_s29_every_act_that_hides_is_in_the_audit_chain_with_all_that_was_said(tmp_path: Path) -> None:
    with host(tmp_path, masks=[CLEANING]) as running:
        say(running, store(), 0.1)
        mask(running)
        running.act("unmask", mask="cleaning", comment="done")
        take_out(running)
        running.act("return", tag=GAS, comment="ok", range=[0.0, 10.0])
        rows = running.state.rows(select(schema.AUDIT).where(schema.AUDIT.c.actor == "li"))
        assert [(row["action"], row["subject"]) for row in rows] == [
            ("mask", "cleaning"), ("unmask", "cleaning"), ("take_out", GAS), ("return", GAS),
        ]  # fmt: skip
        said = json.loads(rows[2]["after"])
        assert (said["permit"], said["second"]) == ("HW-17", "wang")
        assert json.loads(rows[3]["after"])["range"] == [0.0, 10.0]
        assert verify_chain(running.state) is None


def test_s29_masks_and_lone_positions_that_a_config_changes_are_in_the_audit_chain(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        say(running, store(), 0.1)
    for _ in range(2):  # the same config again changes nothing
        with host(tmp_path, now_ms=running.now_ms, masks=[CLEANING], site=ALONE) as running:
            running.settle()
    with host(tmp_path, now_ms=running.now_ms) as running:
        running.settle()
        rows = running.state.rows(select(schema.AUDIT).where(schema.AUDIT.c.action == "site"))
        assert verify_chain(running.state) is None
    assert {row["actor"] for row in rows} == {"cloud.toml"}
    told = [(json.loads(row["before"]), json.loads(row["after"])) for row in rows]
    some = told[0][1]
    assert told == [({"masks": {}, "one_person": []}, some), (some, {"masks": {}, "one_person": []})]
    assert some["one_person"] == ["park"]
    assert some["masks"]["cleaning"]["alarms"] == [f"{GAS}#L1", f"{GAS}#STALE"]


def test_s19_an_instrument_is_out_over_a_restart_still_recorded_and_comes_back_by_tick(tmp_path: Path) -> None:
    edge = store()
    with host(tmp_path) as running:
        say(running, edge, 0.1)
        assert take_out(running).refusal is None
        say(running, edge, 5.0)
        assert {row["letter"] for row in running.standing().values()} == {"I"}
    with host(tmp_path, now_ms=running.now_ms) as again:
        assert again.monitor.look(lambda engine: engine.out_of_service())[GAS].permit == "HW-17"
        after(again, 3_600_000)
        back = [row for row in again.state.transitions() if row["event"] == "returned_to_service"]
        assert back
        assert all(row["due_ms"] is not None for row in back)
        assert again.standing()["L2 live"]["letter"] == "B"


def test_s19_a_range_that_differs_blocks_the_return_until_a_person_accepts_it_for_the_tag(tmp_path: Path) -> None:
    edge = store()
    with host(tmp_path) as running:
        say(running, edge, 0.1)
        take_out(running)
        refusal = running.act("return", tag=GAS, comment="replaced", range=[0.0, 20.0]).refusal
        assert refusal is not None
        assert refusal.why is Why.RANGE
        assert all("0..20" in words and "0..10" in words for words in (refusal.zh, refusal.en))
        edge.points = {**edge.points, "gas": gas_point(range=(0.0, 20.0))}
        edge.now_ms += 1000
        running.hear(*edge.birth())
        running.settle()
        (proposal,) = running.state.rows(select(schema.PROPOSALS))
        assert [difference[0] for difference in proposal["differences"]] == ["range"]
        running.change("accept", proposal=proposal["id"], second="wang")
        assert running.act("return", tag=GAS, comment="replaced", range=[0.0, 20.0]).refusal is None
    with host(tmp_path, now_ms=running.now_ms) as again:
        assert again.monitor.status()["replayed_at_start"] == 0
        assert take_out(again).refusal is None
        assert again.act("return", tag=GAS, comment="same", range=[0.0, 10.0]).refusal is not None


def shelve_alone(running: Host) -> Outcome:
    until_ms = running.now_ms + 3_600_000
    comment = "nobody else is on duty tonight"
    return running.act("shelve", alarm=f"{GAS}#L2", comment=comment, until_ms=until_ms, break_glass=True)


def test_s15_one_person_is_not_enough_where_more_are_on_duty(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        say(running, store(), 0.1)
        refusal = shelve_alone(running).refusal
        assert refusal is not None
        assert refusal.why is Why.SECOND_PERSON


def test_s15_what_one_person_did_is_an_alarm_after_a_day_until_the_park_reviewed_it(tmp_path: Path) -> None:
    alarm = system_alarm_id(REVIEW_LATE)
    with host(tmp_path, site=ALONE) as running:
        say(running, store(), 0.1)
        outcome = shelve_alone(running)
        assert json.loads(outcome.transitions[0]["body"])["break_glass"] is True
        after(running, REVIEW_MS - 5000)
        assert "SYSTEM live" not in running.standing()
        after(running, 5000)
        row = running.standing()["SYSTEM live"]
        assert (row["alarm_id"], row["condition"]) == (alarm, "active")
    with host(tmp_path, site=ALONE, now_ms=running.now_ms) as again:
        (review,) = again.monitor.look(lambda engine: engine.reviews())
        own = again.act("review", review=review, comment="fine", role="administrator").refusal
        assert own is not None
        assert own.why is Why.SECOND_PERSON
        assert again.act("review", review=review, comment="agreed", role="regulator", by="park").refusal is None
        after(again, 1000)
        assert again.standing()["SYSTEM live"]["condition"] == "normal"
        assert again.monitor.look(lambda engine: engine.reviews()) == {}


def test_s16_the_stored_end_of_a_shelf_is_the_one_the_engine_keeps(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        say(running, store(), 5.0)
        until_ms = running.now_ms + 3_600_000
        for kind in ("L1", "L2"):
            running.act("shelve", alarm=f"{GAS}#{kind}", comment="test", until_ms=until_ms, second="wang")
        rows = running.standing()
        assert rows["L1 live"]["shelved_until_ms"] == until_ms
        assert rows["L2 live"]["shelved_until_ms"] == until_ms - 60_000
        assert rows["L2 live"]["shelved_until_ms"] == running.monitor.look(lambda e: e.shelves())[f"{GAS}#L2"].until_ms


def test_a_restored_engine_watches_the_switches_of_its_masks_before_the_site_is_heard_of_again(tmp_path: Path) -> None:
    """Between snapshot and start a birth may bring the switch: a replay has to define its alarm as the first did."""
    from_the_snapshot = Engine(EngineRegister(masks=site.masks_of(site.site_change([CLEANING], [ALONE]))))
    log = Log(tmp_path / "log.db", floor=0)
    register = Register()
    Evaluator(Engine.restore(from_the_snapshot.snapshot()), register, Live(), log)
    log.close()
    assert register.switches == {SWITCH}
