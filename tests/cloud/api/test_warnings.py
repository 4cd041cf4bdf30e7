"""A statistical warning from the real engine to the API and the page."""

from pathlib import Path

import httpx
from davylamp_wire.profile import Point
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
