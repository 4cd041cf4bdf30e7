"""Edges for the cloud benchmark, in one process: real Sparkplug by `davylamp_wire`, plain MQTT, no journal behind it.

``python -m benchmarks.generator PORT EDGES DEVICES POINTS`` says its births at once, then obeys a line at a time::

    run SECONDS     one payload of every device every second, evenly spread; says how many, and how late it got
    confirmed       says how many of them the cloud's latest sets cover
"""

import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
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
from davylamp_wire.profile import DataType, Limit, LimitKind, Point, Source
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType, Topic
from paho.mqtt.enums import CallbackAPIVersion

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


def crossings(devices: int) -> int:
    """Return how many alarms a run leads to."""
    return sum(crossing_s(device, point) is not None for device in range(devices) for point in (0, 1))


@dataclass(slots=True)
class Device:
    """One device: its place among all, its aliases."""

    name: str
    number: int
    aliases: list[int]
    record_alias: int
    types: dict[int, int]

    def body(self, record: int, second: int, at_ms: int) -> bytes:
        """Return a scan as a journal record's body; every value differs from the one before."""
        values = [CALM + ((second + place) % 97) / 100 for place in range(len(self.aliases))]
        for point in (0, 1):
            at_s = crossing_s(self.number, point)
            if at_s is not None and second >= at_s:
                values[point] += ALARMED - CALM
        count = len(values)
        readings = Readings(self.aliases, [at_ms] * count, values, [0] * count)
        return record_metric(self.record_alias, record, at_ms) + metrics_body(readings, self.types)


@dataclass
class Edge:
    """One edge node: its connection, its numbers, and what the cloud has confirmed."""

    name: str
    devices: list[Device]
    seq: int = 0
    record: int = 0
    confirmed: Intervals = field(default_factory=Intervals)

    def connect(self, port: int) -> None:
        """Connect with a will, and listen for commands."""
        ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.name)
        self.client.max_queued_messages_set(0)
        self.client.will_set(self._topic(MessageType.NDEATH), death_payload(0, _now_ms()), qos=1)
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_connect = lambda client, *_: client.subscribe(self._topic(MessageType.NCMD), 1)
        self.client.connect("127.0.0.1", port, 60)
        self.client.loop_start()
        if not ready.wait(10):
            raise TimeoutError(f"{self.name}: the broker does not answer")

    def be_born(self, described: dict[str, Point]) -> None:
        """Say NBIRTH and every DBIRTH."""
        node = [
            bd_seq_metric(0),
            BirthMetric(REBIRTH, SparkplugType.BOOLEAN, None, False),
            BirthMetric(EPOCH, SparkplugType.STRING, None, EPOCH_ID),
            BirthMetric(HOLE, SparkplugType.STRING, HOLE_ALIAS, None),
            BirthMetric(RECORD, SparkplugType.UINT64, NODE_RECORD, 0),
        ]
        self._send(self._topic(MessageType.NBIRTH), birth_payload(node, seq=0, sent_ms=_now_ms()))
        for device in self.devices:
            said = DeviceDescription(
                name=device.name, profile="bench", hazard_source=self.name, zh="基准", en="bench", points=described
            )
            metrics = [
                BirthMetric(DESCRIPTION, SparkplugType.STRING, None, said.encode()),
                BirthMetric(RECORD, SparkplugType.UINT64, device.record_alias, 0),
                *(
                    BirthMetric(name, SparkplugType.DOUBLE, alias, None)
                    for name, alias in zip(described, device.aliases, strict=True)
                ),
            ]
            birth = birth_payload(metrics, seq=self._next_seq(), sent_ms=_now_ms())
            self._send(self._topic(MessageType.DBIRTH, device.name), birth)

    def scan(self, device: Device, second: int) -> None:
        """Send one scan of a device as its next record."""
        self.record += 1
        now_ms = _now_ms()
        payload = data_payload(device.body(self.record, second, now_ms), seq=self._next_seq(), sent_ms=now_ms)
        self._send(self._topic(MessageType.DDATA, device.name), payload)

    def leave(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()

    def _send(self, topic: str, payload: bytes) -> None:
        self.client.publish(topic, payload, qos=0)  # Sparkplug 3.0: data and births are QoS 0

    def _next_seq(self) -> int:
        self.seq = (self.seq + 1) % 256
        return self.seq

    def _topic(self, kind: MessageType, device: str | None = None) -> str:
        return Topic(kind, GROUP, self.name, device).text

    def _on_message(self, _: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
        text = decode(bytes(message.payload)).value(CONFIRM)
        if isinstance(text, str):
            self.confirmed = Confirmation.parse(text).records


def make(edges: int, devices: int, count: int) -> list[Edge]:
    """Return edges with aliases of their own."""
    return [
        Edge(f"e{at}", [_device(at, at * devices + place, count) for place in range(devices)]) for at in range(edges)
    ]


def _device(edge: int, number: int, count: int) -> Device:
    first = FIRST_ALIAS + number * (count + 1)
    aliases = list(range(first + 1, first + 1 + count))
    return Device(f"d{number}", number, aliases, first, dict.fromkeys(aliases, int(SparkplugType.DOUBLE)))


def run(edges: list[Edge], first_second: int, seconds: int) -> dict[str, float]:
    """Send every device once a second, evenly spread; return what was sent and how late at worst."""
    turns = [(edge, device) for place in zip(*(edge.devices for edge in edges), strict=True)
             for edge, device in zip(edges, place, strict=True)]  # fmt: skip
    began_s, late_s, sent = time.monotonic(), 0.0, 0
    for second, (at, (edge, device)) in itertools.product(range(seconds), enumerate(turns)):
        due_s = began_s + second + at / len(turns)
        now_s = time.monotonic()
        if due_s - now_s > 0.005:  # a few payloads at a time: sleeping costs more than sending
            time.sleep(due_s - now_s)
        late_s = max(late_s, now_s - due_s)
        edge.scan(device, first_second + second)
        sent += 1
    return {"sent": sent, "late_s": late_s, "seconds": time.monotonic() - began_s}


def main() -> int:
    """Obey until standard input ends."""
    port, *shape = map(int, sys.argv[1:])
    edges = make(*shape)
    described = points(shape[2])
    began_s = time.monotonic()
    for edge in edges:
        edge.connect(port)
        edge.be_born(described)
    _say(born_s=time.monotonic() - began_s)
    for reply in _obey(edges):
        _say(**reply)
    for edge in edges:
        edge.leave()
    return 0


def _obey(edges: list[Edge]) -> Iterator[dict[str, float]]:
    second = 0
    for line in iter(sys.stdin.readline, ""):
        match line.split():
            case ["run", seconds]:
                yield run(edges, second, int(seconds))
                second += int(seconds)
            case ["confirmed"]:
                yield {"confirmed": sum(edge.confirmed.count for edge in edges)}


def _say(**what: float) -> None:
    print(json.dumps(what), flush=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
