"""A regulator of its own process: what it was told lies in a file."""

import base64
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from davylamp_simulators.regulator import Received, read_received

from support.services import free_port, stop, wait_for_port


@dataclass(frozen=True, slots=True)
class Regulator:
    """`entry` is what the cloud's config says of it."""

    entry: str
    log: Path

    def told(self) -> list[Received]:
        """Return the notices that came, oldest first."""
        return [one for one in read_received(self.log) if one.data]

    def reds(self) -> int:
        """Return how many notices said that a red alarm was raised."""
        return sum(one.data["event"] == "raised" and one.data["level"] == "red" for one in self.told())


@contextmanager
def regulator(folder: Path) -> Iterator[Regulator]:
    """A running one for the length of a with block."""
    (folder / "secret").write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    port, log = free_port(), folder / "notices.jsonl"
    keys = ["--secret-file", str(folder / "secret"), "--log", str(log), "--port", str(port)]
    running = subprocess.Popen([sys.executable, "-m", "davylamp_simulators", "regulator", *keys])
    try:
        wait_for_port(port, running)
        entry = f'[[receivers]]\nname = "bureau"\nurl = "http://127.0.0.1:{port}/notices"\ninsecure_http = true\n'
        yield Regulator(entry + 'secret_file = "secret"\n', log)
    finally:
        stop(running, 10)
