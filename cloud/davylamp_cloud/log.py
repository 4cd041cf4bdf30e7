"""The log: everything the cloud knows entered here first, in one order, and is on disk before anyone is told.

```
ingest, ticker, API, notify ──► GroupCommit ──► log.db ══► monitor, historian feed (each with its own cursor)
```

One writer appends (`append` is durable when it returns: WAL, synchronous=FULL); readers have connections of their
own. Births, tags, confirmed sets, holes and quarantined payloads are written in the transaction of the records they
belong to, so what an edge is told is never more than what a crash leaves behind.
"""

import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from davylamp_wire.intervals import Intervals

from davylamp_cloud import faultpoints
from davylamp_cloud.beside import NOTHING, Beside, Confirmed, Hole, Quarantined, write_beside
from davylamp_cloud.tags import STORED, Birth, BirthBook, birth_of
from davylamp_cloud.tail import Tail

SCHEMA = """
CREATE TABLE IF NOT EXISTS records(
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, node TEXT NOT NULL, device TEXT NOT NULL, birth INTEGER NOT NULL,
  time_ms INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries ON records(seq) WHERE kind = 'delivery';
CREATE TABLE IF NOT EXISTS births(
  id INTEGER PRIMARY KEY, node TEXT NOT NULL, device TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,
  payload BLOB NOT NULL, description TEXT NOT NULL, aliases BLOB NOT NULL, indices BLOB NOT NULL,
  names TEXT NOT NULL, types BLOB NOT NULL, at_ms INTEGER NOT NULL,
  own INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tags(idx INTEGER PRIMARY KEY, tag_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS confirmed(
  node TEXT NOT NULL, epoch TEXT NOT NULL, intervals TEXT NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY(node, epoch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holes(
  node TEXT NOT NULL, epoch TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, journal_class TEXT NOT NULL,
  reason TEXT NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, count INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, PRIMARY KEY(node, epoch, first, last)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine(
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, node TEXT NOT NULL, topic TEXT NOT NULL,
  reason TEXT NOT NULL, payload BLOB NOT NULL);
"""

TAIL_BYTES = 32 << 20
"""Of the newest records so much stays in memory for readers that keep up."""

RECORD_BYTES = 300
"""What a record takes in memory beside its body: a birth that is known has none, a tick a short one."""


class RecordKind(StrEnum):
    """What a record of the log is; DAMAGED is what a reader gets where the checksum no longer fits."""

    BIRTH = "birth"
    DATA = "data"
    LINK = "link"
    TICK = "tick"
    COMMAND = "command"
    CHANGE = "change"
    DELIVERY = "delivery"
    DAMAGED = "damaged"


class NewRecord(NamedTuple):
    """A record on its way into the log. `node` is ``group/node``, `time_ms` its arrival here, UTC."""

    kind: RecordKind
    body: bytes
    time_ms: int
    node: str = ""
    device: str = ""
    birth: int = 0


class Record(NamedTuple):
    """A record of the log; `seq` ascends without gaps as long as nothing was trimmed."""

    seq: int
    kind: RecordKind
    node: str
    device: str
    birth: int
    time_ms: int
    body: bytes


