"""A whole site as separate processes, any of which a test may kill and bring back."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from davylamp_simulators.ledger import Comparison, Run, Stored, compare_all, read_ledger
from davylamp_simulators.regulator import Received, read_received
from davylamp_simulators.stage import CHLORINE, SPHERE, Historian, Stage

from support.services import binary, free_port, stop, wait_for_port

WAIT_S = 45.0
EDGE_OWN = "comm_ok"


class WholeSite:
    """The processes by name: broker, regulator, cloud, plant, edge-1, edge-2."""

    def __init__(self, folder: Path, scenario: str, historian: Historian) -> None:
        binary("mosquitto")
        self.stage = Stage(folder, (CHLORINE, SPHERE), "en")
        self.kills_ms: list[int] = []
        self._folder = folder
        self._scenario = scenario
        self._historian = historian
        self._commands: dict[str, list[str]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.client = httpx.Client(headers={"Authorization": f"Bearer {self.stage.token}"}, timeout=20)

    def start_all(self) -> None:
        """Start everything, each part when what it needs is there."""
        stage, module = self.stage, [sys.executable, "-m"]
        self._begin("broker", stage.broker_command("mosquitto"))
        wait_for_port(stage.broker_port)
        port = free_port()
        keys = ["--secret-file", str(stage.secret_file), "--log", str(stage.notices), "--port", str(port)]
        self._begin("regulator", [*module, "davylamp_simulators", "regulator", *keys])
        cloud = stage.write_cloud(port, self._historian, free_port())
        self._begin("cloud", [*module, "davylamp_cloud", "run", str(cloud)])
        plant = stage.write_plant(self._scenario)
        self._begin("plant", [*module, "davylamp_simulators", "run", str(plant)])
        wait_for_port(port)
        until(lambda: stage.address_file.exists() and stage.endpoints.exists())
        self.client.base_url = json.loads(stage.address_file.read_text(encoding="utf-8"))["url"]
        for config in stage.write_edges():
            self._begin(config.stem, [*module, "davylamp_edge", "run", str(config)])

    def kill(self, name: str) -> None:
        """SIGKILL a part."""
        process = self._running.pop(name)
        if name.startswith("edge"):
            self.kills_ms.append(time.time_ns() // 1_000_000)
        process.kill()
        process.wait(10)

    def revive(self, name: str) -> None:
        """Start a killed part again, exactly as before."""
        self._begin(name, self._commands[name])
        if name == "broker":
            wait_for_port(self.stage.broker_port)
        if name == "cloud":
            until(self._answers)

    @contextmanager
    def full_disk(self, name: str, room: int) -> Iterator[None]:
        """Let no file of a part grow beyond so many bytes, as a full disk does, for the length of a with block."""
        pid = self._running[name].pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)

    def ends_on_a_full_disk(self, name: str, room: int) -> None:
        """Fill a part's disk, on which it cannot go on."""
        process = self._running.pop(name)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        process.wait(WAIT_S)

    def end(self, name: str) -> None:
        """Ask a part to end, and wait for it."""
        stop(self._running.pop(name))

    def close(self) -> None:
        """End whatever still runs, last started first."""
        for process in reversed(self._running.values()):
            stop(process)
        self.client.close()

    def alarms(self) -> list[dict[str, Any]]:
        """Return the standing alarms."""
        return list(self._get("alarms", limit=500)["items"])

    def standing(self, kind: str) -> dict[str, Any] | None:
        """Return the first standing alarm of a kind."""
        return next((alarm for alarm in self.alarms() if alarm["kind"] == kind), None)

    def acknowledge(self, alarm: dict[str, Any]) -> None:
        """Acknowledge an alarm as it was shown."""
        body = {"version": alarm["version"], "comment": "seen in a test"}
        self.client.post(f"/api/v1/alarms/{alarm['occurrence']}/acknowledge", json=body).raise_for_status()

    def transitions(self) -> list[dict[str, Any]]:
        """Return every transition there is."""
        rows: list[dict[str, Any]] = []
        after = 0
        while (page := self._get("transitions", after=after, limit=500))["items"]:
            rows, after = rows + page["items"], page["next_after"]
        return rows

    def received(self) -> list[Received]:
        """Return the notices the regulator believed, in the order they came."""
        return read_received(self.stage.notices)

    def settled(self) -> Comparison:
        """Return the history held against the ledger, once nothing is missing or nothing more comes."""
        served = read_ledger(self.stage.ledger)
        deadline = time.monotonic() + WAIT_S
        while True:
            found = compare_all(served, self._history(), Run(kills_ms=self.kills_ms))
            if not found.lost or time.monotonic() > deadline:
                return found
            time.sleep(0.5)  # real processes drain: there is no clock to move

    def _history(self) -> dict[tuple[str, str], list[Stored]]:
        tags = [row["tag"] for row in self._get("tags", limit=500)["items"]]
        return {(tag.split("/")[2], tag.split("/")[3]): self._stored(tag) for tag in tags if not tag.endswith(EDGE_OWN)}

    def _stored(self, tag: str) -> list[Stored]:
        now_ms = time.time_ns() // 1_000_000
        page = self._get(f"tags/{tag}/history", from_ms=now_ms - 3_600_000, to_ms=now_ms + 60_000, limit=100_000)
        assert not page.get("texts"), "these plants serve numbers only"
        columns = zip(page["times_ms"], page["values"], page["qualities"], strict=True)
        return sorted((Stored(*row) for row in columns), key=lambda reading: reading.time_ms)

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.client.get(f"/api/v1/{path}", params=query).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def _begin(self, name: str, command: list[str]) -> None:
        self._commands[name] = command
        with open(self._folder / f"{name}.log", "ab") as log:
            self._running[name] = subprocess.Popen(command, stdout=log, stderr=log)


def until(holds: Callable[[], object], seconds: float = WAIT_S) -> None:
    """Return once something holds; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not true after {seconds:g} s"
        time.sleep(0.1)  # real processes work: there is no clock to move


@contextmanager
def whole_site(folder: Path, scenario: str, historian: Historian | None = None) -> Iterator[WholeSite]:
    """A running site for the length of a with block."""
    folder.mkdir()
    site = WholeSite(folder, scenario, historian or Historian())
    with ExitStack() as undo:
        undo.callback(site.close)
        site.start_all()
        yield site
