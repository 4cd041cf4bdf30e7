"""SIGKILL in the middle: of the process that writes DuckDB, and of InfluxDB itself."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import HistorianUnavailable
from davylamp_cloud.historian.duckdb import DuckDbHistorian
from support import writing
from support.history import MIDNIGHT_MS, Store, create_bucket, everything, rows
from support.services import Influx

CHILD = Path(writing.__file__)
T = MIDNIGHT_MS


def write_until_killed(folder: Path, batches: int) -> int:
    """Run the writing process, kill it after so many acknowledged batches, and return the last acknowledged one."""
    command = [sys.executable, str(CHILD), str(folder)]
    tests = str(CHILD.parent.parent)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": tests}) as child:
        assert child.stdout is not None
        for _ in range(batches):
            acknowledged = int(child.stdout.readline())
        child.kill()
        rest = child.stdout.read().split()
    return int(rest[-1]) if rest else acknowledged


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.torture)])
def test_s26_duckdb_killed_while_it_commits_over_two_days_loses_and_repeats_nothing(tmp_path: Path, kills: int) -> None:
    for kill in range(kills):
        acknowledged = write_until_killed(tmp_path, batches=5 + kill % 7)
        historian = DuckDbHistorian(tmp_path)
        stored = historian.cursor()
        assert stored >= acknowledged
        # One file may be ahead of the other: feeding the next batch again must complete it and repeat nothing.
        historian.write(writing.batch(stored + 1), stored + 1)
        found = everything(historian, 0).values.tolist()
        historian.close()
        assert sorted(found) == [float(n) for n in range(10, (stored + 2) * writing.PER_BATCH)]


@pytest.fixture
def store(influx: Influx, tmp_path: Path) -> Iterator[Store]:
    config = HistorianConfig(kind="influxdb", url=influx.url, bucket=create_bucket(influx.url))
    store = Store.fresh(config, tmp_path / "data")
    yield store
    store.end()


def test_s26_influxdb_killed_keeps_what_it_acknowledged_and_takes_the_rest_when_it_is_back(
    influx: Influx, store: Store
) -> None:
    historian = store.open()
    historian.write(rows([(n, 0, T + n, float(n), 0) for n in range(1, 500)]), 499)
    influx.kill_database()
    more = rows([(n, 0, T + n, float(n), 0) for n in range(500, 600)])
    with pytest.raises(HistorianUnavailable):
        historian.write(more, 599)
    assert store.open().cursor() == 499
    influx.start_database()
    store.open().write(more, 599)
    assert everything(store.open(), 0).values.tolist() == [float(n) for n in range(1, 600)]
