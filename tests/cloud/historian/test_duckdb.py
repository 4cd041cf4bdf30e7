"""What is special to DuckDB: day files, retention, a disk that is full, readers beside the writer."""

import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from davylamp_cloud.historian import HistorianUnavailable, Rows
from davylamp_cloud.historian.days import ATTACHED, LAST_DAY, day_of
from davylamp_cloud.historian.duckdb import DuckDbHistorian
from support import writing
from support.history import MIDNIGHT_MS, everything, rows

T = MIDNIGHT_MS
DAY = 86_400_000


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[DuckDbHistorian]:
    historian = DuckDbHistorian(tmp_path)
    yield historian
    historian.close()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.duckdb"))


def test_there_is_a_file_per_utc_day_of_source_time(historian: DuckDbHistorian, tmp_path: Path) -> None:
    historian.write(rows([(1, 0, T - 1, 1.0, 0), (1, 0, T, 2.0, 0), (1, 0, T + DAY, 3.0, 0)]), 1)
    assert files(tmp_path) == ["2023-11-14.duckdb", "2023-11-15.duckdb", "2023-11-16.duckdb"]


def test_wild_clocks_are_kept_in_the_first_and_last_day_there_is(historian: DuckDbHistorian, tmp_path: Path) -> None:
    historian.write(rows([(1, 0, -(1 << 60), 1.0, 0), (1, 0, 1 << 60, 2.0, 0), (1, 0, T, 3.0, 0)]), 1)
    assert files(tmp_path) == ["1970-01-01.duckdb", "2023-11-15.duckdb", "9999-12-31.duckdb"]
    assert everything(historian, 0).values.tolist() == [1.0, 3.0, 2.0]
    assert day_of(1 << 60) == LAST_DAY


def test_a_year_of_days_is_written_and_read_with_few_files_open(historian: DuckDbHistorian) -> None:
    days = 5 * ATTACHED
    historian.write(rows([(1, 0, T + n * DAY, float(n), 0) for n in range(days)]), 1)
    assert everything(historian, 0).values.tolist() == [float(n) for n in range(days)]
    assert len(historian._files._attached) <= ATTACHED


def test_retention_unlinks_files_and_keeps_the_cursor(tmp_path: Path) -> None:
    historian = DuckDbHistorian(tmp_path)
    historian.write(rows([(n, 0, T + n * DAY, float(n), 0) for n in range(4)]), 4)
    assert historian.expire(T + 2 * DAY + 5) == 2
    assert files(tmp_path) == ["2023-11-17.duckdb", "2023-11-18.duckdb"]
    assert historian.expire(T + 99 * DAY) == 1
    assert everything(historian, 0).values.tolist() == [3.0]
    historian.close()
    again = DuckDbHistorian(tmp_path)
    assert again.cursor() == 4
    again.close()


def test_a_backlog_of_yesterday_alone_moves_the_cursor(tmp_path: Path) -> None:
    historian = DuckDbHistorian(tmp_path)
    historian.write(rows([(1, 0, T, 1.0, 0)]), 1)
    historian.write(rows([(2, 0, T - DAY, 2.0, 0)]), 2)
    historian.close()
    again = DuckDbHistorian(tmp_path)
    assert again.cursor() == 2
    again.close()


def test_reading_beside_writing_sees_whole_batches(historian: DuckDbHistorian) -> None:
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(len(everything(historian, 0)))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(1, 40):
        historian.write(rows([(number, 0, T + number * 10 + n, 1.0, 0) for n in range(10)]), number)
    done.set()
    thread.join()
    assert seen == sorted(seen)
    assert all(count % 10 == 0 for count in seen)


def test_days_that_are_over_are_folded_in_and_closed_once_nobody_reads_them(tmp_path: Path) -> None:
    historian = DuckDbHistorian(tmp_path)
    historian.write(rows([(1, 0, T + n * DAY, float(n), 0) for n in range(3)]), 1)
    oldest, _, newest = historian._files.present()
    assert len(list(tmp_path.glob("*.wal"))) == 3
    with historian._files.attached([oldest]):
        historian.expire(0)
        assert historian._files._attached.keys() == {oldest, newest}
    assert [path.name for path in tmp_path.glob("*.wal")] == ["2023-11-17.duckdb.wal"]
    historian.expire(0)
    assert historian._files._attached.keys() == {newest}
    historian.write(rows([(2, 0, T + 1, 9.0, 0)]), 2)
    assert everything(historian, 0).values.tolist() == [0.0, 9.0, 1.0, 2.0]
    historian.close()


def test_case_a_day_that_cannot_be_opened_keeps_no_older_one_and_no_other_open(tmp_path: Path) -> None:
    """Days were folded in first, and the one that refused ended it: from then on nothing was ever let go of."""
    with closing(DuckDbHistorian(tmp_path)) as historian:
        historian.write(rows([(1, 0, T + n * DAY, float(n), 0) for n in range(5)]), 1)
    (tmp_path / "2023-11-17.duckdb").write_bytes(b"no day" * 5_000)
    (tmp_path / "2023-11-17.duckdb.wal").write_bytes(b"no rows")
    with closing(DuckDbHistorian(tmp_path)) as historian:
        historian.write(rows([(2, 0, T + 3 * DAY, 9.0, 0)]), 2)
        with pytest.raises(HistorianUnavailable, match="2023-11-17"):
            historian.expire(T + 2 * DAY)
        assert files(tmp_path)[0] == "2023-11-17.duckdb"
        assert historian._files._attached.keys() == {historian._files.present()[-1]}


