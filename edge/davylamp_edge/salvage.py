"""What can still be read from a journal file that SQLite calls broken, and the new file made from it.

The broken file stays in its place until the new one is whole and on disk: a process that is killed in between begins
again, and a disk that is full costs nothing that was there::

    journal.db (broken) ─ copied to ─► journal.db.rebuilding ─► journal.db.rebuilt ─► journal.db
"""

import json
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

from davylamp_wire.intervals import Intervals

from davylamp_edge.database import DESCRIBE, Budget, connect, read_meta, write_meta
from davylamp_edge.names import Names, new_names, read_names, write_names
from davylamp_edge.records import JournalClass, Row
from davylamp_edge.rows import BACKWARDS, REPLACE, is_sound, lowest_number
from davylamp_edge.spare import Loss

DESCRIBED = "SELECT name, description FROM devices"

T = TypeVar("T")

LOSS = "loss"
"""What a rebuild has lost, kept in meta until a hole tells of it."""

STRIDE = 64
"""Rows read together; where reads fail, this many numbers are passed over."""

PATIENCE = 20_000
"""Reads in vain after which the rest is given up."""

CONFIRMED_S = 10.0
"""How long confirmed records may keep a rebuild from its end: the cloud has them."""

Moved = Callable[[], None]
"""Called whenever a stride is done, so that whoever watches sees that the rebuild moves."""


def rebuild(
    path: Path, budget: Budget, now_ms: int, known: Names | None, held: Intervals, moved: Moved
) -> sqlite3.Connection:
    """Replace a broken file by a new one with what it still gives; return it open. Its meta says what is lost.

    `known` is what a running agent still knows, and `held` are records it has in memory alone. Without names, and with
    meta unreadable, the journal begins a new epoch: numbers of unknown standing must not be sent again under the old.

    Raises: OSError, sqlite3.Error where the disk takes no new file; the broken one is as it was.
    """
    making = _beside(path, "rebuilding")
    try:
        _make(making, path, budget, now_ms, known, held, moved)
    except BaseException:
        _remove(making)
        raise
    _settle(making)
    os.replace(making, _beside(path, "rebuilt"))
    _settle(path.parent)
    finish(path)
    return connect(path, budget)


def put_back(path: Path, db: sqlite3.Connection, budget: Budget, moved: Moved) -> sqlite3.Connection:
    """Write an open journal whose file was taken away into its place again; return it open.

    What lies there by now is kept beside it under another name.

    Raises: OSError, sqlite3.Error where the disk takes no new file; the open one is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    making = _beside(path, "rebuilding")
    _remove(making)
    with closing(sqlite3.connect(making, isolation_level=None)) as copy:
        db.backup(copy, pages=PATIENCE, progress=lambda *_: moved())
    _settle(making)
    if path.exists():
        os.replace(path, _beside(path, "other"))
    os.replace(making, _beside(path, "rebuilt"))
    _settle(path.parent)
    db.close()  # before the new one is opened: it takes the log that has its name away
    finish(path)
    return connect(path, budget)


def finish(path: Path) -> None:
    """Put a rebuilt file that is whole into its place, where a process was killed before it could."""
    rebuilt = _beside(path, "rebuilt")
    if rebuilt.exists():
        for part in ("-wal", "-shm"):
            Path(f"{path}{part}").unlink(missing_ok=True)
        os.replace(rebuilt, path)
        _settle(path.parent)


def loss_in(text: str) -> Loss:
    """Return what a rebuild has lost, as its meta says."""
    said = json.loads(text)
    return Loss(**{**said, "journal_class": JournalClass(said["journal_class"])})


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}.{what}")


def _remove(path: Path) -> None:
    for part in ("", "-wal", "-shm"):
        Path(f"{path}{part}").unlink(missing_ok=True)


def _settle(path: Path) -> None:
    """Have a file, or a folder's names, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(
    making: Path, broken: Path, budget: Budget, now_ms: int, known: Names | None, held: Intervals, moved: Moved
) -> None:
    _remove(making)
    with (
        closing(sqlite3.connect(broken, isolation_level=None, timeout=2.0)) as old,
        closing(connect(making, budget)) as new,
    ):
        new.execute("PRAGMA synchronous=OFF")  # until it is whole it is worth nothing
        names = known or _read_names(old)
        _in_transaction(new, lambda: write_names(new, names or new_names()))
        saved = _copy(old, new, names, moved) if names else Intervals()
        _in_transaction(new, lambda: _write_the_rest(old, new, _lost(names, saved.union(held), old, new, now_ms)))
        new.execute("PRAGMA synchronous=FULL")
        # Closing folds the log in as well, but says nothing where it could not.
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _in_transaction(db: sqlite3.Connection, work: Callable[[], object]) -> None:
    db.execute("BEGIN IMMEDIATE")
    work()
    db.execute("COMMIT")


