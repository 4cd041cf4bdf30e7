"""Named holes: a lost stretch of readings as the journal keeps it and the wire carries it (SAFETY S26)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import SparkplugType, data_payload, decode, metrics_body
from davylamp_wire.quality import GOOD
from davylamp_wire.reading import Readings

from davylamp_edge.records import NODE, Entry, JournalClass, LossReason, Record, Row
from davylamp_edge.rows import is_sound
from davylamp_edge.spare import Loss

HOLES_KEPT = 256
"""Unconfirmed holes beyond which new ones are merged with old ones."""


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


class HoleBook:
    """The holes on disk by record number, and those made since somebody last asked."""

    def __init__(self, found: Iterable[Row]) -> None:
        self._holes = {row[0]: hole_in(row[5]) for row in found if is_sound(row)}
        self._fresh: list[Record] = []

    def waiting(self, confirmed: Intervals) -> list[tuple[int, Hole]]:
        """Return the holes the cloud does not know of yet, with their numbers."""
        return [pair for pair in self._holes.items() if not confirmed.covers(pair[0])]

    def entries(
        self, losses: Sequence[tuple[Loss, LossReason]], epoch: str, confirmed: Intervals, alias: int
    ) -> tuple[list[Entry], list[int]]:
        """Return the entries of holes for losses, and the numbers of older holes they take the place of.

        Beyond `HOLES_KEPT` a new hole swallows the newest of its kind, so that a cut of weeks cannot fill the journal
        with holes. It gets a number of its own: the older one may be on its way already.
        """
        holes = [hole_of(loss, reason, epoch) for loss, reason in losses]
        waiting = self.waiting(confirmed) if holes else []
        if holes:
            self._holes = dict(waiting)  # what the cloud knows by now would be held for ever
        replaced: list[int] = []
        for index, hole in enumerate(holes):
            older = like(hole, waiting) if len(waiting) + len(holes) > HOLES_KEPT else None
            if older is not None:
                waiting.remove(older)
                replaced.append(older[0])
                holes[index] = merged(older[1], hole)
        return [hole_entry(hole, alias) for hole in holes], replaced

    def settle(self, made: Sequence[Record], replaced: Iterable[int]) -> None:
        """Take note of what has been committed."""
        for number in replaced:
            del self._holes[number]
        self._holes.update((record.number, hole_in(record.body)) for record in made)
        self._fresh.extend(made)

    def take_fresh(self) -> list[Record]:
        """Return the records of holes made since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh


def hole_entry(hole: Hole, alias: int) -> Entry:
    """Return the journal entry that carries a hole to the cloud, under the alias of the node's hole metric."""
    text = json.dumps(asdict(hole), separators=(",", ":"))
    body = metrics_body(Readings([alias], [hole.last_ms], [text], [GOOD]), {alias: SparkplugType.STRING})
    return Entry(NODE, JournalClass.HOLE, body, hole.first_ms)


def hole_in(body: bytes) -> Hole:
    """Return the hole in a journal entry's body."""
    (metric,) = decode(data_payload(body, seq=0, sent_ms=0)).metrics
    return Hole(**json.loads(str(metric.value)))
