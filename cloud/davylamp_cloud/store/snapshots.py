"""Snapshots of the numeric state: engine and newest values after one record of the log. Arrays and bytes, no pickle."""

import io
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from davylamp_alarms.snapshot import VERSION
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, select

from davylamp_cloud.store import schema

Snapshot = dict[str, NDArray[Any] | bytes]

KEPT = 2
FASTEST = 1
"""Level of compression; higher ones take longer than the disk for what they save."""

BYTES = "bytes:"
"""Before the name of what went in as bytes and not as an array."""


def write_snapshot(connection: Connection, seq: int, at_ms: int, body: bytes) -> None:
    """Store a packed snapshot and forget all but the newest ones."""
    table = schema.SNAPSHOTS
    connection.execute(delete(table).where(table.c.seq == seq))
    row = {"seq": seq, "engine_version": VERSION, "at_ms": at_ms, "body": body}
    connection.execute(table.insert(), row)
    newest = select(table.c.seq).order_by(table.c.seq.desc()).limit(KEPT)
    connection.execute(delete(table).where(table.c.seq.not_in(newest.scalar_subquery())))


def load_snapshot(connection: Connection, upto: int) -> tuple[int, Snapshot] | None:
    """Return the newest stored snapshot this version can read and its record, none newer than the record `upto`."""
    table = schema.SNAPSHOTS
    query = select(table).where(table.c.seq <= upto, table.c.engine_version == VERSION).order_by(table.c.seq.desc())
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else (row["seq"], unpacked(row["body"]))


def oldest_snapshot(connection: Connection) -> int:
    """Return the record the oldest kept snapshot was taken after; 0 where there is none."""
    found = connection.execute(select(schema.SNAPSHOTS.c.seq).order_by(schema.SNAPSHOTS.c.seq).limit(1)).scalar()
    return int(found or 0)


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
