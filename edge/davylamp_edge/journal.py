"""The edge's journal: every reading is on disk here before anything else happens to it (SAFETY S26).

    append ═► records ═► read ─► uplink             confirm ◄─ the cloud's latest set
       │ disk refuses                                (kept in memory, on disk with the next append)
       └► spare (memory, bounded) ═► records once the disk is back; what did not fit becomes holes

Safe from several threads: one lock, one connection. A record number is given once in an epoch, whatever happens.
"""

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import HOLE, RECORD, SparkplugType

from davylamp_edge import database
from davylamp_edge.eviction import make_room, purge_confirmed
from davylamp_edge.holes import Hole, hole_entry, hole_in, hole_of, like, merged
from davylamp_edge.mark import Mark
from davylamp_edge.names import Names, name_of, new_names, read_names, write_names
from davylamp_edge.records import NODE, STORED, Entry, JournalClass, LossReason, Record, Row, checksum
from davylamp_edge.salvage import rebuild
from davylamp_edge.spare import Loss, Spare

log = structlog.get_logger(__name__)

SKIPPED = 2**32
"""Numbers passed over after a crash without a disk: more than can have been given in memory."""

SPARE_BYTES = 16 * 1024 * 1024
HOLES_KEPT = 256
DAMAGED_KEPT = 100

INSERT = "INSERT INTO records(number, class, device, first_ms, crc, body) VALUES(?, ?, ?, ?, ?, ?)"
COLUMNS = "SELECT number, class, device, first_ms, crc, body FROM records"
IN_CLASS = f"{COLUMNS} WHERE class = ? AND number BETWEEN ? AND ? ORDER BY number LIMIT ?"
NAME = "INSERT INTO aliases(alias, name, datatype) VALUES(?, ?, ?)"
DESCRIBED = "SELECT description FROM devices WHERE name = ?"
OF_DEVICE = "SELECT 1 FROM records WHERE device = ? AND number BETWEEN ? AND ? LIMIT 1"
BY_NUMBER = f"{COLUMNS} WHERE number = ?"
SET_ASIDE = "INSERT OR REPLACE INTO damaged(number, class, device, first_ms, crc, body) VALUES(?, ?, ?, ?, ?, ?)"
FORGET_DAMAGED = "DELETE FROM damaged WHERE number NOT IN (SELECT number FROM damaged ORDER BY number DESC LIMIT ?)"


def utc_ms() -> int:
    """Return this machine's UTC clock in milliseconds."""
    return time.time_ns() // 1_000_000


