"""Names and numbers that outlive a restart: the epoch, record numbers, bdSeq, aliases. Held in memory, kept in meta."""

import secrets
import sqlite3
from dataclasses import dataclass, field

from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import FIRST_ALIAS, RECORD

from davylamp_edge.database import FORMAT, read_meta, write_meta


@dataclass(slots=True)
class Names:
    """What the journal must never give twice. `confirmed` is the cloud's latest set, the whole truth.

    `aliases` lie in the order in which they were given, the highest last.
    """

    epoch: str
    next_record: int
    bd_seq: int
    confirmed: Intervals
    aliases: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def next_alias(self) -> int:
        """The first alias never given."""
        return next(reversed(self.aliases.values()), FIRST_ALIAS - 1) + 1

    def devices(self) -> dict[int, str]:
        """Return the device behind each alias of a record metric."""
        end = name_of("", RECORD)
        return {alias: name.removesuffix(end) for (name, _), alias in self.aliases.items() if name.endswith(end)}


def new_names() -> Names:
    """Return the names of a journal that begins."""
    return Names(secrets.token_hex(8), 1, 255, Intervals())


NAME = "INSERT INTO aliases(alias, name, datatype) VALUES(?, ?, ?)"
IN_ORDER = "SELECT alias, name, datatype FROM aliases ORDER BY alias"


def read_names(db: sqlite3.Connection) -> Names | None:
    """Return what a file knows, or None where it is new."""
    meta = read_meta(db)
    if "epoch" not in meta:
        return None
    aliases = {(name, datatype): alias for alias, name, datatype in db.execute(IN_ORDER)}
    confirmed = Intervals.parse(str(meta["confirmed"]))
    return Names(str(meta["epoch"]), int(meta["next_record"]), int(meta["bd_seq"]), confirmed, aliases)


def write_names(db: sqlite3.Connection, names: Names) -> None:
    """Write all of it into a new file, in the caller's transaction."""
    write_meta(db, "format", FORMAT)
    write_meta(db, "epoch", names.epoch)
    write_meta(db, "next_record", names.next_record)
    write_meta(db, "bd_seq", names.bd_seq)
    write_meta(db, "confirmed", str(names.confirmed))
    rows = [(alias, name, datatype) for (name, datatype), alias in names.aliases.items()]
    db.executemany(NAME, rows)


def name_of(device: str, metric: str) -> str:
    """Return the key of a metric's alias; the node's own begin with a slash, which no device does."""
    return f"{device}/{metric}"
