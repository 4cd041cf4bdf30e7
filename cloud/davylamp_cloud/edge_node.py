"""One edge node as ingest sees it: its session, what of its journal is settled, its link and its clock. No I/O."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from davylamp_wire.intervals import Intervals
from davylamp_wire.session import HostSession

from davylamp_cloud.beside import Hole

CLOCK_WINDOW_MS = 60_000

OVERTAKING_MS = 10_000
"""Longer after a new journal's birth no message from before it is still on its way."""

CLOCK_SET_MS = 2_000
"""Messages of one edge come in the order they were sent: a time of sending this far back means its clock was set."""

LATEST_MS = 253_402_300_799_999
"""The end of 9999. A later time of sending (a -1, mostly) counts as this: the engine could not hold its offset, and
would fail on every tick of every plant."""

LARGEST_NUMBER = (1 << 63) - 1
"""What a column of the log holds."""


@dataclass(slots=True)
class Clock:
    """An edge's clock against ours: the least delayed message of the last one to two windows tells it best.

    It is held against a clock nobody sets (`steady_ms`), so that setting the host's makes no edge's look wrong.
    """

    window_ms: int = 0
    newest: int | None = None
    before: int | None = None
    sent_ms: int = 0

    def heard(self, sent_ms: int, steady_ms: int) -> None:
        """Take note of a message's own time of sending."""
        sent_ms = min(sent_ms, LATEST_MS)
        if sent_ms < self.sent_ms - CLOCK_SET_MS:
            self.window_ms, self.before, self.newest = steady_ms, None, None
        self.sent_ms = sent_ms
        if steady_ms - self.window_ms > CLOCK_WINDOW_MS:
            self.window_ms, self.before, self.newest = steady_ms, self.newest, None
        offset = sent_ms - steady_ms
        self.newest = offset if self.newest is None else max(self.newest, offset)

    def offset_ms(self, apart_ms: int) -> int | None:
        """Return edge clock minus host clock, which is `apart_ms` ahead of the steady one; None before the first."""
        known = [offset for offset in (self.newest, self.before) if offset is not None]
        return max(known) - apart_ms if known else None


@dataclass(slots=True)
class Journal:
    """Record numbers of one journal epoch: `seen` are on their way to the disk, `settled` are there."""

    epoch: str
    seen: Intervals
    settled: Intervals
    holes: list[Hole] = field(default_factory=list)
    _doubtful: dict[Hole, int] = field(default_factory=dict)
    """How many of a hole's numbers were here before it was announced: the edge may have counted them as lost."""

    def add_hole(self, hole: Hole) -> None:
        """Take note of numbers that will never come; a larger hole of a class replaces those it contains."""
        self.holes = [other for other in self.holes if not (_same(other, hole) and _within(other, hole))]
        self.holes.append(hole)
        self._doubtful[hole] = _count_within(self.seen, hole.first, hole.last)
        self.close_holes()

    def close_holes(self) -> None:
        """Settle every hole in which each number is accounted for.

        A hole names the lost records of one class; in between lie records of others, which may still be on their way
        and must not be called settled before they are here. What came before the hole was announced may be among the
        lost ones as well (the edge let it go unconfirmed), so it counts once at most; where that leaves a doubt, the
        hole stays open, which costs a longer set and never a record.
        """
        for hole in list(self.holes):
            span = hole.last - hole.first + 1
            if _count_within(self.seen, hole.first, hole.last) + self._gone(hole) + self._others(hole) >= span:
                self.seen = self.seen.add_range(hole.first, hole.last)
                self.holes.remove(hole)
        self._doubtful = {hole: self._doubtful[hole] for hole in self.holes}

    def _gone(self, hole: Hole) -> int:
        """Return how many of a hole's numbers are certainly lost and not here."""
        return max(0, hole.count - self._doubtful[hole])

    def _others(self, hole: Hole) -> int:
        """Return how many numbers within a hole are lost to holes of other classes that lie wholly in it."""
        most: dict[str, int] = {}
        for other in self.holes:
            if _within(other, hole) and other.journal_class != hole.journal_class:
                most[other.journal_class] = max(most.get(other.journal_class, 0), self._gone(other))
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
    epoch_here_ms: int = 0
    link: bool | None = None
    unheard_since_ms: int = 0
    clock: Clock = field(default_factory=Clock)
    owes: bool = False
    used: Intervals = field(default_factory=Intervals)
    """Numbers its newest birth did not know of and that are here: its journal is an older copy of itself."""
    confirmed_ms: int = 0
    told_ms: int | None = None
    """When it was told last of the engine."""
    asked_ms: int | None = None
    """When it was last asked to say anew what stands, by a clock that nobody sets."""
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

    def precedes_its_journal(self, sent_ms: int, now_ms: int) -> bool:
        """True for what was sent before a new journal's birth and came after it, as far as that can be told."""
        return sent_ms < self.epoch_ms and 0 <= now_ms - self.epoch_here_ms <= OVERTAKING_MS

    def confirm_due(self, now_ms: int, gap_ms: int) -> bool:
        """True where a confirmation is owed and may go out now, `gap_ms` after the last one."""
        return self.owes and now_ms - self.confirmed_ms >= gap_ms and self.journal is not None

    def word_due(self, now_ms: int, gap_ms: int) -> bool:
        """True for an edge of ours that is there and was not told of the engine for that long."""
        is_due = self.told_ms is None or now_ms - self.told_ms >= gap_ms
        return is_due and bool(self.link) and self.session.own


def used_beyond(journal: Journal, sent: object) -> Intervals:
    """Return the numbers that are here and beyond what an edge says it has ever sent."""
    highest = journal.seen.highest or 0
    if not isinstance(sent, int) or sent >= highest:
        return Intervals()
    return Intervals([(max(sent, 0) + 1, highest)])


def hole_of(node: str, text: str, at_ms: int) -> Hole:
    """Return the hole a text announces.

    Raises ValueError where it says less, more or other than a hole does: the log could not hold it.
    """
    said = json.loads(text)
    try:
        hole = Hole(node=node, at_ms=at_ms, **said)
    except TypeError as error:
        raise ValueError(f"no hole: {error}") from None
    numbers = (hole.first, hole.last, hole.first_ms, hole.last_ms, hole.count)
    if not all(type(number) is int and 0 <= number <= LARGEST_NUMBER for number in numbers) or hole.first > hole.last:
        raise ValueError(f"no hole: {numbers} are not its first, last, first_ms, last_ms and count")
    words = (hole.epoch, hole.journal_class, hole.reason)
    if not all(isinstance(word, str) and word.isprintable() for word in words):
        raise ValueError("no hole: epoch, journal_class and reason must be words")
    return hole


def journals_of(
    node: str, confirmed: Iterable[tuple[str, str, Intervals]], holes: Iterable[Hole]
) -> dict[str, Journal]:
    """Return a node's journals as the log's file has them."""
    found = {epoch: Journal(epoch, numbers, numbers) for owner, epoch, numbers in confirmed if owner == node}
    for hole in holes:
        if hole.node == node and hole.epoch in found and not _covers(found[hole.epoch].seen, hole):
            found[hole.epoch].add_hole(hole)
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
