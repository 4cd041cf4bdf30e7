"""state.db or log.db is lost: what the log and the receivers know goes on, and persons are told (SAFETY S4, S23)."""

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.__main__ import OK, main
from davylamp_cloud.copies.database import number
from davylamp_cloud.log import Record, RecordKind
from davylamp_cloud.receipts import newest_told, told_standing
from davylamp_cloud.settings import LOG_LOST, STATE_LOST, system_alarm_id
from davylamp_cloud.tags import Named, Said
from davylamp_wire.config import ConfigError
from support.cloud_process import CloudProcess, JournalingEdge, until
from support.host import Host, host
from support.regulator import Regulator, regulator
from support.services import Broker
from support.speaker import Speaker


def lose(folder: Path, name: str) -> None:
    for end in ("", "-wal", "-shm"):
        (folder / f"{name}{end}").unlink(missing_ok=True)


def trim(folder: Path, rows: int = 1) -> None:
    """Let the log's oldest records go, as they do after a week."""
    with sqlite3.connect(folder / "log.db") as db:
        db.execute("DELETE FROM records WHERE seq < (SELECT min(seq) FROM records) + ?", (rows,))
    db.close()


def standing(cloud: CloudProcess) -> dict[str, dict[str, Any]]:
    return {alarm["kind"]: alarm for alarm in cloud.alarms()}


def killed(
    cloud: CloudProcess, edge: JournalingEdge, bureau: Regulator, harm: Callable[[Path], None]
) -> dict[str, Any]:
    """Let a red be told and acknowledged, kill the cloud, harm its folder and start it; return the red as it was."""
    for value in (0.1, 5.0):
        edge.read(cl2_1=value)
    until(lambda: bureau.reds() == 1, "the red")
    seen = standing(cloud)["L2"]
    cloud.post(f"/api/v1/alarms/{seen['occurrence']}/acknowledge", version=seen["version"], comment="seen")
    until(lambda: len(bureau.told()) >= 2 and edge.all_confirmed(), "the acknowledgement's notice")
    marked = "SELECT count(*) = 0 FROM outbox WHERE state != 'delivered'"
    until(lambda: number(cloud.folder / "state.db", marked), "the marks")
    cloud.kill()
    harm(cloud.folder)
    cloud.start()
    return seen


def said_of(bureau: Regulator, alarm: dict[str, Any]) -> list[str]:
    """Return what a regulator heard of an alarm's occurrence."""
    return [one.data["event"] for one in bureau.told() if one.data["occurrence"] == alarm["occurrence"]]


@pytest.mark.parametrize("trimmed", [False, True])
def test_s23_where_state_db_is_lost_receivers_hear_on_of_what_they_know_and_nothing_twice(
    tmp_path: Path, mosquitto: Broker, trimmed: bool
) -> None:
    def harm(folder: Path) -> None:
        lose(folder, "state.db")
        if trimmed:
            trim(folder)

    with regulator(tmp_path) as bureau:
        cloud, edge = CloudProcess(tmp_path, mosquitto, bureau.entry).start(), JournalingEdge(tmp_path, mosquitto)
        try:
            seen = killed(cloud, edge, bureau, harm)
            until(lambda: "L2" in standing(cloud), "the red, from the log")
            again = standing(cloud)["L2"]
            assert again["occurrence"] == seen["occurrence"]
            assert again["acknowledged"]
            assert ("SYSTEM" in standing(cloud)) is trimmed
            edge.read(cl2_1=5.2)
            until(edge.all_confirmed, "a reading after the loss")
            until(lambda: not trimmed or "updated" in said_of(bureau, seen), "word of it, under the number it knows")
            assert bureau.reds() == 1
            assert Counter(one.id for one in bureau.told()).most_common(1)[0][1] == 1, "nothing was sent twice"
        finally:
            edge.close()
            cloud.stop()
    assert main(["verify", str(cloud.config)]) == OK


def two_devices(folder: Path) -> tuple[Speaker, Speaker]:
    """Let two devices be born and one of them alarm, in a log whose beginning is gone."""
    store, tank = Speaker(), Speaker(node="edge-2", device="tank")
    with host(folder) as running:
        for edge in (store, tank):
            running.hear(*edge.birth())
            say(running, edge, 0.1)
        say(running, store, 5.0)
        running.settle()
    trim(folder, 3)
    return store, tank


def say(running: Host, edge: Speaker, value: float) -> None:
    edge.now_ms = running.now_ms = running.now_ms + 1000
    running.hear(edge.data([value]))
    running.settle()


def limits(running: Host) -> list[list[str]]:
    return [sorted(running.state.limits(row["idx"])["settings"]["limits"]) for row in running.state.tags()]  # type: ignore[index]


