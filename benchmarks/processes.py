"""Real processes for the benchmarks of whole parts: started, asked, and gone at the end whatever happens."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from davylamp_edge.config import GIB
from davylamp_simulators.stage import toml
from support.services import Broker, broker, free_port, stop, wait_for_port

from benchmarks.sampler import Profile

READY_S = 60.0
T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = READY_S, every_s: float = 0.1) -> T:
    """Return what a condition gives once it holds. Raises: TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(every_s)  # real processes are at work: there is no clock to move


class Part:
    """One process. Its output lies in the folder; `profile` is there once it has ended."""

    def __init__(self, folder: Path, name: str, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.name = name
        self._profile = profile_of(folder, name)
        self._log = folder / f"{name}.log"
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def say(self, line: str) -> None:
        """Write a line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Return the next line it says, JSON. Raises: RuntimeError where it ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self._ended()
        said: dict[str, Any] = json.loads(line)
        return said

    def running(self) -> bool:
        """Return True. Raises: RuntimeError where it ended instead."""
        if self.process.poll() is not None:
            raise self._ended()
        return True

    def _ended(self) -> RuntimeError:
        return RuntimeError(f"{self.name} ended: {self._log.read_text(encoding='utf-8')[-2000:]}")

    def end(self) -> None:
        """Ask it to end, and wait for it."""
        stop(self.process, 30)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def profile(self) -> Profile:
        """Return where its CPU went."""
        return Profile.read(self._profile)

    def peak_mb(self) -> float:
        """Return the most memory it ever had resident (Linux: VmHWM), in MB."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024 / 1e6


def profile_of(folder: Path, name: str) -> Path:
    """Return where a sampled process leaves its profile."""
    return folder / f"{name}.profile.json"


class Stage:
    """A folder, a broker and the processes around it."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self.folder = folder
        self._undo = undo
        self.broker: Broker = undo.enter_context(broker(folder))

    def begin(self, name: str, *arguments: str, sampled: bool = False) -> Part:
        """Start a Python module that ends with the stage at the latest."""
        sampler = ["benchmarks.sampler", str(profile_of(self.folder, name))] if sampled else []
        return self.program(name, sys.executable, "-m", *sampler, *arguments)

    def installed(self, name: str, *arguments: str, python: Path | None = None) -> Part:
        """Start a Python module with its bytecode kept in the folder, as an installation has it after its first run.

        Args:
            python: Of an installation; else this one, which also has what only developers need.
        """
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**kept, "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode")}
        part = Part(self.folder, name, [str(python or sys.executable), "-m", *arguments], environment)
        self._undo.callback(part.end)
        return part

    def program(self, name: str, *command: str) -> Part:
        """Start any program that ends with the stage at the latest."""
        part = Part(self.folder, name, list(command))
        self._undo.callback(part.end)
        return part

    def write(self, name: str, top: dict[str, Any], **sections: Any) -> str:
        """Write a config; return its path."""
        path = self.folder / name
        path.write_text(toml(top, **sections), encoding="utf-8")
        return str(path)

    def cloud(self, *receivers: dict[str, Any], **sections: Any) -> "CloudPart":
        """Start a cloud with DuckDB and more sections of its config; return once it answers."""
        own = {"host": self.broker.host, "port": self.broker.port}
        top = {"data_dir": "cloud"}
        config = self.write("cloud.toml", top, broker=own, http={"port": 0}, receivers=[*receivers], **sections)
        part = self.begin("cloud", "davylamp_cloud", "run", config, sampled=True)
        address = self.folder / "cloud" / "http.json"
        until(lambda: address.exists() or part.process.poll() is not None, "the cloud's start")
        return CloudPart(
            part, json.loads(address.read_text(encoding="utf-8"))["url"], self.folder / "cloud" / "history"
        )

    def regulator(self, secret_file: str) -> tuple[dict[str, Any], Path]:
        """Start a receiver of signed notices; return its entry in the cloud's config, and its log."""
        port, notices = free_port(), self.folder / "notices.jsonl"
        keys = ("--secret-file", str(self.folder / secret_file), "--log", str(notices), "--port", str(port))
        wait_for_port(port, self.begin("regulator", "davylamp_simulators", "regulator", *keys).process)
        url = f"http://127.0.0.1:{port}/notices"
        told = {"name": "regulator", "url": url, "insecure_http": True, "secret_file": secret_file}
        return {**told, "priorities": ["red", "orange", "yellow", "blue"]}, notices


def edge_config(
    site: Stage, places: Sequence[int | str], profile: str, *, driver: str = "modbus", max_bytes: int = GIB, **more: Any
) -> tuple[str, str]:
    """Write the config of an edge on a plant's devices, all of one profile; return it and its page of counters.

    ``places`` are their ports on this machine, or their whole addresses; ``max_bytes`` are the journal's, ``more`` are
    keys of the node.
    """
    profiles = site.folder / "profiles" / "bench"
    profiles.mkdir(parents=True)
    (profiles / "bench.toml").write_text(profile, encoding="utf-8")
    port = free_port()
    device = {"profile": "bench", "driver": driver, "hazard_source": "bench"}
    devices: list[dict[str, Any]] = [
        {"name": f"d{n}", "address": at if isinstance(at, str) else f"127.0.0.1:{at}", **device}
        for n, at in enumerate(places)
    ]
    config = site.write(
        "edge.toml",
        {"node": "edge-1", "report": "changes", "profiles": str(profiles.parent), **more},
        broker={"host": site.broker.host, "port": site.broker.port},
        journal={"path": str(site.folder / "journal.db"), "max_bytes": max_bytes},
        status={"port": port},
        devices=devices,
    )
    return config, f"http://127.0.0.1:{port}/metrics"


def edge_on(site: Stage, places: Sequence[int | str], profile: str, *, driver: str = "modbus") -> tuple[Part, str]:
    """Start an edge on a plant's devices, as `edge_config` says; return it and its page of counters."""
    config, url = edge_config(site, places, profile, driver=driver)
    return run_edge(site, config), url


def run_edge(site: Stage, config: str) -> Part:
    """Start an edge."""
    return site.begin("edge", "davylamp_edge", "run", config, sampled=True)


def online(url: str) -> bool:
    """Return whether an edge, by its page of counters, is connected and has been confirmed."""
    try:
        now = metrics(url)
    except OSError:
        return False
    return now["davylamp_edge_uplink_online"] == 1 and now["davylamp_edge_uplink_confirmations_total"] > 2


class CloudPart:
    """A running cloud."""

    def __init__(self, part: Part, url: str, history: Path) -> None:
        self.part = part
        self.url = url
        self._history = history

    def health(self) -> dict[str, Any]:
        """Return how every part of it fares."""
        return dict(json.loads(ask(f"{self.url}/api/v1/health")))

    def settled(self) -> bool:
        """True where monitor and historian have everything that is in the log, but for the last ticks."""
        now = self.health()
        return int(now["monitor"]["lag_records"]) < 10 and int(now["historian"].get("lag_records", 0)) < 10

    def stored(self, where: str = "quality = 0", what: str = "*") -> int:
        """Return how many rows the day files hold, or how many of ``what`` in them.

        Only after its end: one process may open them.
        """
        count = 0
        for file in self._history.rglob("*.duckdb"):
            with duckdb.connect(str(file), read_only=True) as day:
                row = day.execute(f"SELECT count({what}) FROM readings WHERE {where}").fetchone()
                count += int(row[0]) if row else 0
        return count


def ask(url: str) -> str:
    """Return what a page says."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def metrics(url: str) -> dict[str, float]:
    """Return a page of Prometheus metrics, each name summed over its labels."""
    found: dict[str, float] = {}
    for line in ask(url).splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A stage for the length of a with block; the last started ends first."""
    with ExitStack() as undo:
        yield Stage(folder, undo)
