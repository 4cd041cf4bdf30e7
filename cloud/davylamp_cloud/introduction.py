"""What a birth says, as the log keeps it: names, aliases, description, and whether it is one of ours. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from davylamp_wire.describe import DeviceDescription, description_of, slug
from davylamp_wire.names import name_alias
from davylamp_wire.payload import DESCRIPTION, OUR_QUALITY, QUALITY, Message, Metric, is_own
from davylamp_wire.point import Point

from davylamp_cloud.register import NODE_DEVICE
from davylamp_cloud.tags import Named, Said

POINTS = '"points":'
"""What a description ends with, as `DeviceDescription.encode` writes it; quotes within a text are escaped."""


LARGEST_TYPE = (1 << 31) - 1
"""Largest datatype a column holds; Sparkplug's are below 100, and one beyond says as much as none."""


@lru_cache(maxsize=1 << 16)
def node_id(group: str, node: str) -> str:
    """Return the id of an edge node; ids of foreign edges become slugs."""
    return f"{slug(group)}/{slug(node)}"


def outline(node: str, device: str, own: bool, birth: Message) -> str:
    """Return the digest of everything a birth says but its values; the same words give the same digest.

    Cheap, because each edge says the same again whenever it connects: only what is new is read any closer.
    """
    words = birth.value(DESCRIPTION) if own else [sorted(_told(metric)) for metric in birth.metrics]
    metrics = [(metric.name, metric.alias, metric.datatype) for metric in birth.metrics]
    return hashlib.sha256(json.dumps([node, device, own, words, metrics]).encode()).hexdigest()


def said_by_node(group: str, node: str, birth: Message, own: bool) -> Said:
    """Return what an NBIRTH says. One of ours has no points of its own; a foreign one may."""
    return _said(node_id(group, node), "", own, None if own else _foreign(NODE_DEVICE, birth, group), birth)


def said_by_device(group: str, node: str, device: str, birth: Message, own: bool) -> Said:
    """Return what a DBIRTH says.

    Raises ValueError where our own description is there and does not fit.
    """
    name, text = slug(device), birth.value(DESCRIPTION)
    said = described(text) if own and isinstance(text, str) else _foreign(name, birth, group)
    return _said(node_id(group, node), name, own, said, birth)


def described(text: str) -> DeviceDescription:
    """Return a description; points that many devices share are read once.

    Raises ValueError saying what is wrong.
    """
    head, _, points = text.partition(POINTS)
    try:
        said = DeviceDescription.model_validate_json(f"{head}{POINTS}{{}}}}")
        return said.model_copy(update={"points": _points(points)})
    except ValueError:
        return DeviceDescription.decode(text)


@lru_cache(maxsize=256)
def _points(text: str) -> dict[str, Point]:
    """Return the points of a description from what follows `POINTS`; what many devices share is read once."""
    said = json.loads(text.removesuffix("}"))
    if not isinstance(said, dict):
        raise ValueError("points are not a table")
    return {name: _point(json.dumps(point)) for name, point in said.items()}


@lru_cache(maxsize=4096)
def _point(text: str) -> Point:
    return Point.model_validate_json(text)


def _told(metric: Metric) -> list[tuple[str, str]]:
    changing = (QUALITY, OUR_QUALITY)
    return [(key, str(value)) for key, value in metric.properties.items() if key not in changing]


def _foreign(device: str, birth: Message, group: str) -> DeviceDescription:
    points = tuple(metric for metric in birth.metrics if metric.readable and not is_own(metric.name))
    return description_of(device, replace(birth, metrics=points), hazard_source=slug(group))


def _said(node: str, device: str, own: bool, said: DeviceDescription | None, birth: Message) -> Said:
    prefix = f"{node}/{device or NODE_DEVICE}"
    points = {} if said is None else said.points
    named = [_named(metric, prefix, points) for metric in birth.metrics]
    metrics = tuple(sorted(named, key=lambda metric: not metric.tag_id))
    text = birth.value(DESCRIPTION) if own else None
    description = text if isinstance(text, str) else "" if said is None else said.encode()
    return Said(node, device, own, description, metrics, outline(node, device, own, birth))


def _named(metric: Metric, device: str, points: Mapping[str, Point]) -> Named:
    alias = name_alias(metric.name) if metric.alias is None else metric.alias
    alias -= (alias >> 63) << 64  # as the columns have it: unsigned from 2**63 on shows as negative
    datatype = metric.datatype if metric.datatype <= LARGEST_TYPE else 0
    point = slug(metric.name)
    if is_own(metric.name) or point not in points:
        return Named(alias, datatype, metric.name)
    return Named(alias, datatype, point, f"{device}/{point}")
