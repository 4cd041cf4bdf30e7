"""Why a tag alarmed, or did not, at a moment: by command and API, on real files, beside a running cloud."""

import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from davylamp_cloud.__main__ import main
from davylamp_cloud.store.snapshots import HOUR_MS, load_snapshot, oldest_snapshot, write_snapshot
from davylamp_cloud.store.state import State
from davylamp_cloud.why_page import time_of
from davylamp_wire.config import ConfigError
from davylamp_wire.point import LimitKind, Text
from davylamp_wire.quality import Reason, bad
from hypothesis import given
from hypothesis import strategies as st
from support.duty_room import DutyRoom, duty_room
from support.host import Host, host
from support.speaker import START_MS, Speaker, gas_point, limit

GAS = "park/edge-1/store/gas"
POINT = gas_point(limits={"L1": limit(1.0, deadband=0.1, on_delay_s=5, off_delay_s=20), "L2": limit(3.0)})


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[Host, Speaker, Path]]:
    """A cloud with one detector, and the config of it for the command."""
    folder = tmp_path / "cloud"
    config = tmp_path / "cloud.toml"
    config.write_text(f'data_dir = "{folder}"\nlanguage = "en"\n', encoding="utf-8")
    with host(folder) as running:
        edge = Speaker(points={"gas": POINT})
        running.hear(*edge.birth())
        yield running, edge, config


def say(running: Host, edge: Speaker, value: float, after_s: float = 1.0) -> int:
    running.now_ms += round(after_s * 1000)
    edge.now_ms = running.now_ms
    running.hear(edge.data([value]))
    running.settle()
    return running.now_ms


