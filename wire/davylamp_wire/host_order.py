"""Sparkplug's sequence numbers as a host sees them: what is next, what came too early, and when to stop waiting."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from davylamp_wire.head import Head
from davylamp_wire.topic import MessageType, Topic

SEQS = 256
DATA = (MessageType.NDATA, MessageType.DDATA)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a host waits, in milliseconds. `silence_factor` times the keepalive without a word: the link is lost."""

    reorder_ms: int = 500
    hold_ms: int = 10_000
    death_ms: int = 250
    rebirth_ms: int = 5_000
    rebirth_max_ms: int = 60_000
    silence_factor: float = 1.5
    held: int = 10_000


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way. `told` marks one that was delivered already and only keeps its place in the order."""

    topic: Topic
    payload: bytes
    head: Head
    at_ms: int
    told: bool = False

    @property
    def is_data(self) -> bool:
        """Whether it carries readings, and not a birth or a death."""
        return self.topic.type in DATA

    def sent_before(self, sent_ms: int | None) -> bool:
        """Whether it was sent before a time; the same millisecond is not before, and no stamp proves nothing."""
        return sent_ms is not None and self.head.sent_ms is not None and self.head.sent_ms < sent_ms


class Place(StrEnum):
    """Where a message stands against the one expected."""

    NEXT = "next"
    AHEAD = "ahead"
    BEHIND = "behind"
    UNNUMBERED = "unnumbered"
    """A foreign edge that numbers nothing, or twice the same."""


@dataclass(slots=True)
class Order:
    """The sequence of one session, and the letters that wait for a gap before them to close."""

    expected: int = 0
    _waiting: dict[int, Letter] = field(default_factory=dict)

    def begin(self, birth_seq: int) -> None:
        """Start a session: the birth's seq is taken, nothing waits."""
        self.expected = (birth_seq + 1) % SEQS
        self._waiting.clear()

    def runs(self, seq: int | None) -> bool:
        """Whether nothing waits and this is what is expected."""
        return seq == self.expected and not self._waiting

    def place(self, letter: Letter) -> Place:
        """Return where a letter stands. Half the circle ahead counts as ahead, the other half as behind."""
        seq = letter.head.seq
        if seq is None or seq in self._waiting:
            return Place.UNNUMBERED
        distance = (seq - self.expected) % SEQS
        if distance == 0:
            return Place.NEXT
        return Place.AHEAD if distance < SEQS // 2 else Place.BEHIND

    def keep(self, letter: Letter, *, told: bool) -> None:
        """Keep a letter that came ahead until the gap before it closes."""
        if letter.head.seq is not None:
            self._waiting[letter.head.seq] = replace(letter, told=told)

    def advance(self) -> list[Letter]:
        """Count the expected letter as come, and return those behind it that are in order now."""
        self.expected = (self.expected + 1) % SEQS
        ready = []
        while self._waiting and (letter := self._waiting.pop(self.expected, None)) is not None:
            ready.append(letter)
            self.expected = (self.expected + 1) % SEQS
        return ready

    def overdue(self, now_ms: int, reorder_ms: int) -> bool:
        """Whether a letter has waited for its gap long enough."""
        return any(now_ms - letter.at_ms >= reorder_ms for letter in self._waiting.values())

    def take_all(self) -> list[Letter]:
        """Give up on the gaps: return what waits, in order, and expect what follows the last of it."""
        ready = [self._waiting[seq] for seq in sorted(self._waiting, key=lambda seq: (seq - self.expected) % SEQS)]
        if ready:
            self.expected = ((ready[-1].head.seq or 0) + 1) % SEQS
        self._waiting.clear()
        return ready


@dataclass(slots=True)
class Asking:
    """When to ask a node for its births: at once, then never sooner than the patience says, ever more slowly."""

    patience: Patience
    reason: str | None = None
    _asked_ms: int | None = None
    _gap_ms: int = 0

    def want(self, reason: str) -> None:
        """Note that births are needed; the first reason stands until they come."""
        self.reason = self.reason or reason

    def answered(self) -> None:
        """Note that births came."""
        self.reason, self._gap_ms = None, 0

    def due(self, now_ms: int) -> str | None:
        """Return the reason if it is time to ask, and count it as asked."""
        if self.reason is None:
            return None
        gap_ms = self._gap_ms or self.patience.rebirth_ms
        if self._asked_ms is not None and 0 <= now_ms - self._asked_ms < gap_ms:
            return None
        self._gap_ms = min(2 * gap_ms, self.patience.rebirth_max_ms) if self._gap_ms else gap_ms
        self._asked_ms = now_ms
        return self.reason
