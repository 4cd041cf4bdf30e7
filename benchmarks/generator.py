"""Edges for the cloud benchmark, in one process: real Sparkplug by `davylamp_wire`, bare MQTT, no journal behind it.

``python -m benchmarks.generator PORT EDGES DEVICES POINTS`` connects, then obeys a line at a time::

    born N          lets devices be born until N of all are
    run SECONDS N   one payload of each of the first N devices every second, evenly spread; says how many, how late
    confirmed       says how many payloads the cloud's latest sets cover

Payloads are made once and patched in place: times, values, record and sequence numbers. What is left of a payload's
cost is copying it.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from davylamp_wire.decode import decode
from davylamp_wire.describe import DeviceDescription
from davylamp_wire.intervals import Confirmation, Intervals
from davylamp_wire.payload import (
    CONFIRM,
    DESCRIPTION,
    EPOCH,
    HOLE,
    REBIRTH,
    RECORD,
    BirthMetric,
    SparkplugType,
    bd_seq_metric,
    birth_payload,
    data_payload,
    death_payload,
    metrics_body,
    record_metric,
)
from davylamp_wire.point import DataType, Limit, LimitKind, Point, Source
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType, Topic
from davylamp_wire.varint import varint
from numpy.typing import NDArray

from benchmarks.raw_mqtt import Link, length_of, listen, publish

GROUP, EPOCH_ID = "bench", "b0"
HOLE_ALIAS, NODE_RECORD, FIRST_ALIAS = 16_384, 16_385, 16_400
CALM, ALARMED, LIMIT = 50.0, 95.0, 90.0
DELAY_S = 1.0
CROSSING_EVERY = 5
"""Of so many devices one lets its first point cross its limit, another its second, which has an on-delay."""
CROSSING_FROM, CROSSING_SPAN = 2, 15
"""Seconds of the first run in which they cross, and for how many; afterwards nothing returns."""
SOURCE = Source(standard="benchmark", basis="proposal")


def points(count: int) -> dict[str, Point]:
    """Return a device's points; two of them have a limit, the second with an on-delay."""
    found = {f"p{n}": Point(zh=f"测点 {n}", en=f"point {n}", unit="", type=DataType.FLOAT64) for n in range(count)}
    for name, delay_s in (("p0", 0.0), ("p1", DELAY_S)):
        limits = {LimitKind.H: Limit(value=LIMIT, on_delay_s=delay_s, source=SOURCE)}
        found[name] = found[name].model_copy(update={"limits": limits})
    return found


def crossing_s(device: int, point: int) -> int | None:
    """Return in which second of the run a point of a device (counted over all edges) crosses, or None."""
    turn, which = divmod(device, CROSSING_EVERY)
    return CROSSING_FROM + turn % CROSSING_SPAN if which == point and point < 2 else None


def crossings(first: int, last: int) -> int:
    """Return how many alarms a run leads to in which devices ``first <= n < last`` were born."""
    return sum(crossing_s(device, point) is not None for device in range(first, last) for point in (0, 1))


PLACES = 22
"""Bytes of a regular metric of ours (davylamp_wire.strides): the time at 7, the value at 14."""
TIME_AT, VALUE_AT, TIME_BYTES = 7, 14, 6
FIRST_RECORD = 1 << 21
"""Record numbers of four varint bytes, up to 2**28: they can be patched in place."""
SLICES = 50
"""A second's payloads go out in so many parts."""

Bytes = NDArray[np.uint8]


def node_birth() -> bytes:
    """Return what an edge node says of itself."""
    node = [
        bd_seq_metric(0),
        BirthMetric(REBIRTH, SparkplugType.BOOLEAN, None, False),
        BirthMetric(EPOCH, SparkplugType.STRING, None, EPOCH_ID),
        BirthMetric(HOLE, SparkplugType.STRING, HOLE_ALIAS, None),
        BirthMetric(RECORD, SparkplugType.UINT64, NODE_RECORD, 0),
    ]
    return birth_payload(node, seq=0, sent_ms=now_ms())


