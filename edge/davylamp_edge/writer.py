"""The thread that puts scans on disk: whatever has arrived by the time the disk is free goes in one transaction.

event loop ─ submit ─► waiting (bounded) ─► Journal.append ─► durable(records)
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from davylamp_edge.journal import Journal
from davylamp_edge.journal_writing import NOTHING_KEPT
from davylamp_edge.records import Entry, JournalClass, LossReason, Record
from davylamp_edge.spare import Loss, Spare

log = structlog.get_logger(__name__)

WAITING_BYTES = 16 * 1024 * 1024
"""Entries held while the disk takes its time; beyond it the oldest of the lowest class become a hole."""

APART_S = 0.003
"""Least time between two transactions, so that what lines read together is written together; alarms do not wait."""

RETRY_S = 1.0
"""How often records held in memory are offered to a disk that refused them."""

FLUSH_S = 10.0
"""Longest a reload waits for the disk."""

UNNUMBERED = 0


class Writer:
    """Appends entries in the order they come, gravest class first, and tells `durable` of the records made."""

    def __init__(self, journal: Journal, durable: Callable[[Sequence[Record]], None]) -> None:
        self._journal = journal
        self._durable = durable
        self._waiting = Spare(WAITING_BYTES)
        self._kept: dict[str, str] = {}
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._written = threading.Condition(lock)
        self._taken = self._done = 0
        """Batches taken from the queue, and those of them that are dealt with."""
        self._stopping = False
        self._began_s = 0.0
        self._lingers = self._more_comes = False
        self._thread = threading.Thread(target=self._run, name="journal-writer")
        self.appended = 0
        self.batches = 0
        self.steps = 0
        """Grows whenever the thread comes round; while it is `busy` and does not, it hangs in the disk."""
        self.busy = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, entry: Entry, kept: Mapping[str, str] = NOTHING_KEPT, *, more_comes: bool = False) -> None:
        """Queue an entry, and texts for the next start that follow from it; never waits for the disk.

        Where `more_comes`, another line is just being read, and the entry waits `APART_S` for it at most.
        """
        record = Record(UNNUMBERED, entry.device, entry.journal_class, entry.first_ms, entry.body)
        with self._changed:
            self._waiting.hold(record)
            self._kept.update(kept)
            self._more_comes = more_comes
            if not self._lingers or self._hurries() or not more_comes:
                self._changed.notify()

    def keep(self, kept: Mapping[str, str]) -> None:
        """Queue texts for the next start, to go to disk behind every entry submitted before."""
        with self._changed:
            self._kept.update(kept)
            self._changed.notify()

    def flush(self) -> None:
        """Return once everything submitted before has its record number, or the disk has hung for `FLUSH_S`."""
        with self._changed:
            wanted = self._taken + bool(self._waiting or self._kept)
            self._written.wait_for(lambda: self._done >= wanted, FLUSH_S)

    @property
    def waiting(self) -> int:
        """Entries the disk has not taken yet."""
        with self._changed:
            return len(self._waiting)

    def stop(self) -> None:
        """Write what is queued, then end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self.steps += 1
            batch, kept, stopping = self._next_batch()
            if batch or kept or self._journal.refusal is not None:
                self.busy = True
                for part, follows in _gravest_first(batch, kept):
                    self._append(part, follows)
                self.busy = False
            with self._changed:
                self._done = self._taken
                self._written.notify_all()
            if stopping and not batch:
                return

    def _next_batch(self) -> tuple[list[Entry], dict[str, str], bool]:
        with self._changed:
            if not (self._waiting or self._kept or self._stopping):
                self._changed.wait(RETRY_S if self._journal.refusal is not None else None)
            self._linger()
            losses = self._waiting.losses
            self._taken += 1
            held = self._waiting.records()
            self._waiting.clear()
            kept, self._kept = self._kept, {}
            stopping = self._stopping
        for loss in losses:  # only now: the journal may be busy, and who submits must not wait for it
            self._journal.note(loss, LossReason.MEMORY_FULL)
        return [Entry(r.device, r.journal_class, r.body, r.first_ms) for r in held], kept, stopping

    def _linger(self) -> None:
        """Wait for what comes just behind; a lone scan is written at once."""
        self._lingers = True
        if self._more_comes:
            self._changed.wait_for(lambda: self._hurries() or not self._more_comes, APART_S)
        rest_s = self._began_s + APART_S - time.monotonic()
        if rest_s > 0:
            self._changed.wait_for(self._hurries, rest_s)
        self._lingers = self._more_comes = False
        self._began_s = time.monotonic()

    def _hurries(self) -> bool:
        """Whether nothing more is waited for: an alarm, what is to be kept with it, or the end."""
        return self._stopping or bool(self._kept or self._waiting.of(JournalClass.ALARM))

    def _append(self, batch: Sequence[Entry], kept: Mapping[str, str]) -> None:
        """Append, and hand on; an error nobody foresaw is said and the thread goes on, for blindness is worse."""
        try:
            records = self._journal.append(batch, kept)
            self._durable([*self._journal.take_holes(), *records])
            self.appended += len(records)
            self.batches += 1
        except Exception:
            log.exception("journal append failed", entries=len(batch))
            for entry in batch:
                loss = Loss(entry.journal_class, UNNUMBERED, UNNUMBERED, entry.first_ms, entry.first_ms)
                self._journal.note(loss, LossReason.NOT_WRITTEN)


Part = tuple[list[Entry], Mapping[str, str]]


def _gravest_first(batch: Sequence[Entry], kept: Mapping[str, str]) -> list[Part]:
    """Return alarms and the rest as parts of their own: an alarm waits for no reading, and what is to be kept is its.

    Within a class the order in which entries came stays.
    """
    alarms = [entry for entry in batch if entry.journal_class is JournalClass.ALARM]
    rest = sorted((e for e in batch if e.journal_class is not JournalClass.ALARM), key=lambda e: -e.journal_class)
    if not alarms:
        return [(rest, kept)]
    return [(alarms, kept), (rest, NOTHING_KEPT)] if rest else [(alarms, kept)]
