"""Backtests by API, beside a running cloud: a process of its own, watched, cancelled, and for whom it may be seen."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from davylamp_cloud.backtest import worker
from davylamp_cloud.backtest.jobs import Jobs, JobState
from davylamp_cloud.backtest.worker import answered
from davylamp_cloud.cloud import utc_ms
from davylamp_cloud.config import TokenConfig
from support.cloud_process import until
from support.duty_room import DutyRoom, duty_room
from support.speaker import Speaker, gas_point, limit

GAS = "park/edge-1/store/gas"
POINT = gas_point(limits={"L1": limit(1.0, deadband=0.1), "L2": limit(3.0)})
BEHIND_S = 180.0
"""The worker has what others leave: on a busy machine that is little."""

HIGHER = {GAS: {"limits": {"L1": {"value": 1.5}}}}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DutyRoom]:
    with duty_room(tmp_path / "cloud", Speaker(points={"gas": POINT})) as found:
        for value in (0.2, 1.2, 1.6, 2.0, 0.3, 1.1, 0.2):
            found.say(value)
        yield found


def started(url: str, rules: Any, headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    now_ms = utc_ms()
    body = {"rules": rules, "from_ms": now_ms - 3_600_000, "to_ms": now_ms + 60_000, **more}
    answer = httpx.post(f"{url}/api/v1/backtests", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def over(url: str, job: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = httpx.get(f"{url}/api/v1/backtests/{job['id']}", headers=headers).json()
        return found if found["state"] != "running" else None

    until(lambda: look() is not None, "that the backtest is over", BEHIND_S)
    found = look()
    assert found is not None
    return found


def test_one_runs_at_a_time_can_be_cancelled_and_answers_what_would_have_changed(room: DutyRoom) -> None:
    first = started(room.url, HIGHER)
    assert (first["state"], first["by"]) == ("running", "local operator")
    body = {"rules": HIGHER, "from_ms": 0, "to_ms": 1}
    busy = httpx.post(f"{room.url}/api/v1/backtests", json=body)
    assert (busy.status_code, busy.json()["error"]) == (409, "busy")
    assert httpx.delete(f"{room.url}/api/v1/backtests/{first['id']}").json()["state"] == "cancelled"
    second = started(room.url, HIGHER)
    found = over(room.url, second)
    assert (found["state"], found["done"]) == ("done", 1.0)
    assert [one["alarm"] for one in found["answer"]["gone"]] == [f"{GAS}#L1"]
    assert [one["alarm"] for one in found["answer"]["later"]] == [f"{GAS}#L1"]
    listed = httpx.get(f"{room.url}/api/v1/backtests").json()
    assert [(one["id"], one["state"]) for one in listed] == [(second["id"], "done"), (first["id"], "cancelled")]
    assert not any("answer" in one for one in listed)


def asked(room: DutyRoom, rules: Any, sources: tuple[str, ...] = (), plots: Any = None) -> dict[str, Any]:
    """Ask the worker without a process of its own."""
    request = {
        "data_dir": str(room.running.log.path.parent), "historian": {}, "over": None, "plots": plots,
        "rules": rules, "against": {}, "from_ms": 0, "to_ms": utc_ms(), "hazard_sources": sources,
    }  # fmt: skip
    return answered(request, lambda done: None)


def said(found: dict[str, Any]) -> str:
    """Return the mistakes, each in both languages."""
    assert all(one["zh"] != one["en"] for one in found["mistakes"])
    return "".join(one["en"] for one in found["mistakes"])


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"park/*/gaz": {"limits": {"L1": {"value": 1}}}}, "means no tag"),
        ({GAS: {"limits": {"L1": {"value": 8}}}}, "lies above limits.L2"),
        ({GAS: {"without": ["H"]}}, "there is no limit H"),
    ],
)
def test_a_wrong_rule_is_named(room: DutyRoom, rules: Any, says: str) -> None:
    assert says in said(asked(room, rules))


def test_what_is_nobodys_business_is_not_told(room: DutyRoom) -> None:
    assert asked(room, HIGHER, ("cl2-store",)) == asked(room, HIGHER)
    assert "means no tag; there are 0" in said(asked(room, HIGHER, ("lpg",)))


def test_there_is_a_picture_of_each_tag_that_the_rules_mean(room: DutyRoom) -> None:
    found = over(room.url, started(room.url, HIGHER, plots="svg", language="en"))
    assert [plot["tag"] for plot in found["plots"]] == [GAS]
    href = found["plots"][0]["href"]
    picture = httpx.get(room.url + href)
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert "default-src 'none'" in picture.headers["content-security-policy"]
    assert "L1 1.5 after" in picture.text
    assert httpx.get(f"{room.url}{href[:-1]}1").status_code == 404


@pytest.mark.parametrize("plots", [None, {"form": "svg"}])
def test_case_a_disk_that_takes_no_file_ends_a_backtest_and_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plots: dict[str, str] | None
) -> None:
    """A job that had no folder for its pictures, or no file for complaints, ran for ever: no other one could begin."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with closing(Jobs(utc_ms)) as jobs:
        for _ in range(2):
            with nullcontext() if plots is None else pytest.raises(FileNotFoundError):
                job = jobs.start("li", {"plots": plots})
                until(lambda job=job: job.state is JobState.FAILED, "that the job is over")  # type: ignore[misc]
                assert "gone" in job.mistakes[0]["en"]
                assert "无法开始" in job.mistakes[0]["zh"]


