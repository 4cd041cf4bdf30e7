"""Real services for tests, each a process of its own on a loopback port, gone when its test is done.

A missing service skips the test and names what is missing; with DAVYLAMP_REQUIRE_SERVICES=1 (CI) it fails instead.
"""

import fcntl
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"


def binary(name: str, package: str | None = None) -> str:
    """Return the path of an installed program, or skip (fail in CI) with the Debian package that brings it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found:
        return found
    message = f"{name} is missing: apt-get install {package or name}"
    if os.environ.get("DAVYLAMP_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


FIRST_PORT, PORTS_EACH, SHARES = 12_000, 500, 40
"""Ports of tests, all below those that Linux gives to outgoing connections (32768), in shares for one process each."""

_given = itertools.count()


def free_port() -> int:
    """Return a TCP port nobody listens on right now, and that no other worker or run on this machine is given."""
    first = FIRST_PORT + _share() * PORTS_EACH
    for _ in range(PORTS_EACH):
        port = first + next(_given) % PORTS_EACH
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port from {first} to {first + PORTS_EACH - 1} is free")


@cache
def _share() -> int:
    """Return the share of ports that is this process's: a lock, which goes with the process, says so.

    A port may be used long after it was chosen: a run beside this one must not choose it meanwhile.
    """
    folder = Path(tempfile.gettempdir()) / "davylamp-ports"
    folder.mkdir(exist_ok=True)
    for number in range(SHARES):
        lock = os.open(folder / str(number), os.O_CREAT | os.O_RDWR, 0o666)
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number
        os.close(lock)
    raise RuntimeError(f"{SHARES} test processes run here already; none of their ports in {folder} is free")


def wait_for_port(port: int, process: subprocess.Popen[bytes] | None = None, seconds: float = 20.0) -> None:
    """Return once something accepts on a port; raise when its process dies or the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it listened on {port}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.02)  # a real process is starting: there is no clock to move
    raise TimeoutError(f"nothing listens on port {port} after {seconds:g} s")


def stop(process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
    """End a process politely, then not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(seconds)


@dataclass
class Broker:
    """A Mosquitto on loopback that can be killed and brought back on the same port."""

    folder: Path
    port: int
    host: str = LOOPBACK
    extra: str = ""
    anonymous: bool = True
    log_dest: str = "none"
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return once it accepts."""
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} {self.host}\nallow_anonymous {str(self.anonymous).lower()}\nmax_queued_messages 0\n"
            f"persistence false\nlog_dest {self.log_dest}\n{self.extra}"
        )
        program = binary("mosquitto")
        with open(self.folder / "mosquitto.log", "ab") as log:
            self.process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
        wait_for_port(self.port, self.process)

    def kill(self) -> None:
        """SIGKILL it, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            stop(self.process)


@contextmanager
def broker(folder: Path, extra: str = "", anonymous: bool = True, log_dest: str = "none") -> Iterator[Broker]:
    """A Mosquitto for the length of a with block."""
    running = Broker(folder, free_port(), extra=extra, anonymous=anonymous, log_dest=log_dest)
    running.start()
    try:
        yield running
    finally:
        running.stop()


INFLUX_CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  series-id-set-cache-size = 100
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[monitor]
  store-enabled = false
"""

# InfluxDB 1.6.7 speaks /write and lacks /api/v2/write, which 1.8, 2.x and 3 have: nginx puts the one before the other.
NGINX_CONFIG = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error.log;
events {{ }}
http {{
  access_log off;
  client_max_body_size 64m;
  client_body_buffer_size 4m;
  proxy_request_buffering off;
  proxy_http_version 1.1;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream database {{ server 127.0.0.1:{http}; keepalive 8; }}
  map $arg_bucket $db {{ default $arg_bucket; "~^(?<name>[^/]+)/" $name; }}
  map $arg_precision $pr {{ default $arg_precision; us u; "" ns; }}
  server {{
    listen 127.0.0.1:{port};
    location = /api/v2/write {{
      rewrite ^ /write?db=$db&precision=$pr? break;
      proxy_pass http://database;
      proxy_set_header Connection "";
    }}
    location / {{ proxy_pass http://127.0.0.1:{http}; }}
  }}
}}
"""


@dataclass
class Influx:
    """InfluxDB 1.6.7 behind an alias for the v2 write route; `url` is the alias."""

    folder: Path
    http: int
    port: int
    process: subprocess.Popen[bytes] | None = None
    alias: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start the database, then the alias in front of it."""
        self.start_database()
        config = self.folder / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(folder=self.folder, http=self.http, port=self.port))
        self.alias = self._spawn(
            [
                binary("nginx", "nginx-light"),
                "-p",
                str(self.folder),
                "-e",
                str(self.folder / "nginx.start.log"),
                "-c",
                str(config),
            ]
        )
        wait_for_port(self.port, self.alias)

    def start_database(self) -> None:
        """Start influxd on the folder it had before."""
        config = self.folder / "influxdb.conf"
        config.write_text(INFLUX_CONFIG.format(folder=self.folder, rpc=free_port(), http=self.http))
        self.process = self._spawn([binary("influxd", "influxdb"), "-config", str(config)])
        wait_for_port(self.http, self.process, seconds=60)

    def kill_database(self) -> None:
        """SIGKILL influxd; the alias stays and answers 502."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """End both."""
        for process in (self.alias, self.process):
            if process is not None:
                stop(process)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with open(self.folder / "service.log", "ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)


@contextmanager
def influx(folder: Path) -> Iterator[Influx]:
    """An InfluxDB for the length of a with block."""
    running = Influx(folder, free_port(), free_port())
    try:
        running.start()
        yield running
    finally:
        running.stop()


def chromium() -> str:
    """Return Debian's Chromium."""
    return binary("chromium")