def asked(config: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(["why", str(config), *more, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def of(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(alarm for alarm in found["alarms"] if alarm["kind"] == kind)


Told = tuple[Host, Speaker, Path]


def test_why_and_why_not_at_every_moment_of_a_leak(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    running, edge, config = told
    calm_ms = say(running, edge, 0.2)
    waiting_ms = say(running, edge, 1.5)
    over_ms = say(running, edge, 4.0, after_s=6)
    back_ms = say(running, edge, 0.5, after_s=2)
    running.now_ms += 500
    outcome = running.act("shelve", alarm=f"{GAS}#L1", comment="test gas", until_ms=back_ms + 600_000)
    assert outcome.refusal is None
    moments = {
        calm_ms: ("not_met", "not_met"),
        waiting_ms: ("on_delay", "not_met"),
        over_ms: ("stands", "stands"),
        back_ms: ("off_delay", "not_met"),
    }
    for at_ms, reasons in moments.items():
        found = asked(config, capsys, GAS, "--at", iso(at_ms))
        assert (of(found, "L1")["because"], of(found, "L2")["because"]) == reasons, at_ms
        assert not of(found, "L1")["hidden"]
    now = asked(config, capsys, GAS)
    (shelf,) = of(now, "L1")["hidden"]
    assert (shelf["by"], shelf["reason"]) == ("li", "test gas")
    assert of(now, "L1")["left_ms"] == 19_500
    assert [step["event"] for step in now["transitions"]] == ["raised", "raised", "cleared", "shelved"]


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def test_a_limit_is_told_with_the_version_that_was_in_force(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    running, edge, config = told
    before_ms = say(running, edge, 0.2)
    limits = {"L1": POINT.limits[LimitKind.L1], "L2": limit(5.0, action=Text(zh="核实", en="Check"))}
    said = {kind: wanted.model_dump(mode="json") for kind, wanted in limits.items()}
    running.now_ms += 1000
    assert running.change("limits", tag=GAS, base=1, limits=said, comment="new detector").refusal is None
    then, now = asked(config, capsys, GAS, "--at", iso(before_ms)), asked(config, capsys, GAS)
    assert (then["limits_version"], of(then, "L2")["limit"], then["accepted_by"]) == (1, 3.0, "birth")
    assert (now["limits_version"], of(now, "L2")["limit"], now["accepted_by"]) == (2, 5.0, "li")
    assert "unverified" in of(now, "L2")["source"]


def test_a_person_reads_it_in_either_language_by_the_plants_own_name(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    running, edge, config = told
    say(running, edge, 4.0)
    assert main(["why", str(config), "1#AT-101/A"]) == 0
    english = capsys.readouterr().out
    assert "the condition is met: 4 ppm ≥ 3 ppm" in english
    assert "the on-delay has 5.0 s to go" in english
    assert re.search(r"cl2-store-1-[0-9a-f]{10}  L2 raised \[B\] 4", english)
    assert main(["why", str(config), GAS, "--language", "zh"]) == 0
    chinese = capsys.readouterr().out
    assert "条件成立：4 ppm ≥ 3 ppm" in chinese
    assert "报警延时还剩 5.0 秒" in chinese
    assert "未核实" in chinese
    assert "L2 报警 [B] 4" in chinese
    assert "（设备上线报文）" in chinese
    assert "质量: 好" in chinese
    edge.now_ms = running.now_ms = running.now_ms + 1_000
    running.hear(edge.data([None], quality=bad(Reason.LOOP_LOW)))
    running.settle()
    assert main(["why", str(config), GAS, "--language", "en"]) == 0
    assert "quality: bad: loop current low" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("park/edge-1/store/gaz",), "near it: park/edge-1/store/gas"),
        ((GAS, "--at", "yesterday"), "is no time"),
        ((GAS, "--at", "1999-01-01"), "was not known yet"),
    ],
)
def test_what_cannot_be_answered_says_what_to_do(
    told: Told, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str
) -> None:
    running, edge, config = told
    say(running, edge, 0.2)
    assert main(["why", str(config), *more]) == 2
    assert says in capsys.readouterr().err


def test_before_log_and_snapshots_it_names_the_earliest_moment(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    running, edge, config = told
    early_ms = say(running, edge, 0.2)
    say(running, edge, 0.3)
    running.stop()
    kept = State(config.parent / "cloud" / "state.db")
    with kept.reading() as connection:
        seq = load_snapshot(connection, 1 << 60)
    kept.close()
    assert seq is not None
    with sqlite3.connect(config.parent / "cloud" / "log.db") as log:
        log.execute("DELETE FROM records WHERE seq < ?", (seq[0],))
    log.close()
    assert main(["why", str(config), GAS, "--at", iso(early_ms)]) == 2
    assert "reach back to 20" in capsys.readouterr().err
    assert asked(config, capsys, GAS)["tag"] == GAS


def test_the_command_for_a_folder_where_nothing_ran_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text('data_dir = "none"\n', encoding="utf-8")
    assert main(["why", str(config), GAS]) == 2
    assert "is not there" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@given(st.integers(0, 10_000_000))
def test_a_time_ago_is_exactly_so_long_ago(minutes: int) -> None:
    for written in (f"{minutes}m", f"-{minutes}m"):
        assert time_of(written, START_MS, UTC) == START_MS - minutes * 60_000


def test_a_clock_without_a_day_is_never_in_the_future() -> None:
    for text in ("00:00", "08:15", "12:00:01", "23:59:59"):
        assert START_MS - 86_400_000 < time_of(text, START_MS, UTC) <= START_MS
    with pytest.raises(ConfigError, match="is no time"):
        time_of("25:00", START_MS, UTC)


# the API


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DutyRoom]:
    with duty_room(tmp_path / "cloud", Speaker(points={"gas": POINT})) as found:
        found.say(0.2)
        yield found


def test_the_api_answers_with_codes_and_both_languages(room: DutyRoom) -> None:
    room.say(4.0)
    found = httpx.get(f"{room.url}/api/v1/tags/{GAS}/why").json()
    assert of(found, "L2")["because"] == "stands"
    assert of(found, "L2")["reason"] == {
        "zh": "条件成立：4 ppm ≥ 3 ppm",
        "en": "the condition is met: 4 ppm ≥ 3 ppm",
    }
    assert of(found, "LINK")["because"] == "not_met"
    assert httpx.get(f"{room.url}/api/v1/tags/park/edge-1/store/none/why").status_code == 404
    assert httpx.get(f"{room.url}/api/v1/tags/{GAS}/why", params={"at_ms": 5}).status_code == 404


# snapshots that are kept for it


def test_one_snapshot_an_hour_is_kept_and_the_log_waits_for_the_newest_two_only(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    try:
        for seq in range(1, 121):
            with state.writing() as connection:
                write_snapshot(connection, seq, START_MS + seq * 300_000, b"x", keep_ms=5 * HOUR_MS)
        with state.reading() as connection:
            kept = connection.exec_driver_sql("SELECT seq, at_ms FROM snapshots ORDER BY seq").fetchall()
            assert oldest_snapshot(connection) == 119
    finally:
        state.close()
    hours = [at_ms // HOUR_MS for _, at_ms in kept[:-2]]
    assert len(set(hours)) == len(hours)
    assert len(kept) <= 5 + 1 + 2
    assert kept[0][1] > START_MS + 120 * 300_000 - 5 * HOUR_MS
