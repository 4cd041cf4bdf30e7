"""What a host does about an edge node's message: the answers of `HostSession`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from davylamp_wire.decode import Message
from davylamp_wire.head import Head
from davylamp_wire.topic import Topic


class DeathReason(StrEnum):
    """How the host knows that a node is gone."""

    WILL = "will"
    """The broker or the edge itself said so (NDEATH)."""
    SILENCE = "silence"
    """Nothing came for 1.5 keepalives."""


@dataclass(frozen=True, slots=True)
class Born:
    """A node is there. All its devices are unborn until their own `DeviceBorn`.

    `birth` numbers births within this session object; every later effect names the birth it must be read with.
    `epoch` is the journal epoch, None for a foreign edge. `again` marks a node that was silent and spoke: the same
    birth as before, told once more. `stored` marks a birth that the broker has kept: what it says is known from now on,
    whether the node is there is not.
    """

    payload: bytes
    message: Message
    birth: int
    bd_seq: int | None
    epoch: str | None
    again: bool = False
    stored: bool = False


@dataclass(frozen=True, slots=True)
class DeviceBorn:
    """A device is there, with everything its data need to be read."""

    device: str
    payload: bytes
    message: Message
    birth: int
    again: bool = False


class Data(NamedTuple):
    """A data payload, to be read with `birth`. `device` is None for the node's own metrics.

    A tuple, because one is made for every payload.
    """

    device: str | None
    payload: bytes
    birth: int
    head: Head


@dataclass(frozen=True, slots=True)
class DeviceDied:
    """A device was taken away. `time_ms` is the edge's word for when, or the host's where it gave none."""

    device: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class NodeDied:
    """A node is gone, and all it ever said is stale as of `time_ms`, the host's clock."""

    reason: DeathReason
    bd_seq: int | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class RequestRebirth:
    """The host must ask the node for its births, and why (for the log)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A message that cannot be used, and why. Data of our own edges come again, because nobody confirms them."""

    reason: str
    topic: Topic
    payload: bytes


Effect = Born | DeviceBorn | Data | DeviceDied | NodeDied | RequestRebirth | Quarantine
