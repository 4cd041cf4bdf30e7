"""Who gets in, who may do what, and what a foreign page cannot do."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from davylamp_cloud.api.actor import SESSION_MS, Actor, Credential, Credentials, Sessions, session_key
from davylamp_cloud.api.gate import BindRefused, refuse_open_bind
from davylamp_cloud.api.permissions import PERMISSIONS, Permission, allowed
from davylamp_cloud.config import Role
from support.served import NOW_MS, Plant

Clients = Callable[[str], httpx.Client]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("permission", list(Permission))
def test_every_role_and_permission_is_decided(role: Role, permission: Permission) -> None:
    acts = {Permission.ACKNOWLEDGE, Permission.RESET, Permission.SHELVE, Permission.BACKTEST}
    duty_room = role in (Role.OPERATOR, Role.ENGINEER, Role.ADMINISTRATOR)
    mends = role in (Role.ENGINEER, Role.ADMINISTRATOR)
    parks = role in (Role.REGULATOR, Role.ADMINISTRATOR)
    special = {
        Permission.QUARANTINE: mends,
        Permission.EDIT: mends,
        Permission.REVIEW: parks,
        **dict.fromkeys(acts, duty_room),
    }
    expected = special.get(permission, True)
    assert permission in PERMISSIONS
    assert allowed(role, permission) is expected


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "::", "duty-room.example"])
def test_it_refuses_to_listen_beyond_loopback_without_a_token(host: str) -> None:
    with pytest.raises(BindRefused, match="tokens"):
        refuse_open_bind(host, has_tokens=False)
    refuse_open_bind(host, has_tokens=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    refuse_open_bind(host, has_tokens=False)


@pytest.mark.parametrize(
    "path", ["/api/v1/tags", "/api/v1/alarms", "/api/v1/transitions", "/api/v1/edges", "/api/v1/health", "/events"]
)
def test_nobody_without_a_token_reads_anything(client_of: Clients, path: str) -> None:
    answer = client_of("").get(path)
    assert answer.status_code == 401
    assert answer.json()["what"]["zh"]
    assert answer.json()["do"]["en"]


def test_a_wrong_token_is_nobody(client_of: Clients) -> None:
    assert client_of("somebody-else").get("/api/v1/tags").status_code == 401


@pytest.mark.parametrize(
    ("name", "status"), [("viewer", 403), ("regulator", 403), ("operator", 404), ("engineer", 404)]
)
def test_only_the_duty_room_acknowledges(client_of: Clients, name: str, status: int) -> None:
    answer = client_of(name).post("/api/v1/alarms/LC-01-9/acknowledge", json={"version": 1})
    assert answer.status_code == status


@pytest.mark.parametrize(("name", "status"), [("operator", 403), ("regulator", 403), ("engineer", 200)])
def test_the_quarantine_is_for_those_who_mend(client_of: Clients, name: str, status: int) -> None:
    assert client_of(name).get("/api/v1/quarantine").status_code == status


def test_a_hazard_source_that_is_not_mine_does_not_exist(guarded: Plant, client_of: Clients) -> None:
    mine = guarded.tag("gas1", "氯气", "Chlorine", source="LC-01")
    other = guarded.tag("level", "液位", "Level", source="LPG-02", device="opc1")
    guarded.alarm(mine, "L2", "red")
    guarded.alarm(other, "HH", "orange")
    north = client_of("north")
    assert {tag["hazard_source"] for tag in north.get("/api/v1/tags").json()["items"]} == {"LC-01"}
    assert {alarm["hazard_source"] for alarm in north.get("/api/v1/alarms").json()["items"]} == {"LC-01"}
    assert {step["hazard_source"] for step in north.get("/api/v1/transitions").json()["items"]} == {"LC-01"}
    assert [source["hazard_source"] for source in north.get("/api/v1/hazard-sources").json()] == ["LC-01"]
    assert north.get("/api/v1/transitions?hazard_source=LPG-02").json()["items"] == []
    assert north.get("/api/v1/alarms/LPG-02-1").status_code == 404
    assert north.get("/api/v1/tags/park/edge1/opc1/level").status_code == 404
    assert north.get("/api/v1/tags/park/edge1/opc1/level/history?from_ms=0&to_ms=9").status_code == 404
    for act in ("acknowledge", "reset", "unshelve"):
        assert north.post(f"/api/v1/alarms/LPG-02-1/{act}", json={"version": 1}).status_code == 404
    body = {"version": 1, "comment": "reason", "minutes": 5}
    assert north.post("/api/v1/alarms/LPG-02-1/shelve", json=body).status_code == 404
    assert guarded.log.last_seq == 0, "nothing about a foreign alarm may reach the log"


def test_a_client_cannot_name_who_acted(client_of: Clients) -> None:
    answer = client_of("operator").post("/api/v1/alarms/LC-01-1/acknowledge", json={"version": 1, "by": "boss"})
    assert answer.status_code == 422
    assert "by" in answer.json()["details"][0]


def test_a_foreign_page_cannot_make_the_local_operator_act(plant: Plant, local: httpx.Client) -> None:
    plant.alarm(plant.tag("gas1", "氯气", "Chlorine"), "L1", "yellow")
    path, body = "/api/v1/alarms/LC-01-1/acknowledge", {"version": 1}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert local.post(path, json=body, headers=headers).status_code == 403
    assert plant.log.last_seq == 0


def test_a_rebound_name_is_not_loopback(local: httpx.Client) -> None:
    assert local.get("/api/v1/tags", headers={"Host": "evil.example"}).status_code == 401


def test_signing_in_opens_a_session_that_scripts_and_other_sites_cannot_use(client_of: Clients) -> None:
    browser = client_of("")
    answer = browser.post("/login", data={"token": "secret-of-operator"})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "secret-of-operator" not in cookie
    assert browser.get("/api/v1/alarms").status_code == 200
    foreign = browser.post(
        "/api/v1/alarms/X-1/acknowledge", json={"version": 1}, headers={"Origin": "http://evil.example"}
    )
    assert foreign.status_code == 403
    browser.post("/logout")
    assert browser.get("/api/v1/alarms").status_code == 401


def test_a_wrong_token_opens_nothing(client_of: Clients) -> None:
    answer = client_of("").post("/login", data={"token": "guess"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_many_wrong_tokens_are_refused_and_the_right_one_still_works(client_of: Clients) -> None:
    operator, guesser = client_of("operator"), client_of("guesser")
    assert operator.get("/api/v1/alarms").status_code == 200
    assert {guesser.get("/api/v1/alarms").status_code for _ in range(25)} == {401, 429}
    assert operator.get("/api/v1/alarms").status_code == 200


OPERATOR = Credential(Actor("anna", Role.OPERATOR), hash=PasswordHasher(1, 8, 1).hash("open"))


def test_a_session_outlives_a_restart_and_ends_with_its_token(tmp_path: Path) -> None:
    path = tmp_path / "session.key"
    cookie = Sessions(session_key(path), Credentials((OPERATOR,))).issue(OPERATOR, NOW_MS)
    restarted = Sessions(session_key(path), Credentials((OPERATOR,)))
    found = restarted.read(cookie, NOW_MS + 1)
    assert found is not None
    assert (found.name, found.how) == ("anna", "session")
    assert path.stat().st_mode & 0o777 == 0o600
    changed = Credential(OPERATOR.actor, secret="another")
    assert Sessions(session_key(path), Credentials((changed,))).read(cookie, NOW_MS) is None
    assert Sessions(session_key(path), Credentials(())).read(cookie, NOW_MS) is None
    assert restarted.read(cookie, NOW_MS + SESSION_MS + 1) is None
    assert Sessions(b"another key", Credentials((OPERATOR,))).read(cookie, NOW_MS) is None


def test_a_session_may_and_sees_what_its_token_does(tmp_path: Path) -> None:
    north = Credential(Actor("north", Role.REGULATOR, frozenset({"LC-01"})), secret="of-north")
    sessions = Sessions(session_key(tmp_path / "session.key"), Credentials((OPERATOR, north)))
    found = sessions.read(sessions.issue(north, NOW_MS), NOW_MS)
    assert found == Actor("north", Role.REGULATOR, frozenset({"LC-01"}), "session")
    assert not found.sees("LPG-2")


@pytest.mark.parametrize("kept", ["hash", "secret"])
def test_another_secret_of_the_same_token_ends_its_sessions(kept: str, tmp_path: Path) -> None:
    before, changed = (Credential(OPERATOR.actor, **{kept: secret}) for secret in ("old-secret", "new-secret"))
    key = session_key(tmp_path / "session.key")
    cookie = Sessions(key, Credentials((before,))).issue(before, NOW_MS)
    assert Sessions(key, Credentials((before,))).read(cookie, NOW_MS) is not None
    assert Sessions(key, Credentials((changed,))).read(cookie, NOW_MS) is None


@pytest.mark.parametrize("cookie", ["", ".", "x.y", "e30=.签名", "e30=." + "0" * 64])
def test_a_forged_cookie_is_nobody(cookie: str) -> None:
    assert Sessions(b"key", Credentials((OPERATOR,))).read(cookie, NOW_MS) is None


def test_a_hashed_token_is_known_by_its_secret_alone() -> None:
    credentials = Credentials((OPERATOR,))
    assert credentials.by_secret("open") is OPERATOR
    assert credentials.by_secret(OPERATOR.hash) is None
    assert credentials.by_secret("") is None
    assert "open" not in repr(Credential(OPERATOR.actor, secret="open"))


def test_a_session_key_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    """A crash or a full disk between making the file and writing it: anybody could sign with an empty key."""
    path = tmp_path / "session.key"
    path.touch()
    key = session_key(path)
    assert len(key) == 32
    assert session_key(path) == key
    assert path.stat().st_mode & 0o077 == 0
