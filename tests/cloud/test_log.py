"""The log: durable, in order, checked, trimmed only below what somebody still needs."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from davylamp_cloud.beside import Beside, Confirmed, Hole, Quarantined
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.tags import CONTROL, NO_TAG, Named, Said
from davylamp_wire.intervals import Intervals


def record(body: bytes = b"body", time_ms: int = 1000, kind: RecordKind = RecordKind.DATA) -> NewRecord:
    return NewRecord(kind, body, time_ms, "park/edge", "store", 1)


def said(*metrics: Named) -> Said:
    return Said("p/e", "s", True, "{}", metrics, "digest")


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log.db")


def test_records_come_back_in_the_order_they_went_in(log: Log) -> None:
    assert log.append([record(b"a"), record(b"b")]) == [1, 2]
    assert log.append([record(b"c")]) == [3]
    assert [(r.seq, r.body) for r in log.read(0)] == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert [r.body for r in log.read(1, limit=1)] == [b"b"]
    log.close()


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    first = Log(tmp_path / "log.db")
    first.append([record(), record()])
    first.close()
    second = Log(tmp_path / "log.db")
    assert second.append([record()]) == [3]
    second.close()


def test_who_only_looks_reads_what_another_writes_and_cannot_append(tmp_path: Path) -> None:
    path = tmp_path / "a ?#%20 log.db"
    with closing(Log(path)) as log, closing(Log(path, looking=True)) as looking:
        log.append([record(b"one")])
        assert [one.body for one in looking.read(0, 10)] == [b"one"]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            looking.append([record(b"two")])


def test_numbers_below_a_readers_cursor_are_never_given_again(tmp_path: Path) -> None:
    """A log restored from yesterday's backup must not reuse numbers state.db has already seen (SAFETY S27)."""
    log = Log(tmp_path / "log.db", floor=40)
    assert log.append([record()]) == [41]
    log.close()


def test_what_lies_beside_a_record_is_in_its_transaction(log: Log) -> None:
    beside = Beside(
        confirmed=[Confirmed("park/edge", "e1", Intervals.parse("1-7"), 5)],
        holes=[Hole("park/edge", "e1", 3, 4, "live", "journal full", 1, 2, 2, 5)],
        quarantined=[Quarantined(5, "park/edge", "topic", "no protobuf", b"junk")],
    )
    log.append([record()], beside)
    assert log.confirmed() == list(beside.confirmed)
    assert log.holes("park/edge") == list(beside.holes)
    assert log.quarantined() == list(beside.quarantined)
    log.close()


def test_a_larger_hole_takes_the_place_of_those_it_contains(log: Log) -> None:
    small, other = Hole("n", "e", 3, 4, "live", "full", 1, 2, 2, 5), Hole("n", "e", 3, 3, "bulk", "full", 1, 2, 1, 5)
    large = Hole("n", "e", 3, 9, "live", "full", 1, 9, 6, 7)
    for hole in (small, other, large):
        log.append([], Beside(holes=[hole]))
    assert log.holes() == [other, large]
    log.close()


def test_a_refused_transaction_leaves_nothing_and_uses_no_number(log: Log) -> None:
    birth = log.births.introduce(said(Named(16384, 10, "gas", "p/e/s/gas")), b"", 1)
    log.append([record()], Beside(births=[birth]))
    with pytest.raises(sqlite3.IntegrityError):
        log.append([record(b"lost")], Beside(births=[birth], confirmed=[Confirmed("n", "e", Intervals.parse("1"), 1)]))
    assert log.confirmed() == []
    assert log.append([record(b"next")]) == [2]
    log.close()


def test_births_and_tags_survive_and_translate_aliases(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.db")
    metrics = (Named(16384, 10, "gas", "p/e/s/gas"), Named(16390, 11, "fan", "p/e/s/fan"), Named(16391, 8))
    birth = log.births.introduce(said(*metrics), b"raw", 9)
    log.append([record()], Beside(births=[birth]))
    log.close()
    again = Log(tmp_path / "log.db")
    assert again.births.tag_ids == ["p/e/s/gas", "p/e/s/fan"]
    found = again.births.indices(birth.id, np.array([16390, 16384, 16391, 5, 99999], np.int64))
    assert found.tolist() == [1, 0, CONTROL, NO_TAG, NO_TAG]
    assert again.births.known("digest") is not None
    assert again.birth(birth.id).payload == b"raw"
    again.close()


def test_aliases_far_apart_are_found_by_search(log: Log) -> None:
    far = (Named(5, 10, "a", "p/e/s/a"), Named(-(2**63) + 5, 10, "b", "p/e/s/b"))
    birth = log.births.introduce(said(*far), b"", 9)
    aliases = np.array([-(2**63) + 5, 5, 6], np.int64)
    assert log.births.indices(birth.id, aliases).tolist() == [1, 0, NO_TAG]
    log.close()


def test_a_birth_that_no_column_holds_numbers_no_tag(log: Log) -> None:
    """A number that is given and never written would shift every tag of the next start."""
    with pytest.raises(OverflowError):
        log.births.introduce(said(Named(5, 1 << 31, "a", "p/e/s/a")), b"", 9)
    birth = log.births.introduce(said(Named(5, 10, "b", "p/e/s/b")), b"", 9)
    assert (log.births.tag_ids, birth.new_tags) == (["p/e/s/b"], ((0, "p/e/s/b"),))
    log.close()


def test_a_reason_that_quotes_half_a_character_is_kept(log: Log) -> None:
    log.append([], Beside(quarantined=[Quarantined(1, "n", "a/\ud800", "no hole: '\ud800'", b"")]))
    assert [(q.topic, q.reason) for q in log.quarantined()] == [("a/\\ud800", "no hole: '\\ud800'")]
    log.close()


def test_a_changed_byte_on_disk_is_noticed(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.db")
    log.append([record(b"value 1"), record(b"value 2")])
    log.close()
    with sqlite3.connect(log.path) as tamper:
        tamper.execute("UPDATE records SET body = ? WHERE seq = 1", (b"value 9",))
    tamper.close()
    log = Log(log.path)
    assert [r.kind for r in log.read(0)] == [RecordKind.DAMAGED, RecordKind.DATA]
    log.close()


def test_trimming_keeps_what_a_cursor_still_needs(log: Log) -> None:
    log.append([record(time_ms=t) for t in range(10)])
    assert log.trim(below=6, older_than_ms=100, keep_bytes=1 << 40) == 5
    assert log.first_seq == 6
    assert log.trim(below=100, older_than_ms=100, keep_bytes=1 << 40) == 4
    assert log.first_seq == log.last_seq == 10
    log.close()


def test_trimming_by_size_takes_young_records_too_but_no_needed_one(log: Log) -> None:
    log.append([record(b"x" * 5000, time_ms=10**12) for _ in range(50)])
    assert log.trim(below=20, older_than_ms=0, keep_bytes=1 << 30) == 0
    assert log.trim(below=20, older_than_ms=0, keep_bytes=100) == 19
    log.close()


def test_waiting_ends_when_a_record_comes_and_when_the_log_closes(log: Log) -> None:
    log.append([record()])
    assert log.wait(0, timeout=0)
    assert not log.wait(1, timeout=0)
    log.close()
    assert not log.wait(1, timeout=60)


def test_s26_a_record_is_on_the_disk_itself_when_append_returns(log: Log) -> None:
    """SIGKILL cannot show it, only a power cut can: SQLite waits for the disk with each commit (2, FULL)."""
    assert log._writer.execute("PRAGMA synchronous").fetchone() == (2,)
