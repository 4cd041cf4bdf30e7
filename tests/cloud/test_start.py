"""What a start does not wait for."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from davylamp_cloud.__main__ import FAILED
from support.cloud_process import CloudProcess, JournalingEdge, until
from support.services import Broker

LATE = ("aiohttp", "davylamp_cloud.historian.influx", "davylamp_cloud.grafana.push")
"""Wanted by the first notice, by another kind of history, by another command."""

WEB = ("fastapi", "uvicorn", "jinja2", "prometheus_client")
"""Wanted by API and console, for which no alarm waits."""

BUILD = """
import json, sys
from pathlib import Path
from davylamp_cloud.__main__ import load
from davylamp_cloud.app import App
app = App(load(Path(sys.argv[1])))
print(json.dumps(sorted(sys.modules)))
app.stop()
"""

CONFIG = """
data_dir = "data"
[broker]
host = "127.0.0.1"
[http]
port = 0
[[receivers]]
name = "bureau"
url = "http://127.0.0.1:9/notices"
insecure_http = true
secret_file = "secret"
"""


LOADED_WHEN_LET = """
import pathlib, time
while not pathlib.Path({let!r}).exists():
    time.sleep(0.02)
raise ImportError("this jinja2 is broken")
"""


def test_an_alarm_waits_for_no_module_that_only_others_need(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("whsec_" + "QUJD" * 12, encoding="ascii")
    (tmp_path / "cloud.toml").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-c", BUILD, str(tmp_path / "cloud.toml")]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert not {*LATE, *WEB} & set(json.loads(built.stdout))


def test_an_alarm_waits_for_no_console_and_a_console_that_fails_ends_the_cloud(
    tmp_path: Path, mosquitto: Broker
) -> None:
    let, modules = tmp_path / "let", tmp_path / "modules"
    modules.mkdir()
    (modules / "jinja2.py").write_text(LOADED_WHEN_LET.format(let=str(let)), encoding="utf-8")
    cloud = CloudProcess(tmp_path, mosquitto, environment={"PYTHONPATH": str(modules)})
    edge = JournalingEdge(tmp_path, mosquitto)
    cloud.begin()
    try:
        edge.read(cl2_1=5.0)
        until(lambda: raised(cloud.folder / "state.db"), "the alarm")
        assert not cloud.answers()
        let.touch()
        until(lambda: not cloud.lives(), "the end")
    finally:
        edge.close()
        code = cloud.stop()
    assert code == FAILED
    assert "davylamp-cloud: stopped: ImportError: this jinja2 is broken" in cloud.log.read_text(encoding="utf-8")
    assert not cloud.answers()


def raised(path: Path) -> bool:
    """Return whether an alarm of a limit is on disk."""
    if not path.exists():
        return False
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        tables = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'transitions'").fetchone()
        found = tables and db.execute("SELECT 1 FROM transitions WHERE event = 'raised' AND kind = 'L2'").fetchone()
    db.close()
    return bool(found)
