"""How records come into the journal: numbered, in transactions of bounded size; in memory while the disk refuses."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from davylamp_wire.payload import HOLE, SparkplugType

from davylamp_edge import database, rows
from davylamp_edge.eviction import make_room
from davylamp_edge.holes import HoleBook
from davylamp_edge.journal_names import JournalNames
from davylamp_edge.records import NODE, STORED, Entry, JournalClass, LossReason, Record, Row
from davylamp_edge.salvage import LOSS
from davylamp_edge.spare import Loss

DAMAGED_KEPT = 100
NOTHING_KEPT: Mapping[str, str] = MappingProxyType({})


class JournalWriting(JournalNames):
    """An open journal that takes records. `lost` counts, per class, those that became holes."""

    def __init__(self, path: Path, max_bytes: int, spare_bytes: int, now_ms: Callable[[], int]) -> None:
        super().__init__(path, max_bytes, spare_bytes, now_ms)
        self._to_keep: dict[str, str] = {}
        """Texts that go to disk with the last of the records they follow from."""
        self._unsound: dict[int, Row] = {}
        """Rows whose checksum failed, until they are set aside."""
        self._holes = HoleBook(self._mended(self._rows_of_holes))
        self.lost: dict[str, int] = {}

    def append(self, entries: Sequence[Entry], kept: Mapping[str, str] = NOTHING_KEPT) -> list[Record]:
        """Put entries on disk, in transactions of bounded size, and return them with their numbers.

        `kept` are texts for the next start that follow from the entries: they are on disk with the last of them.

        While the disk refuses, they are held in memory, numbered all the same, and written when it takes them.
        Holes that this made wait in `take_holes`.
        """
        with self._lock:
            numbered: list[Record] = []
            self._to_keep.update(kept)
            *batches, last = _batches(entries, self._budget.batch_bytes)
            for batch in batches:
                numbered += self._append(batch)
            numbered += self._append(last, last=True)
            while len(self._spare) and self.refusal is None:
                self._append([], last=True)
            return numbered

    def _append(self, entries: Sequence[Entry], *, last: bool = False, rebuilt: bool = False) -> list[Record]:
        try:
            return self._append_on_disk(entries, last)
        except sqlite3.DatabaseError as error:
            self._rollback()
            if not database.is_broken(error) or rebuilt or not self._is_rebuilt(error):
                self._refused(error)
                return self._hold(entries)
        return self._append(entries, last=last, rebuilt=True)

    def _append_on_disk(self, entries: Sequence[Entry], last: bool) -> list[Record]:
        for device in {entry.device for entry in entries}:
            # Before the transaction: one that is rolled back must not take an alias with it that memory knows.
            self.record_alias(device)
        held = self._spare.first(self._budget.batch_bytes)
        self._db.execute("BEGIN IMMEDIATE")
        if self._unnamed:
            self._db.executemany(*self._names_to_write())
        sizes = [*(len(record.body) for record in held), *(len(entry.body) for entry in entries)]
        if self._losses:
            self._db.execute(rows.FORGET, (LOSS,))
        losses = [*self._losses, *self._put_aside(), *self._let_go(), *self._room_for(sizes)]
        holes, replaced = self._holes.entries(losses, self.epoch, self.confirmed, self._hole_alias)
        numbered = self._numbered([*holes, *entries])
        written = [rows.row_of(record, self.record_alias(record.device)) for record in (*held, *numbered)]
        self._db.executemany(rows.DELETE, [(number,) for number in replaced])
        self._db.executemany(rows.INSERT, written)
        self._write_meta(self._names.next_record + len(numbered))
        keeps = last and len(held) == len(self._spare)
        for name, text in self._to_keep.items() if keeps else ():
            database.write_meta(self._db, name, text)
        self._db.execute("COMMIT")
        self._unnamed.clear()
        if keeps:
            self._to_keep.clear()
        self._spare.remove(held)
        self._holes.settle(numbered[: len(holes)], replaced)
        self._settle(len(numbered), [loss for loss, _ in losses])
        return numbered[len(holes) :]

    @property
    def _hole_alias(self) -> int:
        return self.alias(NODE, HOLE, SparkplugType.STRING)

    def _room_for(self, sizes: Iterable[int]) -> list[tuple[Loss, LossReason]]:
        target = self._budget.file_pages - database.pages_for(sizes)
        if database.used_pages(self._db) <= target:
            return []
        # A little more than needed, so that this is rare and a hole tells of many records.
        losses = make_room(self._db, self.confirmed, target - self._budget.file_pages // 64)
        return [(loss, LossReason.EVICTED) for loss in losses]

    def _put_aside(self) -> list[tuple[Loss, LossReason]]:
        """Set damaged rows aside for a person to look at, and return what each loses."""
        if not self._unsound:
            return []
        self._db.executemany(rows.SET_ASIDE, list(self._unsound.values()))
        self._db.execute(rows.FORGET_DAMAGED, (DAMAGED_KEPT,))
        self._db.executemany(rows.DELETE, [(number,) for number in self._unsound])
        now = self._now_ms()
        kinds = [(number, row[1] if row[1] in STORED else JournalClass.LIVE) for number, row in self._unsound.items()]
        return [(Loss(JournalClass(kind), number, number, now, now), LossReason.DAMAGED) for number, kind in kinds]

    def _let_go(self) -> list[tuple[Loss, LossReason]]:
        return [(loss, LossReason.MEMORY_FULL) for loss in self._spare.losses]

    def _numbered(self, entries: Sequence[Entry]) -> list[Record]:
        first = self._names.next_record
        return [
            Record(first + index, entry.device, entry.journal_class, entry.first_ms, entry.body)
            for index, entry in enumerate(entries)
        ]

    def _settle(self, count: int, losses: Iterable[Loss]) -> None:
        """Bring memory in line with what has just been committed."""
        self._names.next_record += count
        self._meta_dirty = False
        self._losses.clear()
        self._unsound.clear()
        for loss in losses:
            self.lost[loss.journal_class.word] = self.lost.get(loss.journal_class.word, 0) + loss.count
        self._taken_back(nothing_held=not len(self._spare))

    def _hold(self, entries: Sequence[Entry]) -> list[Record]:
        numbered = self._numbered(entries)
        self._names.next_record += len(numbered)
        for record in numbered:
            self._spare.hold(record)
        return numbered

    def note(self, loss: Loss, reason: LossReason) -> None:
        """Have a loss that happened before the journal named as a hole, with the next append."""
        with self._lock:
            self._losses.append((loss, reason))

    def _rows_of_holes(self) -> list[Row]:
        return self._db.execute(rows.OF_CLASS, (JournalClass.HOLE,)).fetchall()


def _batches(entries: Sequence[Entry], max_bytes: int) -> Iterator[Sequence[Entry]]:
    """Yield entries in transactions of bounded size; at least one, for what waits besides them."""
    start = size = 0
    for index, entry in enumerate(entries):
        size += len(entry.body)
        if size > max_bytes and index > start:
            yield entries[start:index]
            start, size = index, len(entry.body)
    yield entries[start:]
