"""From the log into a real store: nothing lost, nothing twice, whatever is down or killed."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from davylamp_cloud.beside import Beside
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import Historian, HistorianUnavailable, LogNames, open_historian
from davylamp_cloud.historian.duckdb import DuckDbHistorian
from davylamp_cloud.historian.feed import IDLE_RECORDS, Feed, rows_from, rows_of
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.readings import kept, slice_of
from davylamp_cloud.recent import Recent
from davylamp_cloud.tags import Named, Said
from davylamp_wire.births import BirthMetric, birth_payload
from davylamp_wire.encode import data_payload, metrics_body, record_metric
from davylamp_wire.quality import Reason, uncertain
from davylamp_wire.reading import Readings, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cloud_process import until
from support.feeding import data, log_with_births, scans, tick
from support.history import MIDNIGHT_MS, create_bucket, everything
from support.services import Influx

T = MIDNIGHT_MS
SOON_S = 20.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = log_with_births(tmp_path)
    yield log
    log.close()


@pytest.fixture
def historian(tmp_path: Path, log: Log) -> Iterator[Historian]:
    historian = open_historian(HistorianConfig(), tmp_path, LogNames(log))
    yield historian
    historian.close()


@contextmanager
def feeding(
    log: Log, historian: Historian, backoff_s: Sequence[float] = (0.02,), recent: Recent | None = None
) -> Iterator[Feed]:
    errors: list[BaseException] = []
    feed = Feed(
        log,
        historian,
        now_ms=lambda: T,
        keep_days=9000,
        failed=errors.append,
        commit_s=0.01,
        backoff_s=backoff_s,
        recent=recent,
    )
    feed.start()
    try:
        yield feed
    finally:
        feed.stop()
    assert not errors


def test_readings_arrive_with_type_quality_and_text(log: Log, historian: Historian) -> None:
    doubtful = uncertain(Reason.LOOP_HIGH)
    values: dict[int, Value] = {16_385: 0.1, 16_386: -7, 16_387: "批次", 16_388: 2**64 - 1}
    log.append([data(1, values, {16_385: doubtful})])
    with feeding(log, historian) as feed:
        assert feed.wait(log.last_seq, SOON_S)
    det, level, batch, total = (everything(historian, tag) for tag in range(4))
    assert (det.values.tolist(), det.qualities.tolist(), det.times_ms.tolist()) == ([0.1], [doubtful], [T + 1])
    assert level.values.tolist() == [-7.0]
    assert batch.texts == {0: "批次"}
    assert total.texts == {0: "18446744073709551615"}


def test_an_edge_s_own_metrics_are_no_readings_and_unknown_aliases_are_counted(log: Log) -> None:
    log.append([data(1, {16_385: 1.0})])
    stray = data(2, {16_385: 2.0})
    log.append([NewRecord(RecordKind.DATA, stray.body.replace(b"\x10\x81\x80\x01", b"\x10\xff\xff\x01"), T, birth=1)])
    rows, aside = rows_of(log.read(0), log.births)
    assert (rows.values.tolist(), aside) == ([1.0], 1)


def test_a_payload_nobody_can_read_is_passed_over(log: Log) -> None:
    log.append([NewRecord(RecordKind.DATA, b"\xff\xff", T, birth=1), data(1, {16_385: 1.0})])
    rows, _ = rows_of(log.read(0), log.births)
    assert rows.values.tolist() == [1.0]


def test_the_values_of_a_foreign_birth_are_readings(log: Log, historian: Historian) -> None:
    payload = birth_payload([BirthMetric("temp", 10, 7, 21.5)], seq=1, sent_ms=T)
    said = Said("g/foreign", "d", False, '{"profile":""}', (Named(7, 10, "temp", "g/foreign/d/temp"),), "other")
    birth = log.births.introduce(said, payload, T)
    log.append([NewRecord(RecordKind.BIRTH, payload, T, "g/foreign", "d", birth.id)], Beside(births=[birth]))
    with feeding(log, historian) as feed:
        assert feed.wait(log.last_seq, SOON_S)
    assert everything(historian, 4).values.tolist() == [21.5]


def test_s26_a_feed_that_starts_again_goes_on_where_the_store_is(tmp_path: Path, log: Log) -> None:
    for last in (100, 250, 400):
        log.append(scans(last - 99, last) if last == 100 else scans(last - 149, last))
        historian = open_historian(HistorianConfig(), tmp_path, LogNames(log))
        with feeding(log, historian) as feed:
            assert feed.wait(log.last_seq, SOON_S)
        historian.close()
    historian = open_historian(HistorianConfig(), tmp_path, LogNames(log))
    assert everything(historian, 0).values.tolist() == [float(n) for n in range(1, 401)]
    historian.close()


def test_ticks_move_the_feed_and_trouble_the_store_only_now_and_then(log: Log, historian: Historian) -> None:
    log.append(scans(1, 1))
    with feeding(log, historian) as feed:
        assert feed.wait(log.last_seq, SOON_S)
        log.append([tick(n) for n in range(100)])
        assert feed.wait(log.last_seq, SOON_S)
        assert historian.cursor() == log.last_seq - 100
        log.append([tick(n) for n in range(IDLE_RECORDS)])
        assert feed.wait(log.last_seq, SOON_S)
        assert historian.cursor() == log.last_seq


def test_s26_influxdb_may_be_down_and_nothing_is_lost_or_doubled(influx: Influx, log: Log, tmp_path: Path) -> None:
    config = HistorianConfig(kind="influxdb", url=influx.url, bucket=create_bucket(influx.url))
    historian = open_historian(config, tmp_path, LogNames(log))
    with feeding(log, historian) as feed:
        log.append(scans(1, 300))
        assert feed.wait(log.last_seq, SOON_S)
        influx.kill_database()
        log.append(scans(301, 600))
        assert not feed.wait(log.last_seq, 0.2)
        assert feed.status()["down_since_ms"] == T
        influx.start_database()
        log.append(scans(601, 700))
        assert feed.wait(log.last_seq, SOON_S)
        assert feed.status()["down_since_ms"] is None
    assert everything(historian, 0).values.tolist() == [float(n) for n in range(1, 701)]
    historian.close()


def test_a_feed_stops_at_once_though_its_store_is_down(influx: Influx, log: Log, tmp_path: Path) -> None:
    config = HistorianConfig(kind="influxdb", url=influx.url, bucket=create_bucket(influx.url))
    historian = open_historian(config, tmp_path, LogNames(log))
    influx.kill_database()
    with feeding(log, historian, backoff_s=(600.0,)) as feed:
        log.append(scans(1, 10))
        assert not feed.wait(log.last_seq, 0.2)
    assert historian.cursor() == 0
    historian.close()


def test_s27_a_log_restored_from_a_backup_is_filled_again_and_nothing_is_stored_twice(tmp_path: Path) -> None:
    log = log_with_births(tmp_path)
    log.append(scans(1, 50))
    log.close()
    shutil.copytree(tmp_path, tmp_path / "backup")
    log = Log(tmp_path / "log.db")
    log.append(scans(51, 100))
    historian = open_historian(HistorianConfig(), tmp_path, LogNames(log))
    with feeding(log, historian) as feed:
        assert feed.wait(log.last_seq, SOON_S)
    historian.close()
    log.close()

    for path in tmp_path.glob("log.db*"):
        path.unlink()
    shutil.copy(tmp_path / "backup" / "log.db", tmp_path / "log.db")
    names = LogNames()
    historian = open_historian(HistorianConfig(), tmp_path, names)
    restored = names.log = Log(tmp_path / "log.db", floor=historian.cursor())
    with feeding(restored, historian) as feed:
        restored.append(scans(51, 90))  # 91 to 100 are gone at the edge
        restored.append(scans(101, 110))
        assert feed.wait(restored.last_seq, SOON_S)
    assert everything(historian, 0).values.tolist() == [float(n) for n in range(1, 111)]
    historian.close()
    restored.close()


HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.mark.parametrize("way", ["let go of", "put back", "moved away"])
def test_s26_case_a_file_that_cannot_be_opened_holds_up_history_and_nothing_else(
    tmp_path: Path, log: Log, way: str
) -> None:
    """The cloud did not start while a program held the newest day's file, or where that was damaged."""
    log.append(scans(1, 50))
    historian = open_historian(HistorianConfig(), tmp_path, LogNames(log))
    with feeding(log, historian) as feed:
        assert feed.wait(log.last_seq, SOON_S)
    historian.close()
    (file,) = (tmp_path / "history").glob("*.duckdb")
    whole = file.read_bytes()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        if way != "let go of":
            holder.communicate()
            file.write_bytes(b"no database")
        historian = open_historian(HistorianConfig(), tmp_path, LogNames(log))
        log.append(scans(51, 60))
        with feeding(log, historian) as feed:
            until(lambda: file.name in feed.status()["last_error"], "the file's name")
            if way == "let go of":
                holder.communicate()
            elif way == "put back":
                file.write_bytes(whole)
            else:
                file.unlink()
            assert feed.wait(log.last_seq, SOON_S)
    assert everything(historian, 0).values.tolist() == [float(n) for n in range(1, 61)]
    historian.close()


