"""thingsboard-gateway beside the edge: the release from PyPI, unchanged, on the same broker and the same devices.

```
benchmarks.plant ◄─Modbus TCP─ thingsboard-gateway ─MQTT─► Mosquitto ─► benchmarks.thingsboard_platform
```

It pins libraries of its own, so it lives in an environment of its own, made at the first use.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import Part, Stage, until
from benchmarks.report import Figure, at_least
from benchmarks.timing import Load, Machine

RELEASE = "thingsboard-gateway==3.8.5"
PACKAGES = (RELEASE, "pymodbus==3.9.2", "pyserial", "pyserial-asyncio")
"""Its Modbus connector would install the others by itself at its first start."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "davylamp" / RELEASE.replace("==", "-")
INSTALL_S = 600.0
WARM_S = 10.0
"""It connects, asks and queues in steps of a second: the first seconds are not its steady state."""
PATIENCE_S = 120.0
"""The gateway starts a scan each second whether or not the last has ended: on a busy machine one takes a while."""
REGISTERS = 124
"""Of a block: as many whole 32-bit values as one request may ask for."""
NOTES = (
    "thingsboard-gateway has no journal here (its default), its statistics, remote settings and limits of rate are off;"
    " the edge journals, and its cloud confirms; both poll once a second, one after the other, on the same broker",
    "tag by tag is a gateway as its configuration page writes one, each point a request, and what the target is about;"
    " in blocks its points are ranges, which only suits values of one type that lie side by side",
    "where the gateway reads less than is due, its scans overlap and each reading costs it more: the last case shows it"
    " where it has time",
)


class NotInstalled(Exception):
    """The gateway is not here and could not be fetched: the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one run of either showed; `read_s` are readings asked of the devices, a second."""

    cores: float
    busy: float
    rss_mb: float
    read_s: float
    delivered_s: float

    @property
    def us_per_reading(self) -> float:
        """CPU of each reading that was read: one that is still on its way, or lost, counts as well."""
        return self.cores / self.read_s * 1e6


def python() -> Path:
    """Return the Python of an environment with the gateway, made where it is missing. Raises: NotInstalled."""
    found = CACHE / "bin" / "python"
    if not (CACHE / "ready").exists():
        _command(sys.executable, "-m", "venv", "--clear", str(CACHE))
        _command(str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES)
        (CACHE / "ready").touch()
    return found


def measured(site: Stage, gateway: Path, devices: int, points: int, window_s: float, *, blocks: bool) -> Found:
    """Let the gateway poll so many devices once a second; return what it took and what came of it.

    Args:
        gateway: The Python of its environment.
        blocks: Whether its points are written as ranges, which it asks for in blocks; else each is a point of its own,
            as its configuration page writes them, which it asks for one by one.
    """
    plant = site.begin("plant", "benchmarks.plant", str(devices), str(points))
    platform = site.begin("platform", "benchmarks.thingsboard_platform", str(site.broker.port))
    platform.hear()
    part = _begun(site, gateway, [device(n, port, points, blocks) for n, port in enumerate(plant.hear()["ports"])])
    _fresh(part, platform, 0, "its first reading")
    time.sleep(WARM_S)
    # From one delivery to another: it delivers a scan as a whole, and one may take it longer than the window.
    before = _fresh(part, platform, _delivered(platform), "a reading")
    load, machine, read, began_s = Load.of(part.pid), Machine(), _read(plant), time.monotonic()
    time.sleep(window_s)
    after = _fresh(part, platform, _delivered(platform), "a reading")
    took_s, cores, busy = time.monotonic() - began_s, load.cores(), machine.busy()
    found = Found(cores, busy, load.rss_mb(), (_read(plant) - read) / took_s, (after - before) / took_s)
    for ended in (part, platform, plant):
        ended.end()
    return found


def _fresh(part: Part, platform: Part, before: int, what: str) -> int:
    """Wait until the gateway delivers; return what it has delivered by then."""
    name = f"{what} from thingsboard-gateway"
    return until(lambda: part.running() and (now := _delivered(platform)) > before and now, name, PATIENCE_S, 0.01)


