"""Does what `Outgoing` chooses, until it rests, and tells it what became of it.

choose ─► Send ─► publisher, until its parcel is full ─► link
       └► Read, Fetch ─► journal ─► chosen later
"""

import time
from collections.abc import Callable

import structlog
from davylamp_wire.intervals import Intervals

from davylamp_edge.journal import Journal
from davylamp_edge.journal_file import JournalUnreadable
from davylamp_edge.outgoing import Fetch, Outgoing, Read, Rest, Send
from davylamp_edge.publisher import Publisher
from davylamp_edge.records import Record

log = structlog.get_logger("davylamp_edge.uplink")


class Sending:
    """What one session has on its way. `stamped` gives a record the stamps it should have, when it is sent."""

    def __init__(
        self, journal: Journal, outgoing: Outgoing, publisher: Publisher, stamped: Callable[[Record], Record]
    ) -> None:
        self.outgoing = outgoing
        self.publisher = publisher
        self._journal = journal
        self._stamped = stamped
        self._leaving: list[Record] = []
        """Records in the publisher's parcel: they are sent when it is."""

    def go(self, may_go: Callable[[], bool]) -> int | None:
        """Send what is due for as long as it may; return until when there is nothing to do, in monotonic ms.

        None where something has to happen first. Backlog goes out a parcel at a time, and live records at once.
        """
        try:
            while may_go():
                now_ms = monotonic_ms()
                choice = self.outgoing.choose(now_ms)
                if isinstance(choice, Rest):
                    return choice.until_ms
                self._do(choice)
            return None
        finally:
            self._send()

    def _do(self, choice: Send | Read | Fetch) -> None:
        if isinstance(choice, Send):
            self.publisher.record(self._stamped(choice.record), choice.historical)
            self._leaving.append(choice.record)
            if self.publisher.is_full or not (choice.historical or self.outgoing.live_waits):
                self._send()
            return
        self._send()  # the disk may take its time
        try:
            self._look_up(choice)
        except JournalUnreadable:
            self.outgoing.cannot_read(choice)
        # Reading may have found holes; those of appends come with their records.
        self.outgoing.offered(self._journal.take_holes())

    def _send(self) -> None:
        """Send the parcel; one that no session takes any more is not sent: over a one-way link that would settle it."""
        leaving, self._leaving = self._leaving, []
        if self.publisher.send():
            now_ms = monotonic_ms()
            for record in leaving:
                self.outgoing.sent(record, now_ms)

    def _look_up(self, choice: Read | Fetch) -> None:
        if isinstance(choice, Read):
            found = self._journal.read(choice.journal_class, choice.after, choice.upto, choice.limit)
            self.outgoing.have_read(choice, found)
        else:
            self.outgoing.have_fetched(choice, self._journal.fetch(choice.numbers))

    def settle_repeats(self) -> bool:
        """Count as confirmed what was repeated often enough; return whether there was any."""
        settled = self.outgoing.take_settled()
        if settled:
            confirmed = self._journal.confirmed
            for number in settled:
                confirmed = confirmed.add(number)
            self._journal.confirm(confirmed)
        return bool(settled)

    def confirm(self, confirmed: Intervals, *, in_session: bool) -> None:
        """Take the cloud's set."""
        self._journal.confirm(confirmed)
        if in_session:
            self.outgoing.confirm(confirmed, self._journal.last_record, monotonic_ms())
        if (confirmed.highest or 0) > self._journal.last_record:
            self.move_on_from(confirmed.highest or 0)

    def move_on_from(self, used: int) -> None:
        """Give new numbers to what an older copy of the journal has numbered as the cloud's newer records (S26)."""
        if used <= self._journal.last_before:
            return  # that is done
        last_record = self._journal.last_record
        log.error("the journal is an older copy of itself", cloud_has=used, began_at=self._journal.last_before)
        moved = self._journal.move_on(used)
        log.warning("records were numbered anew", count=moved, next=self._journal.last_record + 1)
        self.outgoing.look_again(last_record, self._journal.last_record)


def monotonic_ms() -> int:
    """Return the time by a clock that nobody sets."""
    return int(time.monotonic() * 1000)
