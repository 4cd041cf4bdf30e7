"""What journal and notices say of an alarm, on the real path from an edge's payload (SAFETY S24, S30)."""

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from davylamp_alarms.definition import Kind
from davylamp_cloud.config import ReceiverConfig, SiteConfig
from davylamp_cloud.notice import Notices
from davylamp_cloud.register import Register
from davylamp_cloud.store import schema
from davylamp_cloud.telling import clock
from davylamp_wire.point import Point, Text
from sqlalchemy import select
from support.host import Host, host
from support.plant import Plant, alarm, tag_def
from support.speaker import Speaker, gas_point, limit

REGULATOR = ReceiverConfig(name="park-bureau", url="https://regulator.example/", secret_env="NOT_READ_HERE")


def leak(running: Host, point: Point) -> None:
    """Let an edge be born with a detector and report 5 ppm a second later."""
    edge = Speaker(points={"gas": point}, now_ms=running.now_ms)
    running.hear(*edge.birth())
    edge.now_ms = running.now_ms = edge.now_ms + 1000
    running.hear(edge.data([5.0]))
    running.settle()


def test_s24_since_when_is_said_by_the_clock_of_the_alarms_own_site() -> None:
    tag = tag_def("gas")
    (raised,) = Plant([tag], [alarm(tag, 0, Kind.H, 80)]).read(85)
    first = SiteConfig(name="first", zh="一厂", en="first plant", groups=("elsewhere",))
    for zone in ("Asia/Shanghai", "America/Halifax"):
        own = SiteConfig(name="own", zh="二厂", en="second plant", groups=("park",), timezone=zone)
        told = Notices(Register(), [first, own]).data(raised)["text"]
        assert f"since {clock(raised.raised_ms, ZoneInfo(zone))}" in told["en"]


HANDLED: dict[str, Any] = {
    "action": Text(zh="关闭紧急切断阀", en="Close the emergency valve"),
    "cause": Text(zh="法兰泄漏", en="A flange leaks"),
    "consequence": Text(zh="人员中毒", en="People are poisoned"),
    "respond_s": 45.0,
}


def handled_point() -> Point:
    """Return a detector whose L2 says how it is handled and whose L1 says nothing."""
    return gas_point(limits={"L1": limit(1.0), "L2": limit(3.0, **HANDLED)})


def test_s24_the_journal_keeps_how_each_alarm_is_handled_in_both_languages(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        leak(running, handled_point())
        kept = {row["kind"]: json.loads(row["body"]) for row in running.state.transitions()}
    for name in ("action", "cause", "consequence"):
        assert kept["L2"][name] == HANDLED[name].model_dump()
        assert kept["L1"][name].keys() == {"zh", "en"}
    assert (kept["L2"]["respond_s"], kept["L2"]["handling"]) == (45.0, "profile")
    assert (kept["L1"]["respond_s"], kept["L1"]["handling"]) == (300.0, "missing")


def test_s24_a_notice_says_cause_consequence_action_and_time_to_respond_within_20_kb(tmp_path: Path) -> None:
    with host(tmp_path, receivers=[REGULATOR]) as running:
        leak(running, handled_point())
        body = running.state.rows(select(schema.OUTBOX))[0]["body"]
    data = json.loads(body)["data"]
    assert (data["action"]["zh"], data["cause"]["en"]) == ("关闭紧急切断阀", "A flange leaks")
    assert (data["consequence"]["en"], data["respond_s"]) == ("People are poisoned", 45.0)
    assert data["text"]["en"].endswith("Close the emergency valve"), "the first thing to do stays last in the sentence"
    assert len(body.encode()) < 20_000


def test_the_page_for_regulators_shows_a_notice_as_it_is_sent(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    shown = json.loads("{" + page.partition("\n\n{")[2].partition("\n```")[0])
    with host(tmp_path, receivers=[REGULATOR]) as running:
        leak(running, handled_point())
        sent = json.loads(running.state.rows(select(schema.OUTBOX))[0]["body"])
    assert shown.keys() <= sent.keys()
    assert shown["data"].keys() <= sent["data"].keys()
    assert {"action", "cause", "consequence", "respond_s", "handling", "text"} <= shown["data"].keys()


def test_s24_a_notice_about_the_system_itself_has_the_words_of_its_own_name(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        running.change("report", name="lag", active=True, comment="the monitor is behind the log")
        (row,) = running.state.transitions()
    assert json.loads(row["body"])["cause"]["en"] == "Too much data, or disk or processor too slow"
    assert json.loads(row["body"])["text"]["en"].endswith("Patrol more often; look at the host's load and disk")


def test_s30_a_stranger_without_words_is_taken_and_its_alarms_say_general_ones(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        leak(running, gas_point())
        kept = json.loads(running.state.transitions()[-1]["body"])
    assert kept["handling"] == "missing"
    assert kept["action"]["zh"]
