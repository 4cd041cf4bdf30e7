"""The thread between the scanner and the disk."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import davylamp_edge.writer as writer_module
import pytest
from davylamp_edge.journal import Journal
from davylamp_edge.records import Entry, JournalClass, Record
from davylamp_edge.spare import Spare
from davylamp_edge.writer import Writer


def entry(kind: JournalClass = JournalClass.LIVE, body: bytes = b"x") -> Entry:
    return Entry("pump", kind, body, 1_000)


class Collected:
    """What became durable, in order."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._changed = threading.Condition()

    def __call__(self, records: Sequence[Record]) -> None:
        with self._changed:
            self.records.extend(records)
            self._changed.notify()

    def wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(until, 10)


@contextmanager
def writing(journal: Any, durable: Callable[[Sequence[Record]], None]) -> Iterator[Writer]:
    writer = Writer(journal, durable)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def test_s26_what_is_handed_on_is_on_disk(tmp_path: Path) -> None:
    collected = Collected()
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal:
        with writing(journal, collected) as writer:
            for _ in range(500):
                writer.submit(entry())
            collected.wait(lambda: len(collected.records) == 500)
            assert journal.unconfirmed(0, 1000) == collected.records
        assert writer.appended == 500


def test_what_arrives_while_the_disk_works_goes_in_one_transaction(tmp_path: Path) -> None:
    collected = Collected()
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal, writing(journal, collected) as writer:
        with journal._lock:  # the disk is busy
            for _ in range(300):
                writer.submit(entry())
        collected.wait(lambda: len(collected.records) == 300)
        assert writer.batches <= 3


def test_s01_what_waits_together_goes_to_disk_gravest_first_and_alarms_are_handed_on_before_all(
    tmp_path: Path,
) -> None:
    collected = Collected()
    kinds = [JournalClass.BULK, JournalClass.LIVE, JournalClass.ALARM, JournalClass.EVENT, JournalClass.ALARM]
    parts: list[list[JournalClass]] = []

    def durable(records: Sequence[Record]) -> None:
        parts.append([record.journal_class for record in records])
        collected(records)

    with Journal.open(tmp_path / "j.db", 1 << 24) as journal, writing(journal, durable) as writer:
        with journal._lock:  # the disk is busy with what came first
            writer.submit(entry())
            while writer.waiting:
                time.sleep(0.01)  # the thread tells nobody that it has taken it
            for at, kind in enumerate(kinds):
                writer.submit(entry(kind), {f"key {at}": str(kind)})
        collected.wait(lambda: len(collected.records) == 6)
        assert parts[1] == [JournalClass.ALARM] * 2
        assert parts[2] == [JournalClass.EVENT, JournalClass.LIVE, JournalClass.BULK]
        assert [record.number for record in collected.records] == [1, 2, 3, 4, 5, 6]
        assert len(journal.kept_under("key ")) == 5


@pytest.mark.parametrize("hurries", [JournalClass.ALARM, None])
def test_s01_a_lone_reading_is_written_at_once_and_an_alarm_or_the_end_awaits_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hurries: JournalClass | None
) -> None:
    monkeypatch.setattr(writer_module, "APART_S", 3600.0)
    collected = Collected()
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal, writing(journal, collected) as writer:
        writer.submit(entry())
        collected.wait(lambda: len(collected.records) == 1)
        writer.submit(entry())
        if hurries is None:
            writer.stop()
        else:
            writer.submit(entry(hurries))
            collected.wait(lambda: len(collected.records) == 3)
    assert [record.journal_class for record in collected.records[1:]] == [
        *([hurries] if hurries else []),
        JournalClass.LIVE,
    ]


@pytest.mark.parametrize("last", [JournalClass.LIVE, JournalClass.ALARM])
def test_s01_what_another_line_is_just_reading_goes_with_it_in_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: JournalClass
) -> None:
    monkeypatch.setattr(writer_module, "APART_S", 0.0)
    collected = Collected()
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal, writing(journal, collected) as writer:
        writer.submit(entry())
        collected.wait(lambda: len(collected.records) == 1)
        monkeypatch.setattr(writer_module, "APART_S", 3600.0)
        writer._began_s = -3600.0
        writer.submit(entry(), more_comes=True)
        writer.submit(entry(last), more_comes=last is JournalClass.ALARM)
        collected.wait(lambda: len(collected.records) == 3)
        assert writer.batches == 2 + (last is JournalClass.ALARM)


