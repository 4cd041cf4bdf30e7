"""What to send next: live first, then what was lost on the way, then the backlog; bounded, at a `Pace`. Pure.

    offered ─► live ─────────────┐
    resend  ─► fetch ─► ready ───┼─► Send ─► in flight ─► confirmed, or due again
    passes  ─► read  ─► ready ───┘

Times are a monotonic clock's milliseconds. Numbers are the journal's. The journal is the truth: what this forgets,
because a queue is full, a later pass over the unconfirmed records finds again.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from davylamp_wire.intervals import Intervals

from davylamp_edge.confirm import forgotten_from
from davylamp_edge.pace import Pace
from davylamp_edge.records import JournalClass, Record

GRAVEST_FIRST = tuple(sorted((kind for kind in JournalClass if kind is not JournalClass.CONFIRMED), reverse=True))

REPEAT_MS = 5_000
"""Between the numbered repeats of a record over a link that carries nothing back (``one_way``)."""

RESEND_MS = 30_000
"""An unconfirmed record is sent again after this long, then after twice as long each time (docs/wire.md)."""

LONGEST_RESEND_MS = 600_000
LIVE_BYTES = 8 * 1024 * 1024
TRACKED = 20_000
"""Most records in flight; beyond it live ones go out untracked and a later pass finds them if they are lost."""

BACKLOG_IN_FLIGHT = 5_000
"""Backlog waits while this many records are unconfirmed: the cloud is behind, and live data needs the way."""

READ_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Send:
    """Publish this record now."""

    record: Record
    historical: bool


@dataclass(frozen=True, slots=True)
class Read:
    """Read unconfirmed records of a class from the journal, and hand them to `Outgoing.have_read`."""

    journal_class: JournalClass
    after: int
    upto: int
    limit: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch these records from the journal, and hand what is still there to `Outgoing.have_fetched`."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do before `until_ms`, unless something happens; None: before something happens."""

    until_ms: int | None


Choice = Send | Read | Fetch | Rest


@dataclass(slots=True)
class Flight:
    """A record that was sent and is not confirmed."""

    tries: int
    due_ms: int
    queued: bool = False
    """True while it waits to be sent again."""


@dataclass(slots=True)
class Pass:
    """One walk over the unconfirmed records of a class."""

    after: int
    upto: int


