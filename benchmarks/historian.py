"""The historians: DuckDB in commits of one second's readings, InfluxDB beside its own raw line-protocol rate."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import urllib3
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import Historian, Rows
from davylamp_cloud.historian.duckdb import DuckDbHistorian
from davylamp_cloud.historian.influx import InfluxHistorian
from davylamp_cloud.historian.influx_lines import lines_of
from davylamp_cloud.tags import Birth
from support.services import influx

from benchmarks.report import Report, at_least, at_most

DEVICES, POINTS = 1000, 100
START_MS = 1_700_000_000_000
SECONDS = 20
INFLUX_SECONDS = 4


def run() -> Report:
    """Measure both stores with the same readings: 100,000 tags at 1 Hz, values with two decimals."""
    report = Report("historian")
    plant = Plant()
    with tempfile.TemporaryDirectory() as name:
        _duckdb(report, plant, Path(name))
    if shutil.which("influxd"):
        with tempfile.TemporaryDirectory() as name:
            _influx(report, plant, Path(name))
    else:
        report.notes.append("InfluxDB is not installed: apt-get install influxdb nginx-light")
    return report


class Plant:
    """A thousand devices with a hundred points each: what the log would tell a store about them."""

    def tag_id(self, tag: int) -> str:
        """Return a tag's id."""
        return f"g/n/d{tag // POINTS}/p{tag % POINTS}"

    def birth(self, identity: int) -> Birth:
        """Return the birth of one device."""
        first = (identity - 1) * POINTS
        return Birth(
            id=identity,
            node="g/n",
            device=f"d{identity - 1}",
            digest=str(identity),
            payload=b"",
            description='{"profile": "bench", "hazard_source": "hs"}',
            aliases=tuple(range(16384, 16384 + POINTS)),
            indices=tuple(range(first, first + POINTS)),
            names=tuple(f"p{point}" for point in range(POINTS)),
            types=(10,) * POINTS,
            at_ms=START_MS,
        )


def seconds(count: int) -> Iterator[Rows]:
    """Yield one second of readings after another."""
    random = np.random.default_rng(7)
    size = DEVICES * POINTS
    tags = np.arange(size, dtype=np.int32)
    births_of = np.repeat(np.arange(1, DEVICES + 1, dtype=np.int32), POINTS)
    values = random.normal(50, 10, size)
    good = np.zeros(size, np.uint16)
    for second in range(count):
        values = values + random.normal(0, 0.1, size)
        seqs = np.repeat(np.arange(DEVICES, dtype=np.int64) + second * DEVICES + 1, POINTS)
        times = np.full(size, START_MS + second * 1000, np.int64)
        yield Rows(seqs, tags, times, np.round(values, 2), good, births_of, seqs)


def _write(store: Historian, count: int) -> float:
    """Return readings written a second of writing; making them is not counted."""
    spent = 0.0
    for rows in seconds(count):
        began = time.perf_counter()
        store.write(rows, int(rows.seqs[-1]))
        spent += time.perf_counter() - began
    return count * DEVICES * POINTS / spent


def _duckdb(report: Report, plant: Plant, folder: Path) -> None:
    store = DuckDbHistorian.open(HistorianConfig(), folder, plant)
    rate = _write(store, SECONDS)
    began = time.perf_counter()
    series = store.read(DEVICES * POINTS // 2, START_MS, START_MS + 3_600_000)
    read_ms = (time.perf_counter() - began) * 1000
    assert len(series) == SECONDS
    store.close()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    report.add(at_least("DuckDB, 1 s commits", rate, "readings/s", 3_000_000))
    report.add(at_most("DuckDB, on disk", size / (SECONDS * DEVICES * POINTS), "B a reading", 2.7))
    report.add(at_most("DuckDB, one tag's last hour", read_ms, "ms", 50))


def _influx(report: Report, plant: Plant, folder: Path) -> None:
    with influx(folder) as running:
        pool = urllib3.PoolManager()
        for name in ("raw", "ours"):
            pool.request("POST", f"{running.url}/query", fields={"q": f"CREATE DATABASE {name}"})
        raw = _raw_rate(pool, f"http://127.0.0.1:{running.http}", folder)
        store = InfluxHistorian.open(HistorianConfig(kind="influxdb", url=running.url, bucket="ours"), folder, plant)
        rate = _write(store, INFLUX_SECONDS)
        store.close()
        pool.clear()
    report.add(at_least("InfluxDB 1.6.7, ours", rate, "readings/s", 0.8 * raw))
    report.notes.append(f"InfluxDB's own rate for the same prepared lines, /write without us: {raw:,.0f} readings/s")


def _raw_rate(pool: urllib3.PoolManager, url: str, folder: Path) -> float:
    """Return what the store takes when the very same lines are ready before the clock starts."""
    prefixes = {at + 1: f"bench,device=d{at},group=g,hazard_source=hs,node=n " for at in range(DEVICES)}
    fields = {at: f"p{at % POINTS}" for at in range(DEVICES * POINTS)}
    spent = 0.0
    for rows in seconds(INFLUX_SECONDS):
        lines = lines_of(rows, prefixes, fields)
        bodies = ["\n".join(lines[at : at + 500]).encode() for at in range(0, len(lines), 500)]
        began = time.perf_counter()
        for body in bodies:
            answer = pool.request("POST", f"{url}/write?db=raw", body=body)
            assert answer.status == 204, answer.data
        spent += time.perf_counter() - began
    return INFLUX_SECONDS * DEVICES * POINTS / spent