def test_what_no_other_line_brings_after_all_is_written_without_it(tmp_path: Path) -> None:
    collected = Collected()
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal, writing(journal, collected) as writer:
        writer.submit(entry(), more_comes=True)
        collected.wait(lambda: len(collected.records) == 1)


def test_a_stop_writes_what_is_queued(tmp_path: Path) -> None:
    collected = Collected()
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal:
        with writing(journal, collected) as writer:
            for _ in range(1_000):
                writer.submit(entry())
        assert journal.last_record == 1_000
        assert len(collected.records) == 1_000


def test_s01_a_reading_never_waits_for_a_journal_that_somebody_else_is_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an overflow the thread waited for the journal while it kept the queue: polling stood still with it."""
    monkeypatch.setattr(writer_module, "WAITING_BYTES", 1_000)
    reading, done, handed_on = threading.Event(), threading.Event(), threading.Event()

    def read_for_long() -> None:
        with journal._lock:
            reading.set()
            done.wait(20)

    reader = threading.Thread(target=read_for_long)

    def durable(records: Sequence[Record]) -> None:
        if not handed_on.is_set():
            handed_on.set()
            for _ in range(10):
                writer.submit(entry(body=bytes(500)))  # more than it holds: some are lost
            reader.start()
            reading.wait(20)

    with Journal.open(tmp_path / "j.db", 1 << 24) as journal, writing(journal, durable) as writer:
        writer.submit(entry())
        assert reading.wait(20)
        time.sleep(0.1)  # the thread comes round
        submitting = threading.Thread(target=writer.submit, args=[entry()])
        submitting.start()
        submitting.join(5)
        is_waiting = submitting.is_alive()
        done.set()
        reader.join()
        submitting.join()
        assert not is_waiting
        assert writer.waiting >= 0
    with Journal.open(tmp_path / "j.db", 1 << 24) as journal:
        assert [hole.reason for hole in journal.holes] == ["memory-full"]


def test_s26_an_error_nobody_foresaw_becomes_a_hole_and_not_a_dead_thread(tmp_path: Path) -> None:
    collected = Collected()
    failing = threading.Event()
    failing.set()

    def durable(records: Sequence[Record]) -> None:
        if failing.is_set() and any(record.device == "pump" for record in records):
            failing.clear()
            raise RuntimeError("nobody foresaw this")
        collected(records)

    with Journal.open(tmp_path / "j.db", 1 << 24) as journal, writing(journal, durable) as writer:
        writer.submit(entry())
        deadline = time.monotonic() + 10
        while failing.is_set() and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        writer.submit(entry())
        collected.wait(lambda: any(record.device == "pump" for record in collected.records))


def test_a_spare_lets_the_oldest_of_the_lowest_class_go_and_counts_it() -> None:
    spare = Spare(max_bytes=5 * (200 + 100))
    for number, kind in enumerate((JournalClass.ALARM, JournalClass.BULK, JournalClass.LIVE) * 4, 1):
        spare.hold(Record(number, "pump", kind, number * 10, bytes(100)))
    kept = [record.number for record in spare.records()]
    assert kept == [1, 4, 7, 10, 12]
    losses = {loss.journal_class: (loss.first, loss.last, loss.count) for loss in spare.losses}
    assert losses == {JournalClass.BULK: (2, 11, 4), JournalClass.LIVE: (3, 9, 3)}


def test_a_spare_gives_back_in_order_and_forgets_what_was_taken() -> None:
    spare = Spare(max_bytes=10_000)
    for number in range(1, 6):
        spare.hold(Record(number, "pump", JournalClass.LIVE, number, bytes(100)))
    first = spare.first(650)
    assert [record.number for record in first] == [1, 2]
    spare.remove(first)
    assert [record.number for record in spare.records()] == [3, 4, 5]
    assert spare.bytes == 3 * 300
