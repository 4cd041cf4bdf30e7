"""Sparkplug B topics, and the STATE message by which a host says whether it is there (Sparkplug 3.0, chapter 4)."""

import json
from dataclasses import dataclass
from enum import StrEnum

NAMESPACE = "spBv1.0"
STATE = "STATE"

FORBIDDEN = frozenset("/+#\0")
"""What an id in a topic may not hold (Sparkplug 3.0, 4.2; MQTT 3.1.1, 4.7)."""


class MessageType(StrEnum):
    """What a message on a Sparkplug topic is."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    NDATA = "NDATA"
    NCMD = "NCMD"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    DDATA = "DDATA"
    DCMD = "DCMD"

    @property
    def of_device(self) -> bool:
        """True where the topic names a device."""
        return self.startswith("D")

    @property
    def is_command(self) -> bool:
        """True where a host speaks, not an edge."""
        return self in (MessageType.NCMD, MessageType.DCMD)


@dataclass(frozen=True, slots=True)
class Topic:
    """An address of one edge node, or of a device on it. `device` is None exactly for the node's own messages."""

    type: MessageType
    group: str
    node: str
    device: str | None = None

    def __post_init__(self) -> None:
        if self.type.of_device == (self.device is None):
            raise ValueError(f"{self.type} {'needs' if self.type.of_device else 'has no'} device")
        for part in (self.group, self.node, *(() if self.device is None else (self.device,))):
            if not part or FORBIDDEN & set(part):
                raise ValueError(f"{part!r} cannot be an id: it must not be empty or hold any of / + # NUL")

    @property
    def text(self) -> str:
        """The topic as MQTT carries it."""
        head = f"{NAMESPACE}/{self.group}/{self.type}/{self.node}"
        return head if self.device is None else f"{head}/{self.device}"


def parse_topic(text: str) -> Topic:
    """Return a topic from its text.

    Raises: ValueError saying what is wrong; the message goes to quarantine with that reason.
    """
    namespace, *parts = text.split("/")
    if namespace != NAMESPACE:
        raise ValueError(f"topic {text!r} is not in the namespace {NAMESPACE}")
    if parts[:1] == [STATE]:
        raise ValueError(f"topic {text!r} is a host's STATE, not an edge's")
    if len(parts) not in (3, 4):
        raise ValueError(f"topic {text!r} has {len(parts)} parts after the namespace, not 3 or 4")
    group, kind, node, *device = parts
    if kind not in MessageType.__members__:
        raise ValueError(f"topic {text!r}: {kind!r} is no Sparkplug message type")
    return Topic(MessageType(kind), group, node, device[0] if device else None)


def state_topic(host: str) -> str:
    """Return the topic on which a host application says whether it is online."""
    return f"{NAMESPACE}/{STATE}/{host}"


def host_of(text: str) -> str | None:
    """Return the host of a STATE topic; None for every other topic."""
    parts = text.split("/")
    return parts[2] if len(parts) == 3 and parts[:2] == [NAMESPACE, STATE] else None


@dataclass(frozen=True, slots=True)
class HostState:
    """What a host says of itself. `timestamp_ms` is that of its CONNECT, the same in birth and will."""

    online: bool
    timestamp_ms: int

    def encode(self) -> bytes:
        """Return the STATE payload (Sparkplug 3.0, 5.13)."""
        return json.dumps({"online": self.online, "timestamp": self.timestamp_ms}).encode()

    @classmethod
    def decode(cls, payload: bytes) -> "HostState":
        """Return the state in a payload.

        Raises: ValueError where it is not Sparkplug 3.0 JSON; the texts of 2.2 carry no time and are refused.
        """
        try:
            said = json.loads(payload)
        except (ValueError, RecursionError):
            raise ValueError(f"STATE payload {payload[:40]!r} is not JSON") from None
        if not isinstance(said, dict):
            raise ValueError(f"STATE payload {payload[:40]!r} is not a JSON object")
        online, timestamp = said.get("online"), said.get("timestamp")
        if not isinstance(online, bool) or isinstance(timestamp, bool) or not isinstance(timestamp, int):
            raise ValueError("STATE payload needs online (bool) and timestamp (integer ms)")
        return cls(online, timestamp)
