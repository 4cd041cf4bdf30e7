"""Operators' acts through the API, against the real engine: what is done, what is refused, and who did it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from davylamp_cloud.config import TokenConfig
from support.duty_room import DutyRoom, duty_room

Clients = Callable[[str], httpx.Client]


@pytest.fixture
def room(tmp_path: Path, tokens: tuple[TokenConfig, ...]) -> Iterator[DutyRoom]:
    """A duty room with tokens and a leak that raised L1 and L2."""
    with duty_room(tmp_path / "cloud", tokens=tokens) as found:
        found.say(0.2)
        found.say(4.8)
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


def standing(client: httpx.Client) -> dict[str, dict[str, Any]]:
    return {alarm["kind"]: alarm for alarm in client.get("/api/v1/alarms").json()["items"]}


def act(client: httpx.Client, alarm: dict[str, Any], op: str, **more: Any) -> httpx.Response:
    body = {"version": alarm["version"], **more}
    return client.post(f"/api/v1/alarms/{alarm['occurrence']}/{op}", json=body)


def test_an_acknowledgement_comes_back_with_its_transition_and_its_name(client: Clients) -> None:
    operator = client("operator")
    answer = act(operator, standing(operator)["L2"], "acknowledge", comment="going there")
    assert answer.status_code == 200
    step = answer.json()["transitions"][0]
    assert (step["event"], step["actor"], step["comment"], step["letter"]) == (
        "acknowledged",
        "operator",
        "going there",
        "C",
    )
    assert standing(operator)["L2"]["acknowledged"] is True


def test_an_acknowledgement_of_an_older_version_is_refused_in_both_languages(client: Clients) -> None:
    operator = client("operator")
    seen = standing(operator)["L2"]
    answer = operator.post(f"/api/v1/alarms/{seen['occurrence']}/acknowledge", json={"version": seen["version"] + 7})
    assert answer.status_code == 409
    body = answer.json()
    assert body["error"] == "stale_version"
    assert body["what"]["zh"]
    assert body["what"]["en"]
    assert body["do"]["zh"]
    assert standing(operator)["L2"]["acknowledged"] is False


def test_s16_a_shelf_needs_a_reason_and_an_end(client: Clients) -> None:
    operator = client("operator")
    alarm = standing(operator)["L1"]
    assert act(operator, alarm, "shelve", minutes=5).status_code == 422
    assert act(operator, alarm, "shelve", comment="calibration gas").status_code == 422
    answer = act(operator, alarm, "shelve", comment="calibration gas", minutes=5)
    assert answer.status_code == 200
    assert standing(operator)["L1"]["letter"] == "G"
    assert standing(operator)["L2"]["letter"] == "B", "the higher limit stays"
    again = act(operator, standing(operator)["L1"], "unshelve")
    assert again.status_code == 200
    assert standing(operator)["L1"]["letter"] == "B", "what began before comes back unacknowledged"


def test_s15_a_red_is_shelved_by_two_persons_who_each_prove_who_they_are(client: Clients) -> None:
    operator = client("operator")
    alarm = standing(operator)["L2"]
    shelf = {"comment": "sensor swap, permit 12", "minutes": 5}
    assert act(operator, alarm, "shelve", **shelf).json()["error"] == "second_person"
    for token in ("secret-of-operator", "secret-of-viewer", "guess"):
        assert act(operator, alarm, "shelve", **shelf, second_token=token).status_code == 403
    assert standing(operator)["L2"]["letter"] == "B"
    answer = act(operator, alarm, "shelve", **shelf, second_token="secret-of-engineer")
    assert answer.status_code == 200
    assert "operator" in answer.json()["transitions"][0]["actor"]
    assert "engineer" in answer.json()["transitions"][0]["actor"]
    assert "secret" not in answer.text


def test_s29_the_log_keeps_who_acted_and_never_a_token(room: DutyRoom, client: Clients) -> None:
    operator = client("operator")
    shelf = {"comment": "sensor swap", "minutes": 5, "second_token": "secret-of-engineer"}
    act(operator, standing(operator)["L2"], "shelve", **shelf)
    bodies = b"".join(record.body for record in room.running.log.read(0, 10_000) if record.kind == "command")
    assert b'"by": "operator"' in bodies
    assert b'"second": "engineer"' in bodies
    assert b"secret" not in bodies