def test_pictures_without_a_place_are_refused_in_words(room: DutyRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(room.running.log.path / "gone"))
    body = {"rules": HIGHER, "from_ms": 0, "to_ms": 1, "plots": "svg"}
    answer = httpx.post(f"{room.url}/api/v1/backtests", json=body)
    assert (answer.status_code, answer.json()["error"]) == (503, "no_room")
    assert "曲线图" in answer.json()["what"]["zh"]


def test_no_more_is_drawn_than_a_cloud_has_room_for(
    room: DutyRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {f"p{at}": POINT for at in range(3)}
    room.running.hear(*Speaker(device="more", node="edge-9", points=tags, now_ms=room.running.now_ms).birth())
    room.tick()
    monkeypatch.setattr(worker, "MOST_DRAWN", 2)
    plots = {"folder": str(tmp_path / "pictures"), "form": "svg", "language": "en", "ground": "dark", "timezone": "UTC"}
    found = asked(room, {"park/edge-9/*": {"limits": {"L1": {"value": 1.5}}}}, plots=plots)
    assert "the rules mean 3 tags, and 2 may be drawn; name fewer tags" in said(found)


def test_what_cannot_be_a_request_is_refused_at_once(room: DutyRoom) -> None:
    for body, status in (
        ({"rules": {}, "from_ms": 0, "to_ms": 1}, 422),
        ({"rules": {GAS: {"limit": {}}}, "from_ms": 0, "to_ms": 1}, 422),
        ({"rules": HIGHER, "from_ms": 5, "to_ms": 5}, 422),
    ):
        assert httpx.post(f"{room.url}/api/v1/backtests", json=body).status_code == status
    assert httpx.get(f"{room.url}/api/v1/backtests/backtest-9").status_code == 404


def test_each_sees_what_is_their_business_only(tmp_path: Path) -> None:
    tokens = []
    for name, role, sources in (
        ("all", "engineer", ()),
        ("here", "operator", ("cl2-store",)),
        ("there", "operator", ("lpg",)),
        ("reader", "viewer", ()),
    ):
        (tmp_path / name).write_text(name)
        tokens.append(TokenConfig(name=name, role=role, token_file=tmp_path / name, hazard_sources=sources))  # type: ignore[arg-type]  # a word of the config
    with duty_room(tmp_path / "cloud", Speaker(points={"gas": POINT}), tuple(tokens)) as room:
        for value in (0.2, 1.2, 0.2):
            room.say(value)
        headers = {name: {"Authorization": f"Bearer {name}"} for name in ("all", "here", "there", "reader")}
        mine = started(room.url, HIGHER, headers["here"])
        address = f"{room.url}/api/v1/backtests"
        assert httpx.get(f"{address}/{mine['id']}", headers=headers["here"]).status_code == 200
        assert httpx.get(f"{address}/{mine['id']}", headers=headers["there"]).status_code == 404
        assert httpx.delete(f"{address}/{mine['id']}", headers=headers["all"]).status_code == 200
        whole = started(room.url, HIGHER, headers["all"])
        assert httpx.delete(f"{address}/{whole['id']}", headers=headers["here"]).status_code == 404
        assert [one["id"] for one in httpx.get(address, headers=headers["all"]).json()] == [whole["id"], mine["id"]]
        assert [one["id"] for one in httpx.get(address, headers=headers["here"]).json()] == [mine["id"]]
        assert httpx.get(address, headers=headers["reader"]).status_code == 403
