"""`davylamp-cloud backup` beside a running cloud, and `restore` into an empty folder (SAFETY S4, S23, S26, S27)."""

import json
import shutil
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest
from davylamp_cloud.__main__ import BAD_INPUT, FAILED, OK, main
from davylamp_cloud.copies.database import copy_database
from davylamp_cloud.copies.history import copy_history
from davylamp_cloud.copies.manifest import NAME
from davylamp_cloud.historian.duckdb import DuckDbHistorian
from support.cloud_process import CloudProcess, JournalingEdge, until
from support.history import rows
from support.regulator import Regulator, regulator
from support.services import Broker

TAG = "davylamp/edge-1/store/cl2_1"
DAY_MS = 86_400_000


def stored(cloud: CloudProcess) -> list[float]:
    """Return what history has of the tag, oldest first."""
    now_ms = time.time_ns() // 1_000_000
    span = f"from_ms={now_ms - DAY_MS // 2}&to_ms={now_ms + DAY_MS // 2}&resolution=raw"
    values: list[float] = cloud.get(f"/api/v1/tags/{TAG}/history?{span}")["values"]
    return values


def red(cloud: CloudProcess) -> str:
    """Return the occurrence of the red that stands; "" where none does."""
    return next((alarm["occurrence"] for alarm in cloud.alarms() if alarm["kind"] == "L2"), "")


def made(cloud: CloudProcess, edge: JournalingEdge, bureau: Regulator) -> str:
    """Let a red be told, take a backup beside the running cloud and go on; return the red's occurrence."""
    for value in (0.1, 0.2, 5.0):
        edge.read(cl2_1=value)
    until(lambda: bureau.reds() == 1 and edge.all_confirmed(), "the red")
    until(lambda: len(stored(cloud)) == 3, "history")
    occurrence = red(cloud)
    assert main(["backup", str(cloud.config), str(cloud.folder.parent / "backup")]) == OK
    for value in (5.1, 5.2):
        edge.read(cl2_1=value)
    until(edge.all_confirmed, "what the backup lacks")
    return occurrence


def test_s27_a_backup_of_a_running_cloud_is_put_back_and_filled_again(
    tmp_path: Path, mosquitto: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    with regulator(tmp_path) as bureau:
        cloud = CloudProcess(tmp_path, mosquitto, bureau.entry).start()
        edge = JournalingEdge(tmp_path, mosquitto)
        try:
            occurrence = made(cloud, edge, bureau)
            command = ["restore", str(cloud.config), str(tmp_path / "backup")]
            assert main(command) == FAILED, "a cloud runs there"
            cloud.kill()
            assert main(command) == BAD_INPUT, "its files are there"
            shutil.rmtree(cloud.folder)
            assert main(command) == OK
            assert "补传" in capsys.readouterr().out
            cloud.start()
            assert red(cloud) == occurrence
            until(lambda: stored(cloud) == [0.1, 0.2, 5.0, 5.1, 5.2], "history, filled again")
            own = next(alarm for alarm in cloud.alarms() if alarm["kind"] == "SYSTEM")
            assert "备份" in own["text"]["zh"]
            assert not own["acknowledged"]
            until(lambda: any("restored" in one.data["alarm_id"] for one in bureau.told()), "the restore's notice")
            assert Counter(one.id for one in bureau.told()).most_common(1)[0][1] == 1, "none was sent twice"
            assert bureau.reds() == 1
        finally:
            edge.close()
            cloud.stop()
    assert main(["verify", str(cloud.config)]) == OK


def test_a_backup_into_its_own_folder_is_renewed_and_says_what_it_is_not_for(
    tmp_path: Path, mosquitto: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, backup = CloudProcess(tmp_path, mosquitto).start(), tmp_path / "backup"
    try:
        assert main(["backup", str(cloud.config), str(backup)]) == OK
        first = json.loads((backup / NAME).read_text())
        assert main(["backup", str(cloud.config), str(backup)]) == OK
        assert json.loads((backup / NAME).read_text())["made_ms"] > first["made_ms"]
        capsys.readouterr()
        for place, words in ((cloud.folder / "backup", "data_dir"), (tmp_path, "something else")):
            assert main(["backup", str(cloud.config), str(place)]) == BAD_INPUT
            assert words in capsys.readouterr().err
    finally:
        cloud.stop()
    shutil.rmtree(cloud.folder)
    for harm, words in (
        (lambda: (backup / "state.db").write_bytes(b""), "state.db"),
        (lambda: (backup / NAME).unlink(), "no complete backup"),
    ):
        harm()
        assert main(["restore", str(cloud.config), str(backup)]) == BAD_INPUT
        assert words in capsys.readouterr().err
        assert not (cloud.folder / "state.db").exists()


def test_a_database_is_copied_as_it_was_at_one_moment_while_it_is_written(tmp_path: Path) -> None:
    source = sqlite3.connect(tmp_path / "one.db", isolation_level=None)
    source.execute("PRAGMA journal_mode = WAL")
    source.execute("CREATE TABLE numbers(n INTEGER)")
    source.execute("INSERT INTO numbers VALUES(1)")
    source.execute("BEGIN IMMEDIATE")
    source.execute("INSERT INTO numbers VALUES(2)")
    copy_database(tmp_path / "one.db", tmp_path / "copy.db")
    source.execute("COMMIT")
    source.close()
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert copy.execute("SELECT n FROM numbers").fetchall() == [(1,)]
    copy.close()


def test_days_that_have_not_changed_are_not_copied_again_and_expired_ones_go(tmp_path: Path) -> None:
    store = DuckDbHistorian(tmp_path / "history")
    for day in range(3):
        store.write(rows([(day + 1, 0, day * DAY_MS + 5, 1.0, 0)]), day + 1)
    store.expire(0)
    copy_history(tmp_path / "history", tmp_path / "copy")
    old, newest = sorted((tmp_path / "copy").glob("*.duckdb"))[1:]
    (tmp_path / "copy" / old.name).write_bytes(old.read_bytes()[:-1] + b"!")
    store.write(rows([(9, 0, 2 * DAY_MS + 6, 1.0, 0)]), 9)
    store.expire(DAY_MS)
    copy_history(tmp_path / "history", tmp_path / "copy")
    store.close()
    assert [path.name for path in sorted((tmp_path / "copy").glob("*.duckdb"))] == [old.name, newest.name]
    copied = DuckDbHistorian(tmp_path / "copy")
    assert copied.cursor() == 9
    copied.close()
