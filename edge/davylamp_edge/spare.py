"""Records held in memory while the disk refuses them: the newest and the gravest, bounded in bytes.

What has to go becomes losses, one per class, for which the journal makes named holes. Pure: no disk, no clock.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from davylamp_edge.records import STORED, JournalClass, Record


@dataclass(slots=True)
class Loss:
    """Records of one class that are gone: their numbers' ends, times and count."""

    journal_class: JournalClass
    first: int
    last: int
    first_ms: int
    last_ms: int
    count: int = 1

    def add(self, number: int, first_ms: int) -> None:
        """Widen the loss by one record."""
        self.first = min(self.first, number)
        self.last = max(self.last, number)
        self.first_ms = min(self.first_ms, first_ms)
        self.last_ms = max(self.last_ms, first_ms)
        self.count += 1


def count_lost(losses: dict[JournalClass, Loss], journal_class: JournalClass, number: int, first_ms: int) -> None:
    """Add a record that is gone to the losses by class."""
    if journal_class in losses:
        losses[journal_class].add(number, first_ms)
    else:
        losses[journal_class] = Loss(journal_class, number, number, first_ms, first_ms)


class Spare:
    """A bounded store of records by class; the oldest of the lowest class goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._held: dict[JournalClass, deque[Record]] = {kind: deque() for kind in STORED}
        self._losses: dict[JournalClass, Loss] = {}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._held.values())

    @property
    def bytes(self) -> int:
        """Bytes held."""
        return self._bytes

    def hold(self, record: Record) -> None:
        """Keep a record, and let go of as much as that takes."""
        self._held[record.journal_class].append(record)
        self._bytes += record.size
        while self._bytes > self._max_bytes and len(self) > 1:
            self._drop_one()

    def _drop_one(self) -> None:
        queue = next(queue for queue in self._held.values() if queue)
        gone = queue.popleft()
        self._bytes -= gone.size
        count_lost(self._losses, gone.journal_class, gone.number, gone.first_ms)

    @property
    def losses(self) -> list[Loss]:
        """What was let go since the last `clear`."""
        return list(self._losses.values())

    def of(self, journal_class: JournalClass) -> list[Record]:
        """Return what is held of a class, oldest first."""
        return list(self._held.get(journal_class, ()))

    def records(self) -> list[Record]:
        """Return what is held, in order of number."""
        return sorted((record for queue in self._held.values() for record in queue), key=lambda record: record.number)

    def first(self, max_bytes: int) -> list[Record]:
        """Return what is held from the lowest number on, as much as fits and at least one."""
        chosen: list[Record] = []
        size = 0
        for record in self.records():
            size += record.size
            if chosen and size > max_bytes:
                break
            chosen.append(record)
        return chosen

    def remove(self, first: Iterable[Record]) -> None:
        """Let go of what `first` returned: it is on disk now. Losses are forgotten, too: they have their holes."""
        for record in first:
            self._bytes -= self._held[record.journal_class].popleft().size
        self._losses.clear()

    def clear(self) -> None:
        """Forget everything, losses too."""
        for queue in self._held.values():
            queue.clear()
        self._losses.clear()
        self._bytes = 0
