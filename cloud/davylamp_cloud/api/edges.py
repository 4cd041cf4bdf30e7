"""Edges and their devices: is the link up, what is confirmed, who answers, how many tags are good."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from davylamp_wire.quality import GOOD
from fastapi import APIRouter
from numpy.typing import NDArray
from sqlalchemy import select

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.catalogue import Device
from davylamp_cloud.api.gate import Reader
from davylamp_cloud.api.parts import REFUSALS, CloudParts, Parts
from davylamp_cloud.api.views import DeviceView, EdgeView
from davylamp_cloud.beside import Confirmed, Hole
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row

router = APIRouter(prefix="/api/v1/edges", tags=["edges"], responses=REFUSALS)


Columns = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.uint16], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of all edges, read once."""

    devices: tuple[Device, ...]
    columns: Columns
    links: Mapping[str, Row]
    confirmed: Mapping[str, Confirmed]
    holes: Mapping[str, list[Hole]]
    ingest: Mapping[str, Any]


@router.get("")
def list_edges(parts: CloudParts, actor: Reader) -> list[EdgeView]:
    """List every edge that was ever born, with link, confirmation and devices."""
    return edges(parts, actor)


def edges(parts: Parts, actor: Actor) -> list[EdgeView]:
    """Return the edges that carry anything an actor sees; reads the disk."""
    facts = _facts(parts)
    by_node: defaultdict[str, list[Device]] = defaultdict(list)
    for device in facts.devices:
        if actor.sees(device.hazard_source):
            by_node[device.node].append(device)
    known = set(by_node) | (set(facts.links) if not actor.hazard_sources else set())
    return [_edge(node, by_node[node], facts) for node in sorted(known)]


def _facts(parts: Parts) -> _Facts:
    log, state = parts.cloud.log, parts.cloud.state
    holes: defaultdict[str, list[Hole]] = defaultdict(list)
    for hole in log.holes():
        holes[hole.node].append(hole)
    return _Facts(
        devices=parts.catalogue.devices(),
        columns=parts.cloud.monitor.live.columns(),
        links={row["node"]: row for row in state.rows(select(schema.LINKS))},
        confirmed={confirmed.node: confirmed for confirmed in log.confirmed()},
        holes=holes,
        ingest=parts.cloud.ingest.status().get("nodes", {}),
    )


def _edge(node: str, devices: list[Device], facts: _Facts) -> EdgeView:
    link = facts.links.get(node)
    holes = facts.holes.get(node, [])
    seen = facts.ingest.get(node, {})
    return EdgeView(
        node=node,
        online=bool(link and link["up"]),
        since_ms=link["since_ms"] if link else None,
        reason=link["reason"] if link else "",
        confirmed=all(device.confirmed for device in devices),
        confirmed_ms=facts.confirmed[node].at_ms if node in facts.confirmed else None,
        backlog=bool(seen.get("backlog", False)),
        last_ms=_newest(devices, facts.columns),
        clock_offset_ms=seen.get("clock_offset_ms"),
        holes=len(holes),
        lost_readings=sum(hole.count for hole in holes),
        devices=tuple(_device(device, facts.columns) for device in devices),
    )


def _newest(devices: Iterable[Device], columns: Columns) -> int | None:
    """Return when the newest reading of any tag arrived."""
    arrivals = [columns[3][_known(device.tags, columns)].max(initial=-1) for device in devices]
    newest = max(map(int, arrivals), default=-1)
    return newest if newest >= 0 else None


def _device(device: Device, columns: Columns) -> DeviceView:
    return DeviceView(
        device=device.device,
        name=device.name,
        profile=device.profile,
        hazard_source=device.hazard_source,
        answers=_answers(device.comm, columns),
        tags=len(device.own),
        good=int(np.count_nonzero(columns[2][_known(device.own, columns)] == GOOD)),
    )


def _known(tags: NDArray[np.int64], columns: Columns) -> NDArray[np.int64]:
    """Return the tags that have a place among the live values yet."""
    return tags[tags < len(columns[0])]


def _answers(comm: int | None, columns: Columns) -> bool | None:
    """Return whether a device answers by its `comm_ok`; None where nobody knows."""
    if comm is None or comm >= len(columns[0]) or columns[2][comm] != GOOD:
        return None
    return bool(columns[0][comm])
