"""What a birth says, as the log keeps it: names, aliases, description, and whether it is one of ours. Pure."""

import hashlib
import json
from dataclasses import replace

from davylamp_wire.describe import DeviceDescription, description_of, slug
from davylamp_wire.names import name_alias
from davylamp_wire.payload import EPOCH, Message, Metric, is_own

from davylamp_cloud.register import NODE_DEVICE
from davylamp_cloud.tags import Named, Said


def node_id(group: str, node: str) -> str:
    """Return the id of an edge node; ids of foreign edges become slugs."""
    return f"{slug(group)}/{slug(node)}"


def said_by_node(group: str, node: str, birth: Message) -> Said:
    """Return what an NBIRTH says. One of ours has no points of its own; a foreign one may."""
    own = birth.find(EPOCH) is not None
    return _said(node_id(group, node), "", own, None if own else _foreign(NODE_DEVICE, birth, group), birth)


def said_by_device(group: str, node: str, device: str, birth: Message, own: bool) -> Said:
    """Return what a DBIRTH says.

    Raises ValueError where our own description is there and does not fit.
    """
    name = slug(device)
    said = description_of(name, birth, hazard_source=slug(group)) if own else _foreign(name, birth, group)
    return _said(node_id(group, node), name, own, said, birth)


def _foreign(device: str, birth: Message, group: str) -> DeviceDescription:
    points = tuple(metric for metric in birth.metrics if metric.readable and not is_own(metric.name))
    return description_of(device, replace(birth, metrics=points), hazard_source=slug(group))


def _said(node: str, device: str, own: bool, said: DeviceDescription | None, birth: Message) -> Said:
    prefix = f"{node}/{device or NODE_DEVICE}"
    named = [_named(metric, prefix, said) for metric in birth.metrics]
    metrics = tuple(sorted(named, key=lambda metric: not metric.tag_id))
    description = "" if said is None else said.encode()
    what = json.dumps([node, device, own, description, [(m.alias, m.datatype, m.point) for m in metrics]])
    return Said(node, device, own, description, metrics, hashlib.sha256(what.encode()).hexdigest())


def _named(metric: Metric, device: str, said: DeviceDescription | None) -> Named:
    alias = name_alias(metric.name) if metric.alias is None else metric.alias
    alias -= (alias >> 63) << 64  # as the columns have it: unsigned from 2**63 on shows as negative
    point = slug(metric.name)
    if said is None or is_own(metric.name) or point not in said.points:
        return Named(alias, metric.datatype, metric.name)
    return Named(alias, metric.datatype, point, f"{device}/{point}")
