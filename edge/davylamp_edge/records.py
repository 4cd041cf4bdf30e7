"""What the journal keeps: one record is one device's readings of one scan, of one class."""

import zlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum

NODE = ""
"""The device name under which the node's own metrics are kept; no slug is empty."""


class JournalClass(IntEnum):
    """What goes first when room is short: the lowest. Numbers are on disk: never renumber.

    ``CONFIRMED`` is never stored: a record is confirmed by lying in the cloud's latest set (SAFETY S27).
    """

    CONFIRMED = 0
    BULK = 1
    LIVE = 2
    EVENT = 3
    ALARM = 4
    HOLE = 5
    """What tells of a loss is never lost itself; old ones are merged instead."""

    @property
    def word(self) -> str:
        """The class as holes and counters name it."""
        return self.name.lower()


Row = tuple[int, int, int, int, int, bytes]
"""A row of the table of records: number, class, device, first_ms, crc, body."""

STORED = (JournalClass.BULK, JournalClass.LIVE, JournalClass.EVENT, JournalClass.ALARM)
"""The classes of readings, in the order in which they are let go."""


class LossReason(StrEnum):
    """Why readings became a hole."""

    EVICTED = "evicted"
    DAMAGED = "damaged"
    NOT_WRITTEN = "not-written"
    MEMORY_FULL = "memory-full"
    CRASH_WITHOUT_DISK = "crash-without-disk"
    JOURNAL_DAMAGED = "journal-damaged"


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to be: `body` is the metrics without the record metric; `first_ms` its oldest source time."""

    device: str
    journal_class: JournalClass
    body: bytes
    first_ms: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record with its number. `device` is a name, or `NODE`."""

    number: int
    device: str
    journal_class: JournalClass
    first_ms: int
    body: bytes

    @property
    def size(self) -> int:
        """Bytes it takes in memory, about."""
        return len(self.body) + 200


def checksum(number: int, journal_class: int, device: int, first_ms: int, body: bytes) -> int:
    """Return the CRC-32 of a row, over everything in it, so that no column can change unseen."""
    head = b"%d %d %d %d" % (number, journal_class, device, first_ms)
    return zlib.crc32(body, zlib.crc32(head))