def compared(
    devices: int, points: int, ours: Found, one_by_one: Found, blocks: Found, times: float | None
) -> list[Figure]:
    """Return the figures of both side by side; tag by tag, the gateway should take so many `times` the edge's CPU."""
    name, due_s = f"{devices} x {points:,} tags", devices * points
    sides = {"edge": ours, "gateway, tag by tag": one_by_one, "gateway, in blocks": blocks}
    figures = [at_least(f"{name}: edge: delivered of what it read", _percent(ours.delivered_s, ours.read_s), "%", 100)]
    for side, found in sides.items():
        figures += [
            Figure(f"{name}: {side}: read", _percent(found.read_s, due_s), "% of due"),
            Figure(f"{name}: {side}: delivered", _percent(found.delivered_s, due_s), "% of due"),
            Figure(f"{name}: {side}: CPU", found.cores * 100, "% of a core"),
            Figure(f"{name}: {side}: CPU of a reading", found.us_per_reading, "us"),
            Figure(f"{name}: {side}: resident", found.rss_mb, "MB"),
            Figure(f"{name}: {side}: whole machine meanwhile", found.busy, "% of its cores"),
        ]
    tag_by_tag, in_blocks = (found.us_per_reading / ours.us_per_reading for found in (one_by_one, blocks))
    wanted, unit = f"{name}: gateway's CPU by the edge's, tag by tag", "times"
    return [
        *figures,
        at_least(wanted, tag_by_tag, unit, times) if times else Figure(wanted, tag_by_tag, unit),
        Figure(f"{name}: gateway's CPU by the edge's, in blocks", in_blocks, unit),
    ]


def _percent(part: float, whole: float) -> float:
    return round(part / whole * 100, 3)


def device(number: int, port: int, points: int, blocks: bool) -> dict[str, Any]:
    """Return a device of a fleet as the gateway's Modbus connector is told of it."""
    value = {"type": "32float", "functionCode": 3, "objectsCount": 2}
    own = [{**value, "tag": f"p{n}", "address": 2 * n} for n in range(points)]
    whole = {**value, "tag": "p_${address}", "address": f"0-{2 * points - 1}", "maxRegistersPerRequest": REGISTERS}
    return {
        "host": "127.0.0.1", "port": port, "type": "tcp", "method": "socket", "unitId": 1, "deviceName": f"d{number}",
        "deviceType": "default", "timeout": 5, "byteOrder": "BIG", "wordOrder": "BIG", "retries": 1,
        "pollPeriod": 1000, "connectAttemptTimeMs": 500, "connectAttemptCount": 5, "waitAfterFailedAttemptsMs": 30_000,
        "attributes": [], "timeseries": [whole] if blocks else own, "attributeUpdates": [], "rpc": [],
    }  # fmt: skip


def _begun(site: Stage, gateway: Path, devices: list[dict[str, Any]]) -> Part:
    folder = site.folder / "thingsboard"
    folder.mkdir(exist_ok=True)
    main = {
        # Its limits of rate are for the vendor's cloud; statistics and remote settings are work we spare it.
        "thingsboard": {
            "host": "127.0.0.1", "port": site.broker.port, "remoteShell": False, "remoteConfiguration": False,
            "statistics": {"enable": False}, "qos": 1, "reportStrategy": {"type": "ON_RECEIVED"},
            "security": {"type": "accessToken", "accessToken": "benchmark"},
        },
        "storage": {"type": "memory", "read_records_count": 100, "max_records_count": 100_000},
        "grpc": {"enabled": False},
        "connectors": [{"type": "modbus", "name": "modbus", "configuration": "modbus.json"}],
    }  # fmt: skip
    quiet = {
        "version": 1, "handlers": {"all": {"class": "logging.StreamHandler"}},
        "root": {"level": "ERROR", "handlers": ["all"]},
    }  # fmt: skip
    modbus = {"name": "modbus", "logLevel": "ERROR", "master": {"slaves": devices}}
    for name, content in {"tb_gateway": main, "logs": quiet, "modbus": modbus}.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    # It reads its settings where this variable says, and writes below the folder it starts in.
    where = ("env", "-C", str(folder), f"TB_GW_CONFIG_DIR={folder}")
    return site.program("thingsboard-gateway", *where, str(gateway), "-m", "thingsboard_gateway.tb_gateway")


def _delivered(platform: Part) -> int:
    platform.say("count")
    return int(platform.hear()["readings"])


def _read(plant: Part) -> int:
    plant.say("count")
    return int(plant.hear()["served"])


def _command(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        why = f"not done in {INSTALL_S:g} s"
    except subprocess.CalledProcessError as error:
        why = str(error.stderr).strip().splitlines()[-1] if error.stderr else str(error)
    except OSError as error:
        why = str(error)
    else:
        return
    raise NotInstalled(
        f"{RELEASE} could not be installed into {CACHE}: {why}. It is fetched from PyPI once: run this again with a"
        f" network, or fill the folder by hand: {CACHE}/bin/pip install {' '.join(PACKAGES)} && touch {CACHE}/ready"
    ) from None
