"""A small host application for tests of the edge: sees what is on the wire, confirms when told to."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import (
    CONFIRM,
    EPOCH,
    REBIRTH,
    RECORD,
    SENT,
    USED,
    BirthMetric,
    Message,
    SparkplugType,
    command_payload,
    decode,
)
from davylamp_wire.topic import HostState, MessageType, Topic, parse_topic, state_topic
from paho.mqtt.enums import CallbackAPIVersion

from support.services import Broker

DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A message of an edge, as it came, with when it came (monotonic seconds)."""

    topic: Topic
    message: Message
    at_s: float
    size: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A journal record that came."""

    number: int
    device: str | None
    historical: bool
    values: tuple[Any, ...]
    seen: Seen


@dataclass
class EdgeHost:
    """A host for one broker.

    `confirms` answers each record with the whole set, as the cloud does; `greets` says online once it is connected.
    """

    broker: Broker
    host: str = "davylamp"
    confirms: bool = True
    greets: bool = True
    seen: list[Seen] = field(default_factory=list)
    records: list[Delivered] = field(default_factory=list)
    epoch: str = ""
    stored: Intervals = field(default_factory=Intervals)
    used: Intervals = field(default_factory=Intervals)
    """Numbers that are here and that the newest birth did not know of, as the cloud tells them."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._aliases: dict[int, str] = {}
        self._unsaid: Topic | None = None
        self._stopping = threading.Event()
        self._confirmer = threading.Thread(target=self._confirm_now_and_then)
        self._state_ms = int(time.time() * 1000)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"host-{self.host}")
        self._client.will_set(state_topic(self.host), HostState(False, self._state_ms).encode(), qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self.subscriptions = 0
        self._client.reconnect_delay_set(1, 1)

    def start(self) -> None:
        """Connect and say online."""
        self._client.connect_async(self.broker.host, self.broker.port, keepalive=60)
        self._client.loop_start()
        self._confirmer.start()

    def stop(self) -> None:
        """Say offline and disconnect."""
        self._stopping.set()
        self._confirmer.join()
        self.say(False)
        self._client.disconnect()
        self._client.loop_stop()
        # paho closes its own pair of sockets when it is collected; its callbacks keep it from that.
        self._client.on_connect = self._client.on_message = self._client.on_subscribe = None
        del self._client

    def say(self, online: bool, later_ms: int = 0) -> None:
        """Publish our STATE, stamped so much later (or earlier) than our CONNECT."""
        state = HostState(online, self._state_ms + later_ms).encode()
        self._client.publish(state_topic(self.host), state, qos=1, retain=True)

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe("spBv1.0/#", qos=1)
        if self.greets:
            self.say(True)

    def _on_subscribe(self, *_: Any) -> None:
        with self._changed:
            self.subscriptions += 1
            self._changed.notify_all()

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = parse_topic(message.topic)
        except ValueError:
            return
        if topic.type.is_command:
            return
        seen = Seen(topic, decode(bytes(message.payload)), time.monotonic(), len(message.payload))
        with self._changed:
            self.seen.append(seen)
            self._learn(seen)
            self._record(seen)
            self._changed.notify_all()

    def _learn(self, seen: Seen) -> None:
        if seen.topic.type not in (MessageType.NBIRTH, MessageType.DBIRTH):
            return
        self._aliases.update((m.alias, m.name) for m in seen.message.metrics if m.alias is not None)
        epoch = seen.message.value(EPOCH)
        if isinstance(epoch, str):
            if epoch != self.epoch:
                self.epoch, self.stored = epoch, Intervals()
            sent, highest = int(str(seen.message.value(SENT) or 0)), self.stored.highest or 0
            self.used = Intervals([(sent + 1, highest)]) if highest > sent else Intervals()
            if self.confirms:
                self.confirm(seen.topic)

    def _record(self, seen: Seen) -> None:
        if seen.topic.type not in (MessageType.NDATA, MessageType.DDATA):
            return
        first, *rest = seen.message.metrics
        if self._aliases.get(first.alias or 0) != RECORD:
            return
        number = int(str(first.value))
        self.records.append(Delivered(number, seen.topic.device, first.historical, tuple(m.value for m in rest), seen))
        if self.confirms:
            self.stored = self.stored.add(number)
            self._unsaid = seen.topic

    def _confirm_now_and_then(self) -> None:
        """Confirm what came, some times a second, as the cloud does."""
        while not self._stopping.wait(0.05):
            with self._changed:
                # Under the lock: a birth confirms from another thread, and an older set after a newer one takes back.
                topic, self._unsaid = self._unsaid, None
                if topic is not None:
                    self.confirm(topic)

    def confirm(self, topic: Topic, stored: Intervals | None = None) -> None:
        """Send the set of what is stored, or another one, to an edge."""
        text = f"{self.epoch}:{self.stored if stored is None else stored}"
        metrics = [BirthMetric(CONFIRM, SparkplugType.STRING, None, text)]
        if self.used:
            metrics.append(BirthMetric(USED, SparkplugType.STRING, None, f"{self.epoch}:{self.used}"))
        self.command(topic, *metrics)

    def ask_rebirth(self, topic: Topic) -> None:
        """Ask an edge for its births."""
        self.command(topic, BirthMetric(REBIRTH, SparkplugType.BOOLEAN, None, True))

    def command(self, topic: Topic, *metrics: BirthMetric) -> None:
        """Send an NCMD."""
        payload = command_payload(metrics, int(time.time() * 1000))
        self._client.publish(Topic(MessageType.NCMD, topic.group, topic.node).text, payload, qos=1)

    def wait(self, until: Callable[[], Any], what: str, seconds: float = DEADLINE_S) -> None:
        """Return once something holds; fail with what it was when the time is up."""
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come in {seconds:g} s; seen {self.story()[-20:]}")
            with self._changed:
                self._changed.wait(0.02)  # what is waited for may also happen in the edge, which tells nobody

    def of(self, *types: MessageType) -> list[Seen]:
        """Return what came of some types."""
        with self._changed:
            return [seen for seen in self.seen if seen.topic.type in types]

    def newest(self, device: str, name: str) -> object:
        """Return the value that came last of a device's point; None where none did."""
        with self._changed:
            for seen in reversed(self.seen):
                if seen.topic.type is MessageType.DDATA and seen.topic.device == device:
                    for metric in reversed(seen.message.metrics):
                        if self._aliases.get(metric.alias or 0) == name:
                            return metric.value
        return None

    def names(self) -> dict[int, str]:
        """Return the names of aliases, as the births said them."""
        with self._changed:
            return dict(self._aliases)

    def numbers(self) -> list[int]:
        """Return the record numbers in the order they came, repeats included."""
        with self._changed:
            return [record.number for record in self.records]

    def story(self) -> Sequence[str]:
        """Return what came, in a few words."""
        return [f"{seen.topic.type}/{seen.topic.device or ''}#{seen.message.seq}" for seen in self.seen]


@contextmanager
def edge_host(broker: Broker, **settings: Any) -> Iterator[EdgeHost]:
    """A host for the length of a with block."""
    host = EdgeHost(broker, **settings)
    host.start()
    try:
        yield host
    finally:
        host.stop()
