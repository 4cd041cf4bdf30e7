"""Time-series stores behind one contract.

```
log ══► feed (own cursor) ══► Historian.write(rows, cursor) ──► DuckDB day files | InfluxDB
                                                          API ◄── read, trend
```

A store keeps rows and cursor together where it can (DuckDB), and is idempotent where it cannot (InfluxDB): either
way a reading is stored once, whatever is killed when. A store is named by one line of `HISTORIANS` and must pass
`tests/cloud/historian/test_contract.py` (docs/how-to/historian.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from davylamp_wire.config import ConfigError
from numpy.typing import NDArray

from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.log import Log
from davylamp_cloud.tags import Birth

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Floats = NDArray[np.float64]
Codes = NDArray[np.uint16]

HISTORIANS = {
    "duckdb": "davylamp_cloud.historian.duckdb:DuckDbHistorian",
    "influxdb": "davylamp_cloud.historian.influx:InfluxHistorian",
}
"""Kind in the config -> class, imported on first use. Tests and sites may add to it."""

FOREVER_MS = 1 << 62
"""Later than every source time; ``read(tag, -FOREVER_MS, FOREVER_MS)`` is everything."""


class HistorianUnavailable(Exception):
    """The store does not answer or refuses for now: wait and write the same rows again. Nothing was confirmed."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Readings in log order, as parallel columns of equal length.

    `texts` holds, by position, the exact text of strings and of integers a float cannot hold; the value of a string
    is NaN. `births` names the device birth each row was read with. `marks` is the same number each time the same
    reading arrives (the edge's record number; the log's where the edge has none), so that two readings of one tag
    in the same millisecond stay two, and one reading that comes twice stays one.
    """

    seqs: Int64s
    tags: Int32s
    times_ms: Int64s
    values: Floats
    qualities: Codes
    births: Int32s
    marks: Int64s
    texts: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tags)

    def where(self, keep: NDArray[np.bool_]) -> "Rows":
        """Return the rows a mask keeps, in the same order."""
        if keep.all():
            return self
        places = np.cumsum(keep) - 1
        texts = {int(places[at]): text for at, text in self.texts.items() if keep[at]}
        return Rows(
            self.seqs[keep],
            self.tags[keep],
            self.times_ms[keep],
            self.values[keep],
            self.qualities[keep],
            self.births[keep],
            self.marks[keep],
            texts,
        )

    def between(self, start: int, end: int) -> "Rows":
        """Return the rows from one position up to another, without copying columns."""
        cut = slice(start, end)
        return Rows(
            self.seqs[cut],
            self.tags[cut],
            self.times_ms[cut],
            self.values[cut],
            self.qualities[cut],
            self.births[cut],
            self.marks[cut],
            {at - start: text for at, text in self.texts.items() if start <= at < end},
        )


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one tag, oldest first; of one millisecond in the order they were made.

    `truncated` says that the limit cut off later ones: read on from the last time.
    """

    times_ms: Int64s
    values: Floats
    qualities: Codes
    texts: Mapping[int, str]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.times_ms)


@dataclass(frozen=True, slots=True)
class Trend:
    """A tag in equal steps, only those that have readings.

    Lowest, highest, mean and count are over every finite number of the step, doubtful ones included, so that a spike
    with a doubtful quality is on the curve and not hidden from it; NaN where a step has no number. `doubtful` counts
    readings that were not good, or are neither finite number nor text.
    """

    times_ms: Int64s
    lows: Floats
    highs: Floats
    means: Floats
    counts: Int64s
    doubtful: Int64s


class Historian(Protocol):
    """A time-series store. One thread writes; any thread reads."""

    def write(self, rows: Rows, cursor: int) -> None:
        """Store rows and that everything up to the log number `cursor` is stored; durable on return.

        Rows this store already holds are not stored again. Raises HistorianUnavailable (nothing is lost: the caller
        writes the same rows again).
        """

    def cursor(self) -> int:
        """Return the log number up to which everything is stored; 0 for a new store."""

    def doubt(self, after: int, tags: int) -> None:
        """Hear at the start up to which number the log goes: one restored from a backup has lost the rest (SAFETY S27).

        The edges send those readings again, under new numbers: they must not be stored twice, and what does not come
        again must stay. The log knows `tags` tags; indices from there on may now be given to others.
        """

    def read(self, tag: int, from_ms: int, to_ms: int, limit: int | None = None) -> Series:
        """Return a tag's readings with from <= source time < to, oldest first, at most `limit`."""

    def trend(self, tag: int, from_ms: int, to_ms: int, step_ms: int = 60_000) -> Trend:
        """Return a tag in steps of `step_ms` for a curve; steps begin at whole multiples of it, UTC."""

    def count(self, tag: int) -> int:
        """Return how many readings of a tag are stored."""

    def expire(self, before_ms: int) -> int:
        """Remove what is older than the start of that UTC day, where the store does not do so itself."""

    def close(self) -> None:
        """Let go of files and connections."""


class Names(Protocol):
    """What a store may ask about tag indices and birth ids; the log answers (`Log.births`, `Log.birth`)."""

    def tag_id(self, tag: int) -> str:
        """Return a tag's id, ``group/node/device/point``."""

    def birth(self, identity: int) -> Birth:
        """Return a birth with its description."""


class HistorianClass(Protocol):
    """What a dotted path in `HISTORIANS` names."""

    def open(self, config: HistorianConfig, data_dir: Path, names: Names) -> Historian:
        """Open or create the store; raise ConfigError where a person must mend the config."""


class LogNames:
    """The log's answers, as soon as `log` is set.

    A store is opened before the log, which must not give numbers again that the store has (`Log(floor=…)`): until
    then it may be asked for its cursor alone.
    """

    def __init__(self, log: Log | None = None) -> None:
        self.log = log

    def tag_id(self, tag: int) -> str:
        """Return a tag's id."""
        return self._opened().births.tag_ids[tag]

    def birth(self, identity: int) -> Birth:
        """Return a birth as it was stored."""
        return self._opened().birth(identity)

    def _opened(self) -> Log:
        if self.log is None:
            raise LookupError("this store was opened without a log")
        return self.log


def open_historian(config: HistorianConfig, data_dir: Path, names: Names) -> Historian:
    """Return the store the config names."""
    return class_of(config.kind).open(config, data_dir, names)


def class_of(kind: str) -> HistorianClass:
    """Return the store of a kind; ConfigError where there is none."""
    try:
        module, name = HISTORIANS[kind].split(":")
    except KeyError:
        raise ConfigError([f"historian.kind: {kind} is not one of {', '.join(sorted(HISTORIANS))}"]) from None
    return cast(HistorianClass, getattr(import_module(module), name))


def history_folder(config: HistorianConfig, data_dir: Path) -> Path | None:
    """Return the folder a store keeps its files in; None where that is a server's affair."""
    folder = getattr(class_of(config.kind), "folder", None)
    return None if folder is None else cast(Path, folder(config, data_dir))
