"""A statistical warning from the real engine to the API and the page."""

import json
import re
from pathlib import Path

import httpx
import pytest
from davylamp_cloud.store import schema
from davylamp_wire.point import Point
from sqlalchemy import select
from support.duty_room import DutyRoom, duty_room
from support.speaker import SOURCE, Speaker, limit

ACTION = {"zh": "停止进料", "en": "stop the feed"}
TREND = {"settings": {"samples": 12, "horizon_s": 120}, "towards": ["HH"], "source": SOURCE, "action": ACTION}


def level() -> Point:
    limits = {"HH": limit(9.0, action=ACTION)}
    fields = {"zh": "液位", "en": "level", "unit": "m", "type": "float64", "range": (0, 10), "limits": limits}
    return Point.model_validate({**fields, "warnings": {"trend": TREND}})


def fill(room: DutyRoom, start: float, slope: float, seconds: int) -> None:
    """Let the level rise by so much a second, a reading and a tick each second."""
    for second in range(seconds):
        room.running.now_ms = room.edge.now_ms = room.edge.now_ms + 1000
        room.running.hear(room.edge.data([start + slope * second]))
        room.running.tick()
    room.running.settle()


def test_a_warning_is_listed_with_its_forecast_and_evidence_and_drawn_on_the_page(tmp_path: Path) -> None:
    edge = Speaker(points={"level": level()})
    with duty_room(tmp_path / "cloud", edge) as room, httpx.Client(base_url=room.url) as client:
        fill(room, 5.0, 0.04, 13)
        (alarm,) = client.get("/api/v1/alarms").json()["items"]
        assert (alarm["kind"], alarm["priority"]["level"]) == ("TREND", "blue")
        assert alarm["forecast"]["en"].startswith("reaches HH 9 m in ")
        assert alarm["forecast"]["zh"].endswith("后达到 HH 9 m")
        said = alarm["evidence"]
        assert (said["towards"], said["limit"], said["unit"]) == ("HH", 9.0, "m")
        assert 85 < said["at_limit_in_s"] < 95
        figure = client.get(f"/console/alarms/{alarm['occurrence']}/evidence", headers={"accept-language": "en"}).text
        assert 'class="fitted"' in figure
        assert "HH 9 m" in figure
        assert "History has no readings of this time yet." in figure, "nothing feeds this room's historian"


def test_s30_a_warning_by_a_rule_nobody_verified_says_so(tmp_path: Path) -> None:
    edge = Speaker(points={"level": level()})
    with duty_room(tmp_path / "cloud", edge) as room, httpx.Client(base_url=room.url) as client:
        fill(room, 5.0, 0.04, 13)
        (alarm,) = client.get("/api/v1/alarms").json()["items"]
        assert (alarm["kind"], alarm["verified"]) == ("TREND", False)
        assert SOURCE.standard in alarm["limit_source"]
        why = client.get(f"/console/tags/{alarm['tag']}/why", headers={"accept-language": "en"}).text
        assert f"{alarm['limit_source']} (unverified)" in why


def test_a_standing_warning_tells_its_present_forecast_and_no_passed_time_as_coming(tmp_path: Path) -> None:
    edge = Speaker(points={"level": level()})
    with duty_room(tmp_path / "cloud", edge, moved=True) as room, httpx.Client(base_url=room.url) as client:
        fill(room, 5.0, 0.04, 13)
        (raised,) = client.get("/api/v1/alarms").json()["items"]
        fill(room, 5.52, 0.04, 40)
        (alarm,) = client.get("/api/v1/alarms").json()["items"]
        assert alarm["version"] == raised["version"], "a forecast that is made anew is no transition"
        assert alarm["forecast"]["en"].startswith("reaches HH 9 m in 48 s")
        assert alarm["forecast"]["en"] in alarm["text"]["en"]
        assert alarm["forecast"]["zh"] in alarm["text"]["zh"]
        assert alarm["forecast_ms"] == edge.now_ms
        assert alarm["reach_ms"] == pytest.approx(edge.now_ms + 48_000, abs=1500)
        room.running.now_ms += 20_000
        (alarm,) = client.get("/api/v1/alarms").json()["items"]
        assert alarm["forecast"]["en"].startswith("reaches HH 9 m in 28 s"), "told from now, whenever it was made"
        room.running.now_ms += 60_000
        (alarm,) = client.get("/api/v1/alarms").json()["items"]
        assert alarm["forecast"]["en"].startswith("was to reach HH 9 m 32 s ago")
        assert alarm["forecast"]["zh"] == "按最近一次预测，32 秒前应已达到 HH 9 m"
        assert (alarm["reach_ms"], alarm["forecast_ms"]) == (None, edge.now_ms)
        assert "reaches" not in alarm["text"]["en"]
        room.running.tick()  # what decides is asked of the log, and its newest tick is the present
        room.running.settle()
        why = client.get(f"/api/v1/tags/{alarm['tag']}/why", params={"at_ms": room.running.now_ms})
        assert why.status_code == 200
        assert "was to reach HH" in why.text
        assert "reaches" not in why.text


def test_an_edge_clock_that_is_ahead_makes_no_forecast_older_or_younger(tmp_path: Path) -> None:
    edge = Speaker(points={"level": level()})
    with duty_room(tmp_path / "cloud", edge, moved=True) as room, httpx.Client(base_url=room.url) as client:
        edge.now_ms += 3_600_000
        for second in range(14):
            edge.now_ms, room.running.now_ms = edge.now_ms + 1000, room.running.now_ms + 1000
            room.running.hear(edge.data([5.0 + 0.04 * second]))
            room.running.tick()
        room.running.settle()
        (alarm,) = (one for one in client.get("/api/v1/alarms").json()["items"] if one["kind"] == "TREND")
        assert alarm["forecast"]["en"].startswith("reaches HH 9 m in 8")
        assert alarm["forecast_ms"] == edge.now_ms


def test_what_is_told_after_the_raise_says_when_its_forecast_was_made(tmp_path: Path) -> None:
    edge = Speaker(points={"level": level()})
    with duty_room(tmp_path / "cloud", edge, moved=True) as room, httpx.Client(base_url=room.url) as client:
        fill(room, 5.0, 0.04, 13)
        (alarm,) = client.get("/api/v1/alarms").json()["items"]
        made_ms = edge.now_ms
        fill(room, 5.52, 0.04, 40)
        act = client.post(f"/api/v1/alarms/{alarm['occurrence']}/acknowledge", json={"version": alarm["version"]})
        assert act.status_code == 200, act.text
        rows = room.running.state.rows(select(schema.TRANSITIONS.c.body).order_by(schema.TRANSITIONS.c.seq))
        raised, acknowledged = (json.loads(row["body"]) for row in rows)
        assert "m, reaches HH 9 m in" in raised["text"]["en"]
        assert re.search(r"at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: reaches HH 9 m in", acknowledged["text"]["en"])
        assert re.search(r"\d\d:\d\d:\d\d 时预计", acknowledged["text"]["zh"])
        assert raised["forecast_ms"] == acknowledged["forecast_ms"] < made_ms
