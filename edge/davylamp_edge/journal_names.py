"""What the journal keeps besides records: aliases, what devices are called, bdSeq, and texts for the next start."""

import itertools
import sqlite3
from collections.abc import Container, Sequence
from functools import partial

from davylamp_wire.payload import RECORD, SparkplugType

from davylamp_edge import database
from davylamp_edge.journal_file import JournalFile
from davylamp_edge.names import NAME, name_of

DESCRIBED = "SELECT description FROM devices WHERE name = ?"
OF_DEVICE = "SELECT 1 FROM records WHERE device = ? AND number BETWEEN ? AND ? LIMIT 1"


class JournalNames(JournalFile):
    """An open journal file that gives names, each once."""

    def alias(self, device: str, metric: str, datatype: int) -> int:
        """Return the alias of a device's metric, or of the node's own (device `NODE`); given once, kept for ever.

        A metric whose datatype changes gets another alias, so that old records keep their meaning.
        """
        return self.aliases(device, [(metric, datatype)])[0]

    def aliases(self, device: str, metrics: Sequence[tuple[str, int]]) -> list[int]:
        """Return the aliases of a device's metrics, name and datatype each, in one transaction.

        While the disk refuses, new ones are given in memory and written with the next records it takes: an edge that
        is started on a full disk must see its new points all the same.
        """
        keys = [(name_of(device, metric), datatype) for metric, datatype in metrics]
        with self._lock:
            known = self._names.aliases
            fresh = [key for key in dict.fromkeys(keys) if key not in known]
            if fresh:
                first = max(self._names.next_alias, self._first_alias)
                given = dict(zip(fresh, itertools.count(first), strict=False))
                self._unnamed |= given
                try:
                    self._in_transaction(self._names_to_write())
                    self._unnamed.clear()
                except sqlite3.OperationalError as error:
                    self._refused(error)
                known.update(given)
            return [known[key] for key in keys]

    def _names_to_write(self) -> tuple[str, Sequence[tuple[object, ...]]]:
        return NAME, [(alias, *key) for key, alias in self._unnamed.items()]

    def record_alias(self, device: str) -> int:
        """Return the alias of a device's record metric; it also stands for the device in the rows."""
        alias = self.alias(device, RECORD, SparkplugType.UINT64)
        self._device_of[alias] = device
        return alias

    def aliases_of(self, device: str) -> list[tuple[str, int, int]]:
        """Return every metric a device ever had: name, datatype, alias, oldest first."""
        start = name_of(device, "")
        with self._lock:
            had = [(name, kind, alias) for (name, kind), alias in self._names.aliases.items() if name.startswith(start)]
        return [(name.removeprefix(start), kind, alias) for name, kind, alias in sorted(had, key=lambda item: item[2])]

    def describe(self, device: str, description: str) -> None:
        """Keep what a birth says about a device, for the day it is taken out of the config."""
        with self._lock:
            self._mended(lambda: self._describe(device, description))

    def _describe(self, device: str, description: str) -> None:
        if self._db.execute(DESCRIBED, (device,)).fetchone() == (description,):
            return
        try:
            self._db.execute(database.DESCRIBE, (device, description))
        except sqlite3.OperationalError as error:
            self._refused(error)  # a full disk keeps no device from being read; each start says it again

    def former_devices(self, installed: Container[str]) -> dict[str, str]:
        """Return devices that are described, not installed and not without unconfirmed records, with descriptions."""
        with self._lock:
            described = self._mended(lambda: dict(self._db.execute("SELECT name, description FROM devices")))
            former = {name: text for name, text in described.items() if name not in installed}
            return {name: text for name, text in former.items() if self._mended(partial(self._has_unconfirmed, name))}

    def _has_unconfirmed(self, device: str) -> bool:
        alias = self.record_alias(device)
        missing = self._names.confirmed.missing(1, self.last_record)
        return any(self._db.execute(OF_DEVICE, (alias, first, last)).fetchone() for first, last in missing)

    def next_bd_seq(self) -> int:
        """Return the bdSeq of the next CONNECT, 0 to 255, kept over restarts (Sparkplug 3.0, 4.3)."""
        with self._lock:
            self._names.bd_seq = (self._names.bd_seq + 1) % 256
            try:
                database.write_meta(self._db, "bd_seq", self._names.bd_seq)
            except sqlite3.DatabaseError as error:
                self._refused(error)
            return self._names.bd_seq

    def kept(self, name: str) -> str:
        """Return a text that was kept under a name; empty where there is none."""
        with self._lock:
            return str(self._mended(lambda: database.read_meta(self._db)).get(name, ""))

    def kept_under(self, start: str) -> dict[str, str]:
        """Return every text that was kept under a name with this beginning, by the rest of its name."""
        with self._lock:
            meta = self._mended(lambda: database.read_meta(self._db))
        return {name.removeprefix(start): str(text) for name, text in meta.items() if name.startswith(start)}

    def keep(self, name: str, text: str) -> None:
        """Keep a text for the next start; a disk that refuses says so, and the text is lost with this process."""
        with self._lock:
            try:
                database.write_meta(self._db, name, text)
            except sqlite3.DatabaseError as error:
                self._refused(error)
