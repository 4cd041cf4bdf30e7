"""The alarm system's own performance on the real path: log, engine, state.db, API; kept over restarts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from davylamp_cloud.store import schema
from davylamp_cloud.store.history import history
from davylamp_cloud.store.performance import annunciated, last_numbers
from sqlalchemy import select, update
from support.duty_room import DutyRoom, duty_room
from support.host import Host, host
from support.speaker import Speaker, gas_point, limit

LEVELS = {f"gas{n}": gas_point(limits={"L1": limit(1.0, deadband=0.1)}, scan_s=0.001) for n in range(12)}
CALM = [0.2] * 12


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DutyRoom]:
    """A duty room with twelve detectors, all calm."""
    with duty_room(tmp_path / "cloud", Speaker(points=LEVELS)) as found:
        found.say(*CALM)
        yield found


def rows(running: Host, table: Any) -> list[Any]:
    return running.state.rows(select(table))


def get(room: DutyRoom, path: str, **params: Any) -> Any:
    answer = httpx.get(f"{room.url}/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_chattering_alarm_brings_advice_that_a_person_dismisses(room: DutyRoom) -> None:
    for value in (1.5, 0.2, 1.5, 0.2, 1.5):
        room.say(value, *CALM[1:])
    (advice,) = get(room, "advice")
    assert (advice["kind"], advice["alarm_id"], advice["closed"]) == ("chatter", "park/edge-1/store/gas0#L1", "")
    assert advice["suggestion"]["deadband"] == pytest.approx(1.95)
    url = f"{room.url}/api/v1/advice/{advice['id']}/dismiss"
    assert httpx.post(url, json={"comment": "x"}).status_code == 422
    assert httpx.post(url, json={"comment": "pump test"}).status_code == 200
    assert httpx.post(url, json={"comment": "pump test"}).status_code == 404
    assert get(room, "advice") == []
    (closed,) = get(room, "advice", closed=True)
    assert closed["closed"].endswith("pump test")
    audit = rows(room.running, schema.AUDIT)
    assert [row["action"] for row in audit if row["subject"] == advice["id"]][:1] == ["dismiss_advice"]


def test_a_flood_has_a_record_with_its_first_cause(room: DutyRoom) -> None:
    room.say(1.5, *CALM[1:])
    room.say(*[1.5] * 12)
    (flood,) = get(room, "floods", lasting=True)
    assert (flood["total"], flood["alarms"], flood["tie_ms"]) == (11, 11, 0)
    assert [one[1] for one in flood["first"]] == ["park/edge-1/store/gas0#L1"]
    assert [a["tag"] for a in get(room, "alarms")["items"] if a["first_out"]] == ["park/edge-1/store/gas0"]
    (upset,) = rows(room.running, schema.UPSETS)
    assert [one[1] for one in upset["first"]] == ["park/edge-1/store/gas0#L1"]


def test_metrics_tell_the_load_and_the_flood_of_each_position(room: DutyRoom) -> None:
    calm = httpx.get(f"{room.url}/metrics").text
    assert 'davylamp_flood{position="park"} 0.0' in calm
    for value in (1.5, 0.2, 1.5, 0.2, 1.5):
        room.say(value, *CALM[1:])
    room.say(*[1.5] * 12)
    loud = httpx.get(f"{room.url}/metrics").text
    assert 'davylamp_alarms_annunciated_10m{position="park"} 14.0' in loud
    assert 'davylamp_flood{position="park"} 1.0' in loud
    assert "davylamp_advice_open 1.0" in loud


def test_kpis_are_told_with_their_targets_and_wait_for_stragglers_alone(room: DutyRoom) -> None:
    room.say(*[1.5] * 12)
    now_ms = room.running.now_ms
    assert len(get(room, "alarms")["items"]) == 12, "alarms wait for nothing"
    found = httpx.get(f"{room.url}/api/v1/kpi", params={"position": "park", "from_ms": now_ms - 1000})
    assert (found.status_code, found.json()["error"]) == (422, "bad_span")
    with room.running.state.reading() as connection:
        columns = history(connection, "park", now_ms - 1000, now_ms + 1000, 0).columns
        assert annunciated(connection, now_ms - 1000) == {"park": 12}
        assert annunciated(connection, now_ms) == {}
    assert int(columns.annunciated.sum()) == 12
    early = httpx.get(f"{room.url}/api/v1/kpi", params={"position": "park"})
    assert early.status_code == 422, "what is younger than reorder_s is not settled"


def test_kpis_of_a_young_system_say_so_for_days_without_records_are_no_quiet_days(tmp_path: Path) -> None:
    with duty_room(tmp_path / "cloud", Speaker(points=LEVELS), reorder_s=0) as room:
        room.say(*CALM)
        room.say(*[1.5] * 12)
        young = get(room, "kpi", position="park")
        assert young["figures"]["annunciated"] == 12
        assert not young["enough"]
        assert {target["met"] for target in young["targets"]} == {None}
        assert young["to_ms"] - young["from_ms"] < 600_000
        with room.running.state.writing() as connection:
            connection.execute(update(schema.AUDIT).values(at_ms=young["to_ms"] - 31 * 86_400_000))
        old = get(room, "kpi", position="park")
    assert old["enough"]
    assert old["to_ms"] - old["from_ms"] == 30 * 86_400_000


def test_every_kpi_has_a_target_with_its_source(tmp_path: Path) -> None:
    with duty_room(tmp_path / "cloud", Speaker(points=LEVELS), reorder_s=0) as room:
        room.say(*CALM)
        kpi = get(room, "kpi", position="park")
    assert {target["figure"] for target in kpi["targets"]} >= {"per_10_min", "top_share", "chattering"}
    assert all("unverified" in target["source"] for target in kpi["targets"])


def test_a_restart_goes_on_where_it_was_and_gives_no_number_twice(tmp_path: Path) -> None:
    edge = Speaker(points=LEVELS)
    for start in range(2):
        with host(tmp_path) as running:
            running.now_ms = edge.now_ms = edge.now_ms + 60_000
            running.hear(*edge.birth())
            for value in (1.5, 0.2, 1.5, 0.2):
                running.now_ms = edge.now_ms = edge.now_ms + 500
                running.hear(edge.data([value, *CALM[1:]]))
                running.settle()
            upsets = rows(running, schema.UPSETS)
            with running.state.reading() as connection:
                numbers = last_numbers(connection)
        assert [row["id"] for row in upsets] == [f"cl2-store-upset-{n}" for n in range(1, 2 * start + 3)]
        assert numbers[2] == {"cl2-store": 2 * start + 2}
    assert all(row["ended_ms"] > row["began_ms"] for row in upsets)
