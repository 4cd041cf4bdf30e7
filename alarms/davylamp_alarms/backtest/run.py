"""Lead the live engine through recorded records. There is no other evaluation than its own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import Register
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Transition


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment of the recorded time at which timers fall due."""

    seq: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Link:
    """An edge node (``group/node``) came or went."""

    seq: int
    node: str
    up: bool
    at_ms: int


Recorded = Batch | Tick | Link


class Said(NamedTuple):
    """A transition, and when its record arrived: what people hear counts by that time."""

    transition: Transition
    at_ms: int


def run(register: Register, recorded: Iterable[Recorded]) -> Iterator[Said]:
    """Yield what the engine says of the records with these rules, as it goes: a caller may stop at any record.

    Raises:
        ValueError: The register contradicts itself; the message says where.
    """
    engine = Engine(register)
    for record in recorded:
        yield from take(engine, record)


def take(engine: Engine, record: Recorded) -> list[Said]:
    """Return what the engine says of one record."""
    if not (steps := _taken(engine, record)):
        return []
    at_ms = int(record.arrival_ms[-1]) if isinstance(record, Batch) else record.at_ms
    return [Said(step, at_ms) for step in steps]


def _taken(engine: Engine, record: Recorded) -> list[Transition]:
    if isinstance(record, Tick):
        # Recorded time has one clock, which nobody sets: the host's and the monotonic one are the same.
        return engine.tick(record.seq, record.at_ms, record.at_ms, "backtest", {})
    if isinstance(record, Link):
        return engine.link(record.seq, record.node, record.up, record.at_ms)
    return engine.apply(record)
