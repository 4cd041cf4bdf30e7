"""Limits through the API, against the real engine: previewed, saved, refused, verified, proposed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from davylamp_cloud.config import TokenConfig
from davylamp_cloud.store import schema
from sqlalchemy import func, select
from support.duty_room import DutyRoom, duty_room
from support.speaker import gas_point, limit

Clients = Callable[[str], httpx.Client]

LIMITS = "/api/v1/tags/0/limits"
ACTION = {"zh": "查看现场", "en": "look at the field"}
SOURCE = {"standard": "GB/T 50493", "clause": "5.5", "edition": "2019", "basis": "proposal"}


@pytest.fixture
def room(tmp_path: Path, tokens: tuple[TokenConfig, ...]) -> Iterator[DutyRoom]:
    """A duty room with tokens whose L1 (1 ppm) stands at 1.5 ppm."""
    with duty_room(tmp_path / "cloud", tokens=tokens) as found:
        found.say(0.2)
        found.say(1.5)
        yield found


@pytest.fixture
def client(room: DutyRoom) -> Iterator[Clients]:
    """Clients with the token of a name."""
    opened: list[httpx.Client] = []

    def open_(name: str) -> httpx.Client:
        opened.append(httpx.Client(base_url=room.url, headers={"Authorization": f"Bearer secret-of-{name}"}))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def wanted(version: int = 1, l1: float = 1.0, **more: Any) -> dict[str, Any]:
    """Return the room's limits with another L1."""
    found = {
        "L1": {"value": l1, "deadband": 0.1, "source": SOURCE, "action": ACTION},
        "L2": {"value": 3.0, "deadband": 0.3, "source": SOURCE, "action": ACTION},
    }
    return {"version": version, "limits": {**found, **more}}


def save(client: httpx.Client, body: dict[str, Any], **more: Any) -> httpx.Response:
    return client.put(LIMITS, json={**body, "comment": "yearly review", **more})


def rows(room: DutyRoom, action: str) -> list[Any]:
    return list(room.running.state.rows(select(schema.AUDIT).where(schema.AUDIT.c.action == action)))


def test_s20_a_preview_names_what_would_end_and_changes_nothing(room: DutyRoom, client: Clients) -> None:
    engineer = client("engineer")
    before = room.running.log.last_seq
    answer = engineer.post(f"{LIMITS}/preview", json=wanted(l1=2.0))
    assert answer.status_code == 200
    body = answer.json()
    assert body["two_persons"] is True
    alarm = body["alarms"][0]
    assert (alarm["kind"], alarm["decision"], alarm["ending"]) == ("L1", "close", ["cl2-store-1-run"])
    assert alarm["differences"] == [{"field": "limit", "before": 1.0, "after": 2.0}]
    assert room.running.log.last_seq == before, "nothing is written"
    assert engineer.get(LIMITS).json()["version"] == 1


def test_s20_what_ends_an_alarm_is_saved_by_two_persons_only(room: DutyRoom, client: Clients) -> None:
    engineer = client("engineer")
    alone = save(engineer, wanted(l1=2.0))
    assert (alone.status_code, alone.json()["error"]) == (409, "second_person")
    assert save(engineer, wanted(l1=2.0), second_token="secret-of-viewer").status_code == 403
    assert save(engineer, wanted(l1=2.0), second_token="secret-of-north").status_code == 403, "not their hazard source"
    both = save(engineer, wanted(l1=2.0), second_token="secret-of-operator")
    assert both.status_code == 200
    assert [(t["event"], t["actor"]) for t in both.json()["transitions"]] == [("closed", "engineer + operator")]
    assert engineer.get("/api/v1/alarms").json()["total"] == 0
    assert rows(room, "limits changed")[0]["actor"] == "engineer + operator"
    assert b"secret" not in b"".join(record.body for record in room.running.log.read(0, 10_000))


def test_an_edit_by_whoever_saw_an_older_version_is_refused_with_what_changed(client: Clients) -> None:
    engineer = client("engineer")
    assert save(engineer, wanted(l1=0.9)).status_code == 200
    late = save(engineer, wanted(version=1, l1=0.8))
    assert (late.status_code, late.json()["error"]) == (409, "stale_version")
    assert "limits.L1.value: 1.0 → 0.9" in late.json()["details"]
    preview = engineer.post(f"{LIMITS}/preview", json=wanted(version=1, l1=0.8))
    assert (preview.status_code, preview.json()["error"]) == (409, "stale_version")
    assert engineer.get(LIMITS).json()["version"] == 2


