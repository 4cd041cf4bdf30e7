"""The real `davylamp-edge` as a process of its own, its config, and a device that counts."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from davylamp_edge.journal import Journal

from support.edge_host import EdgeHost
from support.field import Plc
from support.services import stop

EDGE = [sys.executable, "-m", "davylamp_edge"]
PROFILE = """
zh = "试验台"
en = "rig"
[points.count]
zh = "计数"
en = "count"
unit = ""
type = "uint16"
scan_s = 0.05
address = {modbus = "holding:0"}
[points.switch]
zh = "开关"
en = "switch"
unit = ""
kind = "status"
type = "bool"
scan_s = 0.5
journal_class = "event"
address = {modbus = "coil:0"}
"""


class Listening(Protocol):
    """Where an edge connects to: a broker, or something in front of one."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


DEFAULTS: dict[str, Any] = {
    "report": "every",
    "max_bytes": 1 << 26,
    "status": 0,
    "status_host": "127.0.0.1",
    "profile": PROFILE,
    "keepalive_s": 15,
    "timeout_s": 1.0,
}


def config_of(folder: Path, listening: Listening, address: str, **settings: Any) -> Path:
    """Write a config with one device `rig` at an address, and others by name, and its profile; return its path."""
    given = {**DEFAULTS, **settings}
    devices: Mapping[str, str] = {"rig": address, **given.get("others", {})}
    (folder / "profiles/test").mkdir(parents=True, exist_ok=True)
    (folder / "profiles/test/rig.toml").write_text(given["profile"])
    status = f'[status]\nhost = "{given["status_host"]}"\nport = {given["status"]}\n' if given["status"] else ""
    path = folder / "edge.toml"
    path.write_text(
        f'node = "edge-1"\nreport = "{given["report"]}"\nprofiles = "profiles"\nbacklog_rate = 5000\n'
        f'[broker]\nhost = "{listening.host}"\nport = {listening.port}\nkeepalive_s = {given["keepalive_s"]}\n'
        f'{given.get("broker", "")}[journal]\npath = "journal.db"\nmax_bytes = {given["max_bytes"]}\n'
        f"{status}{given.get('more', '')}"
        + "".join(
            f'[[devices]]\nname = "{name}"\nprofile = "rig"\ndriver = "modbus"\nhazard_source = "hall-1"\n'
            f'address = "{where}"\ntimeout_s = {given["timeout_s"]}\n'
            for name, where in devices.items()
        )
    )
    return path


class Process:
    """A running `davylamp-edge`; `within` is a command that runs it somewhere, such as in a network namespace."""

    def __init__(self, config: Path, within: Sequence[str] = (), **environment: str) -> None:
        self.config = config
        self._within = within
        self._environment = {**os.environ, **environment}
        self.log = config.with_suffix(".log")
        self.start()

    def start(self) -> None:
        with open(self.log, "ab") as log:
            self.running = subprocess.Popen(
                [*self._within, *EDGE, "run", str(self.config)], stdout=log, stderr=log, env=self._environment
            )

    def kill(self) -> None:
        self.running.kill()
        self.running.wait(10)

    def reload(self) -> None:
        self.running.send_signal(signal.SIGHUP)

    async def terminate(self) -> int:
        """End it in the proper way. Its devices often live in this loop, and it waits for their answers."""
        self.running.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.running.wait, 15)


@contextmanager
def edge_process(config: Path, within: Sequence[str] = (), **environment: str) -> Iterator[Process]:
    """A running edge for the length of a with block; its log is printed where the block fails."""
    process = Process(config, within, **environment)
    try:
        yield process
    except BaseException:
        print(process.log.read_text())
        raise
    finally:
        stop(process.running)


async def came(host: EdgeHost, until: Any, what: str) -> None:
    """Wait for something in the host's eyes while the plant goes on."""
    await asyncio.to_thread(host.wait, until, what)


async def all_came(host: EdgeHost, folder: Path) -> None:
    """Wait for every record of the journal of an agent that has ended."""
    with Journal.open(folder / "journal.db", 1 << 26) as journal:
        last = journal.last_record
    await came(host, lambda: not host.stored.missing(1, last), f"every record up to {last}")


async def counting(rig: Plc) -> None:
    """Change the device's counter as fast as the edge can see it."""
    number = 0
    while True:
        number = (number + 1) % 65_536
        await rig.write("holding", 0, [number])
        await asyncio.sleep(0.01)  # the plant's own pace


def fetch(url: str) -> tuple[int, str]:
    """Return the status and text of a page, whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()