class Outgoing:
    """The state of one session's sending.

    `rate` is the most backlog records per second. With `repeats` nobody confirms: a record is settled once it has been
    sent that often.
    """

    def __init__(self, rate: float, repeats: int | None = None) -> None:
        self._rate = rate
        self._repeats = repeats
        self._settled: list[int] = []
        self._pace = Pace(rate)
        self._live: dict[JournalClass, deque[Record]] = {kind: deque() for kind in GRAVEST_FIRST}
        self._live_bytes = 0
        self._flights: dict[int, Flight] = {}
        self._next_due_ms: int | None = None
        self._resend: deque[int] = deque()
        self._ready: deque[Record] = deque()
        self._passes: dict[JournalClass, Pass] = {}
        self._missed_upto = 0
        self._born_upto = 0
        self._confirmed = Intervals()
        self.resent = 0

    @property
    def in_flight(self) -> int:
        """Records sent and not confirmed."""
        return len(self._flights)

    @property
    def backlog_rate(self) -> float:
        """Backlog records a second that the way takes now."""
        return self._pace.rate

    @property
    def live_waits(self) -> bool:
        """Whether live records wait to be sent."""
        return any(self._live.values())

    @property
    def grave_waits(self) -> bool:
        """Whether alarms or events wait to be sent."""
        graver = [kind for kind in GRAVEST_FIRST if kind >= JournalClass.EVENT]
        waiting = any(self._live[kind] or kind in self._passes for kind in graver)
        return waiting or any(record.journal_class >= JournalClass.EVENT for record in self._ready)

    # What happens

    def born(self, last_record: int, confirmed: Intervals, now_ms: int) -> None:
        """Start anew after a birth: everything on disk that is unconfirmed is backlog."""
        self.__init__(self._rate, self._repeats)  # type: ignore[misc]  # a birth forgets everything: the constructor says all of it
        self._confirmed = confirmed
        self._pace = Pace(self._rate, now_ms)
        self._born_upto = last_record
        self._walk(0, last_record)

    def offered(self, records: Iterable[Record]) -> None:
        """Take records that have just become durable."""
        for record in records:
            self._live[record.journal_class].append(record)
            self._live_bytes += record.size
        while self._live_bytes > LIVE_BYTES:
            self._miss()

    def _miss(self) -> None:
        """Leave the oldest record of the lowest class to a later pass."""
        queue = next(self._live[kind] for kind in reversed(GRAVEST_FIRST) if self._live[kind])
        record = queue.popleft()
        self._live_bytes -= record.size
        self._missed_upto = max(self._missed_upto, record.number)

    def have_read(self, read: Read, records: Sequence[Record]) -> None:
        """Take what a `Read` found; fewer than its limit end the pass."""
        walk = self._passes[read.journal_class]
        walk.after = records[-1].number if len(records) >= read.limit else read.upto
        if walk.after >= walk.upto:
            del self._passes[read.journal_class]
        self._ready.extend(record for record in records if record.number not in self._flights)

    def have_fetched(self, fetch: Fetch, records: Sequence[Record]) -> None:
        """Take what a `Fetch` found; what is gone is no longer waited for."""
        found = {record.number for record in records}
        for number in fetch.numbers:
            if number not in found:
                self._flights.pop(number, None)
        self._ready.extend(records)
        self.resent += len(records)

    def cannot_read(self, choice: Read | Fetch) -> None:
        """Leave the journal alone for a second: it could not be read. What was asked for is asked for again."""
        if isinstance(choice, Fetch):
            self._resend.extendleft(reversed(choice.numbers))
        self._pace.pause()

    def sent(self, record: Record, now_ms: int) -> None:
        """Note that a record is on its way."""
        flight = self._flights.pop(record.number, None)
        if flight is None and len(self._flights) >= TRACKED:
            self._missed_upto = max(self._missed_upto, record.number)
            return
        tries = flight.tries + 1 if flight else 1
        if tries == self._repeats:
            self._settled.append(record.number)
            return
        due_ms = now_ms + self._patience_ms(tries)
        self._flights[record.number] = Flight(tries, due_ms)
        self._next_due_ms = due_ms if self._next_due_ms is None else min(self._next_due_ms, due_ms)

    def _patience_ms(self, tries: int) -> int:
        if self._repeats is not None:
            return REPEAT_MS * tries
        return min(RESEND_MS << (tries - 1), LONGEST_RESEND_MS)

    def take_settled(self) -> list[int]:
        """Return the numbers that have been repeated often enough since the last call."""
        settled, self._settled = self._settled, []
        return settled

    def confirm(self, confirmed: Intervals, last_record: int, now_ms: int) -> None:
        """Take the cloud's set: settle what it covers, send again what it passed over, walk again what it forgot.

        Records travel and are committed in the order they were sent, so one that was sent before a confirmed one and
        is not confirmed is lost. Only a record this session sent for the first time, and once, proves that: another may
        be confirmed for having come before the link was cut, and all that was just sent ahead of it would go twice.
        """
        forgotten = forgotten_from(self._confirmed, confirmed)
        self._confirmed = confirmed
        if forgotten is not None:
            self._walk(forgotten - 1, last_record)
        self._again(number for number in self._settle(confirmed, now_ms) if self._flights[number].tries == 1)

    def _settle(self, confirmed: Intervals, now_ms: int) -> list[int]:
        """Forget what is confirmed; return what was sent before the last of it and is not."""
        waiting: list[int] = []
        lost: list[int] = []
        youngest_ms: int | None = None
        for number in list(self._flights):
            if confirmed.covers(number):
                flight = self._flights.pop(number)
                if flight.tries > 1:
                    continue
                youngest_ms = flight.due_ms - RESEND_MS
                if number > self._born_upto:
                    lost += waiting
                    waiting.clear()
            else:
                waiting.append(number)
        if youngest_ms is not None:
            self._pace.confirmed(youngest_ms, now_ms)
        return lost

    def _again(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            flight = self._flights[number]
            if not flight.queued:
                flight.queued = True
                self._resend.append(number)

    def look_again(self, after: int, upto: int) -> None:
        """Read the journal again between two numbers: records there have come to be unconfirmed."""
        self._walk(after, upto)

    def _walk(self, after: int, upto: int) -> None:
        """Read again from `after` on, in every class."""
        for kind in GRAVEST_FIRST:
            walk = self._passes.get(kind)
            if upto > after:
                self._passes[kind] = Pass(
                    min(after, walk.after) if walk else after, max(upto, walk.upto if walk else 0)
                )

    # What to do

    def choose(self, now_ms: int) -> Choice:
        """Return the next thing to do. The caller does it, says so, and asks again."""
        for queue in self._live.values():
            if queue:
                return self._send_live(queue)
        if wait_ms := self._pace.wait_ms(now_ms):
            return Rest(now_ms + wait_ms if self._has_backlog(now_ms) else self._next_due_ms)
        return self._choose_backlog(now_ms)

    def _send_live(self, queue: deque[Record]) -> Send:
        record = queue.popleft()
        self._live_bytes -= record.size
        return Send(record, historical=False)

    def _choose_backlog(self, now_ms: int) -> Choice:
        self._queue_due(now_ms)
        while self._ready and self._confirmed.covers(self._ready[0].number):
            self._ready.popleft()
        if self._ready:
            record = self._ready.popleft()
            self._pace.spend(record.size)
            return Send(record, historical=True)
        if self._resend:
            count = min(len(self._resend), READ_LIMIT)
            return Fetch(tuple(self._resend.popleft() for _ in range(count)))
        if not self._passes and self._missed_upto:
            self._walk(0, self._missed_upto)
            self._missed_upto = 0
        if self._passes and len(self._flights) < BACKLOG_IN_FLIGHT:
            kind = next(kind for kind in GRAVEST_FIRST if kind in self._passes)
            return Read(kind, self._passes[kind].after, self._passes[kind].upto, READ_LIMIT)
        return Rest(self._next_due_ms)

    def _has_backlog(self, now_ms: int) -> bool:
        due = self._next_due_ms is not None and self._next_due_ms <= now_ms
        return bool(self._ready or self._resend or self._passes or self._missed_upto or due)

    def _queue_due(self, now_ms: int) -> None:
        """Queue what has waited long enough; look at all of it only when the earliest is due."""
        if self._next_due_ms is None or now_ms < self._next_due_ms:
            return
        self._again([number for number, flight in self._flights.items() if flight.due_ms <= now_ms])
        waiting = [flight.due_ms for flight in self._flights.values() if not flight.queued]
        self._next_due_ms = min(waiting, default=None)
