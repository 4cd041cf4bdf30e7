"""Which records are being tried, and how often one may fail before the rest goes on without it (SAFETY S14).

What is tried lies in a file mapped into memory: it outlives the process that a record kills (not the machine, which
no record can switch off) and costs no write to the disk. A slice that fails is taken again record by record, until
the one to blame has failed three times; then it is set aside by name.

```
begin(slice) ─► engine ─► done()          died or raised in between: failed() ─► careful ─► spent()
```
"""

import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from davylamp_alarms.transition import Refusal, Why

from davylamp_cloud.log import Record, RecordKind
from davylamp_cloud.work import Refused, Unreadable, Work

TRIES = 3
"""A fault of the moment (memory, a signal) must not cost a record, and a record must not cost the plant."""

FORM = struct.Struct("<qqqI")
"""First and last record being tried, how often they failed before, CRC of these three."""


LEFT_OUT = "left out unseen, too many of its source have failed"


@dataclass(frozen=True, slots=True)
class Suspects:
    """Records of which one has failed so many times; none where `failures` is 0."""

    first: int = 0
    last: int = 0
    failures: int = 0

    def among(self, first: int, last: int) -> bool:
        """Whether records lie wholly within."""
        return self.first <= first and last <= self.last


class Trying:
    """Remembers what is tried, over the end of the process, too."""

    def __init__(self, path: Path, position: int) -> None:
        """Find what was tried when the process ended last; `position` is up to where all is stored."""
        self._file = _mapped(path)
        found = _read(self._file)
        died = found.last > position
        self.suspects = Suspects(found.first, found.last, found.failures + 1) if died else Suspects()
        self._careful_until = self.suspects.last

    def careful(self, position: int) -> bool:
        """Whether what comes next is to be taken record by record."""
        return position < self._careful_until

    def begin(self, records: Sequence[Record]) -> None:
        """Take note before the engine sees records."""
        first, last = records[0].seq, records[-1].seq
        self._write(Suspects(first, last, self._failures(first, last)))

    def done(self) -> None:
        """The engine lived through them."""
        self._write(Suspects())

    def failed(self, records: Sequence[Record]) -> None:
        """Count a failure; the next tries are careful ones."""
        first, last = records[0].seq, records[-1].seq
        self.suspects = Suspects(first, last, self._failures(first, last) + 1)
        self._careful_until = max(self._careful_until, last)
        self._write(self.suspects)

    def spent(self, records: Sequence[Record]) -> bool:
        """Whether this is one record that had its tries."""
        seq = records[0].seq
        return len(records) == 1 and self._failures(seq, seq) >= TRIES

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _failures(self, first: int, last: int) -> int:
        return self.suspects.failures if self.suspects.among(first, last) else 0

    def _write(self, suspects: Suspects) -> None:
        said = (suspects.first, suspects.last, suspects.failures)
        self._file[: FORM.size] = FORM.pack(*said, _crc(*said))


def aside(record: Record, why: str) -> Work:
    """Return what setting a record aside leads to; whoever waits for a command hears that it was not done."""
    work = Work(record.seq, record.time_ms)
    work.set_aside.append(Unreadable(record.seq, record.time_ms, why))
    if record.kind is RecordKind.COMMAND:
        zh, en = "监测引擎处理此操作时出错，操作未执行", "the engine failed on this act; nothing was done"
        refusal = Refusal(record.seq, Why.ILLEGAL, zh, en)
        work.refused.append(Refused(record.seq, record.time_ms, "", str(record.kind), str(record.seq), refusal))
    return work


def left_out(records: Sequence[Record]) -> Work:
    """Return what leaving out readings of a source leads to that the engine fails on again and again (blame.py)."""
    work = Work(records[-1].seq, records[-1].time_ms)
    work.set_aside += [Unreadable(one.seq, one.time_ms, named(one, LEFT_OUT)) for one in records]
    return work


def named(record: Record, error: str) -> str:
    """Return which record failed, of what kind and whose, and how."""
    return f"record {record.seq} ({record.kind} of {record.node or 'the cloud'}): {error}"[:500]


def _mapped(path: Path) -> mmap.mmap:
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(number).st_size < FORM.size:
            os.ftruncate(number, mmap.PAGESIZE)
        return mmap.mmap(number, FORM.size)
    finally:
        os.close(number)


def _read(file: mmap.mmap) -> Suspects:
    """Return what is written; nothing where the process died while it wrote, for then no record was being tried."""
    first, last, failures, crc = FORM.unpack(file[: FORM.size])
    return Suspects(first, last, failures) if crc == _crc(first, last, failures) else Suspects()


def _crc(first: int, last: int, failures: int) -> int:
    return zlib.crc32(struct.pack("<qqq", first, last, failures))
