"""The order in which one receiver is told. Pure: no clock, no I/O.

Within an occurrence strictly in order, one at a time; between occurrences red first. Each priority has places of its
own, so a red notice never waits for a slow yellow one (SAFETY S22). A red notice behind an earlier, lower one of its
own occurrence lends it its urgency.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

RANKS = {"red": 0, "orange": 1, "yellow": 2, "blue": 3}
PLACES = {"red": 128, "orange": 32, "yellow": 8, "blue": 4}
"""Attempts in flight to one receiver, by priority: bounds sockets, and keeps slow blue ones out of red's way."""

FEW_PLACES = {"red": 128, "orange": 8, "yellow": 1, "blue": 1}
"""The same while the engine is behind the log: lower notices must not take its time. None ever stops."""

UNMARKED = 256
"""Accepted notices of a priority that may wait for their mark: so many at most are sent again after a kill."""


@dataclass(slots=True)
class Item:
    """A notice on its way to one receiver. `row` is its place in the outbox table; `body` may have been let go."""

    row: int
    transition: str
    occurrence: str
    priority: str
    body: bytes | None = None
    attempts: int = 0
    created_ms: int = 0
    due_s: float = 0.0
    not_before_s: float = 0.0
    error: str = ""


@dataclass(slots=True)
class _Occurrence:
    items: deque[Item] = field(default_factory=deque)
    sending: str = ""
    """Priority whose place the head holds while it is in flight."""
    accepted: bool = False
    """The head has arrived and holds no place any more; it is not marked yet, so nothing of this may follow it."""

    @property
    def urgency(self) -> str:
        return min((item.priority for item in self.items), key=RANKS.__getitem__)


class ReceiverQueue:
    """Pending notices of one receiver."""

    def __init__(self) -> None:
        self._occurrences: dict[str, _Occurrence] = {}
        self._ready: dict[str, list[tuple[int, str]]] = {priority: [] for priority in RANKS}
        self._waiting: list[tuple[float, int, str]] = []
        self._in_flight: Counter[str] = Counter()
        self._unmarked: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def in_flight(self) -> int:
        """How many notices are being sent."""
        return self._in_flight.total()

    def items(self) -> list[Item]:
        """Return everything pending, in the order of the outbox."""
        found = (item for occurrence in self._occurrences.values() for item in occurrence.items)
        return sorted(found, key=lambda item: item.row)

    def add(self, item: Item) -> None:
        """Queue a notice behind the earlier ones of its occurrence. A more urgent one makes a waiting head due."""
        occurrence = self._occurrences.setdefault(item.occurrence, _Occurrence())
        before = occurrence.urgency if occurrence.items else None
        occurrence.items.append(item)
        self._count += 1
        if occurrence.sending:
            return
        if before is None:
            self._offer(item)
        elif RANKS[item.priority] < RANKS[before]:
            occurrence.items[0].due_s = occurrence.items[0].not_before_s
            self._offer(occurrence.items[0])

    def urgency(self, item: Item) -> str:
        """Return the highest priority that waits for this notice: its own, or that of one behind it."""
        return self._occurrences[item.occurrence].urgency

    def take(self, now_s: float, places: Mapping[str, int] = PLACES) -> list[Item]:
        """Return the notices to send now, most urgent first; they are in flight until `done` or `postpone`."""
        while self._waiting and self._waiting[0][0] <= now_s:
            _, row, name = heapq.heappop(self._waiting)
            self._promote(row, name, now_s)
        return [item for urgency in RANKS for item in self._take(urgency, now_s, places[urgency])]

    def _take(self, urgency: str, now_s: float, places: int) -> Iterator[Item]:
        ready = self._ready[urgency]
        while ready and self._in_flight[urgency] < places and self._unmarked[urgency] < UNMARKED:
            row, name = heapq.heappop(ready)
            occurrence = self._occurrences.get(name)
            if occurrence is None or occurrence.sending or not _is_due(occurrence.items[0], row, now_s):
                continue  # an entry from before it was sent, postponed or became more urgent
            occurrence.sending = urgency
            self._in_flight[urgency] += 1
            yield occurrence.items[0]

    def next_due_s(self) -> float | None:
        """Return when the next waiting notice falls due."""
        return self._waiting[0][0] if self._waiting else None

    def accepted(self, item: Item) -> None:
        """Give the place of a notice that has arrived to another occurrence: disks are slower than receivers."""
        occurrence = self._occurrences[item.occurrence]
        occurrence.accepted = True
        self._in_flight[occurrence.sending] -= 1
        self._unmarked[occurrence.sending] += 1

    def done(self, item: Item) -> None:
        """Remove a notice that was delivered or given up, and is marked so; the next of its occurrence is due."""
        occurrence = self._landed(item)
        occurrence.items.popleft()
        self._count -= 1
        if occurrence.items:
            self._offer(occurrence.items[0])
        else:
            del self._occurrences[item.occurrence]

    def postpone(self, item: Item, due_s: float, not_before_s: float = 0.0) -> None:
        """Put a failed notice back at the head of its occurrence, due later."""
        self._landed(item)
        item.due_s, item.not_before_s = due_s, not_before_s
        self._offer(item)

    def release(self) -> None:
        """Make every waiting notice due as soon as its receiver allowed: the receiver is back."""
        for occurrence in self._occurrences.values():
            head = occurrence.items[0]
            if not occurrence.sending and head.due_s > head.not_before_s:
                head.due_s = head.not_before_s
                self._offer(head)

    def _offer(self, item: Item) -> None:
        heapq.heappush(self._waiting, (item.due_s, item.row, item.occurrence))

    def _promote(self, row: int, name: str, now_s: float) -> None:
        occurrence = self._occurrences.get(name)
        if occurrence is not None and _is_due(occurrence.items[0], row, now_s):
            heapq.heappush(self._ready[occurrence.urgency], (row, name))

    def _landed(self, item: Item) -> _Occurrence:
        occurrence = self._occurrences[item.occurrence]
        held = self._unmarked if occurrence.accepted else self._in_flight
        held[occurrence.sending] -= 1
        occurrence.sending, occurrence.accepted = "", False
        return occurrence


def _is_due(head: Item, row: int, now_s: float) -> bool:
    return head.row == row and head.due_s <= now_s
