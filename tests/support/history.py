"""Rows, births and real stores for the historian tests."""

import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from davylamp_cloud.beside import Beside
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import FOREVER_MS, Historian, LogNames, Rows, Series, open_historian
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.tags import Named, Said

MIDNIGHT_MS = 1_700_006_400_000
"""2023-11-15T00:00:00Z."""

DOUBLE = 10
"""Sparkplug datatype."""

FIRST_ALIAS = 16_384
POINTS = ("det_1", "det_2", "det_3", "batch")


def introduce(log: Log, device: str, points: Sequence[str], profile: str, hazard_source: str) -> int:
    """Write a device's birth into a log and return its id."""
    count = len(log.births)
    metrics = tuple(
        Named(FIRST_ALIAS + count + at, DOUBLE, point, f"park/edge-1/{device}/{point}")
        for at, point in enumerate(points)
    )
    described = f'{{"profile":"{profile}","hazard_source":"{hazard_source}"}}'
    said = Said("park/edge-1", device, True, described, metrics, uuid.uuid4().hex)
    birth = log.births.introduce(said, b"", MIDNIGHT_MS)
    log.append([NewRecord(RecordKind.BIRTH, b"", MIDNIGHT_MS, birth=birth.id)], Beside(births=[birth]))
    return birth.id


Reading = tuple[int, int, int, float, int]
"""seq, tag, time_ms, value, quality."""


def rows(
    readings: Sequence[Reading],
    texts: Mapping[int, str] | None = None,
    births: Mapping[int, int] | None = None,
    marks: Sequence[int] | None = None,
) -> Rows:
    """Return readings as rows. Tags 0..3 belong to birth 1, 4..7 to birth 2, unless `births` says otherwise.

    `marks` are the edge's record numbers, by default the log's.
    """
    seqs, tags, times, values, qualities = zip(*readings, strict=True) if readings else ((), (), (), (), ())
    said = births or {}
    return Rows(
        np.array(seqs, np.int64),
        np.array(tags, np.int32),
        np.array(times, np.int64),
        np.array(values, np.float64),
        np.array(qualities, np.uint16),
        np.array([said.get(tag, 1 + tag // 4) for tag in tags], np.int32),
        np.array(seqs if marks is None else marks, np.int64),
        dict(texts or {}),
    )


def everything(historian: Historian, tag: int) -> Series:
    """Return all readings of a tag."""
    return historian.read(tag, -FOREVER_MS, FOREVER_MS)


def bits(values: "np.typing.NDArray[np.float64]") -> list[int]:
    """Return floats as their bits, every NaN alike: what is not a number carries no value."""
    plain = np.where(np.isnan(values), np.nan, values)
    return [int(bit) for bit in plain.view(np.uint64)]


def create_bucket(url: str) -> str:
    """Create a database of its own in an InfluxDB 1.x and return its name."""
    name = f"test_{uuid.uuid4().hex}"
    query = urllib.parse.urlencode({"q": f"CREATE DATABASE {name}"}).encode()
    with urllib.request.urlopen(f"{url}/query", query, timeout=30) as answer:
        answer.read()
    return name


@dataclass(slots=True)
class Store:
    """A real store that a test may close and open again."""

    config: HistorianConfig
    data_dir: Path
    log: Log
    opened: list[Historian] = field(default_factory=list)

    @classmethod
    def fresh(cls, config: HistorianConfig, data_dir: Path) -> "Store":
        """Return a store whose log knows two devices, store-1 (tags 0..3) and store-2 (tags 4..7)."""
        store = cls(config, data_dir, Log(data_dir / "log.db"))
        for number in (1, 2):
            introduce(store.log, f"store-{number}", POINTS, profile="cl2-store", hazard_source=f"cl2-{number}")
        return store

    def open(self) -> Historian:
        """Open the store, closing it first where it is open."""
        self.close()
        self.opened.append(open_historian(self.config, self.data_dir, LogNames(self.log)))
        return self.opened[-1]

    def close(self) -> None:
        """Close what is open."""
        while self.opened:
            self.opened.pop().close()

    def end(self) -> None:
        """Close the store and its log."""
        self.close()
        self.log.close()


def config_of(kind: str, url: Callable[[], str]) -> HistorianConfig:
    """Return the config of a fresh store; `url` is asked for InfluxDB only, which it starts."""
    if kind == "duckdb":
        return HistorianConfig(kind=kind)
    return HistorianConfig(kind=kind, url=url(), bucket=create_bucket(url()))
