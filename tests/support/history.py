"""Rows, births and real stores for the historian tests."""

import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import FOREVER_MS, Historian, Rows, Series, open_historian
from davylamp_cloud.tags import BirthBook

MIDNIGHT_MS = 1_700_006_400_000
"""2023-11-15T00:00:00Z."""

DOUBLE = 10
FIRST_ALIAS = 16_384


def book(points: Sequence[str] = ("det_1", "det_2", "det_3", "batch"), devices: int = 2) -> BirthBook:
    """Return a book of births 1, 2, …: devices store-1, store-2, … of one edge, each with the points."""
    births = BirthBook()
    for number in range(1, devices + 1):
        introduce(births, f"store-{number}", points, profile="cl2-store", hazard_source=f"cl2-{number}")
    return births


def introduce(births: BirthBook, device: str, points: Sequence[str], profile: str, hazard_source: str) -> int:
    """Add a device's birth to a book and return its id."""
    count = len(births)
    metrics = [
        (FIRST_ALIAS + count + at, point, f"park/edge-1/{device}/{point}", DOUBLE) for at, point in enumerate(points)
    ]
    described = f'{{"profile":"{profile}","hazard_source":"{hazard_source}"}}'
    digest = uuid.uuid4().hex
    return births.introduce("park/edge-1", device, digest, b"", described, metrics, MIDNIGHT_MS).id


Reading = tuple[int, int, int, float, int]
"""seq, tag, time_ms, value, quality."""


def rows(
    readings: Sequence[Reading], texts: Mapping[int, str] | None = None, births: Mapping[int, int] | None = None
) -> Rows:
    """Return readings as rows. Tags 0..3 belong to birth 1, 4..7 to birth 2, unless `births` says otherwise."""
    seqs, tags, times, values, qualities = zip(*readings, strict=True) if readings else ((), (), (), (), ())
    said = births or {}
    return Rows(
        np.array(seqs, np.int64),
        np.array(tags, np.int32),
        np.array(times, np.int64),
        np.array(values, np.float64),
        np.array(qualities, np.uint16),
        np.array([said.get(tag, 1 + tag // 4) for tag in tags], np.int32),
        np.array(seqs, np.int64),
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
    births: BirthBook
    opened: list[Historian] = field(default_factory=list)

    def open(self) -> Historian:
        """Open the store, closing it first where it is open."""
        self.close()
        self.opened.append(open_historian(self.config, self.data_dir, self.births))
        return self.opened[-1]

    def close(self) -> None:
        """Close what is open."""
        while self.opened:
            self.opened.pop().close()


def config_of(kind: str, url: Callable[[], str]) -> HistorianConfig:
    """Return the config of a fresh store; `url` is asked for InfluxDB only, which it starts."""
    if kind == "duckdb":
        return HistorianConfig(kind=kind)
    return HistorianConfig(kind=kind, url=url(), bucket=create_bucket(url()))
