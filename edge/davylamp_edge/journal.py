"""The edge's journal: every reading is on disk here before anything else happens to it (SAFETY S26).

    append ═► records ═► read ─► uplink             confirm ◄─ the cloud's latest set
       │ disk refuses                                (kept in memory, on disk with the next append)
       └► spare (memory, bounded) ═► records once the disk is back; what did not fit becomes holes

Safe from several threads: one lock, one connection. A record number is given once in an epoch, whatever happens.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import HOLE, RECORD, SparkplugType

from davylamp_edge import rows
from davylamp_edge.eviction import Known, purge_confirmed
from davylamp_edge.holes import Hole, HoleBook
from davylamp_edge.journal_writing import JournalWriting
from davylamp_edge.records import NODE, Entry, JournalClass, LossReason, Record, Row
from davylamp_edge.report import utc_ms
from davylamp_edge.spare import Loss

log = structlog.get_logger(__name__)

SPARE_BYTES = 16 * 1024 * 1024
STRETCH = 256
"""Rows looked at together where all of them are."""


class Journal(JournalWriting):
    """An open journal. `lost` counts, per class, records that became holes; `damaged` those set aside."""

    def __init__(self, path: Path, max_bytes: int, spare_bytes: int, now_ms: Callable[[], int]) -> None:
        super().__init__(path, max_bytes, spare_bytes, now_ms)
        self.damaged = 0
        self.aliases(NODE, [(RECORD, SparkplugType.UINT64), (HOLE, SparkplugType.STRING)])
        self.append([])
        self._shrink()

    @classmethod
    def open(
        cls, path: Path, max_bytes: int, *, spare_bytes: int = SPARE_BYTES, now_ms: Callable[[], int] = utc_ms
    ) -> Self:
        """Open a journal, or make one. A file that SQLite calls broken is replaced, and what it still gave is kept.

        Raises: JournalBusy where another process has it open; OSError or sqlite3.OperationalError where the disk
        does not let it be opened at all.
        """
        return cls(path, max_bytes, spare_bytes, now_ms)

    # Reading

    def read(self, journal_class: JournalClass, after: int, upto: int, limit: int) -> list[Record]:
        """Return unconfirmed records of a class with numbers in ``after < number <= upto``, in order, at most `limit`.

        A row whose checksum fails is passed over, and set aside as a hole as soon as the disk takes it.

        Raises: JournalUnreadable where the disk refuses.
        """
        with self._lock:
            settled = self._settled
            found = self._tried(lambda: rows.rows_in_class(self._db, settled, journal_class, after, upto, limit))
            sound = self._sound(found)
            if len(sound) < len(found):
                return self.read(journal_class, after, upto, limit)  # without them: fewer than asked for means no more
            last = sound[-1].number if len(sound) >= limit else upto
            held = [record for record in self._spare.of(journal_class) if after < record.number <= last]
            return sorted([*sound, *held], key=lambda record: record.number)

    def fetch(self, numbers: Iterable[int]) -> list[Record]:
        """Return the records with these numbers that are still here and not confirmed.

        Raises: JournalUnreadable where the disk refuses.
        """
        with self._lock:
            settled = self._settled
            wanted = [number for number in numbers if not settled.covers(number)]
            found = self._sound(self._tried(lambda: rows.rows_by_number(self._db, wanted)))
            every = {record.number: record for record in (*self._spare.records(), *found)}
            return [every[number] for number in wanted if number in every]

    def unconfirmed(self, after: int, limit: int) -> list[Record]:
        """Return unconfirmed records of every class with numbers above `after`, in order."""
        every = [record for kind in JournalClass for record in self.read(kind, after, self.last_record, limit)]
        return sorted(every, key=lambda record: record.number)[:limit]

    @property
    def _settled(self) -> Intervals:
        """What need not be read: it is confirmed, or damaged."""
        return self.confirmed.union(Intervals((number, number) for number in self._unsound))

    def _tried(self, read: Callable[[], Sequence[Row]]) -> Sequence[Row]:
        """Read; where the file is broken, mend it, say what is lost, and read what is left."""
        found = self._mended(read)
        if not self._losses:
            return found
        self.append([])  # this may move what was held in memory to where it is read
        return self._mended(read)

    def _sound(self, found: Sequence[Row]) -> list[Record]:
        """Return rows that are what was written, as records; the others are set aside with the next append."""
        sound = [row for row in found if rows.is_sound(row)]
        if len(sound) < len(found):
            damaged = {row[0]: row for row in found if not rows.is_sound(row)}
            self.damaged += len(damaged.keys() - self._unsound.keys())
            log.error("journal records damaged, set aside", journal=str(self._path), numbers=list(damaged))
            self._unsound |= damaged
            self.append([])
        return [Record(row[0], self._device_of[row[2]], JournalClass(row[1]), row[3], row[5]) for row in sound]

    # Confirmation

    def confirm(self, intervals: Intervals) -> None:
        """Take the cloud's set as the whole truth, also where it says less than before."""
        with self._lock:
            self._meta_dirty = self._meta_dirty or intervals != self._names.confirmed
            self._names.confirmed = intervals

    def move_on(self, used: int) -> int:
        """Give new numbers to records made since this start whose numbers the cloud had before; return how many.

        The journal was an older copy of itself; `used` is the highest number of the newer one that the cloud has. What
        that one held and the cloud does not have becomes a hole. Raises: JournalUnreadable where the disk refuses.
        """
        with self._lock:
            first, last = self.last_before + 1, self.last_record
            self._names.next_record = max(last, used) + 1
            moved, there = 0, self.confirmed
            for found in self._stretches(first - 1, min(last, used)):
                there |= Intervals((row[0], row[0]) for row in found)
                moved += self._number_anew(found)
            if gone := there.missing(first, used):
                now = self._now_ms()
                lost = Loss(JournalClass.LIVE, next(iter(gone))[0], gone.highest or used, now, now, gone.count)
                self.note(lost, LossReason.JOURNAL_DAMAGED)
            self._holes = HoleBook(self._tried(self._rows_of_holes))
            self.last_before = used
            return moved

    def _stretches(self, after: int, upto: int) -> Iterator[list[Row]]:
        """Yield all rows between two numbers, some at a time."""
        while found := self._mended(partial(self._next_rows, after, upto)):
            after = found[-1][0]
            yield found

    def _next_rows(self, after: int, upto: int) -> list[Row]:
        return self._db.execute(rows.NEXT, (after, upto, STRETCH)).fetchall()

    def _number_anew(self, found: Sequence[Row]) -> int:
        used = [record for record in self._sound(found) if self.confirmed.covers(record.number)]
        self.append([Entry(each.device, each.journal_class, each.body, each.first_ms) for each in used])
        # Killed before this, they lie here once more under the numbers that count as confirmed: nothing is sent twice.
        self._in_transaction((rows.DELETE, [(each.number,) for each in used]))
        return len(used)

    def purge(self, older_than_ms: int, known_ms: Known = lambda number, stamp_ms: stamp_ms) -> int:
        """Delete confirmed records from before a time, a few hundred at most; return how many went.

        Args:
            known_ms: When a record with this number and stamp was made, as far as that is known.

        Raises: JournalUnreadable where the disk refuses.
        """
        with self._lock:
            try:
                return purge_confirmed(self._db, self.confirmed, older_than_ms, known_ms)
            except sqlite3.DatabaseError as error:
                self._cannot_read(error)
                return 0

    # State

    @property
    def holes(self) -> list[Hole]:
        """Holes the cloud has not confirmed yet."""
        with self._lock:
            return [hole for _, hole in self._holes.waiting(self.confirmed)]

    def take_holes(self) -> list[Record]:
        """Return the records of holes made since the last call; they are on disk and want to be sent."""
        with self._lock:
            return self._holes.take_fresh()

    def backlog(self) -> int:
        """Return how many record numbers on disk are unconfirmed, holes and gaps in the numbers included."""
        with self._lock:
            try:
                lowest = rows.lowest_number(self._db)
            except sqlite3.DatabaseError:
                lowest = 1  # a page for people must not fail with the disk; more than there is, is the honest side
            if lowest is None:
                return len(self._spare)
            return self.confirmed.missing(lowest, self.last_record).count

    def waiting(self) -> tuple[float, tuple[int, int] | None]:
        """Return the share of the bound that unconfirmed records take, 0 to 1, and the oldest's number and stamp.

        The share is reckoned by numbers, as if all records were of one size.
        """
        with self._lock, contextlib.suppress(sqlite3.DatabaseError):
            lowest = rows.lowest_number(self._db)
            if lowest is None:
                return 0.0, None
            missing = self.confirmed.missing(lowest, self.last_record)
            if not missing:
                return 0.0, None
            oldest = self._db.execute(rows.OLDEST_FROM, (next(iter(missing))[0],)).fetchone()
            held = self.last_record - lowest + 1
            share = self.size() * missing.count / held / self._budget.max_bytes
            return min(1.0, share), oldest
        return 0.0, None

    def newest(self, count: int) -> list[tuple[int, int]]:
        """Return number and stamp of the newest records on disk; none where it cannot be read."""
        with self._lock, contextlib.suppress(sqlite3.DatabaseError):
            return self._db.execute(rows.NEWEST, (count,)).fetchall()
        return []

    def close(self) -> None:
        """Write what is still in memory, fold the log into the file, close."""
        with self._lock:
            if len(self._spare) or self._losses or self._unsound or self._meta_dirty or self._to_keep or self._unnamed:
                self.append([])
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
