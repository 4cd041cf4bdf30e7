"""Edges and their devices: is the link up, what is confirmed, who answers, how many tags are good."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from davylamp_wire.profile import COMM_OK
from davylamp_wire.quality import GOOD
from fastapi import APIRouter
from numpy.typing import NDArray
from sqlalchemy import select

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.catalogue import Entry, Register
from davylamp_cloud.api.gate import Reader
from davylamp_cloud.api.parts import REFUSALS, CloudParts, Parts
from davylamp_cloud.api.views import DeviceView, EdgeView
from davylamp_cloud.log import Confirmed, Hole
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row

router = APIRouter(prefix="/api/v1/edges", tags=["edges"], responses=REFUSALS)


Columns = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.uint16], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of all edges, read once."""

    register: Register
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
    by_node: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in facts.register.entries:
        if actor.sees(entry.hazard_source):
            by_node[entry.node].append(entry)
    known = set(by_node) | (set(facts.links) if not actor.hazard_sources else set())
    return [_edge(node, by_node[node], facts) for node in sorted(known)]


def _facts(parts: Parts) -> _Facts:
    log, state = parts.cloud.log, parts.cloud.state
    holes: defaultdict[str, list[Hole]] = defaultdict(list)
    for hole in log.holes():
        holes[hole.node].append(hole)
    return _Facts(
        register=parts.catalogue.register(),
        columns=parts.cloud.monitor.live.columns(),
        links={row["node"]: row for row in state.rows(select(schema.LINKS))},
        confirmed={confirmed.node: confirmed for confirmed in log.confirmed()},
        holes=holes,
        ingest=parts.cloud.ingest.status().get("nodes", {}),
    )


def _edge(node: str, entries: list[Entry], facts: _Facts) -> EdgeView:
    link = facts.links.get(node)
    holes = facts.holes.get(node, [])
    seen = facts.ingest.get(node, {})
    last_ms = _newest(entries, facts.columns)
    return EdgeView(
        node=node,
        online=bool(link and link["up"]),
        since_ms=link["since_ms"] if link else None,
        reason=link["reason"] if link else "",
        confirmed=all(entry.confirmed for entry in entries),
        confirmed_ms=facts.confirmed[node].at_ms if node in facts.confirmed else None,
        backlog=bool(seen.get("backlog", False)),
        last_ms=last_ms,
        clock_offset_ms=seen.get("clock_offset_ms"),
        holes=len(holes),
        lost_readings=sum(hole.count for hole in holes),
        devices=tuple(_devices(entries, facts)),
    )


def _newest(entries: Iterable[Entry], columns: Columns) -> int | None:
    arrivals = columns[3]
    newest = max((int(arrivals[e.index]) for e in entries if e.index < len(arrivals)), default=-1)
    return newest if newest >= 0 else None


def _devices(entries: list[Entry], facts: _Facts) -> Iterable[DeviceView]:
    by_device: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_device[entry.device].append(entry)
    for device, tags in sorted(by_device.items()):
        yield _device(device, tags, facts.columns)


def _device(device: str, tags: list[Entry], columns: Columns) -> DeviceView:
    own = [tag for tag in tags if tag.point != COMM_OK]
    good = sum(1 for tag in own if tag.index < len(columns[2]) and columns[2][tag.index] == GOOD)
    comm = next((tag.index for tag in tags if tag.point == COMM_OK), None)
    return DeviceView(
        device=device,
        name=tags[0].device_name,
        profile=tags[0].profile,
        hazard_source=tags[0].hazard_source,
        answers=_answers(comm, columns),
        tags=len(own),
        good=good,
    )


def _answers(comm: int | None, columns: Columns) -> bool | None:
    """Return whether a device answers by its `comm_ok`; None where nobody knows."""
    if comm is None or comm >= len(columns[0]) or columns[2][comm] != GOOD:
        return None
    return bool(columns[0][comm])
