"""The journal's SQLite file: how it is opened, its tables, its size, and what to do when the file itself is broken.

records  one row per device scan; class and number are indexed together, so "oldest of a class" is one seek
aliases  every Sparkplug alias ever given; none is ever given twice
meta     epoch, next record number, bdSeq, the cloud's latest confirmed set
damaged  rows whose checksum failed, set aside for a person to look at
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = 4096
FORMAT = "1"
INCREMENTAL = 2
"""As `PRAGMA auto_vacuum` answers."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS records(
  number INTEGER PRIMARY KEY, class INTEGER NOT NULL, device INTEGER NOT NULL,
  first_ms INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS records_class ON records(class);
CREATE TABLE IF NOT EXISTS aliases(
  alias INTEGER PRIMARY KEY, name TEXT NOT NULL, datatype INTEGER NOT NULL, UNIQUE(name, datatype));
CREATE TABLE IF NOT EXISTS devices(name TEXT PRIMARY KEY, description TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS damaged(number INTEGER PRIMARY KEY, class INTEGER, device INTEGER, first_ms INTEGER,
  crc INTEGER, body BLOB);
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""


DESCRIBE = "INSERT OR REPLACE INTO devices(name, description) VALUES(?, ?)"


class JournalBusy(Exception):
    """Another agent has this journal open; two would give the same record number twice."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How the journal's bytes are shared out between the file and its write-ahead log."""

    max_bytes: int

    @property
    def wal_pages(self) -> int:
        """Pages in the log after which it is folded into the file: 1/16 of the budget, 64 KiB to 2 MiB."""
        return min(max(self.max_bytes // 16, 64 * 1024), 2 * 1024 * 1024) // PAGE

    @property
    def batch_bytes(self) -> int:
        """Most bytes of bodies in one transaction, so that the log's end cannot run away."""
        return self.wal_pages * PAGE

    @property
    def file_pages(self) -> int:
        """Pages the file itself may have: what three log lengths (folded, batch, its b-tree) leave over."""
        return (self.max_bytes - 3 * self.wal_pages * PAGE - 2 * PAGE) // PAGE


def connect(path: Path, budget: Budget) -> sqlite3.Connection:
    """Return the open file, ours alone, durable at each commit.

    ``locking_mode=EXCLUSIVE`` keeps a second agent out and spares the shared-memory file; SIGKILL frees it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0, cached_statements=64)
    try:
        # First of all: whatever reads before it makes the shared-memory file, which a full disk refuses.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute(f"PRAGMA page_size={PAGE}")
        if db.execute("PRAGMA auto_vacuum").fetchone() != (INCREMENTAL,):  # to say it again would write
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA wal_autocheckpoint={budget.wal_pages}")
        db.execute(f"PRAGMA journal_size_limit={3 * budget.wal_pages * PAGE}")
        db.execute("PRAGMA cache_size=-4096")
        # Debian builds SQLite with secure_delete on, which writes zeros over every page an eviction frees.
        db.execute("PRAGMA secure_delete=OFF")
        db.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";"):
            db.execute(statement)
        db.execute("COMMIT")
    except sqlite3.OperationalError as error:
        db.close()
        if "locked" in str(error):
            raise JournalBusy(f"{path}: another process has this journal open; stop it first") from None
        raise
    except BaseException:
        db.close()
        raise
    return db


def reopened(path: Path) -> sqlite3.Connection:
    """Return a broken file as it is, ours alone: what can be done with it shows when it is done."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0, cached_statements=64)
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    return db


BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Primary result codes that say the file itself is unusable; every other one is the disk's refusal."""


def is_broken(error: sqlite3.Error) -> bool:
    """True where an error says that the file is damaged, not that the disk refuses."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in BROKEN


def used_pages(db: sqlite3.Connection) -> int:
    """Return the pages that hold something; freed ones are used again before the file grows."""
    total: int = db.execute("PRAGMA page_count").fetchone()[0]
    free: int = db.execute("PRAGMA freelist_count").fetchone()[0]
    return total - free


def pages_for(sizes: Iterable[int]) -> int:
    """Return the pages that bodies of these sizes take, generously.

    A body beyond a leaf keeps 489 bytes or less there and 4092 in each overflow page; 48 bytes cover the row's other
    columns and its index entry. Source: SQLite file format, 1.6.
    """
    leaf_bytes = overflow = 0
    for size in sizes:
        spilled = max(size - 489, 0) if size > PAGE - 100 else 0
        leaf_bytes += size - spilled + 48
        overflow += -(-spilled // (PAGE - 4))
    return overflow + leaf_bytes * 5 // (PAGE * 4) + 6


def bytes_on_disk(path: Path) -> int:
    """Return what the journal takes on disk now, its log included."""
    return sum(_size(Path(f"{path}{suffix}")) for suffix in ("", "-wal", "-shm", ".mark"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read_meta(db: sqlite3.Connection) -> dict[str, str | int]:
    """Return all of meta."""
    return dict(db.execute("SELECT name, value FROM meta"))


def write_meta(db: sqlite3.Connection, name: str, value: str | int) -> None:
    """Set one entry of meta."""
    db.execute("INSERT INTO meta VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value", (name, value))
