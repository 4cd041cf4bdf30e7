"""`davylamp-cloud` as a process of its own, to be killed and started again; and an edge that never stops journaling."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from davylamp_cloud.faultpoints import VARIABLE
from davylamp_edge.birth import Births
from davylamp_edge.config import EdgeConfig
from davylamp_edge.install import install
from davylamp_edge.journal import Journal
from davylamp_edge.records import Entry, JournalClass
from davylamp_edge.uplink import Uplink
from davylamp_edge.writer import Writer
from davylamp_wire.payload import metrics_body
from davylamp_wire.profile import load_profiles, shipped_profiles
from davylamp_wire.reading import Readings

from support.services import Broker, stop

DEADLINE_S = 40.0
DEVICE = "store"


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_S) -> Any:
    """Return what a condition gives once it holds; real processes are at work, so there is no clock to move."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


class CloudProcess:
    """A cloud in a folder. `url` is where it answers."""

    def __init__(
        self, folder: Path, broker: Broker, more: str = "", environment: Mapping[str, str] | None = None
    ) -> None:
        self.environment = dict(environment or {})
        self.folder = folder / "cloud"
        self.folder.mkdir(exist_ok=True)
        self.config = folder / "cloud.toml"
        self.config.write_text(
            f'data_dir = "cloud"\n[broker]\nhost = "{broker.host}"\nport = {broker.port}\n[http]\nport = 0\n{more}'
        )
        self.log = folder / "cloud.log"
        self.running: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> "CloudProcess":
        """Start, and return once it answers."""
        self.begin()
        until(lambda: self.answers() or self._gone(), "the cloud's start")
        return self

    def begin(self, faults: str = "") -> None:
        """Start without waiting; `faults` arms fault points (davylamp_cloud.faultpoints)."""
        (self.folder / "http.json").unlink(missing_ok=True)
        self.url = ""
        with open(self.log, "ab") as log:
            command = [sys.executable, "-m", "davylamp_cloud", "run", str(self.config)]
            environment = {**os.environ, VARIABLE: faults, **self.environment}
            self.running = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def answers(self) -> bool:
        """Whether it has said where it answers."""
        if not self.url and (self.folder / "http.json").exists():
            self.url = json.loads((self.folder / "http.json").read_text())["url"]
        return bool(self.url)

    def lives(self) -> bool:
        """Whether the process is there."""
        return self.running is not None and self.running.poll() is None

    def _gone(self) -> bool:
        assert self.running is not None
        if self.running.poll() is not None:
            raise AssertionError(f"the cloud ended with {self.running.returncode}: {self.log.read_text()[-2000:]}")
        return False

    def kill(self) -> None:
        """SIGKILL it."""
        assert self.running is not None
        self.running.kill()
        self.running.wait(10)

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        assert self.running is not None
        stop(self.running, 20)
        return int(self.running.returncode)

    def get(self, path: str) -> Any:
        """Return what a route answers."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, **body: Any) -> Any:
        """Send a change as the console on this machine would."""
        headers = {"content-type": "application/json", "origin": self.url}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def alarms(self) -> list[dict[str, Any]]:
        """Return the alarms that stand or wait."""
        return list(self.get("/api/v1/alarms")["items"])


class JournalingEdge:
    """A real edge without a scanner: real journal, real uplink; tests say what was read."""

    def __init__(self, folder: Path, broker: Broker, node: str = "edge-1") -> None:
        device = {
            "name": DEVICE,
            "profile": "cl2-store",
            "driver": "modbus",
            "hazard_source": "cl2-1",
            "address": "192.0.2.1:502",
        }
        table = {
            "node": node,
            "broker": {"host": broker.host, "port": broker.port},
            "journal": {"path": str(folder / f"{node}.db"), "max_bytes": 1 << 28},
            "devices": [device],
            "backlog_rate": 20_000,
        }
        config = EdgeConfig.model_validate(table)
        self.journal = Journal.open(config.journal.path, config.journal.max_bytes)
        self.births = Births(self.journal, install(config, load_profiles(shipped_profiles())))
        self.uplink = Uplink(config, self.journal, self.births)
        self.writer = Writer(self.journal, self.uplink.offer)
        self.count = 0
        self._last_ms = 0
        self.writer.start()
        self.uplink.start()

    def read(self, **values: float) -> None:
        """Journal one scan."""
        tags = self.births.tags[DEVICE]
        places = [tags.installed.names.index(name) for name in values]
        self._last_ms = max(self._last_ms + 1, time.time_ns() // 1_000_000)
        aliases = [tags.aliases[place] for place in places]
        readings = Readings(aliases, [self._last_ms] * len(aliases), list(values.values()), [0] * len(aliases))
        self.writer.submit(Entry(DEVICE, JournalClass.LIVE, metrics_body(readings, tags.types), self._last_ms))
        self.count += 1

    def all_confirmed(self) -> bool:
        """True once everything read is journaled, which the writer's thread does, and confirmed by the cloud."""
        return self.journal.last_record >= self.count > 0 and not self.journal.unconfirmed(0, 1)

    def close(self) -> None:
        """Stop, journal and all."""
        self.writer.stop()
        self.uplink.stop()
        self.journal.close()
