"""The thread that carries readings from the log into the historian, by the historian's own cursor.

The store may be down for an hour: the feed waits and writes the same rows again, the log keeps them, and no alarm is
late because of it. Readings go to history in the order of the log, live and backlog alike.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import structlog
from davylamp_alarms.batch import Batch

from davylamp_cloud.cores import use_all
from davylamp_cloud.historian import Historian, HistorianUnavailable, Rows
from davylamp_cloud.historian.days import DAY_MS
from davylamp_cloud.log import Log, Record, RecordKind
from davylamp_cloud.readings import Ints, Slice, slice_of
from davylamp_cloud.recent import Recent
from davylamp_cloud.tags import BirthBook

LOG = structlog.get_logger()

COMMIT_S = 1.0
"""One commit a second: history may be a second behind, and a commit costs the disk a wait."""

PAGE_RECORDS = 256
SLICE_READINGS = 500_000
SLICE_RECORDS = 20_000
"""Most that goes into one commit: bounds memory while the feed catches up."""

IDLE_RECORDS = 5_000
"""So many records without a reading (ticks, commands) are passed before the cursor alone is stored."""

BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
EXPIRE_S = 3600.0


class Feed:
    """Log to historian. Keeps no reading: what is not in the store yet is in the log."""

    def __init__(
        self,
        log: Log,
        historian: Historian,
        *,
        now_ms: Callable[[], int],
        keep_days: int,
        failed: Callable[[BaseException], None],
        recent: Recent | None = None,
        commit_s: float = COMMIT_S,
        backoff_s: Sequence[float] = BACKOFF_S,
    ) -> None:
        """`failed` is called from the thread when it cannot go on (a mistake in the code, not a store that is down).

        What the monitor leaves in `recent` is not decoded again.
        """
        self._log = log
        self._historian = historian
        self._now_ms = now_ms
        self._keep_days = keep_days
        self._failed = failed
        self._recent = recent or Recent()
        self._commit_s = commit_s
        self._backoff_s = backoff_s
        self._position = historian.cursor()
        self._moved = threading.Condition()
        self._stopping = threading.Event()
        self._down_since_ms: int | None = None
        self._last_error = ""
        self._stored = 0
        self._set_aside = 0
        self._expired_s = -EXPIRE_S
        self._thread = threading.Thread(target=self._run, name="historian-feed", daemon=True)
        self._recognise()

    @property
    def position(self) -> int:
        """Number of the newest record that is through; what the store itself remembers is `Historian.cursor`."""
        return self._position

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the commit it is in. What is not stored yet stays in the log."""
        self._stopping.set()
        self._log.wake()
        if self._thread.is_alive():
            self._thread.join()

    def wait(self, seq: int, timeout: float) -> bool:
        """Return once everything up to a record is stored; False when the time ran out."""
        with self._moved:
            return self._moved.wait_for(lambda: self._position >= seq, timeout)

    def status(self) -> Mapping[str, Any]:
        """Return how the feed fares, in plain values; `set_aside` counts readings no birth explains."""
        return {
            "position": self._position,
            "lag_records": self._log.last_seq - self._position,
            "stored_readings": self._stored,
            "set_aside": self._set_aside,
            "down_since_ms": self._down_since_ms,
            "last_error": self._last_error,
        }

    def _recognise(self) -> None:
        """Notice a log that was restored from a backup: the record the store stands at is not in it.

        A file that cannot be opened may know of more than the store does: what the log has is said at each start.
        """
        newest = self._log.newest_seq
        if newest < self._position:
            LOG.warning("log is older than history", log=newest, history=self._position)
        self._historian.doubt(newest, len(self._log.births))

    def _run(self) -> None:
        use_all()
        try:
            while not self._stopping.is_set():
                self._expire()
                if self._log.wait(self._position, COMMIT_S):
                    self._carry()
        except BaseException as error:
            LOG.error("historian feed stopped", error=repr(error))
            self._failed(error)

    def _carry(self) -> None:
        """Store what comes next, then rest until the second is full unless more waits than goes into one commit."""
        began_s = time.monotonic()
        rows, aside, cursor = self._next()
        if cursor == self._position:
            return
        if len(rows) or cursor - self._historian.cursor() > IDLE_RECORDS:
            if not self._write(rows, cursor):
                return
            self._stored += len(rows)
        self._set_aside += aside
        with self._moved:
            self._position = cursor
            self._moved.notify_all()
        if len(rows) < SLICE_READINGS and self._log.last_seq - cursor < SLICE_RECORDS:
            self._stopping.wait(max(0.0, self._commit_s - (time.monotonic() - began_s)))

    def _next(self) -> tuple[Rows, int, int]:
        """Return the next readings, how many were set aside, and the record they reach up to."""
        kept = self._recent.take(self._position, SLICE_READINGS)
        if kept:
            slices = [found for part in kept for found in part.slices]
            return rows_from(slices), sum(found.unknown for found in slices), kept[-1].last
        records = self._slice()
        return (*rows_of(records, self._log.births), records[-1].seq if records else self._position)

    def _slice(self) -> list[Record]:
        """Return the next records: what there is that nobody has decoded, up to the bounds of one commit."""
        until = self._recent.next_after(self._position)
        records: list[Record] = []
        readings = 0
        while len(records) < SLICE_RECORDS and readings < SLICE_READINGS:
            after = records[-1].seq if records else self._position
            most = PAGE_RECORDS if until is None else min(PAGE_RECORDS, until - 1 - after)
            page = self._log.read(after, most) if most > 0 else []
            records += page
            readings += sum(len(record.body) for record in page) // 20  # a reading takes about 20 bytes on the wire
            if len(page) < PAGE_RECORDS:
                break
        return records

    def _write(self, rows: Rows, cursor: int) -> bool:
        """Write until the store takes it; False when the feed stops first."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                self._historian.write(rows, cursor)
            except HistorianUnavailable as error:
                self._lost(str(error))
                self._stopping.wait(self._backoff_s[min(attempt, len(self._backoff_s) - 1)])
                attempt += 1
            else:
                self._back()
                return True
        return False

    def _lost(self, error: str) -> None:
        self._last_error = error
        if self._down_since_ms is None:
            self._down_since_ms = self._now_ms()
            LOG.warning("historian lost", error=error)

    def _back(self) -> None:
        if self._down_since_ms is not None:
            after_s = (self._now_ms() - self._down_since_ms) / 1000
            self._down_since_ms = None
            LOG.info("historian back", after_s=after_s, behind=self._log.last_seq - self._position)

    def _expire(self) -> None:
        """Once an hour let go of days nobody wants kept."""
        if time.monotonic() - self._expired_s < EXPIRE_S:
            return
        self._expired_s = time.monotonic()
        try:
            gone = self._historian.expire(self._now_ms() - self._keep_days * DAY_MS)
        except HistorianUnavailable as error:
            LOG.warning("history not expired", error=str(error))
            return
        if gone:
            LOG.info("history expired", days=gone)


def rows_of(records: Sequence[Record], births: BirthBook) -> tuple[Rows, int]:
    """Return the readings of records as rows, and how many were set aside because no birth explains their alias.

    A payload that cannot be read is in the quarantine already (ingest) and is passed over here.
    """
    found = slice_of([record for record in records if _has_readings(record, births)], births)
    return rows_from([found]), found.unknown


def _has_readings(record: Record, births: BirthBook) -> bool:
    """True for data, and for the birth of a foreign edge: its values are readings, ours are not."""
    if record.kind is RecordKind.BIRTH:
        return bool(record.body) and not births.get(record.birth).own
    return record.kind is RecordKind.DATA


def rows_from(slices: Sequence[Slice]) -> Rows:
    """Return the readings of slices that follow each other as rows."""
    texts: dict[int, str] = {}
    at = 0
    for found in slices:
        texts.update({at + place: text for place, text in found.texts.items()})
        at += len(found.batch)
    batch = Batch.concat([found.batch for found in slices])
    return Rows(
        seqs=batch.seq,
        tags=batch.tag,
        times_ms=batch.time_ms,
        values=batch.value,
        qualities=batch.quality,
        births=_spread([(found.told.births, found.told.counts) for found in slices], np.int32),
        marks=_spread([(found.told.marks, found.told.counts) for found in slices], np.int64),
        texts=texts,
    )


def _spread(columns: Sequence[tuple[Ints, Ints]], kind: type[np.int64] | type[np.int32]) -> Any:
    """Return what records have in common, once for each of their readings."""
    return np.concatenate(
        [np.repeat(numbers.astype(kind), counts) for numbers, counts in columns] or [np.empty(0, kind)]
    )