def device_birth(name: str, source: str, first_alias: int, described: dict[str, Point], seq: int) -> bytes:
    """Return what a device says of itself: its record number under the first alias, its points under the next ones."""
    said = DeviceDescription(name=name, profile="bench", hazard_source=source, zh="基准", en="bench", points=described)
    metrics = [
        BirthMetric(DESCRIPTION, SparkplugType.STRING, None, said.encode()),
        BirthMetric(RECORD, SparkplugType.UINT64, first_alias, 0),
        *(BirthMetric(n, SparkplugType.DOUBLE, first_alias + 1 + at, None) for at, n in enumerate(described)),
    ]
    return birth_payload(metrics, seq=seq, sent_ms=now_ms())


@dataclass(slots=True)
class Edge:
    """One edge node: its connection, its numbers, and what the cloud has confirmed."""

    name: str
    link: Link | None = None
    seq: int = 0
    record: int = FIRST_RECORD - 1
    confirmed: Intervals = field(default_factory=Intervals)

    def connect(self, port: int) -> None:
        """Connect with a will, listen for commands, and say NBIRTH."""
        will = (self.topic(MessageType.NDEATH), death_payload(0, now_ms()))
        self.link = Link(port, self.name, will, self.topic(MessageType.NCMD), self._command)
        self.send(publish(self.topic(MessageType.NBIRTH), node_birth()))

    def send(self, packets: bytes) -> None:
        """Write packets."""
        assert self.link is not None
        self.link.socket.sendall(packets)

    def next_seq(self) -> int:
        self.seq = (self.seq + 1) % 256
        return self.seq

    def topic(self, kind: MessageType, device: str | None = None) -> str:
        return Topic(kind, GROUP, self.name, device).text

    def _command(self, payload: bytes) -> None:
        text = decode(payload).value(CONFIRM)
        if isinstance(text, str):
            self.confirmed = Confirmation.parse(text).records


