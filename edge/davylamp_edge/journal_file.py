"""The journal's file in use: its connection, what the disk says to it, and how it is mended or put back.

`davylamp_edge.journal_names` puts names on top of it, `journal_writing` records, and `journal` what is read of them.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import structlog
from davylamp_wire.intervals import Intervals

from davylamp_edge import database
from davylamp_edge.mark import Mark
from davylamp_edge.names import Names, new_names, read_names, write_names
from davylamp_edge.records import JournalClass, LossReason
from davylamp_edge.salvage import LOSS, finish, loss_in, put_back, rebuild
from davylamp_edge.spare import Loss, Spare

log = structlog.get_logger("davylamp_edge.journal")

T = TypeVar("T")

SKIPPED = 2**32
"""Numbers passed over after a crash without a disk: more than can have been given in memory."""

ALIASES_SKIPPED = 2**20
"""Aliases passed over then, for the same reason."""

REBUILD_AGAIN_MS = 60_000
"""How long a broken file is left alone that the disk had no room to rebuild."""


class JournalUnreadable(Exception):
    """The disk does not give back what it holds: wait, and read again."""


class JournalFile:
    """An open journal file. `refusal` is what the disk says while it takes no records, None while it does."""

    def __init__(self, path: Path, max_bytes: int, spare_bytes: int, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._budget = database.Budget(max_bytes)
        self._now_ms = now_ms
        self._lock = threading.RLock()
        self._mark = Mark(path)
        self._marked = False
        self._spare = Spare(spare_bytes)
        self._losses: list[tuple[Loss, LossReason]] = []
        self._meta_dirty = False
        self._unnamed: dict[tuple[str, int], int] = {}
        """Aliases that are in memory alone."""
        self._first_alias = 0
        self._not_rebuilt_ms: int | None = None
        self.refusal: str | None = None
        self.steps = 0
        """Grows while a rebuild moves, which may take minutes."""
        self._open()

    def _open(self) -> None:
        finish(self._path)
        try:
            self._db, self._names = _opened(self._path, self._budget)
        except sqlite3.DatabaseError as error:
            if not database.is_broken(error):
                raise
            self._rebuild(error, None)
            self._names = _names_in(self._db)
        self._file = _identity(self._path)
        self._note_what_a_rebuild_lost()
        self.last_before = self.last_record
        """The highest number given before this start."""
        self.sent_upto = self.last_record
        """The highest number sent, as far as is known: all that were given before may have been."""
        self._device_of = self._names.devices()
        self._skip_numbers_given_in_memory()

    def _skip_numbers_given_in_memory(self) -> None:
        first = self._mark.read()
        self._marked = first is not None
        if first is None:
            self._mark.clear()
            return
        self._first_alias = self._names.next_alias + ALIASES_SKIPPED
        last = max(first, self._names.next_record) + SKIPPED
        now = self._now_ms()
        self._losses.append((Loss(JournalClass.LIVE, first, last, now, now, 0), LossReason.CRASH_WITHOUT_DISK))
        self._names.next_record = last + 1

    def _shrink(self) -> None:
        """Give pages beyond the budget back to the disk; only a smaller `max_bytes` than before leaves any."""
        total: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        if total > self._budget.file_pages:
            # As a script: execute() takes one step of this pragma, which frees one page.
            self._db.executescript(f"PRAGMA incremental_vacuum({total - self._budget.file_pages});")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

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

    # What the disk says

    def _refused(self, error: sqlite3.Error) -> None:
        if self.refusal is None:
            self.refusal = str(error)
            self._marked = self._mark.set(self._names.next_record)
            log.error("journal refused by the disk", journal=str(self._path), error=self.refusal, marked=self._marked)
        self._meta_dirty = True

    def _taken_back(self, nothing_held: bool) -> None:
        """Note that the disk takes records again; the mark stays while some are in memory alone."""
        if nothing_held and self._marked:
            self._mark.clear()
            self._marked = False
        if self.refusal is not None:
            log.warning("journal takes records again", journal=str(self._path), refused=self.refusal)
        self.refusal = None

    def _rebuild(self, error: sqlite3.Error, known: Names | None) -> None:
        log.error("journal damaged, rebuilding", journal=str(self._path), error=str(error))
        held = Intervals((record.number, record.number) for record in self._spare.records())
        self._db = rebuild(self._path, self._budget, self._now_ms(), known, held, self._moved)

    def _moved(self) -> None:
        self.steps += 1

    def _is_rebuilt(self, error: sqlite3.Error) -> bool:
        """Replace a broken file; False where the disk has no room for that now, and the broken one stays."""
        if not self._may_try_again():
            return False
        self._db.close()
        try:
            self._rebuild(error, self._names)
        except Exception as refusal:  # whatever it was, the journal goes on with the file as it is
            log.error(
                "journal cannot be rebuilt now, make room on its disk", journal=str(self._path), error=str(refusal)
            )
            self._db = database.reopened(self._path)
            self._not_rebuilt_ms = self._now_ms()
            return False
        self._not_rebuilt_ms = None
        self._file = _identity(self._path)
        self._unnamed.clear()  # they are in the new file, with all other names
        self._note_what_a_rebuild_lost()
        return True

    def look(self) -> None:
        """See that the file is where it was; where somebody took it away, what it holds is written there once more.

        All that is written goes into a file without a name, and would be gone with the process.
        """
        with self._lock:
            if self._file == _identity(self._path) or not self._may_try_again():
                return
            said = "journal's file was taken away or replaced while it was in use, it is written anew"
            log.error(said, journal=str(self._path), other=str(self._path) + ".other")
            try:
                self._db = put_back(self._path, self._db, self._budget, self._moved)
                self._file, self._not_rebuilt_ms = _identity(self._path), None
            except (OSError, sqlite3.Error) as error:
                self._not_rebuilt_ms = self._now_ms()
                log.error("journal cannot be written anew, make room on its disk", error=str(error))

    def _may_try_again(self) -> bool:
        tried_ms = self._not_rebuilt_ms
        return tried_ms is None or not 0 <= self._now_ms() - tried_ms < REBUILD_AGAIN_MS

    def _note_what_a_rebuild_lost(self) -> None:
        text = database.read_meta(self._db).get(LOSS)
        if text is not None:
            self._losses = [other for other in self._losses if other[1] is not LossReason.JOURNAL_DAMAGED]
            self._losses.append((loss_in(str(text)), LossReason.JOURNAL_DAMAGED))

    def _cannot_read(self, error: sqlite3.Error) -> None:
        """Mend a broken file, after which it can be read. Raises: JournalUnreadable where the disk refuses."""
        broken = database.is_broken(error)
        if not broken:
            self._refused(error)
        if not broken or not self._is_rebuilt(error):
            raise JournalUnreadable(f"{self._path}: {error}") from error

    def _mended(self, work: Callable[[], T]) -> T:
        """Return what work on the file gives; where the file is broken, mend it and do the work again.

        Raises: JournalUnreadable where the disk refuses.
        """
        try:
            return work()
        except sqlite3.DatabaseError as error:
            self._cannot_read(error)
            return work()

    def _write_meta(self, next_record: int) -> None:
        """Write what has changed of the names, in the caller's transaction."""
        database.write_meta(self._db, "next_record", next_record)
        if self._meta_dirty:
            database.write_meta(self._db, "confirmed", str(self._names.confirmed))
            database.write_meta(self._db, "bd_seq", self._names.bd_seq)

    def _in_transaction(self, *work: tuple[str, Sequence[tuple[object, ...]]]) -> None:
        """Run statements over rows, all or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in work:
                self._db.executemany(statement, rows)
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def size(self) -> int:
        """Return the bytes the journal takes on disk."""
        return database.bytes_on_disk(self._path)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from any other in its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _opened(path: Path, budget: database.Budget) -> tuple[sqlite3.Connection, Names]:
    db = database.connect(path, budget)
    try:
        return db, _names_in(db)
    except BaseException:
        db.close()
        raise


def _names_in(db: sqlite3.Connection) -> Names:
    names = read_names(db)
    if names is None:
        names = new_names()
        db.execute("BEGIN IMMEDIATE")
        write_names(db, names)
        db.execute("COMMIT")
    return names