def test_s20_a_thousand_saves_of_what_is_in_force_change_nothing(room: DutyRoom, client: Clients) -> None:
    engineer = client("engineer")
    assert save(engineer, wanted()).status_code == 200  # the actions are words the birth did not bring
    steps = len(room.running.events())
    counted = select(func.count().label("n")).select_from(schema.AUDIT)
    before = room.running.state.row(counted)
    for _ in range(1_000):
        assert save(engineer, wanted(version=2)).json()["transitions"] == []
    assert len(room.running.events()) == steps
    assert room.running.state.row(counted) == before
    assert engineer.get(LIMITS).json()["version"] == 2


@pytest.mark.parametrize("name", ["viewer", "operator", "regulator"])
def test_only_engineers_and_administrators_edit(client: Clients, name: str) -> None:
    someone = client(name)
    assert save(someone, wanted(l1=0.9)).status_code == 403
    assert someone.post(f"{LIMITS}/preview", json=wanted()).status_code == 403
    assert someone.get(LIMITS).status_code == 200


def test_a_tag_of_a_hazard_source_one_does_not_see_does_not_exist(client: Clients) -> None:
    assert client("north").get(LIMITS).status_code == 404


def test_s10_a_limit_in_another_unit_is_refused_with_the_way_out(client: Clients) -> None:
    answer = save(client("engineer"), {**wanted(l1=0.9), "unit": "mg/m3"})
    assert (answer.status_code, answer.json()["error"]) == (422, "other_unit")
    assert "ppm" in answer.json()["do"]["zh"]
    assert "ppm" in answer.json()["do"]["en"]
    assert save(client("engineer"), {**wanted(l1=0.9), "unit": "ppm"}).status_code == 200


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"L2": {"value": 0.5, "source": SOURCE, "action": ACTION}}, "L1"),
        ({"HH": {"value": 99.0, "source": SOURCE, "action": ACTION}}, "range"),
        ({"H": {"value": 4.0, "source": SOURCE}}, "limits.H.action"),
        ({"H": {"value": 4.0, "action": ACTION}}, "source"),
        ({"H": {"value": 4.0, "source": {**SOURCE, "verified_by": "me"}, "action": ACTION}}, "verified_by"),
        ({"H": {"value": 4.0, "source": SOURCE, "action": ACTION, "colour": "red"}}, "colour"),
    ],
)
def test_s30_a_mistaken_limit_is_refused_by_name_and_nothing_is_logged(
    room: DutyRoom, client: Clients, more: dict[str, Any], named: str
) -> None:
    before = room.running.log.last_seq
    answer = save(client("engineer"), wanted(**more))
    assert answer.status_code == 422
    assert named in json.dumps(answer.json()["details"])
    assert room.running.log.last_seq == before


@pytest.mark.parametrize(
    ("l1", "place", "words"),
    [
        ({"value": 3.0}, "limits.L1", ("is 3 as limits.L2 is", "与 limits.L2 同为 3")),
        ({"value": 0.0}, "limits.L1", ("0 always stands", "0 会一直报警")),
        ({"value": 1.0, "deadband": 1.5}, "limits.L1.deadband", ("it never clears", "永不恢复")),
    ],
)
def test_a_limit_that_cannot_work_is_refused_in_both_languages(
    client: Clients, l1: dict[str, Any], place: str, words: tuple[str, str]
) -> None:
    body = wanted(L1={**l1, "source": SOURCE, "action": ACTION})
    engineer = client("engineer")
    for answer in (engineer.post(f"{LIMITS}/preview", json=body), save(engineer, body)):
        said = answer.json()
        assert (answer.status_code, said["error"]) == (422, "bad_limits")
        assert f"{place}: " in said["what"]["en"]
        assert words[0] in said["what"]["en"]
        assert words[1] in said["what"]["zh"]
    assert engineer.get(LIMITS).json()["version"] == 1


def test_what_is_odd_and_works_is_shown_before_saving(room: DutyRoom, client: Clients) -> None:
    for gas, level, words in ((None, 0.9, "has no known ceiling"), ("Cl2", 0.9, "0.9 is above 0.34 ppm")):
        if gas:
            room.edge.points = {"gas": gas_point(gas=gas)}
            room.running.hear(*room.edge.birth())
            room.running.settle()
        found = client("engineer").post(f"{LIMITS}/preview", json=wanted(l1=level)).json()["findings"]
        assert found[0]["severity"] == "warning"
        assert words in found[0]["text"]["en"]
    assert save(client("engineer"), wanted(l1=0.9)).status_code == 200


