"""The tail of the log says what the file says, or nothing."""

from pathlib import Path

import pytest
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.tail import Tail
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(1, 9), max_size=20), st.integers(0, 120), st.integers(1, 20), st.integers(0, 60))
def test_what_is_read_follows_and_is_consecutive(sizes: list[int], after: int, limit: int, most: int) -> None:
    tail: Tail[int] = Tail(most)
    last = 0
    for size in sizes:
        tail.add(last + 1, list(range(last + 1, last + size + 1)), size)
        last += size
    found = tail.read(after, limit)
    assert found in (None, list(range(after + 1, min(after + limit, last) + 1)))
    assert found is not None or after >= last or sum(sizes) > most


def test_a_number_that_was_passed_over_begins_a_new_tail() -> None:
    tail: Tail[str] = Tail(100)
    tail.add(1, ["a"], 1)
    tail.add(7, ["b"], 1)
    assert (tail.read(0, 5), tail.read(6, 5)) == (None, ["b"])


def test_a_reader_far_behind_and_one_at_the_front_read_the_same(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.db")
    for n in range(20):
        log.append([NewRecord(RecordKind.DATA, b"%d" % n, n, "g/e", "d", 7), NewRecord(RecordKind.TICK, b"{}", n)])
    newest = log.read(5, 7)
    log.close()
    again = Log(tmp_path / "log.db")
    assert again.read(5, 7) == newest
    again.close()


def test_records_without_a_body_take_memory_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("davylamp_cloud.log.TAIL_BYTES", 3000)
    log = Log(tmp_path / "log.db")
    for n in range(40):
        log.append([NewRecord(RecordKind.BIRTH, b"", n, "g/e", "d", 7)])
    assert log._tail.read(0, 1) is None
    assert [record.seq for record in log.read(0)] == list(range(1, 41))
    log.close()


def test_what_was_trimmed_is_read_no_more(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.db")
    log.append([NewRecord(RecordKind.DATA, b"x", at_ms) for at_ms in range(10)])
    log.trim(below=6, older_than_ms=100, keep_bytes=1 << 40)
    assert [record.seq for record in log.read(0)] == [6, 7, 8, 9, 10]
    log.close()
