"""Hazard sources: what stands on each, and how much of it is seen."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from fastapi import APIRouter

from davylamp_cloud.api.board import Count, counts, read_board
from davylamp_cloud.api.gate import Reader
from davylamp_cloud.api.parts import REFUSALS, CloudParts
from davylamp_cloud.api.views import Brief

router = APIRouter(prefix="/api/v1/hazard-sources", tags=["hazard sources"], responses=REFUSALS)


@dataclass(frozen=True, slots=True)
class SourceView:
    """A hazard source; `blind` counts the alarms that say something of it is not seen (SAFETY S12)."""

    hazard_source: str
    tags: int
    nodes: list[str]
    standing: list[Count]
    blind: int


@router.get("")
def list_sources(parts: CloudParts, actor: Reader) -> list[SourceView]:
    """List hazard sources with their standing alarms by priority."""
    standing = read_board(parts.cloud.state, parts.catalogue)
    tags: Counter[str] = Counter()
    nodes: defaultdict[str, set[str]] = defaultdict(set)
    for (source, node), count in standing.watched.items():
        tags[source] += count
        nodes[source].add(node)
    alarms: defaultdict[str, list[Brief]] = defaultdict(list)
    for alarm in standing.seen(actor.sees):
        alarms[alarm.hazard_source].append(alarm)
    names = sorted(name for name in set(tags) | set(alarms) if actor.sees(name))
    return [_source(name, tags[name], sorted(nodes[name]), alarms[name]) for name in names]


def _source(name: str, tags: int, nodes: list[str], alarms: list[Brief]) -> SourceView:
    blind = sum(alarm.blind and alarm.active for alarm in alarms)
    return SourceView(name, tags, nodes, counts(alarms), blind)
