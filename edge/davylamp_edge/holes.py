"""Named holes: a lost stretch of readings as the journal keeps it and the wire carries it (SAFETY S26)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from davylamp_wire.payload import SparkplugType, data_payload, decode, metrics_body
from davylamp_wire.quality import GOOD
from davylamp_wire.reading import Readings

from davylamp_edge.records import NODE, Entry, JournalClass, LossReason
from davylamp_edge.spare import Loss


@dataclass(frozen=True, slots=True)
class Hole:
    """Readings of one class that are lost: `count` records with numbers from `first` to `last`, and when they were.

    Numbers in between that belong to other classes are not lost.
    """

    epoch: str
    first: int
    last: int
    journal_class: str
    reason: str
    first_ms: int
    last_ms: int
    count: int


def hole_of(loss: Loss, reason: LossReason, epoch: str) -> Hole:
    """Return a loss by its name."""
    return Hole(epoch, loss.first, loss.last, loss.journal_class.word, reason, loss.first_ms, loss.last_ms, loss.count)


def merged(one: Hole, other: Hole) -> Hole:
    """Return one hole that says what two of the same class, reason and epoch say."""
    return Hole(
        one.epoch,
        min(one.first, other.first),
        max(one.last, other.last),
        one.journal_class,
        one.reason,
        min(one.first_ms, other.first_ms),
        max(one.last_ms, other.last_ms),
        one.count + other.count,
    )


def like(hole: Hole, holes: Sequence[tuple[int, Hole]]) -> tuple[int, Hole] | None:
    """Return the newest of numbered holes that may be merged with a hole, or None."""
    name = (hole.epoch, hole.journal_class, hole.reason)
    fitting = (pair for pair in reversed(holes) if (pair[1].epoch, pair[1].journal_class, pair[1].reason) == name)
    return next(fitting, None)


def hole_entry(hole: Hole, alias: int) -> Entry:
    """Return the journal entry that carries a hole to the cloud, under the alias of the node's hole metric."""
    text = json.dumps(asdict(hole), separators=(",", ":"))
    body = metrics_body(Readings([alias], [hole.last_ms], [text], [GOOD]), {alias: SparkplugType.STRING})
    return Entry(NODE, JournalClass.HOLE, body, hole.first_ms)


def hole_in(body: bytes) -> Hole:
    """Return the hole in a journal entry's body."""
    (metric,) = decode(data_payload(body, seq=0, sent_ms=0)).metrics
    return Hole(**json.loads(str(metric.value)))