class Journal:
    """An open journal. `lost` counts, per class, records that became holes; `refusal` is what the disk says."""

    def __init__(
        self, path: Path, budget: database.Budget, db: sqlite3.Connection, spare_bytes: int, now_ms: Callable[[], int]
    ) -> None:
        self._path = path
        self._budget = budget
        self._db = db
        self._now_ms = now_ms
        self._lock = threading.RLock()
        self._mark = Mark(path)
        self._spare = Spare(spare_bytes)
        self._losses: list[tuple[Loss, LossReason]] = []
        self._holes: dict[int, Hole] = {}
        self._fresh_holes: list[Record] = []
        self._meta_dirty = False
        self._marked = False
        self.refusal: str | None = None
        self.lost: dict[str, int] = {}
        self.damaged = 0
        self._names = _names_in(db)
        self._device_of = self._names.devices()

    @classmethod
    def open(
        cls, path: Path, max_bytes: int, *, spare_bytes: int = SPARE_BYTES, now_ms: Callable[[], int] = utc_ms
    ) -> Self:
        """Open a journal, or make one. A file that SQLite calls broken is replaced, and what it still gave is kept.

        Raises: JournalBusy where another process has it open; OSError or sqlite3.OperationalError where the disk
        does not let it be opened at all.
        """
        budget = database.Budget(max_bytes)
        loss: Loss | None = None
        try:
            journal = cls(path, budget, database.connect(path, budget), spare_bytes, now_ms)
        except sqlite3.DatabaseError as error:
            if not database.is_broken(error):
                raise
            log.error("journal damaged, rebuilding", journal=str(path), error=str(error))
            db, loss = rebuild(path, budget, now_ms(), None)
            journal = cls(path, budget, db, spare_bytes, now_ms)
        journal._start(loss)
        return journal

    def _start(self, loss: Loss | None) -> None:
        """Take up where the last run ended: known holes, numbers given without a disk, a smaller budget."""
        for row in self._db.execute(f"{COLUMNS} WHERE class = ?", (JournalClass.HOLE,)):
            if _is_sound(row):
                self._holes[row[0]] = hole_in(row[5])
        if loss is not None:
            self._losses.append((loss, LossReason.JOURNAL_DAMAGED))
        self.aliases(NODE, [(RECORD, SparkplugType.UINT64), (HOLE, SparkplugType.STRING)])
        self._skip_numbers_given_in_memory()
        self.append([])
        self._shrink()

    def _skip_numbers_given_in_memory(self) -> None:
        first = self._mark.read()
        self._marked = first is not None
        if first is not None:
            last = max(first, self._names.next_record) + SKIPPED
            now = self._now_ms()
            self._losses.append((Loss(JournalClass.LIVE, first, last, now, now, 0), LossReason.CRASH_WITHOUT_DISK))
            self._names.next_record = last + 1
        else:
            self._mark.clear()

    def _shrink(self) -> None:
        """Give pages beyond the budget back to the disk; only a smaller `max_bytes` than before leaves any."""
        total: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        if total > self._budget.file_pages:
            # As a script: execute() takes one step of this pragma, which frees one page.
            self._db.executescript(f"PRAGMA incremental_vacuum({total - self._budget.file_pages});")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # Names and numbers

    @property
    def epoch(self) -> str:
        """The random id of this sequence of record numbers."""
        return self._names.epoch

    @property
    def last_record(self) -> int:
        """The highest record number given."""
        return self._names.next_record - 1

    @property
    def confirmed(self) -> Intervals:
        """The cloud's latest set."""
        return self._names.confirmed

    @property
    def holes(self) -> list[Hole]:
        """Holes the cloud has not confirmed yet."""
        with self._lock:
            return [hole for number, hole in self._holes.items() if not self._names.confirmed.covers(number)]

    def alias(self, device: str, metric: str, datatype: int) -> int:
        """Return the alias of a device's metric, or of the node's own (device `NODE`); given once, kept for ever.

        A metric whose datatype changes gets another alias, so that old records keep their meaning.
        """
        return self.aliases(device, [(metric, datatype)])[0]

    def aliases(self, device: str, metrics: Sequence[tuple[str, int]]) -> list[int]:
        """Return the aliases of a device's metrics, name and datatype each, in one transaction."""
        keys = [(name_of(device, metric), datatype) for metric, datatype in metrics]
        with self._lock:
            known = self._names.aliases
            fresh = [key for key in dict.fromkeys(keys) if key not in known]
            given = dict(zip(fresh, itertools.count(self._names.next_alias), strict=False))
            if given:
                self._in_transaction(NAME, [(alias, *key) for key, alias in given.items()])
                known.update(given)
            return [known[key] for key in keys]

    def record_alias(self, device: str) -> int:
        """Return the alias of a device's record metric; it also stands for the device in the rows."""
        alias = self.alias(device, RECORD, SparkplugType.UINT64)
        self._device_of[alias] = device
        return alias

    def aliases_of(self, device: str) -> list[tuple[str, int, int]]:
        """Return every metric a device ever had: name, datatype, alias, oldest first."""
        start = name_of(device, "")
        with self._lock:
            had = [(name, kind, alias) for (name, kind), alias in self._names.aliases.items() if name.startswith(start)]
        return [(name.removeprefix(start), kind, alias) for name, kind, alias in sorted(had, key=lambda item: item[2])]

    def describe(self, device: str, description: str) -> None:
        """Keep what a birth says about a device, for the day it is taken out of the config."""
        with self._lock:
            if self._db.execute(DESCRIBED, (device,)).fetchone() != (description,):
                self._db.execute("INSERT OR REPLACE INTO devices VALUES(?, ?)", (device, description))

    def former_devices(self, installed: Container[str]) -> dict[str, str]:
        """Return devices that are described, not installed and not without unconfirmed records, with descriptions."""
        with self._lock:
            described = dict(self._db.execute("SELECT name, description FROM devices"))
            former = {name: text for name, text in described.items() if name not in installed}
            return {name: text for name, text in former.items() if self._has_unconfirmed(name)}

    def _has_unconfirmed(self, device: str) -> bool:
        alias = self.record_alias(device)
        missing = self._names.confirmed.missing(1, self.last_record)
        return any(self._db.execute(OF_DEVICE, (alias, first, last)).fetchone() for first, last in missing)

    def next_bd_seq(self) -> int:
        """Return the bdSeq of the next CONNECT, 0 to 255, kept over restarts (Sparkplug 3.0, 4.3)."""
        with self._lock:
            self._names.bd_seq = (self._names.bd_seq + 1) % 256
            try:
                database.write_meta(self._db, "bd_seq", self._names.bd_seq)
            except sqlite3.DatabaseError as error:
                self._refused(error)
            return self._names.bd_seq

    # Appending

    def append(self, entries: Sequence[Entry]) -> list[Record]:
        """Put entries on disk in one transaction and return them with their numbers.

        While the disk refuses, they are held in memory, numbered all the same, and written when it takes them.
        Holes that this made wait in `take_holes`.
        """
        with self._lock:
            numbered: list[Record] = []
            for batch in _batches(entries, self._budget.batch_bytes):
                numbered += self._append(batch)
            while len(self._spare) and self.refusal is None:
                self._append([])
            return numbered

    def _append(self, entries: Sequence[Entry]) -> list[Record]:
        try:
            return self._append_on_disk(entries)
        except sqlite3.DatabaseError as error:
            self._rollback()
            if database.is_broken(error):
                return self._append_after_rebuild(entries, error)
            self._refused(error)
        return self._hold(entries)

    def _append_on_disk(self, entries: Sequence[Entry]) -> list[Record]:
        held = self._spare.first(self._budget.batch_bytes)
        for device in {entry.device for entry in entries}:
            # Before the transaction: one that is rolled back must not take an alias with it that memory knows.
            self.record_alias(device)
        self._db.execute("BEGIN IMMEDIATE")
        sizes = [*(len(record.body) for record in held), *(len(entry.body) for entry in entries)]
        losses = [*self._losses, *self._let_go(), *self._room_for(sizes)]
        holes, replaced = self._name(losses)
        numbered = self._numbered([*holes, *entries])
        rows = [self._row(record) for record in (*held, *numbered)]
        self._db.executemany("DELETE FROM records WHERE number = ?", [(number,) for number in replaced])
        self._db.executemany(INSERT, rows)
        self._write_meta(self._names.next_record + len(numbered))
        self._db.execute("COMMIT")
        self._spare.remove(held)
        self._settle(numbered, losses, replaced)
        return numbered[len(holes) :]

    def _room_for(self, sizes: Iterable[int]) -> list[tuple[Loss, LossReason]]:
        target = self._budget.file_pages - database.pages_for(sizes)
        if database.used_pages(self._db) <= target:
            return []
        # A little more than needed, so that this is rare and a hole tells of many records.
        losses = make_room(self._db, self._names.confirmed, target - self._budget.file_pages // 64)
        return [(loss, LossReason.EVICTED) for loss in losses]

    def _let_go(self) -> list[tuple[Loss, LossReason]]:
        return [(loss, LossReason.MEMORY_FULL) for loss in self._spare.losses]

    def _name(self, losses: Sequence[tuple[Loss, LossReason]]) -> tuple[list[Entry], list[int]]:
        """Return the entries of holes for losses, and the numbers of older holes they take the place of.

        Beyond `HOLES_KEPT` a new hole swallows the newest of its kind, so that a cut of weeks cannot fill the journal
        with holes. It gets a number of its own: the older one may be on its way already.
        """
        holes = [hole_of(loss, reason, self.epoch) for loss, reason in losses]
        waiting = [pair for pair in self._holes.items() if not self._names.confirmed.covers(pair[0])]
        replaced: list[int] = []
        for index, hole in enumerate(holes):
            older = like(hole, waiting) if len(waiting) + len(holes) > HOLES_KEPT else None
            if older is not None:
                waiting.remove(older)
                replaced.append(older[0])
                holes[index] = merged(older[1], hole)
        alias = self.alias(NODE, HOLE, SparkplugType.STRING) if holes else 0
        return [hole_entry(hole, alias) for hole in holes], replaced

    def _numbered(self, entries: Sequence[Entry]) -> list[Record]:
        first = self._names.next_record
        return [
            Record(first + index, entry.device, entry.journal_class, entry.first_ms, entry.body)
            for index, entry in enumerate(entries)
        ]

    def _row(self, record: Record) -> Row:
        device = self.record_alias(record.device)
        crc = checksum(record.number, record.journal_class, device, record.first_ms, record.body)
        return (record.number, record.journal_class, device, record.first_ms, crc, record.body)

    def _write_meta(self, next_record: int) -> None:
        database.write_meta(self._db, "next_record", next_record)
        if self._meta_dirty:
            database.write_meta(self._db, "confirmed", str(self._names.confirmed))
            database.write_meta(self._db, "bd_seq", self._names.bd_seq)

    def _settle(
        self, numbered: Sequence[Record], losses: Sequence[tuple[Loss, LossReason]], replaced: Sequence[int]
    ) -> None:
        """Bring memory in line with what has just been committed."""
        self._names.next_record += len(numbered)
        self._meta_dirty = False
        self._losses.clear()
        for number in replaced:
            del self._holes[number]
        holes = [record for record in numbered if record.journal_class is JournalClass.HOLE]
        self._holes.update((record.number, hole_in(record.body)) for record in holes)
        self._fresh_holes.extend(holes)
        for loss, _ in losses:
            self.lost[loss.journal_class.word] = self.lost.get(loss.journal_class.word, 0) + loss.count
        if self.refusal is not None or self._marked:
            self._taken_back()

    def _taken_back(self) -> None:
        if not len(self._spare):
            self._mark.clear()
            self._marked = False
        if self.refusal is not None:
            log.warning("journal takes records again", journal=str(self._path), refused=self.refusal)
        self.refusal = None

    def note(self, loss: Loss, reason: LossReason) -> None:
        """Have a loss that happened before the journal named as a hole, with the next append."""
        with self._lock:
            self._losses.append((loss, reason))

    # The disk's refusals

    def _refused(self, error: sqlite3.Error) -> None:
        if self.refusal is None:
            self.refusal = str(error)
            self._marked = self._mark.set(self._names.next_record)
            log.error("journal refused by the disk", journal=str(self._path), error=self.refusal, marked=self._marked)
        self._meta_dirty = True

    def _hold(self, entries: Sequence[Entry]) -> list[Record]:
        numbered = self._numbered(entries)
        self._names.next_record += len(numbered)
        for record in numbered:
            self._spare.hold(record)
        return numbered

    def _in_transaction(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(statement, rows)
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _append_after_rebuild(self, entries: Sequence[Entry], error: sqlite3.Error) -> list[Record]:
        self._rebuild(error)
        try:
            return self._append_on_disk(entries)
        except sqlite3.DatabaseError as again:
            self._rollback()
            self._refused(again)
            return self._hold(entries)

    def _rebuild(self, error: sqlite3.Error) -> None:
        log.error("journal damaged, rebuilding", journal=str(self._path), error=str(error))
        self._db.close()
        self._db, loss = rebuild(self._path, self._budget, self._now_ms(), self._names)
        if loss is not None:
            self._losses.append((loss, LossReason.JOURNAL_DAMAGED))

    # Reading

    def read(self, journal_class: JournalClass, after: int, upto: int, limit: int) -> list[Record]:
        """Return unconfirmed records of a class with numbers in ``after < number <= upto``, in order, at most `limit`.

        A row whose checksum fails is set aside and becomes a hole.
        """
        with self._lock:
            rows = self._read_rows(journal_class, after, upto, limit)
            sound = self._sound(rows)
            held = [record for record in self._spare.of(journal_class) if after < record.number <= upto]
            last = sound[-1].number if len(rows) == limit and sound else upto
            return sorted([*sound, *(r for r in held if r.number <= last)], key=lambda record: record.number)

    def _read_rows(self, journal_class: JournalClass, after: int, upto: int, limit: int) -> list[Row]:
        rows: list[Row] = []
        try:
            for first, last in self._names.confirmed.missing(after + 1, upto):
                rows += self._db.execute(IN_CLASS, (journal_class, first, last, limit - len(rows))).fetchall()
                if len(rows) >= limit:
                    break
        except sqlite3.DatabaseError as error:
            self._cannot_read(error)
        return rows

    def fetch(self, numbers: Iterable[int]) -> list[Record]:
        """Return the records with these numbers that are still here and not confirmed."""
        with self._lock:
            wanted = [number for number in numbers if not self._names.confirmed.covers(number)]
            try:
                found = [self._db.execute(BY_NUMBER, (number,)).fetchone() for number in wanted]
            except sqlite3.DatabaseError as error:
                self._cannot_read(error)
                return []
            held = {record.number: record for record in self._spare.records()}
            sound = {record.number: record for record in self._sound([row for row in found if row])}
            every = {**held, **sound}
            return [every[number] for number in wanted if number in every]

    def unconfirmed(self, after: int, limit: int) -> list[Record]:
        """Return unconfirmed records of every class with numbers above `after`, in order."""
        every = [r for kind in JournalClass for r in self.read(kind, after, self.last_record, limit)]
        return sorted(every, key=lambda record: record.number)[:limit]

    def _cannot_read(self, error: sqlite3.Error) -> None:
        if database.is_broken(error):
            self._rebuild(error)
            self.append([])
        else:
            self._refused(error)

    def _sound(self, rows: Sequence[Row]) -> list[Record]:
        sound = [row for row in rows if _is_sound(row)]
        if len(sound) < len(rows):
            self._put_aside([row for row in rows if not _is_sound(row)])
        return [self._record(row) for row in sound]

    def _record(self, row: Row) -> Record:
        return Record(row[0], self._device_of[row[2]], JournalClass(row[1]), row[3], row[5])

    def _put_aside(self, rows: Sequence[Row]) -> None:
        """Set damaged rows aside for a person to look at, and name each as a hole."""
        self.damaged += len(rows)
        log.error("journal records damaged, set aside", journal=str(self._path), numbers=[row[0] for row in rows])
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(SET_ASIDE, rows)
        self._db.execute(FORGET_DAMAGED, (DAMAGED_KEPT,))
        self._db.executemany("DELETE FROM records WHERE number = ?", [(row[0],) for row in rows])
        self._db.execute("COMMIT")
        now = self._now_ms()
        for number, kind, *_ in rows:
            known = JournalClass(kind) if kind in STORED else JournalClass.LIVE
            self._losses.append((Loss(known, number, number, now, now), LossReason.DAMAGED))
        self.append([])

    # Confirmation

    def confirm(self, intervals: Intervals) -> None:
        """Take the cloud's set as the whole truth, also where it says less than before."""
        with self._lock:
            self._meta_dirty = self._meta_dirty or str(intervals) != str(self._names.confirmed)
            self._names.confirmed = intervals

    def purge(self, older_than_ms: int) -> int:
        """Delete confirmed records from before a time, a few hundred at most; return how many went."""
        with self._lock:
            try:
                return purge_confirmed(self._db, self._names.confirmed, older_than_ms)
            except sqlite3.DatabaseError as error:
                self._cannot_read(error)
                return 0

    def take_holes(self) -> list[Record]:
        """Return the records of holes made since the last call; they are on disk and want to be sent."""
        with self._lock:
            fresh, self._fresh_holes = self._fresh_holes, []
            return fresh

    # State, for people

    def backlog(self) -> int:
        """Return how many record numbers on disk are unconfirmed, holes and gaps in the numbers included."""
        with self._lock:
            lowest = self._db.execute("SELECT min(number) FROM records").fetchone()[0]
            if lowest is None:
                return len(self._spare)
            return sum(b - a + 1 for a, b in self._names.confirmed.missing(lowest, self.last_record))

    def size(self) -> int:
        """Return the bytes the journal takes on disk."""
        return database.bytes_on_disk(self._path)

    def close(self) -> None:
        """Write what is still in memory, fold the log into the file, close. Safe to call twice."""
        with self._lock:
            if self._spare or self._losses or self._meta_dirty:
                self.append([])
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _batches(entries: Sequence[Entry], max_bytes: int) -> Iterator[Sequence[Entry]]:
    """Yield entries in transactions of bounded size; at least one, for what waits besides them."""
    start = size = 0
    for index, entry in enumerate(entries):
        size += len(entry.body)
        if size > max_bytes and index > start:
            yield entries[start:index]
            start, size = index, len(entry.body)
    yield entries[start:]


def _names_in(db: sqlite3.Connection) -> Names:
    names = read_names(db)
    if names is None:
        names = new_names()
        db.execute("BEGIN IMMEDIATE")
        write_names(db, names)
        db.execute("COMMIT")
    return names


def _is_sound(row: Row) -> bool:
    return row[4] == checksum(row[0], row[1], row[2], row[3], row[5])
