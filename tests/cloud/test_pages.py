"""Pages that name every field of what they describe do so in both directions: none missing, none invented."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from davylamp_alarms.performance.kpis import TARGETS
from davylamp_alarms.transition import Event, Suppression
from davylamp_cloud.api.floods import FloodView
from davylamp_cloud.api.performance import AdviceView
from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.notify.heartbeat import beat
from davylamp_cloud.store import schema
from sqlalchemy import select
from support.duty_room import DutyRoom, duty_room
from support.host import host
from support.speaker import SOURCE, Speaker, gas_point, group

DOCS = Path(__file__).parents[2] / "docs"
WEBHOOKS = (DOCS / "webhooks.md").read_text(encoding="utf-8")
PERFORMANCE = (DOCS / "how-to" / "performance.md").read_text(encoding="utf-8")
REGULATOR = ReceiverConfig(name="park-bureau", url="https://regulator.example/", secret_env="NOT_READ_HERE")


def rows(page: str, head: str) -> list[str]:
    """Return the first cells of the table under a head line."""
    lines = page.partition(f"{head}\n")[2].splitlines()[1:]
    table = lines[: next(place for place, line in enumerate(lines) if not line.startswith("|"))]
    return [line.split(" | ")[0] for line in table]


def named(texts: Iterable[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"`([^`]+)`", text)}


def cell(page: str, row: str) -> set[str]:
    """Return what the second cell of a row names."""
    return named([next(line for line in page.splitlines() if line.startswith(f"| `{row}` |")).split(" | ")[1]])


def test_the_page_for_regulators_names_every_field_of_a_notice_and_no_other(tmp_path: Path) -> None:
    with host(tmp_path, receivers=[REGULATOR]) as running:
        edge = Speaker(now_ms=running.now_ms, points={"gas": gas_point(warnings={"rate": RATE})})
        running.hear(*edge.birth())
        for value in (0.1, 0.4, 0.7, 5.0):
            edge.now_ms = running.now_ms = running.now_ms + 1000
            running.hear(edge.data([value]))
            running.settle()
        warned, limit = (json.loads(row["body"]) for row in running.state.rows(select(schema.OUTBOX))[:2])
    assert limit.keys() == {"type", "timestamp", "data"}
    fields = named(rows(WEBHOOKS, "| field | is |"))
    assert fields == warned["data"].keys()
    assert fields - {"forecast", "forecast_ms", "evidence"} == limit["data"].keys()


def test_the_page_for_regulators_names_every_field_of_a_sign_of_life_and_no_other() -> None:
    sent = json.loads(beat("park-bureau", 0, 7, 0.0, 0).body)
    assert named(rows(WEBHOOKS, "| field of `data` | is |")) == sent["data"].keys()


def test_the_page_for_regulators_names_every_event_and_every_reason_to_hide() -> None:
    assert cell(WEBHOOKS, "event") == set(Event)
    assert cell(WEBHOOKS, "suppressions") == set(Suppression)


RATE = {"settings": {"window_s": 1, "limit": 10}, "priority": "orange", "source": SOURCE}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DutyRoom]:
    with duty_room(tmp_path / "cloud", reorder_s=0) as found:
        found.say(0.2)
        yield found


def test_the_page_on_performance_names_every_figure_with_its_target(room: DutyRoom) -> None:
    room.say(5.0)
    found = httpx.get(f"{room.url}/api/v1/kpi", params={"position": "park"}).json()["figures"]
    targets = named(rows(PERFORMANCE, "| figure | is | at most |"))
    assert targets == {target.figure for target in TARGETS}
    others = PERFORMANCE.partition("Without a target: ")[2].partition("All targets")[0]
    assert named([others]) | targets == found.keys()


@pytest.mark.parametrize("view", [FloodView, AdviceView])
def test_the_page_on_performance_shows_a_record_whole(view: type[FloodView | AdviceView]) -> None:
    shown = [set(json.loads(block)) for block in re.findall(r"```json\n(.*?)```", PERFORMANCE, re.DOTALL)]
    assert {field.name for field in fields(view)} in shown


def test_the_page_on_performance_names_the_metrics(room: DutyRoom) -> None:
    told = httpx.get(f"{room.url}/metrics").text
    for name in named(rows(PERFORMANCE, "| metric | label | says |")):
        assert f"# TYPE {name} gauge" in told


@pytest.mark.parametrize(("language", "name"), [("zh-CN", "氯气探测器组"), ("en", "chlorine detectors")])
def test_s24_advice_on_a_vote_calls_its_group_by_name(tmp_path: Path, language: str, name: str) -> None:
    points = {"gas_1": gas_point(), "gas_2": gas_point(), "comm_ok": gas_point(kind="status", range=None, limits={})}
    leak = group("gas_1", "gas_2", limit="L2", need=2)
    with duty_room(tmp_path / "cloud", Speaker(points=points, groups={"leak": leak})) as room:
        for value in (5.0, 0.1) * 3:
            room.say(value, value, 1.0)
        page = httpx.get(f"{room.url}/console/advice", headers={"Accept-Language": language}).text
    assert name in page
    assert "store/leak" not in re.sub(r'"[^"]*"', "", page)
