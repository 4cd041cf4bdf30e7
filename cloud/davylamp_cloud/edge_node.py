"""One edge node as ingest sees it: its session, what of its journal is settled, its link and its clock. No I/O."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from davylamp_wire.intervals import Intervals
from davylamp_wire.session import HostSession

from davylamp_cloud.log import Hole

CLOCK_WINDOW_MS = 60_000


@dataclass(slots=True)
class Clock:
    """An edge's clock against ours: the least delayed message of the last one to two windows tells it best."""

    window_ms: int = 0
    newest: int | None = None
    before: int | None = None

    def heard(self, sent_ms: int, now_ms: int) -> None:
        """Take note of a message's own time of sending."""
        if now_ms - self.window_ms > CLOCK_WINDOW_MS:
            self.window_ms, self.before, self.newest = now_ms, self.newest, None
        offset = sent_ms - now_ms
        self.newest = offset if self.newest is None else max(self.newest, offset)

    @property
    def offset_ms(self) -> int | None:
        """Edge clock minus host clock; None before anything was heard."""
        known = [offset for offset in (self.newest, self.before) if offset is not None]
        return max(known, default=None)


@dataclass(slots=True)
class Journal:
    """Record numbers of one journal epoch: `seen` are on their way to the disk, `settled` are there."""

    epoch: str
    seen: Intervals
    settled: Intervals
    holes: list[Hole] = field(default_factory=list)

    def add_hole(self, hole: Hole) -> None:
        """Take note of numbers that will never come; a larger hole of a class replaces those it contains."""
        self.holes = [other for other in self.holes if not (_same(other, hole) and _within(other, hole))]
        self.holes.append(hole)
        self.close_holes()

    def close_holes(self) -> None:
        """Settle every hole in which each number is accounted for.

        A hole names the lost records of one class; in between lie records of others, which may still be on their way
        and must not be called settled before they are here.
        """
        for hole in list(self.holes):
            span = hole.last - hole.first + 1
            if _count_within(self.seen, hole.first, hole.last) + hole.count + self._others(hole) >= span:
                self.seen = self.seen.add_range(hole.first, hole.last)
                self.holes.remove(hole)

    def _others(self, hole: Hole) -> int:
        """Return how many numbers within a hole are lost to holes of other classes that lie wholly in it."""
        most: dict[str, int] = {}
        for other in self.holes:
            if _within(other, hole) and other.journal_class != hole.journal_class:
                most[other.journal_class] = max(most.get(other.journal_class, 0), other.count)
        return sum(most.values())


@dataclass(slots=True)
class EdgeNode:
    """What ingest keeps of one edge node. `id` is ``group/node``, both as slugs; `link` is None until it is known."""

    id: str
    group: str
    name: str
    session: HostSession = field(default_factory=HostSession)
    births: dict[int, int] = field(default_factory=dict)
    controls: dict[int, str] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    epoch_ms: int = 0
    link: bool | None = None
    unheard_since_ms: int = 0
    clock: Clock = field(default_factory=Clock)
    owes: bool = False
    confirmed_ms: int = 0
    backlog: bool = False
    last_ms: int = 0
    records: int = 0
    duplicates: int = 0
    rebirths: int = 0
    quarantined: int = 0

    @property
    def journal(self) -> Journal | None:
        """The journal epoch its newest birth named; None for a foreign edge."""
        return None if self.session.epoch is None else self.journals.get(self.session.epoch)

    def confirm_due(self, now_ms: int, gap_ms: int) -> bool:
        """True where a confirmation is owed and may go out now, `gap_ms` after the last one."""
        return self.owes and now_ms - self.confirmed_ms >= gap_ms and self.journal is not None


def journals_of(
    node: str, confirmed: Iterable[tuple[str, str, Intervals]], holes: Iterable[Hole]
) -> dict[str, Journal]:
    """Return a node's journals as the log's file has them."""
    found = {epoch: Journal(epoch, numbers, numbers) for owner, epoch, numbers in confirmed if owner == node}
    for hole in holes:
        if hole.node == node and hole.epoch in found and not _covers(found[hole.epoch].seen, hole):
            found[hole.epoch].holes.append(hole)
    return found


def _covers(numbers: Intervals, hole: Hole) -> bool:
    return not numbers.missing(hole.first, hole.last)


def _same(one: Hole, other: Hole) -> bool:
    return (one.journal_class, one.reason) == (other.journal_class, other.reason)


def _within(inner: Hole, outer: Hole) -> bool:
    return outer.first <= inner.first and inner.last <= outer.last


def _count_within(numbers: Intervals, first: int, last: int) -> int:
    return last - first + 1 - numbers.missing(first, last).count


def silent_nodes(nodes: Iterable[EdgeNode], now_ms: int, patience_ms: float) -> Iterator[EdgeNode]:
    """Yield nodes known from before this start of which nothing was heard for longer than a link may be silent."""
    for node in nodes:
        if node.link is None and now_ms - node.unheard_since_ms > patience_ms:
            yield node