def test_s27_a_restored_log_meets_a_newest_day_that_could_not_be_opened_at_the_start(tmp_path: Path) -> None:
    """The day before gave the cursor, and nothing was doubted: numbers given again were passed over as known."""
    with closing(DuckDbHistorian(tmp_path)) as historian:
        historian.write(rows([(n, 0, T + n, float(n), 0) for n in range(1, 4)]), 3)
        historian.write(rows([(n, 0, T + DAY + n, float(n), 0) for n in range(4, 11)]), 10)
    newest = tmp_path / files(tmp_path)[-1]
    whole = newest.read_bytes()
    newest.write_bytes(b"no day" * 5_000)
    with closing(DuckDbHistorian(tmp_path)) as historian:
        assert historian.cursor() == 3
        historian.doubt(5, tags=8)  # the log was restored and goes up to 5
        again = [(n, 0, T + DAY + n - 1, float(n - 1), 0) for n in range(7, 10)]  # 6 to 8, under new numbers
        with pytest.raises(HistorianUnavailable):
            historian.write(rows([*again, (10, 0, T + DAY + 99, 99.0, 0)]), 10)
        newest.write_bytes(whole)
        historian.write(rows([*again, (10, 0, T + DAY + 99, 99.0, 0)]), 10)
        historian.write(rows([(11, 0, T + DAY + 100, 100.0, 0)]), 11)
        assert everything(historian, 0).values.tolist() == [*map(float, range(1, 11)), 99.0, 100.0]
    with closing(DuckDbHistorian(tmp_path)) as historian:
        historian.doubt(11, tags=8)
        historian.write(rows([(12, 0, T + DAY + 101, 101.0, 0)]), 12)
        assert len(everything(historian, 0)) == 13


def test_s26_a_file_that_cannot_be_opened_does_not_keep_a_restored_log_from_being_noticed(tmp_path: Path) -> None:
    with closing(DuckDbHistorian(tmp_path)) as historian:
        historian.write(rows([(n, 0, T + n * DAY, float(n), 0) for n in range(1, 4)]), 3)
    (tmp_path / files(tmp_path)[0]).write_bytes(b"no day" * 5_000)
    with closing(DuckDbHistorian(tmp_path)) as historian:
        historian.doubt(1, tags=8)
        historian.write(rows([(4, 0, T + 3 * DAY, 9.0, 0)]), 4)
        assert historian.read(0, T + 2 * DAY, T + 4 * DAY).values.tolist() == [2.0, 9.0], (
            "what comes again takes its place"
        )


def test_a_day_is_folded_in_while_it_is_read(historian: DuckDbHistorian) -> None:
    historian.write(rows([(1, 0, T, 1.0, 0), (1, 0, T + DAY, 2.0, 0)]), 1)
    day, _ = historian._files.present()
    with historian._files.attached([day]) as (schema,), closing(historian._files.connection()) as reader:
        reader.begin()
        reader.execute(f"SELECT count(*) FROM {schema}.readings").fetchall()
        historian.expire(0)
        reader.commit()
    assert everything(historian, 0).values.tolist() == [1.0, 2.0]


def test_case_a_week_of_open_days_stays_within_its_memory(tmp_path: Path) -> None:
    """Rows lay in memory until a day had 128 MB of them: the fifth day went to a folder `.tmp`, wherever that was."""
    memory_mb, size = 32, 50_000
    historian = DuckDbHistorian(tmp_path, memory_mb)
    for n in range(4 * ATTACHED):
        historian.write(many(size, T + n // 4 * DAY, n * size), (n + 1) * size)
    with closing(historian._files.connection()) as connection:
        used = "SELECT sum(memory_usage_bytes), sum(temporary_storage_bytes) FROM duckdb_memory()"
        held, spilled = connection.execute(used).fetchall()[0]
        where = connection.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]
    assert len(historian._files._attached) == ATTACHED
    assert (held <= memory_mb * 1_000_000, spilled, where) == (True, 0, str(tmp_path / "spill"))
    historian.close()


def many(count: int, from_ms: int, after: int) -> Rows:
    """Return a reading each 100 ms, with values that cannot be made much smaller."""
    numbers = np.arange(count)
    return Rows(
        seqs=after + 1 + numbers,
        tags=(numbers % 100).astype(np.int32),
        times_ms=from_ms + 100 * numbers,
        values=np.sqrt(numbers),
        qualities=np.zeros(count, np.uint16),
        births=np.zeros(count, np.int32),
        marks=numbers,
        texts={},
    )


FULL = """
import resource, sys
from pathlib import Path
from davylamp_cloud.historian import HistorianUnavailable
from davylamp_cloud.historian.duckdb import DuckDbHistorian
from support.history import MIDNIGHT_MS, everything, rows
import signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
historian = DuckDbHistorian(Path(sys.argv[1]))
big = [rows([(n, 0, MIDNIGHT_MS + n * 20000 + k, k * 0.1 + n, 0) for k in range(20000)]) for n in range(1, 30)]
historian.write(big[0], 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
stored = 1
try:
    for n, batch in enumerate(big[1:], 2):
        historian.write(batch, n)
        stored = n
except HistorianUnavailable as error:
    print("refused")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for n in range(stored + 1, 30):
    historian.write(big[n - 1], n)
print(historian.cursor(), len(everything(historian, 0)))
historian.close()
"""


def test_a_disk_that_was_full_takes_the_same_rows_once_there_is_room(tmp_path: Path) -> None:
    """A file-size limit stands in for the full disk: the kernel refuses the write in the same place."""
    assert resource.RLIMIT_FSIZE >= 0
    tests = str(Path(writing.__file__).parent.parent)
    child = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        env={"PYTHONPATH": tests},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert child.stdout.split() == ["refused", "29", str(29 * 20000)], child.stderr