def test_case_old_days_that_cannot_be_folded_in_do_not_stop_the_feed(tmp_path: Path, log: Log) -> None:
    """Letting go of old days went wrong, for want of a readable file or of room, and took the whole cloud with it."""
    history = tmp_path / "history"
    history.mkdir()
    for name in ("2023-11-13.duckdb", "2023-11-13.duckdb.wal"):
        (history / name).write_bytes(b"no database")
    historian = open_historian(HistorianConfig(), tmp_path, LogNames(log))
    for first in (1, 6):
        log.append(scans(first, first + 4))
        with feeding(log, historian) as feed:
            assert feed.wait(log.last_seq, SOON_S)
        with pytest.raises(HistorianUnavailable, match="2023-11-13"):
            historian.expire(0)
    assert historian.cursor() == log.last_seq
    historian.close()


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=10), again=st.integers(0, 40))
def test_where_batches_are_cut_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], again: int
) -> None:
    """The same records in any cuts, some fed twice as after a kill, give the same history."""
    folder = tmp_path_factory.mktemp("cuts")
    log = log_with_births(folder)
    log.append(scans(1, 40))
    historian = DuckDbHistorian(folder / "history")
    at = 0
    for cut in [*cuts, 41]:
        records = log.read(max(0, at - again), cut + min(at, again))
        if records:
            rows, _ = rows_of(records, log.births)
            historian.write(rows, records[-1].seq)
            at = records[-1].seq
    assert everything(historian, 0).values.tolist() == [float(n) for n in range(1, 41)]
    historian.close()
    log.close()


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=8), most=st.integers(0, 1000))
def test_what_the_monitor_left_is_stored_as_the_log_has_it(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, bool]], most: int
) -> None:
    """Some slices were kept, some were not or were dropped again: the history is that of the log."""
    folder = tmp_path_factory.mktemp("recent")
    log, recent = log_with_births(folder), Recent(most)
    log.append([*scans(1, 20), tick(1), data(21, {16_385: 21.0, 16_387: "批次"}), *scans(22, 40)])
    at = 0
    for count, is_kept in cuts:
        records = log.read(at, count)
        if records and is_kept:
            parts = [slice_of(part, log.births) for part in (records[:3], records[3:])]
            recent.keep(records[0].seq, records[-1].seq, parts)
        at += len(records)
    historian = DuckDbHistorian(folder / "history")
    with feeding(log, historian, recent=recent) as feed:
        assert feed.wait(log.last_seq, SOON_S)
    assert everything(historian, 0).values.tolist() == [float(n) for n in range(1, 41)]
    assert everything(historian, 2).texts == {0: "批次"}
    historian.close()
    log.close()


