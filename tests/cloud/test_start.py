"""What a start does not wait for."""

import json
import subprocess
import sys
from pathlib import Path

LATE = ("aiohttp", "davylamp_cloud.historian.influx", "davylamp_cloud.grafana.push")
"""Wanted by the first notice, by another kind of history, by another command."""

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


def test_the_list_of_alarms_waits_for_no_module_that_only_others_need(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("whsec_" + "QUJD" * 12, encoding="ascii")
    (tmp_path / "cloud.toml").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-c", BUILD, str(tmp_path / "cloud.toml")]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert not set(LATE) & set(json.loads(built.stdout))
