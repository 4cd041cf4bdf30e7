"""What was recorded of an edge's lives, and the questions judges ask of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from davylamp_wire.sparkplug_pb2 import Metric, Payload

from support.sparkplug.packets import Connect, Disconnect, Publish
from support.sparkplug.tap import Event
from support.sparkplug.witness import Heard

NAMESPACE, HOST = "spBv1.0", "davylamp"
BIRTHS, DATA = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA")


@dataclass(frozen=True)
class Said:
    """A message of the edge; `at` is its place in the recording."""

    at: int
    connection: int
    at_ms: int
    mqtt: Publish
    payload: Payload

    @property
    def levels(self) -> list[str]:
        return self.mqtt.topic.split("/")

    @property
    def type(self) -> str:
        return self.levels[2]

    @property
    def device(self) -> str | None:
        return self.levels[4] if len(self.levels) > 4 else None

    def metric(self, name: str) -> Metric:
        """Return the metric of a name."""
        return next(metric for metric in self.payload.metrics if metric.name == name)


@dataclass(frozen=True, slots=True)
class HostSaid:
    """A STATE of the primary host as it reached the edge; `counts` where it is not older than the last that counted."""

    at: int
    at_ms: int
    online: bool
    counts: bool


@dataclass(frozen=True)
class Life:
    """One connection of the edge, from its CONNECT to its end."""

    connect: Connect
    events: Sequence[tuple[int, Event]]
    said: Sequence[Said]

    @property
    def born(self) -> bool:
        return any(said.type == "NBIRTH" for said in self.said)

    @property
    def goodbye(self) -> int | None:
        """The place of the DISCONNECT, if the edge sent one."""
        return next((at for at, event in self.events if isinstance(event.packet, Disconnect)), None)


@dataclass(frozen=True)
class Recording:
    """Everything that passed between an edge and its broker, what a witness heard, and what the plant stood at.

    Args:
        stood: The value the counter stood at while the plant was quiet.
        quiet_ms: When that was, from and to.
    """

    group: str
    node: str
    events: Sequence[Event]
    heard: Sequence[Heard]
    began_ms: int
    stood: int
    quiet_ms: tuple[int, int]

    @cached_property
    def said(self) -> list[Said]:
        """Every Sparkplug message of the edge, in the order of the wire."""
        return [
            Said(at, event.connection, event.at_ms, event.packet, Payload.FromString(event.packet.payload))
            for at, event in enumerate(self.events)
            if event.from_edge and isinstance(event.packet, Publish)
        ]

    def of(self, *types: str) -> list[Said]:
        """Return the messages of some types."""
        return [said for said in self.said if said.type in types]

    @cached_property
    def lives(self) -> list[Life]:
        """Every connection that got as far as its CONNECT."""
        found = []
        for connection in sorted({event.connection for event in self.events}):
            own = [(at, event) for at, event in enumerate(self.events) if event.connection == connection]
            connect = next((event.packet for _, event in own if isinstance(event.packet, Connect)), None)
            if connect is not None:
                found.append(Life(connect, own, [said for said in self.said if said.connection == connection]))
        return found

    @cached_property
    def host(self) -> list[HostSaid]:
        """Every STATE of the primary host that reached the edge."""
        found, last_ms = [], 0
        for at, event, message in self.received(f"{NAMESPACE}/STATE/{HOST}"):
            said = json.loads(message.payload)
            counts = said["timestamp"] >= last_ms
            last_ms = max(last_ms, said["timestamp"])
            found.append(HostSaid(at, event.at_ms, said["online"], counts))
        return found

    def received(self, topic: str) -> Iterator[tuple[int, Event, Publish]]:
        """Yield what reached the edge on a topic."""
        for at, event in enumerate(self.events):
            if not event.from_edge and isinstance(event.packet, Publish) and event.packet.topic == topic:
                yield at, event, event.packet

    @cached_property
    def rebirths_asked(self) -> list[tuple[int, Event]]:
        """Every request for births that reached the edge."""
        commands = self.received(f"{NAMESPACE}/{self.group}/NCMD/{self.node}")
        return [(at, event) for at, event, message in commands if _asks(Payload.FromString(message.payload))]

    @cached_property
    def names(self) -> dict[int, tuple[str | None, str]]:
        """Return device and name behind each alias, as the births say."""
        pairs = ((said, metric) for said in self.of(*BIRTHS) for metric in said.payload.metrics)
        return {metric.alias: (said.device, metric.name) for said, metric in pairs if metric.HasField("alias")}


def _asks(command: Payload) -> bool:
    return any(metric.name == "Node Control/Rebirth" and metric.boolean_value for metric in command.metrics)
