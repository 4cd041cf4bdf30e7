"""Masks, instruments out of service, reviews and the hand-over through the API, against the real engine."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from davylamp_cloud.config import MaskConfig, SiteConfig, TokenConfig
from davylamp_cloud.site import site_change
from davylamp_cloud.store import schema
from davylamp_cloud.store.verify import verify_chain
from davylamp_wire.quality import GOOD, Reason, bad
from sqlalchemy import select
from support.duty_room import DutyRoom, duty_room
from support.speaker import Speaker, gas_point

Clients = Callable[[str], httpx.Client]
GAS = "park/edge-1/store/gas"
TAG = f"/api/v1/tags/{GAS}"
SWITCH: dict[str, Any] = {
    "zh": "清洗开关",
    "en": "cleaning switch",
    "kind": "status",
    "unit": "",
    "range": None,
    "limits": {},
}
MASK = MaskConfig(
    name="cleaning", zh="清洗", en="cleaning", hazard_source="cl2-store", alarms=(f"{GAS}#L1",),
    input="park/edge-1/store/switch",
)  # fmt: skip
PARK = SiteConfig(name="park", zh="园区", en="park", groups=("park",))


@pytest.fixture
def room(tmp_path: Path, tokens: tuple[TokenConfig, ...]) -> Iterator[DutyRoom]:
    """A duty room with tokens, a calm detector, and the switch of a mask, turned on."""
    edge = Speaker(points={"gas": gas_point(), "switch": gas_point(**SWITCH)})
    with duty_room(tmp_path / "cloud", edge, tokens) as found:
        put(found, MASK)
        found.say(0.2, 1.0)
        yield found


def put(room: DutyRoom, mask: MaskConfig, *, one_person: bool = False) -> None:
    said = site_change([mask], [PARK.model_copy(update={"one_person": one_person})])
    room.running.change(said.pop("op"), **said)


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


def letters(client: httpx.Client) -> dict[str, str]:
    return {alarm["kind"]: alarm["letter"] for alarm in client.get("/api/v1/alarms").json()["items"]}


def audit(room: DutyRoom) -> list[tuple[str, str, str]]:
    rows = room.running.state.rows(select(schema.AUDIT).order_by(schema.AUDIT.c.number))
    return [(row["actor"], row["action"], row["after"]) for row in rows]


OUT = {"reason": "calibration", "permit": "HW-17", "comment": "yearly", "minutes": 60}


def test_s17_a_mask_is_previewed_opened_listed_and_closed(room: DutyRoom, client: Clients) -> None:
    operator, body = client("operator"), {"comment": "washing the floor", "minutes": 20}
    seen = operator.post("/api/v1/masks/cleaning/preview", json=body).json()
    assert [alarm["alarm_id"] for alarm in seen["hidden"]] == [f"{GAS}#L1"]
    assert f"{GAS}#L2" in [alarm["alarm_id"] for alarm in seen["heard"]]
    assert operator.get("/api/v1/masks").json()[0]["until_ms"] is None
    assert operator.post("/api/v1/masks/cleaning/open", json=body).status_code == 200
    (listed,) = operator.get("/api/v1/masks").json()
    assert (listed["by"], listed["comment"], listed["name"]["zh"]) == ("operator", "washing the floor", "清洗")
    room.say(4.0, 1.0)
    assert letters(operator) == {"L1": "H", "L2": "B"}, "the ceiling stays live"
    hidden = next(a for a in operator.get("/api/v1/alarms").json()["items"] if a["kind"] == "L1")
    assert hidden["hidden_until_ms"] == listed["until_ms"]
    assert operator.post("/api/v1/masks/cleaning/close", json={}).status_code == 200
    assert letters(operator) == {"L1": "B", "L2": "B"}
    assert [row[:2] for row in audit(room) if "mask" in row[1]] == [("operator", "mask"), ("operator", "unmask")]
    assert verify_chain(room.running.state) is None


def test_s17_a_mask_whose_switch_is_off_is_refused_in_both_languages(room: DutyRoom, client: Clients) -> None:
    room.say(0.2, 0.0)
    answer = client("operator").post("/api/v1/masks/cleaning/open", json={"comment": "washing"})
    assert answer.status_code == 409
    assert answer.json()["error"] == "not_armed"
    assert "park/edge-1/store/switch" in answer.json()["what"]["zh"]


def test_s17_a_mask_the_config_lost_while_it_was_open_is_listed_and_closed_but_not_opened_again(
    room: DutyRoom, client: Clients
) -> None:
    operator, body = client("operator"), {"comment": "washing the floor"}
    assert operator.post("/api/v1/masks/cleaning/open", json=body).status_code == 200
    said = site_change([], [PARK])
    room.running.change(said.pop("op"), **said)
    (listed,) = operator.get("/api/v1/masks").json()
    assert (listed["mask"], listed["by"], listed["hazard_source"]) == ("cleaning", "operator", "cl2-store")
    assert client("north").get("/api/v1/masks").json() == []
    assert operator.post("/api/v1/masks/cleaning/close", json={}).status_code == 200
    assert operator.get("/api/v1/masks").json() == []
    assert operator.post("/api/v1/masks/cleaning/open", json=body).status_code == 404


def test_s17_a_mask_of_another_hazard_source_does_not_exist(client: Clients) -> None:
    north = client("north")
    assert north.get("/api/v1/masks").json() == []
    for act in ("open", "close", "preview"):
        assert north.post(f"/api/v1/masks/cleaning/{act}", json={"comment": "washing"}).status_code == 404
    assert client("viewer").post("/api/v1/masks/cleaning/open", json={"comment": "washing"}).status_code == 403


def test_s09_what_the_plant_bypasses_is_in_the_hand_over_until_it_measures_again(
    room: DutyRoom, client: Clients
) -> None:
    operator = client("operator")

    def bypassed() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = operator.get("/api/v1/handover").json()["bypassed"]
        return listed

    assert bypassed() == []
    room.running.hear(room.edge.data([None, 1.0], quality=[bad(Reason.INHIBIT), GOOD]))
    room.running.settle()
    (shown,) = bypassed()
    assert (shown["tag"], shown["quality"], shown["value"]) == (GAS, bad(Reason.INHIBIT), None)
    assert client("north").get("/api/v1/handover").json()["bypassed"] == []
    room.say(0.2, 1.0)
    assert bypassed() == []


def test_s19_an_instrument_goes_out_by_two_persons_and_returns_with_its_range(room: DutyRoom, client: Clients) -> None:
    operator = client("operator")
    assert operator.post(f"{TAG}/out-of-service/preview", json=OUT).json()["two_persons"] is True
    assert operator.post(f"{TAG}/out-of-service", json=OUT).json()["error"] == "second_person"
    wrong = operator.post(f"{TAG}/out-of-service", json={**OUT, "second_token": "secret-of-north"})
    assert wrong.status_code == 403, "the second person does not see this hazard source"
    second = {**OUT, "second_token": "secret-of-engineer"}
    assert operator.post(f"{TAG}/out-of-service", json=second).status_code == 200
    assert set(letters(operator).values()) == {"I"}
    (out,) = operator.get("/api/v1/handover").json()["out_of_service"]
    assert (out["tag"], out["permit"], out["by"]) == (GAS, "HW-17", "operator + engineer")
    other = operator.post(f"{TAG}/return-to-service", json={"range": [0, 50]})
    assert (other.status_code, other.json()["error"]) == (409, "range")
    assert operator.post(f"{TAG}/return-to-service", json={"range": [0, 10]}).status_code == 200
    assert letters(operator) == {}
    said = {action: after for _, action, after in audit(room)}
    assert "HW-17" in said["take_out"]
    assert "[0.0,10.0]" in said["return"]


@pytest.mark.parametrize(
    "wrong", [{"permit": ""}, {"reason": "holiday"}, {"minutes": 0}, {"minutes": 99_999}, {"comment": ""}, {"more": 1}]
)
def test_s19_taking_out_without_what_it_needs_is_a_mistake(client: Clients, wrong: dict[str, Any]) -> None:
    assert client("operator").post(f"{TAG}/out-of-service", json={**OUT, **wrong}).status_code == 422


def test_s15_who_is_alone_breaks_the_glass_and_the_park_reviews_it(room: DutyRoom, client: Clients) -> None:
    operator, regulator = client("operator"), client("regulator")
    glass = {**OUT, "break_glass": True, "comment": "alone at night, sensor drowned"}
    assert operator.post(f"{TAG}/out-of-service", json=glass).json()["error"] == "second_person"
    put(room, MASK, one_person=True)
    done = operator.post(f"{TAG}/out-of-service", json=glass).json()
    assert all(step["break_glass"] for step in (json_body(room, step["id"]) for step in done["transitions"]))
    (owed,) = regulator.get("/api/v1/handover").json()["reviews"]
    assert (owed["by"], owed["subject"]) == ("operator", GAS)
    elsewhere = client("north-park")
    assert elsewhere.get("/api/v1/handover").json()["reviews"] == []
    assert elsewhere.post(f"/api/v1/reviews/{owed['review']}", json={"comment": "agreed"}).status_code == 404
    assert operator.post(f"/api/v1/reviews/{owed['review']}", json={"comment": "fine"}).status_code == 403
    assert regulator.post(f"/api/v1/reviews/{owed['review']}", json={"comment": "agreed"}).status_code == 200
    assert regulator.get("/api/v1/handover").json()["reviews"] == []
    assert ("regulator", "review") in [row[:2] for row in audit(room)]


def json_body(room: DutyRoom, name: str) -> dict[str, Any]:
    row = room.running.state.row(select(schema.TRANSITIONS).where(schema.TRANSITIONS.c.id == name))
    assert row is not None
    body: dict[str, Any] = json.loads(row["body"])
    return body


def test_s15_a_review_that_is_overdue_is_an_alarm_until_it_is_done(room: DutyRoom, client: Clients) -> None:
    operator, administrator = client("operator"), client("administrator")
    put(room, MASK, one_person=True)
    glass = {**OUT, "minutes": 30, "break_glass": True, "comment": "alone at night, sensor drowned"}
    operator.post(f"{TAG}/out-of-service", json=glass)
    room.running.now_ms += 25 * 3_600_000
    room.running.settle()
    overdue = [a for a in operator.get("/api/v1/alarms").json()["items"] if "break-glass-review" in a["alarm_id"]]
    assert [alarm["letter"] for alarm in overdue] == ["B"]
    (owed,) = operator.get("/api/v1/handover").json()["reviews"]
    assert administrator.post(f"/api/v1/reviews/{owed['review']}", json={"comment": "late, sorry"}).status_code == 200
    room.running.settle()
    overdue = [a for a in operator.get("/api/v1/alarms").json()["items"] if "break-glass-review" in a["alarm_id"]]
    assert [alarm["letter"] for alarm in overdue] == ["D"]


def test_s16_a_shelf_is_previewed_by_the_engine_itself(room: DutyRoom, client: Clients) -> None:
    operator = client("operator")
    room.say(4.0, 1.0)
    alarms = {alarm["kind"]: alarm for alarm in operator.get("/api/v1/alarms").json()["items"]}
    body = {"version": alarms["L1"]["version"], "comment": "test gas", "minutes": 30}
    found = operator.post(f"/api/v1/alarms/{alarms['L1']['occurrence']}/shelve/preview", json=body).json()
    assert [(seen["alarm_id"], seen["stands"]) for seen in found["hidden"]] == [(f"{GAS}#L1", True)]
    assert found["two_persons"] is False
    body["version"] = alarms["L2"]["version"]
    found = operator.post(f"/api/v1/alarms/{alarms['L2']['occurrence']}/shelve/preview", json=body).json()
    assert found["two_persons"] is True
    assert letters(operator) == {"L1": "B", "L2": "B"}
