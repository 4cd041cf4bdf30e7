"""Edges for the storm benchmark, in one process: every point of every device crosses its limit once, and stays there.

``python -m benchmarks.burst PORT EDGES DEVICES`` connects and lets all be born, then obeys a line at a time::

    calm SECONDS    a payload a second of each device, nothing over its limit
    storm           the same for as many seconds as a device has points; in each, one more point of each device crosses
    confirmed       says how many payloads the cloud's latest sets cover
"""

import sys
import time

from davylamp_wire.payload import SparkplugType, data_payload, metrics_body, record_metric
from davylamp_wire.point import DataType, Limit, LimitKind, Point, Priority
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType

from benchmarks.generator import ALARMED, CALM, FIRST_ALIAS, LIMIT, SOURCE, Edge, device_birth, now_ms, say
from benchmarks.raw_mqtt import listen, publish

YELLOW: Priority = "yellow"
PRIORITIES: tuple[Priority, ...] = ("orange", "orange", *(YELLOW,) * 6, "blue", "blue")
"""Of a device's points, in turn."""

POINTS = len(PRIORITIES)
RED_EVERY = 2
"""The first point of so many devices has a red limit instead: one alarm in twenty."""


def described(device: int) -> dict[str, Point]:
    """Return a device's points, each with a limit."""
    first: Priority = "red" if device % RED_EVERY == 0 else PRIORITIES[0]
    return {f"p{n}": _point(n, priority) for n, priority in enumerate((first, *PRIORITIES[1:]))}


def _point(number: int, priority: Priority) -> Point:
    limit = Limit(value=LIMIT, priority=priority, source=SOURCE)
    zh, en = f"测点 {number}", f"point {number}"
    return Point(zh=zh, en=en, unit="", type=DataType.FLOAT64, limits={LimitKind.H: limit})


class Burst:
    """All edges and devices. Device n belongs to edge ``n % edges``; what has crossed is a set of points for each."""

    def __init__(self, port: int, edges: int, devices: int) -> None:
        self.edges = [Edge(f"e{at}") for at in range(edges)]
        self.over: list[set[int]] = [set() for _ in range(devices)]
        for edge in self.edges:
            edge.connect(port)
        listen([edge.link for edge in self.edges if edge.link])
        for device in range(devices):
            edge = self.edges[device % edges]
            birth = device_birth(f"d{device}", edge.name, _first(device), described(device), edge.next_seq())
            edge.send(publish(edge.topic(MessageType.DBIRTH, f"d{device}"), birth))

    def run(self, seconds: int, crossing: bool) -> dict[str, float]:
        """Send every device once a second, evenly spread; return what was sent, what crossed, how late at worst."""
        began_s, late_s, count = time.monotonic(), 0.0, len(self.over)
        for turn in range(seconds * count):
            second, device = divmod(turn, count)
            due_s = began_s + turn / count
            ahead_s = due_s - time.monotonic()
            if ahead_s > 0.002:
                time.sleep(ahead_s)
            late_s = max(late_s, -ahead_s)
            if crossing:
                self.over[device].add((device + second) % POINTS)
            self._tell(device)
        took_s = time.monotonic() - began_s
        return {"sent": seconds * count, "raised": sum(map(len, self.over)), "seconds": took_s, "late_s": late_s}

    def _tell(self, device: int) -> None:
        edge, first, at_ms = self.edges[device % len(self.edges)], _first(device), now_ms()
        edge.record += 1
        aliases = list(range(first + 1, first + 1 + POINTS))
        values = [ALARMED if point in self.over[device] else CALM for point in range(POINTS)]
        types = dict.fromkeys(aliases, int(SparkplugType.DOUBLE))
        metrics = metrics_body(Readings(aliases, [at_ms] * POINTS, values, [0] * POINTS), types)
        body = record_metric(first, edge.record, at_ms) + metrics
        payload = data_payload(body, seq=edge.next_seq(), sent_ms=at_ms)
        edge.send(publish(edge.topic(MessageType.DDATA, f"d{device}"), payload))


def _first(device: int) -> int:
    return FIRST_ALIAS + device * (POINTS + 1)


def main() -> int:
    """Obey until standard input ends."""
    burst = Burst(*map(int, sys.argv[1:]))
    say(connected=len(burst.edges))
    for line in iter(sys.stdin.readline, ""):
        match line.split():
            case ["calm", seconds]:
                say(**burst.run(int(seconds), crossing=False))
            case ["storm"]:
                say(**burst.run(POINTS, crossing=True))
            case ["confirmed"]:
                say(confirmed=sum(edge.confirmed.count for edge in burst.edges))
    return 0


if __name__ == "__main__":
    sys.exit(main())