def test_s01_where_state_db_is_lost_every_device_has_its_limits_whoever_is_born_first(tmp_path: Path) -> None:
    store, tank = two_devices(tmp_path)
    lose(tmp_path, "state.db")
    with host(tmp_path, now_ms=store.now_ms) as running:
        running.settle()
        assert limits(running) == [["L1", "L2"], ["L1", "L2"]]
        assert running.standing()["L2 live"]["tag_id"] == "park/edge-1/store/gas", "by the last minutes of the log"
        assert running.standing()["SYSTEM live"]["alarm_id"] == system_alarm_id(STATE_LOST)
        running.hear(*tank.birth())
        say(running, tank, 5.0)
        active = [
            row for row in running.state.standing_alarms() if row["kind"] == "L2" and row["condition"] == "active"
        ]
        assert {row["tag_id"] for row in active} == {"park/edge-1/store/gas", "park/edge-2/tank/gas"}
    with host(tmp_path, now_ms=running.now_ms + 1000) as running:
        running.settle()
        lost = running.standing()["SYSTEM live"]
        assert running.act("acknowledge", occurrence=lost["occurrence"], version=lost["version"]).refusal is None
        lost = running.standing()["SYSTEM live"]
        assert running.act("reset", occurrence=lost["occurrence"], version=lost["version"]).refusal is None
        assert "SYSTEM live" not in running.standing()


def test_s04_an_older_state_db_than_the_log_reaches_keeps_what_stood_and_its_numbers(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth())
        say(running, edge, 5.0)
        stood = running.standing()["L2 live"]["occurrence"]
    older = (tmp_path / "state.db").read_bytes()
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.hear(*edge.birth())
        for _ in range(5):
            say(running, edge, 5.1)
    lose(tmp_path, "state.db")
    (tmp_path / "state.db").write_bytes(older)
    with sqlite3.connect(tmp_path / "log.db") as db:
        db.execute("DELETE FROM records WHERE seq < (SELECT max(seq) FROM records) - 2")
    db.close()
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert running.standing()["L2 live"]["occurrence"] == stood
        assert running.standing()["SYSTEM live"]["alarm_id"] == system_alarm_id(STATE_LOST)
        running.hear(*edge.birth())
        say(running, edge, 0.1)
        assert running.standing()["L2 live"]["condition"] == "normal"


def test_s26_a_lost_log_is_an_alarm_until_somebody_has_seen_it(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth())
        say(running, edge, 0.1)
    lose(tmp_path, "log.db")
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert running.standing()["SYSTEM live"]["alarm_id"] == system_alarm_id(LOG_LOST)


def test_s01_a_log_whose_numbers_have_a_gap_means_the_same_tags_after_a_start(tmp_path: Path) -> None:
    """A birth that was never written (an odd foreign one) had taken numbers: the next start moved all later tags."""
    store, tank = Speaker(), Speaker(node="edge-2", device="tank")
    with host(tmp_path) as running:
        running.hear(*store.birth())
        said = Said("park/odd", "x", False, "", (Named(1, 10, "gas", "park/odd/x/gas"),), "odd")
        running.log.births.introduce(said, b"", 0)  # takes a number, as it did, and is written nowhere
        running.hear(*tank.birth())
        say(running, tank, 0.1)
    with host(tmp_path, now_ms=tank.now_ms) as running:
        assert running.log.births.tag_ids[1:] == ["lost/lost/lost/1", "park/edge-2/tank/gas"]
        running.hear(*tank.birth())
        say(running, tank, 5.0)
        assert running.standing()["L2 live"]["tag_id"] == "park/edge-2/tank/gas"


def test_s01_files_that_mean_different_tags_by_a_number_are_refused_by_name(tmp_path: Path) -> None:
    for name, edge in (("one", Speaker()), ("other", Speaker(node="edge-2", device="tank"))):
        with host(tmp_path / name) as running:
            running.hear(*edge.birth())
            say(running, edge, 0.1)
    lose(tmp_path / "one", "log.db")
    shutil.copy(tmp_path / "other" / "log.db", tmp_path / "one" / "log.db")
    mixed = Host(tmp_path / "one")
    with pytest.raises(ConfigError, match="not of one cloud: tag 0 is park/edge-2/tank/gas in one"):
        mixed.monitor.start()
    mixed.close()


def receipt(seq: int, **told: Any) -> Record:
    body = {"transition": "t", "receiver": "bureau", "status": "delivered", "at_ms": 1, "attempts": 1, **told}
    return Record(seq, RecordKind.DELIVERY, "", "", 0, 1, json.dumps(body).encode())


def told(seq: int, occurrence: str, version: int, letter: str) -> Record:
    said = {"alarm_id": "a", "lane": "live", "occurrence": occurrence, "version": version, "letter": letter, "seq": seq}
    return receipt(seq, told=said)


def test_what_stands_by_receipts_is_the_newest_word_of_each_alarm() -> None:
    assert told_standing([receipt(1)]) == [], "an older version did not say what it told"
    found = told_standing([told(2, "x", 2, "C"), told(3, "x", 1, "B")])
    assert [row["version"] for row in found] == [2], "two receivers hear of it in any order"
    assert told_standing([told(2, "x", 1, "B"), told(3, "x", 2, "A")]) == []
    assert [row["occurrence"] for row in told_standing([told(2, "x", 9, "A"), told(3, "y", 1, "B")])] == ["y"]
    assert newest_told([receipt(9), told(2, "x", 1, "B")]) == 2
