"""A cloud's past for the restart benchmark: births, readings and acts of 100,000 tags, through the real parts."""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from davylamp_wire.payload import SparkplugType, data_payload, metrics_body, record_metric
from davylamp_wire.point import DataType, Limit, LimitKind, Point
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType, Topic
from support.host import Host

from benchmarks.generator import CALM, FIRST_ALIAS, GROUP, SOURCE, device_birth, node_birth

EDGES, DEVICES, POINTS = 10, 100, 100
STANDING = EDGES * DEVICES
"""Point 0 of every device stands over its limit."""

LATCHED, PENDING = 1, 2
"""Point 1 of every tenth device was over its limit and is latched; point 2 is over and its delay not."""

ACKNOWLEDGED_EVERY, SHELVED_EVERY, SOME_EVERY = 4, 10, 10
H_ALARMS = STANDING + STANDING // SOME_EVERY
"""Those that stand, and those that are back and latched."""

LONG_S = 86_400.0
ALARMED, LIMIT = 95.0, 90.0
SHELF_MS = 8 * 3_600_000


def described() -> dict[str, Point]:
    """Return a device's points: every one has a limit, so that every one has alarms, and is an alarm when blind."""
    more: dict[int, dict[str, Any]] = {LATCHED: {"latch": True}, PENDING: {"on_delay_s": LONG_S}}
    return {f"p{n}": _point(n, more.get(n, {})) for n in range(POINTS)}


def _point(number: int, more: dict[str, Any]) -> Point:
    action = {"zh": "现场核实", "en": "Check on site"}
    words = {name: action for name in ("cause", "consequence") if name in Limit.model_fields}
    respond = {"respond_min": 10} if "respond_min" in Limit.model_fields else {}
    limit = Limit.model_validate({"value": LIMIT, "source": SOURCE, "action": action, **words, **respond, **more})
    zh, en = f"测点 {number}", f"point {number}"
    return Point(zh=zh, en=en, unit="", type=DataType.FLOAT64, limits={LimitKind.H: limit})


@dataclass(slots=True)
class Told:
    """An edge whose messages go straight to the intake; its devices are numbers over all edges."""

    name: str
    devices: range
    host: Host
    seq: int = 0
    record: int = 0

    def be_born(self, points: dict[str, Point]) -> None:
        """Say NBIRTH and every DBIRTH."""
        self._send(MessageType.NBIRTH, None, node_birth())
        for device in self.devices:
            birth = device_birth(f"d{device}", self.name, _first_alias(device), points, self._next_seq())
            self._send(MessageType.DBIRTH, device, birth)

    def tell(self, device: int, over: tuple[int, ...]) -> None:
        """Send one scan; the points named are over their limit."""
        self.record += 1
        now_ms, first = self.host.now_ms, _first_alias(device)
        aliases = list(range(first + 1, first + 1 + POINTS))
        values = [ALARMED if place in over else CALM for place in range(POINTS)]
        readings = Readings(aliases, [now_ms] * POINTS, values, [0] * POINTS)
        types = dict.fromkeys(aliases, int(SparkplugType.DOUBLE))
        body = record_metric(first, self.record, now_ms) + metrics_body(readings, types)
        self._send(MessageType.DDATA, device, data_payload(body, seq=self._next_seq(), sent_ms=now_ms))

    def _send(self, kind: MessageType, device: int | None, payload: bytes) -> None:
        name = None if device is None else f"d{device}"
        self.host.hear((Topic(kind, GROUP, self.name, name).text, payload))

    def _next_seq(self) -> int:
        self.seq = (self.seq + 1) % 256
        return self.seq


def _first_alias(device: int) -> int:
    return FIRST_ALIAS + device * (POINTS + 1)


def build(folder: Path) -> float:
    """Let the past happen in a folder; return how long that took. It ends with a kill, not with a stop."""
    began_s, alive = time.monotonic(), folder.with_name(folder.name + ".alive")
    host = Host(alive, now_ms=time.time_ns() // 1_000_000).start()
    edges = [Told(f"e{at}", range(at * DEVICES, (at + 1) * DEVICES), host) for at in range(EDGES)]
    for edge in edges:
        edge.be_born(described())
    _settle(host)
    scans = ((0, LATCHED, PENDING), (0, PENDING), (0, PENDING))
    for over in scans:
        host.now_ms = max(host.now_ms + 1000, time.time_ns() // 1_000_000)
        for edge in edges:
            for device in edge.devices:
                edge.tell(device, over if device % SOME_EVERY == 0 else (0,))
        _settle(host)
    _act(host)
    _settle(host)
    shutil.copytree(alive, folder)  # as a kill would leave it: what is committed, and nothing tidied up
    host.stop()
    shutil.rmtree(alive)
    return time.monotonic() - began_s


def _settle(host: Host) -> None:
    host.tick()
    while host.monitor.lag().records or host.commits.queued:
        time.sleep(0.05)  # the monitor's thread is at work
    host.settle()


def _act(host: Host) -> None:
    """Acknowledge and shelve some of what stands."""
    standing = [row for row in host.state.standing_alarms() if row["kind"] == "H" and row["condition"] == "active"]
    for number, row in enumerate(sorted(standing, key=lambda row: str(row["alarm_id"]))):
        if number % ACKNOWLEDGED_EVERY == 0:
            host.act("acknowledge", occurrence=row["occurrence"], version=row["version"])
        elif number % SHELVED_EVERY == 1:
            until_ms = host.now_ms + SHELF_MS
            host.act("shelve", alarm=row["alarm_id"], comment="benchmark", until_ms=until_ms)


if __name__ == "__main__":
    print(f"{build(Path(sys.argv[1])):.1f} s")