def test_what_waits_for_a_history_that_is_down_is_bounded_however_small_its_slices_are(log: Log) -> None:
    log.append([*scans(1, 1)])
    one = slice_of(log.read(log.last_seq - 1), log.births)
    for slices in ([one], []):
        recent = Recent(500)
        for number in range(1, 41):
            recent.keep(number, number, slices)
        oldest = recent.next_after(0)
        assert oldest is not None
        assert oldest > 1


def test_the_marks_and_births_of_what_is_left_out_do_not_shift_the_others(log: Log) -> None:
    log.append([data(1, {16_385: 1.0}), data(2, {16_386: 3}), data(3, {16_385: 4.0})])
    whole = slice_of(log.read(log.last_seq - 3), log.births)
    some = kept(whole, whole.batch.tag == 0)
    rows = rows_from([some])
    assert rows.seqs.tolist() == [log.last_seq - 2, log.last_seq]
    assert rows.marks.tolist() == [1, 3]


def test_a_record_number_no_column_holds_is_no_reason_to_stop(log: Log) -> None:
    log.append([data(1, {16_385: 1.0})])
    large = (1 << 63) + 5
    body = record_metric(16_384, large, T) + metrics_body(Readings([16_385], [T], [2.0], [0]), {16_385: 10})
    log.append([NewRecord(RecordKind.DATA, data_payload(body, seq=2, sent_ms=T), T, "park/edge-1", "store", 1)])
    rows, _ = rows_of(log.read(1), log.births)
    assert (rows.values.tolist(), rows.marks.tolist()) == ([1.0, 2.0], [1, 5])
