"""The whole cloud in this process: what its clock puts into the log, what it keeps, and that it leaves nothing."""

import json
import sqlite3
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.api.health import ENGINE_SILENT_MS
from davylamp_cloud.app import App
from davylamp_cloud.config import BrokerConfig, CloudConfig, HttpConfig, LogConfig, SiteConfig
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.monitor import shifts_ms
from davylamp_cloud.retention import FolderTaken, Retention, only_one
from support.cloud_process import until
from support.host import host
from support.services import Broker, free_port
from support.speaker import Speaker


def config(folder: Path, port: int) -> CloudConfig:
    return CloudConfig(data_dir=folder, broker=BrokerConfig(port=port), http=HttpConfig(port=0))


def ticks_of(app: App) -> list[dict[str, Any]]:
    """Return the ticks in the log that the monitor has taken."""
    records = app.cloud.log.read(0)
    upto = app.cloud.monitor.position
    return [json.loads(r.body) for r in records if r.kind is RecordKind.TICK and r.seq <= upto]


def test_s13_the_engine_ticks_five_times_a_second_and_health_shows_it(tmp_path: Path, mosquitto: Broker) -> None:
    app = App(config(tmp_path, mosquitto.port))
    app.start()
    try:
        until(lambda: len(ticks_of(app)) >= 2, "two ticks")
        ticks = ticks_of(app)
        assert {"utc_ms", "monotonic_ms", "boot_id", "offsets"} <= ticks[0].keys()
        assert 190 <= ticks[1]["monotonic_ms"] - ticks[0]["monotonic_ms"] < ENGINE_SILENT_MS
        with urllib.request.urlopen(app.url + "/readyz", timeout=5) as answer:
            assert answer.status == 200
        assert app.cloud.engine_age_ms() is not None, "API and console live by its ticks"
        assert json.loads((tmp_path / "http.json").read_text())["url"] == app.url
    finally:
        app.stop()


def test_a_part_that_fails_ends_the_wait(tmp_path: Path) -> None:
    app = App(config(tmp_path, free_port()))
    app.start()
    try:
        with sqlite3.connect(tmp_path / "log.db") as db:
            db.execute("DROP TABLE records")
        db.close()
        assert "records" in str(app.wait()), "the disk refuses: nothing may be confirmed, so nothing may look alive"
    finally:
        app.stop()


def test_a_start_that_fails_closes_what_it_opened(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(FolderTaken):
        App(config(tmp_path, 1883))
    app = App(config(tmp_path, 1883))
    app.stop()


def test_the_log_is_trimmed_only_below_what_readers_need_and_by_age(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.db")
    log.append([NewRecord(RecordKind.TICK, b"{}", day * 86_400_000) for day in range(20)])
    retention = Retention(log, LogConfig(keep_days=7), lambda: 10)
    retention.look(19 * 86_400_000)
    assert log.first_seq == 10
    retention.look(19 * 86_400_000)
    assert log.first_seq == 10
    log.close()


def test_shift_changes_follow_the_sites_own_clock() -> None:
    site = SiteConfig(name="p", zh="园", en="p", timezone="Asia/Shanghai", shifts=("08:00", "16:00", "00:00"))
    hour = 3_600_000
    assert shifts_ms([site], 0) == (0, 8 * hour, 16 * hour)
    assert shifts_ms([], 0) == ()


def test_new_shifts_in_the_config_reach_the_engine_at_the_next_start(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth())
        running.settle()
        changes = [json.loads(r.body) for r in running.log.read(0) if r.kind is RecordKind.CHANGE]
    assert [change["op"] for change in changes[:2]] == ["start", "shifts"]
    assert len(changes[1]["shifts_ms"]) == 3
