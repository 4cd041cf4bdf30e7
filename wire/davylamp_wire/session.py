"""Sparkplug sessions, both sides: the one place from which edge and cloud take them."""

from davylamp_wire.edge_session import EdgeAction, EdgeEvent, EdgeSession, EdgeState, OutOfTurn
from davylamp_wire.head import Head
from davylamp_wire.host_effects import (
    Born,
    Data,
    DeathReason,
    DeviceBorn,
    DeviceDied,
    Effect,
    NodeDied,
    Quarantine,
    RequestRebirth,
)
from davylamp_wire.host_order import Patience
from davylamp_wire.host_session import HostSession, NodeEvent, NodeState

__all__ = [
    "Born",
    "Data",
    "DeathReason",
    "DeviceBorn",
    "DeviceDied",
    "EdgeAction",
    "EdgeEvent",
    "EdgeSession",
    "EdgeState",
    "Effect",
    "Head",
    "HostSession",
    "NodeDied",
    "NodeEvent",
    "NodeState",
    "OutOfTurn",
    "Patience",
    "Quarantine",
    "RequestRebirth",
]
