"""Group commit: in order, all that is queued at once, nobody told before it is on disk, and a full stop on refusal."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from davylamp_cloud.beside import Beside, Confirmed
from davylamp_cloud.group_commit import GroupCommit, LogClosed
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.tags import Birth, Named, Said
from davylamp_wire.intervals import Intervals


def record(body: bytes) -> NewRecord:
    return NewRecord(RecordKind.DATA, body, 1)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log.db")


def test_what_was_queued_before_the_start_goes_in_one_transaction(log: Log) -> None:
    told: list[int] = []
    commits = GroupCommit(log, failed=_unexpected)
    for n in range(100):
        commits.submit(
            [record(b"%d" % n)], told.extend, Beside(confirmed=[Confirmed("n", "e", Intervals([(0, n)]), n)])
        )
    commits.start()
    commits.stop()
    assert told == list(range(1, 101))
    assert commits.commits == 1
    assert [str(c.intervals) for c in log.confirmed()] == ["0-99"]
    log.close()


def test_each_is_told_only_after_its_records_are_on_disk(log: Log) -> None:
    seen: list[bool] = []
    commits = GroupCommit(log, failed=_unexpected)
    commits.start()
    for n in range(20):
        commits.submit([record(b"%d" % n)], lambda seqs: seen.append(bool(log.read(seqs[0] - 1, 1))))
    commits.stop()
    assert seen == [True] * 20
    log.close()


def test_append_waits_for_the_disk(log: Log) -> None:
    commits = GroupCommit(log, failed=_unexpected)
    commits.start()
    assert commits.append([record(b"a"), record(b"b")]) == [1, 2]
    assert log.last_seq == 2
    commits.stop()
    log.close()


def test_a_refused_commit_stops_everything_and_tells_nobody(log: Log) -> None:
    failures: list[BaseException] = []
    stopped = threading.Event()

    def failed(error: BaseException) -> None:
        failures.append(error)
        stopped.set()

    birth = Birth(1, "n", "d", "digest", b"", "{}", (), (), (), (), 0)
    told: list[int] = []
    commits = GroupCommit(log, failed)
    commits.start()
    commits.append([record(b"a")])
    commits.submit([record(b"b")], told.extend, Beside(births=[birth, birth]))
    assert stopped.wait(10)
    assert len(failures) == 1
    assert told == []
    with pytest.raises(LogClosed):
        commits.submit([record(b"c")])
    commits.stop()
    assert log.last_seq == 1
    log.close()


def test_a_birth_whose_commit_was_refused_leaves_no_index_behind(tmp_path: Path) -> None:
    """The book takes a birth on before it is on disk; what refuses it ends the process, and the next has no trace."""
    said = Said("n", "d", True, "{}", (Named(1, 10, "gas", "n/d/gas"),), "digest")
    log = Log(tmp_path / "log.db")
    stopped = threading.Event()
    commits = GroupCommit(log, lambda _: stopped.set())
    commits.start()
    lost = log.births.introduce(said, b"payload", 1)
    commits.submit([record(b"a")], None, Beside(births=[lost, lost]))
    assert stopped.wait(10)
    with pytest.raises(LogClosed):
        commits.submit([record(b"b")])
    commits.stop()
    log.close()
    again = Log(tmp_path / "log.db")
    assert len(again.births) == 0
    assert again.births.introduce(said, b"payload", 2) == replace(lost, at_ms=2)
    again.close()


def _unexpected(error: BaseException) -> None:
    raise AssertionError("a commit failed") from error