class Fleet:
    """All edges and devices. Device n belongs to edge ``n % edges``; the payloads of all lie in one array."""

    def __init__(self, edges: int, devices: int, points_each: int) -> None:
        self.edges = [Edge(f"e{at}") for at in range(edges)]
        self.points = points_each
        self.born = 0
        template = self._template(0)
        self._front = len(template) - 2 - points_each * PLACES
        self._bodies: Bytes = np.empty((edges * devices, len(template) - 2), np.uint8)
        self._heads: list[tuple[bytes, bytes]] = []
        self._crossing: list[tuple[int, int, int]] = []

    def edge(self, device: int) -> Edge:
        return self.edges[device % len(self.edges)]

    def _template(self, device: int) -> bytes:
        """Return a device's payload with a sequence number of one byte."""
        first, at_ms = FIRST_ALIAS + device * (self.points + 1), now_ms()
        aliases = list(range(first + 1, first + 1 + self.points))
        readings = Readings(aliases, [at_ms] * self.points, [CALM] * self.points, [0] * self.points)
        types = dict.fromkeys(aliases, int(SparkplugType.DOUBLE))
        body = record_metric(first, FIRST_RECORD, at_ms) + metrics_body(readings, types)
        return data_payload(body, seq=1, sent_ms=at_ms)

    def be_born(self, upto: int, described: dict[str, Point]) -> None:
        """Say DBIRTH of every device that was not born yet; those cross their limits in the next run."""
        self._crossing = []
        for device in range(self.born, upto):
            edge, name = self.edge(device), f"d{device}"
            first = FIRST_ALIAS + device * (self.points + 1)
            birth = device_birth(name, edge.name, first, described, edge.next_seq())
            edge.send(publish(edge.topic(MessageType.DBIRTH, name), birth))
            template = self._template(device)
            self._bodies[device] = np.frombuffer(template[:-2], np.uint8)
            topic = edge.topic(MessageType.DDATA, name).encode()
            topic = len(topic).to_bytes(2, "big") + topic
            sizes = (len(topic) + len(template), len(topic) + len(template) + 1)
            self._heads.append((b"\x30" + length_of(sizes[0]) + topic, b"\x30" + length_of(sizes[1]) + topic))
            for point in (0, 1):
                at_s = crossing_s(device, point)
                if at_s is not None:
                    self._crossing.append((at_s, device, point))
        self.born = max(self.born, upto)

    def run(self, seconds: int, devices: int) -> dict[str, float]:
        """Send the first devices once a second, evenly spread; return what was sent and how late at worst."""
        began_s, late_s, sent = time.monotonic(), 0.0, 0
        parts = np.linspace(0, devices, SLICES + 1).astype(int)
        lifted: dict[int, list[int]] = {}
        for second in range(seconds):
            for at_s, device, point in self._crossing:
                if at_s == second:
                    lifted.setdefault(device, []).append(point)
            values = CALM + ((second + np.arange(self.points)) % 97) / 100
            for part, (start, stop) in enumerate(pairwise(parts)):
                due_s = began_s + second + part / SLICES
                now_s = time.monotonic()
                if due_s > now_s:
                    time.sleep(due_s - now_s)
                late_s = max(late_s, now_s - due_s)
                self._send(int(start), int(stop), values, lifted)
                sent += int(stop - start)
        return {"sent": sent, "late_s": late_s, "seconds": time.monotonic() - began_s}

    def _send(self, start: int, stop: int, values: NDArray[np.float64], lifted: dict[int, list[int]]) -> None:
        """Patch and send some devices' payloads, each edge's in one write."""
        part, moment = self._bodies[start:stop], np.frombuffer(varint(now_ms()), np.uint8)
        part[:, 1 : 1 + TIME_BYTES] = moment
        part[:, 1 + TIME_BYTES + 7 : 1 + TIME_BYTES + 7 + TIME_BYTES] = moment
        metrics = part[:, self._front :].reshape(stop - start, self.points, PLACES)
        metrics[:, :, TIME_AT : TIME_AT + TIME_BYTES] = moment
        metrics[:, :, VALUE_AT:] = values.view(np.uint8).reshape(self.points, 8)
        for device in lifted.keys() & set(range(start, stop)) if lifted else ():
            for point in lifted[device]:
                high = np.array([values[point] + ALARMED - CALM])
                metrics[device - start, point, VALUE_AT:] = high.view(np.uint8)
        out: dict[int, list[bytes]] = {}
        for device in range(start, stop):
            edge = self.edge(device)
            edge.record += 1
            body = bytearray(part[device - start])
            body[self._front - 4 : self._front] = varint(edge.record)
            seq = edge.next_seq()
            short, long = self._heads[device]
            head, tail = (short, SEQ_TAILS[seq]) if seq < 128 else (long, SEQ_TAILS[seq])
            out.setdefault(device % len(self.edges), []).extend((head, bytes(body), tail))
        for at, packets in out.items():
            self.edges[at].send(b"".join(packets))


SEQ_TAILS = [b"\x18" + varint(seq) for seq in range(256)]


def main() -> int:
    """Obey until standard input ends."""
    port, *shape = map(int, sys.argv[1:])
    fleet = Fleet(*shape)
    for edge in fleet.edges:
        edge.connect(port)
    listen([edge.link for edge in fleet.edges if edge.link])
    described = points(shape[2])
    say(connected=len(fleet.edges))
    for line in iter(sys.stdin.readline, ""):
        match line.split():
            case ["born", count]:
                began_s = time.monotonic()
                fleet.be_born(int(count), described)
                say(born_s=time.monotonic() - began_s)
            case ["run", seconds, devices]:
                say(**fleet.run(int(seconds), int(devices)))
            case ["confirmed"]:
                say(confirmed=sum(edge.confirmed.count for edge in fleet.edges))
    return 0


def say(**what: float) -> None:
    """Write one line of JSON."""
    print(json.dumps(what), flush=True)


def now_ms() -> int:
    """Return the time, UTC milliseconds."""
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