def _write_the_rest(old: sqlite3.Connection, new: sqlite3.Connection, loss: Loss | None) -> None:
    """Write what is lost, and what can be read of texts that were kept and of devices that were described."""
    texts = _read(lambda: read_meta(old), dict[str, str | int]())
    for name in texts.keys() - read_meta(new).keys() - {LOSS}:
        write_meta(new, name, texts[name])
    new.executemany(DESCRIBE, _read(lambda: old.execute(DESCRIBED).fetchall(), []))
    if loss is not None:
        write_meta(new, LOSS, json.dumps(asdict(loss)))


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, names: Names, moved: Moved) -> Intervals:
    """Copy every sound row that is not confirmed, and of the others the newest, as far as time allows.

    Nothing is journaled meanwhile, and so nothing is sent: raising must not wait for what the cloud has (SAFETY S1).
    """
    last = names.next_record - 1
    saved = Intervals()
    for low, high in names.confirmed.missing(1, last):
        saved |= _copied(old, new, low, high, moved)
    until_s = time.monotonic() + CONFIRMED_S
    for low, high in reversed(list(names.confirmed)):
        if time.monotonic() >= until_s:
            break
        _copied(old, new, low, min(high, last), moved, until_s)
    return saved


def _copied(
    old: sqlite3.Connection, new: sqlite3.Connection, low: int, high: int, moved: Moved, until_s: float = math.inf
) -> Intervals:
    """Copy the sound rows between two numbers, the newest first; return their numbers."""
    saved = Intervals()
    for rows in _strides(old, low, high):
        sound = [row for row in rows if is_sound(row)]
        _in_transaction(new, partial(new.executemany, REPLACE, sound))
        saved |= Intervals((row[0], row[0]) for row in sound)
        moved()
        if time.monotonic() >= until_s:
            break
    return saved


def _read_names(db: sqlite3.Connection) -> Names | None:
    return _read(lambda: read_names(db), None)


def _strides(db: sqlite3.Connection, low: int, high: int) -> Iterator[list[Row]]:
    """Yield the rows between two numbers, some at a time, the newest first."""
    in_vain = 0
    while high >= low and in_vain < PATIENCE:
        rows = _rows_below(db, low, high, STRIDE) or _rows_below(db, low, high, 1)
        yield rows
        in_vain += not rows
        high = rows[-1][0] - 1 if rows else high - STRIDE


def _rows_below(db: sqlite3.Connection, low: int, high: int, limit: int) -> list[Row]:
    return _read(lambda: db.execute(BACKWARDS, (low, high, limit)).fetchall(), [])


def _read(what: Callable[[], T], otherwise: T) -> T:
    """Return what a broken file still gives."""
    try:
        return what()
    except (sqlite3.DatabaseError, ValueError, KeyError):
        return otherwise


def _lost(
    names: Names | None, saved: Intervals, old: sqlite3.Connection, new: sqlite3.Connection, now_ms: int
) -> Loss | None:
    """Return the numbers that are neither confirmed nor saved, from the oldest one on.

    What lay before it may have been let go long ago. A new epoch has lost an unknown number: count 0, numbers 0.
    """
    if names is None:
        return Loss(JournalClass.LIVE, 0, 0, 0, now_ms, count=0)
    oldest = _read(lambda: lowest_number(old), None) or lowest_number(new) or 1
    gone = names.confirmed.union(saved).missing(oldest, names.next_record - 1)
    if not gone:
        return None
    first, last = next(iter(gone))[0], gone.highest or 0
    before = new.execute("SELECT max(first_ms) FROM records WHERE number < ?", (first,)).fetchone()[0]
    return Loss(JournalClass.LIVE, first, last, before or 0, now_ms, gone.count)
