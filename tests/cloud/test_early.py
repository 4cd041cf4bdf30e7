"""Early warnings in a running cloud: from a device's birth to the notice, beside the limits."""

import json
import sqlite3
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.store import schema
from davylamp_cloud.why import why
from davylamp_cloud.why_page import as_dict, lines
from davylamp_wire.point import Point
from sqlalchemy import select
from support.host import Host, host
from support.speaker import SOURCE, Speaker, limit

RECEIVER = ReceiverConfig(
    name="duty-room", url="https://duty.example/", secret_env="NOT_READ_HERE", priorities=("blue",)
)
ACTION = {"zh": "停止进料", "en": "stop the feed"}
TREND = {"settings": {"samples": 12, "horizon_s": 120}, "towards": ["HH"], "source": SOURCE, "action": ACTION}


def level(**more: Any) -> Point:
    fields = {
        "zh": "液位", "en": "level", "unit": "m", "type": "float64", "range": (0, 10), "plant_tag": "LT-1101",
        "limits": {"HH": limit(9.0, action=ACTION), "H": limit(8.0, action=ACTION)}, "warnings": {"trend": TREND},
    }  # fmt: skip
    return Point.model_validate({**fields, **more})


def tank(point: Point) -> Speaker:
    return Speaker(device="tank", hazard_source="tank-farm", points={"level": point})


def born(running: Host, edge: Speaker) -> Speaker:
    edge.now_ms = running.now_ms
    running.hear(*edge.birth())
    running.settle()
    return edge


def fill(running: Host, edge: Speaker, start: float, slope: float, seconds: int) -> None:
    """Let the level rise by so much a second, a reading and a tick each second."""
    for second in range(seconds):
        edge.now_ms += 1000
        running.now_ms = edge.now_ms
        running.hear(edge.data([start + slope * second]))
        running.tick()
    running.settle()


def told(running: Host, kind: str) -> list[dict[str, Any]]:
    """Return the notices of one kind, in order."""
    rows = running.state.rows(select(schema.TRANSITIONS.c.body).order_by(schema.TRANSITIONS.c.seq))
    bodies: list[dict[str, Any]] = [json.loads(row["body"]) for row in rows]
    return [body for body in bodies if body["kind"] == kind]


def test_a_slow_overfill_is_warned_of_in_words_with_its_evidence_before_the_limit(tmp_path: Path) -> None:
    with host(tmp_path, receivers=[RECEIVER]) as running:
        edge = born(running, tank(level()))
        fill(running, edge, 4.0, 0.02, 20)
        fill(running, edge, 4.4, 0.05, 100)
        assert running.events()[:3] == ["TREND raised B", "H raised B", "HH raised B"]
        warned, limited = told(running, "TREND")[0], told(running, "HH")[0]
        assert warned["level"] == "blue"
        assert limited["time_ms"] - warned["time_ms"] > 30_000
        assert "reaches HH 9 m in " in warned["text"]["en"]
        assert "后达到 HH 9 m" in warned["text"]["zh"]
        assert warned["text"]["en"].endswith("stop the feed")
        assert warned["forecast"]["en"] in warned["text"]["en"]
        evidence = warned["evidence"]
        assert (evidence["unit"], evidence["limit"], evidence["towards"]) == ("m", 9.0, "HH")
        assert evidence["earliest_s"] <= evidence["at_limit_in_s"] <= evidence["latest_s"]
        assert len(evidence["line"]) == 2
        outbox = running.state.rows(select(schema.OUTBOX.c.transition))
        assert warned["id"] in {row["transition"] for row in outbox}


def test_a_warning_and_its_rules_memory_outlive_a_killed_cloud(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = born(running, tank(level()))
        fill(running, edge, 4.0, 0.1, 8)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        born(running, edge)
        fill(running, edge, 4.8, 0.1, 6)
        assert running.events() == ["TREND raised B"], "six samples more are enough: eight were kept"
        fill(running, edge, 5.3, 0.0, 30)
        assert running.events() == ["TREND raised B", "TREND cleared D"]
        assert not {kind for kind in running.standing() if "SYSTEM" in kind}, "the replay agrees"


def test_a_replay_from_the_logs_beginning_warns_of_the_same_with_the_same_evidence(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = born(running, tank(level()))
        fill(running, edge, 4.0, 0.1, 20)
        assert running.events() == ["TREND raised B"]
    with sqlite3.connect(tmp_path / "state.db") as stored:
        stored.execute("DELETE FROM snapshots")
    stored.close()
    with host(tmp_path, now_ms=edge.now_ms + 1000) as running:
        running.settle()
        assert running.events() == ["TREND raised B"]
        assert not {kind for kind in running.standing() if "SYSTEM" in kind}, "the replay agrees"


def test_a_rule_that_came_later_is_a_proposal_until_a_person_accepts_it(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = born(running, tank(level(warnings={})))
        edge.points = {"level": level()}
        born(running, edge)
        fill(running, edge, 4.0, 0.1, 20)
        assert running.events() == []
        (proposal,) = running.state.rows(select(schema.PROPOSALS))
        assert [difference[0] for difference in proposal["differences"]] == ["warnings.trend"]
        running.change("accept", proposal=proposal["id"])
        fill(running, edge, 6.0, 0.1, 20)
        assert "TREND raised B" in running.events()


def test_s14_a_rule_set_wrongly_is_an_alarm_of_its_own_and_blinds_nothing(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        wrong = {"rate": {**TREND, "towards": [], "settings": {"window_s": -1, "limit": 1}}, "trend": TREND}
        edge = born(running, tank(level(warnings=wrong)))
        fill(running, edge, 4.0, 0.1, 60)
        assert {"TREND raised B", "H raised B", "HH raised B", "SYSTEM raised B"} <= set(running.events())
        (said,) = told(running, "SYSTEM")
        assert said["alarm_id"].endswith("@statistical-rule-rate")
        assert "limit alarms are not affected" in said["consequence"]["en"]
        assert "window_s" in said["comment"]


def test_why_says_what_a_rule_sees_now_and_what_would_end_it(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = born(running, tank(level()))
        fill(running, edge, 4.0, 0.1, 20)
        found = why(running.log, running.state, "park/edge-1/tank/level", None)
        told = next(alarm for alarm in as_dict(found)["alarms"] if alarm["kind"] == "TREND")
        assert told["because"] == "stands"
        assert told["forecast"]["en"].startswith("reaches HH 9 m in ")
        assert told["evidence"]["slope_per_min"] == pytest.approx(6, rel=0.01)
        assert "good values" in told["ends_with"]["en"]
        assert "unverified" in told["source"]
        said = "\n".join(lines(found, UTC, "zh", lambda code, _: str(code)))
        assert "规则所见: 预计" in said


def test_s30_a_person_verifies_a_rule_and_its_settings_stay_verified_until_they_change(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        born(running, tank(level()))
        running.change("verify", tag="park/edge-1/tank/level", kind="TREND")
        stored = running.state.limits(0)
        assert stored is not None
        assert stored["settings"]["warnings"]["trend"]["source"]["verified_by"] == "li"
        running.pass_time(1)
        slower = {**TREND, "settings": {"samples": 24, "horizon_s": 120}}
        born(running, tank(level(warnings={"trend": slower})))
        (proposal,) = running.state.rows(select(schema.PROPOSALS))
        assert running.change("accept", proposal=proposal["id"]).refusal is None
        found = running.state.limits(0)["settings"]["warnings"]["trend"]  # type: ignore[index]
        assert (found["settings"]["samples"], found["source"]["verified_by"]) == (24, "")
