"""Snapshots of the numeric state: engine and newest values after one record of the log. Arrays and bytes, no pickle."""

import io
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from davylamp_alarms.snapshot import VERSION
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, func, select

from davylamp_cloud.store import schema

Snapshot = dict[str, NDArray[Any] | bytes]

KEPT = 2
HOUR_MS = 3_600_000
FASTEST = 1
"""Level of compression; higher ones take longer than the disk for what they save."""

BYTES = "bytes:"
"""Before the name of what went in as bytes and not as an array."""


def write_snapshot(connection: Connection, seq: int, at_ms: int, body: bytes, keep_ms: int = 0) -> None:
    """Store a packed snapshot; keep the newest ones, and of each hour the first, for as long as is asked.

    A start needs the newest. The hours' are for whoever asks later why something alarmed, or did not.
    """
    table = schema.SNAPSHOTS
    connection.execute(delete(table).where(table.c.seq == seq))
    row = {"seq": seq, "engine_version": VERSION, "at_ms": at_ms, "body": body}
    connection.execute(table.insert(), row)
    newest = select(table.c.seq).order_by(table.c.seq.desc()).limit(KEPT)
    hourly = select(func.min(table.c.seq)).where(table.c.at_ms > at_ms - keep_ms).group_by(table.c.at_ms // HOUR_MS)
    kept = set(connection.execute(newest).scalars()) | set(connection.execute(hourly).scalars())
    connection.execute(delete(table).where(table.c.seq.not_in(sorted(kept))))


def load_snapshot(connection: Connection, upto: int) -> tuple[int, Snapshot] | None:
    """Return the newest stored snapshot this version can read and its record, none newer than the record `upto`."""
    table = schema.SNAPSHOTS
    query = select(table).where(table.c.seq <= upto, table.c.engine_version == VERSION).order_by(table.c.seq.desc())
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else (row["seq"], unpacked(row["body"]))


def oldest_snapshot(connection: Connection) -> int:
    """Return the record the older of the newest snapshots was taken after; 0 where there is none.

    The log is kept for these alone: what hours left behind never makes it longer.
    """
    table = schema.SNAPSHOTS
    newest = connection.execute(select(table.c.seq).order_by(table.c.seq.desc()).limit(KEPT)).scalars().all()
    return int(newest[-1]) if newest else 0


def oldest_between(connection: Connection, after: int) -> tuple[int, int] | None:
    """Return record and time of the oldest snapshot from which the log can be replayed that is kept after a record."""
    table = schema.SNAPSHOTS
    query = select(table.c.seq, table.c.at_ms).where(table.c.seq >= after, table.c.engine_version == VERSION)
    row = connection.execute(query.order_by(table.c.seq).limit(1)).first()
    return None if row is None else (int(row[0]), int(row[1]))


def packed(snapshot: Mapping[str, NDArray[Any] | bytes]) -> bytes:
    """Return a snapshot as one NumPy archive, pressed: the columns of many tags repeat themselves."""
    out = io.BytesIO()
    arrays = {
        (BYTES + name if isinstance(value, bytes) else name): (
            np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
        )
        for name, value in snapshot.items()
    }
    np.savez(out, allow_pickle=False, **arrays)
    return zlib.compress(out.getbuffer(), FASTEST)


def unpacked(body: bytes) -> Snapshot:
    """Return what `packed` was given."""
    with np.load(io.BytesIO(zlib.decompress(body)), allow_pickle=False) as archive:
        return {
            name.removeprefix(BYTES): archive[name].tobytes() if name.startswith(BYTES) else archive[name]
            for name in archive.files
        }