def test_an_error_that_is_in_force_already_stands_in_nobodys_way(room: DutyRoom, client: Clients) -> None:
    room.edge.device, limits = "other", {"L1": limit(3.0, deadband=0.1), "L2": limit(3.0)}
    room.edge.points = {"gas": gas_point(limits=limits)}
    room.running.hear(*room.edge.birth())
    room.running.settle()
    engineer = client("engineer")
    both = {kind: {"value": 3.0, "deadband": 0.2, "source": SOURCE, "action": ACTION} for kind in ("L1", "L2")}
    shown = engineer.post("/api/v1/tags/1/limits/preview", json={"version": 1, "limits": both})
    assert shown.status_code == 200
    assert ("error", "limits.L1") in [(one["severity"], one["where"]) for one in shown.json()["findings"]]


def test_an_edit_needs_a_comment(client: Clients) -> None:
    assert client("engineer").put(LIMITS, json=wanted(l1=0.9)).status_code == 422


def test_s30_a_verified_limit_says_so_everywhere_until_it_is_another(room: DutyRoom, client: Clients) -> None:
    engineer = client("engineer")
    said = {"version": 1, "comment": "read the standard"}
    answer = engineer.post(f"{LIMITS}/L1/verify", json=said)
    assert (answer.status_code, answer.json()["transitions"]) == (200, [])
    source = engineer.get(LIMITS).json()["limits"]["L1"]["source"]
    assert source["verified_by"] == "engineer"
    tag = engineer.get("/api/v1/tags/park/edge-1/store/gas").json()
    assert {one["kind"]: one["verified"] for one in tag["limits"]} == {"L1": True, "L2": False}
    assert rows(room, "limit verified")[0]["actor"] == "engineer"
    assert save(engineer, wanted(version=2, l1=0.9)).status_code == 200
    assert engineer.get(LIMITS).json()["limits"]["L1"]["source"]["verified_by"] == ""


def propose(room: DutyRoom, l1: float) -> None:
    room.edge.points = {"gas": gas_point(limits={"L1": limit(l1, deadband=0.1), "L2": limit(3.0, deadband=0.3)})}
    room.edge.now_ms += 1
    room.running.hear(*room.edge.birth())
    room.running.settle()


def test_s20_a_proposal_is_listed_previewed_and_accepted_by_two(room: DutyRoom, client: Clients) -> None:
    engineer = client("engineer")
    assert engineer.get("/api/v1/proposals").json() == []
    propose(room, 2.0)
    proposal = engineer.get("/api/v1/proposals").json()[0]
    assert [one["field"] for one in proposal["differences"]] == ["limits.L1"]
    where = f"/api/v1/proposals/{proposal['id']}"
    preview = engineer.post(f"{where}/preview").json()
    assert preview["two_persons"] is True
    said = {"version": proposal["version"], "comment": "maker's new figure"}
    assert engineer.post(f"{where}/accept", json=said).json()["error"] == "second_person"
    done = engineer.post(f"{where}/accept", json={**said, "second_token": "secret-of-administrator"})
    assert [t["event"] for t in done.json()["transitions"]] == ["closed"]
    assert engineer.get("/api/v1/proposals").json() == []
    assert engineer.post(f"{where}/accept", json=said).status_code == 404
    assert rows(room, "settings accepted")[0]["comment"] == "maker's new figure"


def test_a_rejected_proposal_leaves_what_is_in_force(room: DutyRoom, client: Clients) -> None:
    propose(room, 2.0)
    engineer = client("engineer")
    proposal = engineer.get("/api/v1/proposals").json()[0]
    said = {"version": 1, "comment": "not here"}
    assert engineer.post(f"/api/v1/proposals/{proposal['id']}/reject", json=said).status_code == 200
    assert engineer.get(LIMITS).json()["limits"]["L1"]["value"] == 1.0
    assert client("operator").post(f"/api/v1/proposals/{proposal['id']}/reject", json=said).status_code == 403


def test_a_changed_limit_reaches_the_screen(client: Clients) -> None:
    engineer = client("engineer")
    save(engineer, wanted(l1=0.9))
    alarm = engineer.get("/api/v1/alarms").json()["items"][0]
    assert (alarm["kind"], alarm["limit"]) == ("L1", 0.9)
    tag = engineer.get("/api/v1/tags/park/edge-1/store/gas").json()
    assert {one["kind"]: one["value"] for one in tag["limits"]} == {"L1": 0.9, "L2": 3.0}