@dataclass(slots=True)
class _Readers:
    """The reading connections, one per thread, so that `close` can find them all."""

    local: threading.local = field(default_factory=threading.local)
    opened: list[sqlite3.Connection] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Log:
    """An append-only log in one SQLite file, with the births, tags and confirmed sets that belong to it."""

    def __init__(self, path: Path, floor: int = 0, *, looking: bool = False) -> None:
        """Open or create the log; `floor` is the highest cursor of any reader, below which no number is reused.

        Who is only `looking` cannot append, and may look while another process does.
        """
        self.path = path
        self._looking = looking
        self._readers = _Readers()
        self._write_lock = threading.Lock()
        self._tail: Tail[Record] = Tail(TAIL_BYTES)
        self._grown = threading.Condition()
        self._closed = False
        self._woken = 0
        if not looking:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = _connect(path, looking)
        if not looking:
            self._writer.executescript(SCHEMA)
        self.births = BirthBook.load(self._writer, self._birth)
        self._last = max(floor, _scalar(self._writer, "SELECT coalesce(max(seq), 0) FROM records"))

    @property
    def last_seq(self) -> int:
        """Number of the newest record that is on disk."""
        return self._last

    @property
    def newest_seq(self) -> int:
        """Number of the newest record the file holds; below `last_seq` only when it was restored from a backup."""
        return _scalar(self._reader(), "SELECT coalesce(max(seq), 0) FROM records")

    @property
    def first_seq(self) -> int:
        """Number of the oldest record kept."""
        return _scalar(self._reader(), "SELECT coalesce(min(seq), 0) FROM records")

    def append(self, records: Sequence[NewRecord], beside: Beside = NOTHING) -> list[int]:
        """Write records and what belongs beside them in one transaction; durable on return.

        Raises sqlite3.Error when the disk refuses; nothing was written then, and nothing may be confirmed.
        """
        with self._write_lock:
            first = self._last + 1
            rows = [_row(seq, record) for seq, record in enumerate(records, first)]
            with _Transaction(self._writer) as connection:
                connection.executemany("INSERT INTO records VALUES(?,?,?,?,?,?,?,?)", rows)
                write_beside(connection, beside)
                faultpoints.hit("log.before_commit")
            faultpoints.hit("log.after_commit")
            read = [Record(seq, *_as_read(record)) for seq, record in enumerate(records, first)]
            self._tail.add(first, read, sum(RECORD_BYTES + len(record.body) for record in records))
            self._last += len(rows)
        with self._grown:
            self._grown.notify_all()
        return list(range(first, first + len(rows)))

    def number_on(self, tag_ids: Sequence[str], births: int) -> None:
        """Number tags and births on from what another file knows: a log that was lost gives no number again.

        Only before the first birth is received.
        """
        with self._write_lock:
            first = len(self.births)
            with _Transaction(self._writer) as connection:
                connection.executemany("INSERT INTO tags VALUES(?,?)", enumerate(tag_ids, first))
            self.births.number_on(tag_ids, births)

    def read(self, after: int, limit: int = 1000) -> list[Record]:
        """Return the next records after a cursor, oldest first; a damaged one says so in its kind."""
        newest = self._tail.read(after, limit)
        if newest is not None:
            return newest
        rows = self._reader().execute(
            "SELECT seq, kind, node, device, birth, time_ms, body, crc FROM records WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return [_record(*row) for row in rows]

    def deliveries(self, after: int) -> Iterator[Record]:
        """Yield what came of notices, from the records after a cursor; they have an index of their own."""
        rows = self._reader().execute(
            "SELECT seq, kind, node, device, birth, time_ms, body, crc FROM records "
            "WHERE seq > ? AND kind = 'delivery' ORDER BY seq",
            (after,),
        )
        return (record for row in rows if (record := _record(*row)).kind is RecordKind.DELIVERY)

    def wait(self, after: int, timeout: float) -> bool:
        """Sleep until a record newer than `after` is on disk; False when the time ran out or somebody called `wake`."""
        with self._grown:
            woken = self._woken
            self._grown.wait_for(lambda: self._last > after or self._woken > woken or self._closed, timeout)
            return self._last > after

    def wake(self) -> None:
        """Wake every waiting reader, for example because the process stops."""
        with self._grown:
            self._woken += 1
            self._grown.notify_all()

    def seq_at(self, time_ms: int) -> int:
        """Return the newest record that had arrived by a time; 0 where none had. Arrivals ascend; clocks may be set."""
        reader, low, high = self._reader(), self.first_seq - 1, self._last
        while low < high:
            middle = (low + high + 1) // 2
            row = reader.execute("SELECT time_ms FROM records WHERE seq = ?", (middle,)).fetchone()
            low, high = (middle, high) if row is not None and row[0] <= time_ms else (low, middle - 1)
        return max(0, low)

    def birth(self, identity: int) -> Birth:
        """Return a birth as it was stored, payload and description included."""
        row = self._reader().execute("SELECT * FROM births WHERE id = ?", (identity,)).fetchone()
        return birth_of(row)

    def _birth(self, identity: int) -> Sequence[object]:
        row: Sequence[object] = self._reader().execute(STORED, (identity,)).fetchone()
        return row

    def description(self, identity: int) -> str:
        """Return what a birth said of its device, JSON."""
        row = self._reader().execute("SELECT description FROM births WHERE id = ?", (identity,)).fetchone()
        return str(row[0])

    def latest_descriptions(self, node: str | None = None, device: str | None = None) -> dict[tuple[str, str], str]:
        """Return what each (node, device) said of itself last, JSON; of all, or of those named."""
        rows = self._reader().execute(
            "SELECT node, device, description, max(id) FROM births "
            "WHERE (? IS NULL OR node = ?) AND (? IS NULL OR device = ?) GROUP BY node, device",
            (node, node, device, device),
        )
        return {(node, device): description for node, device, description, _ in rows}

    def confirmed(self) -> list[Confirmed]:
        """Return the settled record numbers of every node and journal epoch."""
        rows = self._reader().execute("SELECT node, epoch, intervals, at_ms FROM confirmed ORDER BY node, at_ms")
        return [Confirmed(node, epoch, Intervals.parse(text), at_ms) for node, epoch, text, at_ms in rows]

    def holes(self, node: str | None = None) -> list[Hole]:
        """Return the named holes, of one node or of all."""
        rows = self._reader().execute(
            "SELECT node, epoch, first, last, journal_class, reason, first_ms, last_ms, count, at_ms FROM holes "
            "WHERE ? IS NULL OR node = ? ORDER BY first_ms",
            (node, node),
        )
        return [Hole(*row) for row in rows]

    def quarantined(self, limit: int = 100) -> list[Quarantined]:
        """Return the newest payloads that could not be read, newest first."""
        rows = self._reader().execute(
            "SELECT at_ms, node, topic, reason, payload FROM quarantine ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [Quarantined(*row) for row in rows]

    def nodes(self) -> list[str]:
        """Return every edge node that was ever born here, as ``group/node``."""
        return [row[0] for row in self._reader().execute("SELECT DISTINCT node FROM births ORDER BY node")]

    def size_bytes(self) -> int:
        """Return the bytes records occupy, free pages not counted."""
        reader = self._reader()
        pages = _scalar(reader, "PRAGMA page_count") - _scalar(reader, "PRAGMA freelist_count")
        return pages * _scalar(reader, "PRAGMA page_size")

    def trim(self, below: int, older_than_ms: int, keep_bytes: int, most: int = 20_000) -> int:
        """Remove records every reader is through with, when too old or too many; return how many.

        Nothing at or above `below` goes, whatever its age: a cursor or a snapshot still needs it. The newest record
        always stays. At most `most` rows go at once, so that appending never waits long.
        """
        crowded = self.size_bytes() > keep_bytes
        with self._write_lock, _Transaction(self._writer) as connection:
            gone = connection.execute(
                "DELETE FROM records WHERE seq IN (SELECT seq FROM records WHERE seq < ? AND (? OR time_ms < ?) "
                "ORDER BY seq LIMIT ?)",
                (min(below, self._last), crowded, older_than_ms, most),
            )
            self._tail.forget(_scalar(connection, "SELECT coalesce(min(seq), 0) FROM records"))
            return gone.rowcount

    def close(self) -> None:
        """Close every connection; waiting readers return."""
        self._closed = True
        self.wake()
        with self._write_lock, self._readers.lock:
            for connection in (*self._readers.opened, self._writer):
                connection.close()
            self._readers.opened.clear()

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._readers.local, "connection", None)
        if connection is None:
            connection = _connect(self.path, self._looking)
            self._readers.local.connection = connection
            with self._readers.lock:
                self._readers.opened.append(connection)
        return connection


def _connect(path: Path, looking: bool = False) -> sqlite3.Connection:
    """Return a connection that closes from any thread; FULL makes a commit wait for the disk itself."""
    name = f"file:{quote(str(path))}" + ("?mode=ro" if looking else "")
    connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=30.0, uri=True)
    if looking:
        return connection
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


class _Transaction:
    """One write transaction: committed at the end, rolled back on any exception."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


_KINDS = {str(kind): kind for kind in RecordKind}
"""The kinds by their words: a look-up takes a quarter of what an enum's own takes."""


def _row(seq: int, record: NewRecord) -> tuple[int, str, str, str, int, int, bytes, int]:
    crc = _crc(record.kind, record.node, record.device, record.birth, record.time_ms, record.body)
    return seq, record.kind, record.node, record.device, record.birth, record.time_ms, record.body, crc


def _as_read(record: NewRecord) -> tuple[RecordKind, str, str, int, int, bytes]:
    return record.kind, record.node, record.device, record.birth, record.time_ms, record.body


def _record(seq: int, kind: str, node: str, device: str, birth: int, time_ms: int, body: bytes, crc: int) -> Record:
    sound = crc == _crc(kind, node, device, birth, time_ms, body)
    return Record(seq, _KINDS[kind] if sound else RecordKind.DAMAGED, node, device, birth, time_ms, body)


def _crc(kind: str, node: str, device: str, birth: int, time_ms: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{kind}|{node}|{device}|{birth}|{time_ms}".encode()))


def _scalar(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
