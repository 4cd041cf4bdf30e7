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
from davylamp_wire.columns import Columns

from davylamp_cloud.historian import Historian, HistorianUnavailable, Rows
from davylamp_cloud.historian.days import DAY_MS
from davylamp_cloud.log import Log, Record, RecordKind
from davylamp_cloud.readings import decoded
from davylamp_cloud.tags import NO_TAG, BirthBook

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
        commit_s: float = COMMIT_S,
        backoff_s: Sequence[float] = BACKOFF_S,
    ) -> None:
        """`failed` is called from the thread when it cannot go on (a mistake in the code, not a store that is down)."""
        self._log = log
        self._historian = historian
        self._now_ms = now_ms
        self._keep_days = keep_days
        self._failed = failed
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
        """Notice a log that was restored from a backup: the record the store stands at is not in it."""
        newest = self._log.newest_seq
        if newest < self._position:
            LOG.warning("log is older than history", log=newest, history=self._position)
            self._historian.doubt(newest, len(self._log.births))

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._expire()
                if self._log.wait(self._position, COMMIT_S):
                    self._carry()
        except BaseException as error:
            LOG.error("historian feed stopped", error=repr(error))
            self._failed(error)

    def _carry(self) -> None:
        """Store the next slice, then rest until the second is full unless more than a slice waits."""
        began_s = time.monotonic()
        records = self._slice()
        if not records:
            return
        rows, aside = rows_of(records, self._log.births)
        cursor = records[-1].seq
        if len(rows) or cursor - self._historian.cursor() > IDLE_RECORDS:
            if not self._write(rows, cursor):
                return
            self._stored += len(rows)
        self._set_aside += aside
        with self._moved:
            self._position = cursor
            self._moved.notify_all()
        if self._log.last_seq - cursor < SLICE_RECORDS:
            self._stopping.wait(max(0.0, self._commit_s - (time.monotonic() - began_s)))

    def _slice(self) -> list[Record]:
        """Return the next records: what there is, up to the bounds of one commit."""
        records: list[Record] = []
        readings = 0
        while len(records) < SLICE_RECORDS and readings < SLICE_READINGS:
            after = records[-1].seq if records else self._position
            page = self._log.read(after, PAGE_RECORDS)
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
        gone = self._historian.expire(self._now_ms() - self._keep_days * DAY_MS)
        if gone:
            LOG.info("history expired", days=gone)


def rows_of(records: Sequence[Record], births: BirthBook) -> tuple[Rows, int]:
    """Return the readings of records as rows, and how many were set aside because no birth explains their alias.

    A payload that cannot be read is in the quarantine already (ingest) and is passed over here.
    """
    parts: list[_Part] = []
    aside = 0
    told = [record for record in records if _has_readings(record, births)]
    for record, columns in zip(told, decoded(told, births), strict=True):
        if isinstance(columns, ValueError):
            continue
        part, unknown = _part(record, columns, births)
        aside += unknown
        if part is not None:
            parts.append(part)
    return _joined(parts), aside


def _has_readings(record: Record, births: BirthBook) -> bool:
    """True for data, and for the birth of a foreign edge: its values are readings, ours are not."""
    if record.kind is RecordKind.BIRTH:
        return bool(record.body) and not births.get(record.birth).own
    return record.kind is RecordKind.DATA


class _Part:
    """One record's readings."""

    __slots__ = ("columns", "indices", "keep", "record")

    def __init__(self, record: Record, columns: Columns, births: BirthBook) -> None:
        self.record = record
        self.columns = columns
        self.indices = births.indices(record.birth, columns.aliases)
        self.keep = self.indices >= 0


def _part(record: Record, columns: Columns, births: BirthBook) -> tuple[_Part | None, int]:
    part = _Part(record, columns, births)
    unknown = int(np.count_nonzero(part.indices == NO_TAG))  # an edge's own metrics are no readings and not missed
    return (part if part.keep.any() else None), unknown


def _joined(parts: Sequence[_Part]) -> Rows:
    lengths = [len(part.keep) for part in parts]
    texts: dict[int, str] = {}
    at = 0
    for part, length in zip(parts, lengths, strict=True):
        texts.update({at + place: text for place, text in part.columns.texts.items()})
        at += length

    def spread(numbers: list[int], kind: type[np.int64] | type[np.int32]) -> Any:
        return np.repeat(np.array(numbers, kind), lengths)

    def column(name: str, kind: Any) -> Any:
        return np.concatenate([getattr(part.columns, name) for part in parts]) if parts else np.empty(0, kind)

    rows = Rows(
        seqs=spread([part.record.seq for part in parts], np.int64),
        tags=np.concatenate([part.indices for part in parts]) if parts else np.empty(0, np.int32),
        times_ms=column("times_ms", np.int64),
        values=column("values", np.float64),
        qualities=column("qualities", np.uint16),
        births=spread([part.record.birth for part in parts], np.int32),
        marks=spread([_mark(part) for part in parts], np.int64),
        texts=texts,
    )
    keep = np.concatenate([part.keep for part in parts]) if parts else np.empty(0, np.bool_)
    return rows.where(keep)


def _mark(part: _Part) -> int:
    """Return what stays the same when the same record comes again: its number at the edge, else the log's."""
    record = part.columns.record
    return part.record.seq if record is None else record
