"""The journal keeps what it took, whatever happens to the process, the disk or a byte."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from davylamp_edge.database import JournalBusy, bytes_on_disk
from davylamp_edge.journal import Journal
from davylamp_edge.records import NODE, Entry, JournalClass, Record
from davylamp_wire.intervals import Intervals
from support.disk import disk_that_takes

MIB = 1 << 20


def entry(body: bytes = b"x" * 100, kind: JournalClass = JournalClass.LIVE, at_ms: int = 1_000) -> Entry:
    return Entry("pump", kind, body, at_ms)


def opened(folder: Path, max_bytes: int = 4 * MIB, spare_bytes: int = MIB) -> Journal:
    return Journal.open(folder / "journal.db", max_bytes, spare_bytes=spare_bytes, now_ms=lambda: 5_000)


def numbers(records: list[Record]) -> list[int]:
    return [record.number for record in records]


def test_records_come_back_as_they_went_in(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        given = journal.append([entry(b"a"), entry(b"b" * 50_000), entry(b"", JournalClass.EVENT)])
        assert journal.unconfirmed(0, 10) == given
        assert numbers(given) == [1, 2, 3]


def test_s26_what_a_newer_copy_held_and_the_cloud_does_not_have_is_a_hole(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry()] * 5)
    with opened(tmp_path) as journal:
        journal.append([entry()] * 2)
        journal.confirm(Intervals([(1, 7), (9, 10)]))
        assert journal.move_on(10) == 2
        assert [(hole.first, hole.last, hole.count) for hole in journal.holes] == [(8, 8, 1)]


def test_s26_numbers_epoch_aliases_and_bdseq_go_on_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry(), entry()])
        before = (journal.epoch, journal.alias("pump", "level", 10), journal.next_bd_seq())
    with opened(tmp_path) as journal:
        assert (journal.epoch, journal.alias("pump", "level", 10)) == before[:2]
        assert journal.next_bd_seq() == (before[2] + 1) % 256
        assert numbers(journal.append([entry()])) == [3]
        assert [record.device for record in journal.unconfirmed(0, 10)] == ["pump"] * 3


def test_an_alias_is_never_given_twice_and_a_new_datatype_gets_another(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        aliases = [
            journal.alias(*name)
            for name in (("a", "x", 10), ("a", "x", 9), ("b", "x", 10), (NODE, "x", 10), ("a", "y", 10))
        ]
        assert len(set(aliases)) == 5
        assert min(aliases) >= 16_384
        assert journal.alias("a", "x", 10) == aliases[0]


def test_bd_seq_wraps_at_256(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        assert [journal.next_bd_seq() for _ in range(257)] == [*range(256), 0]


def test_numbers_go_on_even_when_every_record_is_gone(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry()] * 10)
        journal.confirm(Intervals.parse("1-10"))
        assert journal.purge(10_000) == 10
    with opened(tmp_path) as journal:
        assert numbers(journal.append([entry()])) == [11]


def test_s27_confirmed_records_stay_and_are_unconfirmed_again_when_the_set_shrinks(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry()] * 10)
        journal.confirm(Intervals.parse("1-10"))
        assert journal.unconfirmed(0, 100) == []
        journal.confirm(Intervals.parse("1-4,7"))
        assert numbers(journal.unconfirmed(0, 100)) == [5, 6, 8, 9, 10]
        assert numbers(journal.fetch([4, 5, 6])) == [5, 6]


def test_the_confirmed_set_is_on_disk_after_the_next_append(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry()] * 5)
        journal.confirm(Intervals.parse("1-3"))
        journal.append([entry()])
    with opened(tmp_path) as journal:
        assert numbers(journal.unconfirmed(0, 100)) == [4, 5, 6]


def test_s27_confirmed_records_leave_after_their_time_and_not_before(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry(at_ms=n * 1000) for n in range(1, 101)])
        journal.confirm(Intervals.parse("1-100"))
        assert journal.purge(50_500) == 50
        journal.confirm(Intervals())
        assert numbers(journal.unconfirmed(0, 200)) == list(range(51, 101))


def test_a_second_agent_cannot_open_the_same_journal(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(JournalBusy, match="another process"):
        opened(tmp_path)


def test_max_bytes_holds_under_a_long_cut_and_every_loss_is_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    largest = 0
    with opened(tmp_path, 2 * MIB) as journal:
        for _ in range(300):
            journal.append([entry(bytes(2_000))] * 10)
            largest = max(largest, bytes_on_disk(path))
        kept = [r for r in journal.unconfirmed(0, 10_000) if r.device == "pump"]
        lost = sum(hole.count for hole in journal.holes)
        assert largest <= 2 * MIB
        assert len(kept) + lost == 3_000
        assert journal.lost == {"live": lost}
        assert kept[-1].number == journal.last_record


def test_max_bytes_holds_for_small_and_for_large_records(tmp_path: Path) -> None:
    largest = 0
    with opened(tmp_path, MIB) as journal:
        for size in (20, 500, 4_000, 4_096, 30_000) * 40:
            journal.append([entry(bytes(size))] * 30)
            largest = max(largest, bytes_on_disk(tmp_path / "journal.db"))
    assert largest <= MIB


def test_confirmed_go_first_then_bulk_then_live_and_alarms_last(tmp_path: Path) -> None:
    with opened(tmp_path, MIB) as journal:
        first = journal.append([entry(bytes(1000), kind) for kind in (JournalClass.ALARM, JournalClass.EVENT)] * 20)
        done = journal.append([entry(bytes(1000))] * 200)
        journal.confirm(Intervals([(done[0].number, done[-1].number)]))
        journal.append([entry(bytes(1000), JournalClass.BULK)] * 200)
        live = journal.append([entry(bytes(1000))] * 300)
        assert journal.lost == {}
        journal.append([entry(bytes(1000))] * 200)
        assert set(journal.lost) == {"bulk"}
        assert journal.fetch([record.number for record in first]) == first
        assert journal.fetch([record.number for record in live]) == live


def test_holes_of_a_long_cut_are_merged_and_lose_no_count(tmp_path: Path) -> None:
    with opened(tmp_path, MIB) as journal:
        for _ in range(2_000):
            journal.append([entry(bytes(30_000))] * 2)
        kept = [r for r in journal.unconfirmed(0, 100_000) if r.journal_class is JournalClass.LIVE]
        assert len(journal.holes) <= 257
        assert sum(hole.count for hole in journal.holes) + len(kept) == 4_000


def test_s26_holes_are_records_that_are_sent_and_survive_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path, MIB) as journal:
        journal.append([entry(bytes(10_000))] * 200)
        fresh = journal.take_holes()
        assert fresh
        assert journal.take_holes() == []
        assert {record.device for record in fresh} == {NODE}
        holes = journal.holes
    with opened(tmp_path, MIB) as journal:
        assert journal.holes == holes
        journal.confirm(Intervals([(1, journal.last_record)]))
        assert journal.holes == []


def damage(path: Path, needle: bytes) -> None:
    """Flip one bit of a byte in the file."""
    content = bytearray(path.read_bytes())
    content[content.index(needle) + 5] ^= 1
    path.write_bytes(content)


def test_s26_a_damaged_byte_becomes_a_hole_and_the_rest_is_read(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry(b"first" * 10), entry(b"second" * 10, JournalClass.EVENT), entry(b"third" * 10)])
    damage(tmp_path / "journal.db", b"second")
    with opened(tmp_path) as journal:
        assert numbers([r for r in journal.unconfirmed(0, 10) if r.device == "pump"]) == [1, 3]
        (hole,) = journal.holes
        assert (hole.first, hole.last, hole.journal_class, hole.reason, hole.count) == (2, 2, "event", "damaged", 1)
        assert journal.damaged == 1
        assert numbers(journal.take_holes()) == [4]
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        assert db.execute("SELECT number FROM damaged").fetchall() == [(2,)]


def test_s26_a_broken_file_is_rebuilt_and_what_is_lost_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with opened(tmp_path) as journal:
        alias = journal.alias("pump", "level", 10)
        journal.append([entry(bytes([n]) * 300) for n in range(200)])
        epoch = journal.epoch
    content = bytearray(path.read_bytes())
    page = content.index(bytes([100]) * 300) // 4096
    content[page * 4096 : page * 4096 + 64] = bytes(64)
    path.write_bytes(content)
    with opened(tmp_path) as journal:
        journal.unconfirmed(0, 1000)
        kept = [r for r in journal.unconfirmed(0, 1000) if r.device == "pump"]
        (hole,) = journal.holes
        assert (journal.epoch, journal.alias("pump", "level", 10)) == (epoch, alias)
        assert 100 < len(kept) < 200
        assert len(kept) + hole.count == 200
        assert hole.reason == "journal-damaged"


def test_a_file_that_is_no_journal_is_replaced_and_named(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database at all" * 1000)
    with opened(tmp_path) as journal:
        assert [hole.reason for hole in journal.holes] == ["journal-damaged"]
        assert journal.append([entry()])


def test_s26_a_disk_that_refuses_keeps_the_newest_in_memory_and_names_the_rest(tmp_path: Path) -> None:
    with opened(tmp_path, spare_bytes=50_000) as journal:
        journal.append([entry()])
        with disk_that_takes(bytes_on_disk(tmp_path / "journal.db") // 2):
            alarm = journal.append([entry(kind=JournalClass.ALARM)])
            during = [record for _ in range(100) for record in journal.append([entry(bytes(1000))])]
            assert journal.refusal
            assert numbers(during) == list(range(3, 103))
        journal.append([entry()])
        assert journal.refusal is None
        kept = [r.number for r in journal.unconfirmed(0, 1000) if r.device == "pump"]
        (hole,) = journal.holes
        assert alarm[0].number in kept
        assert during[-1].number in kept
        assert (hole.first, hole.reason, hole.journal_class) == (3, "memory-full", "live")
        assert hole.count + len(kept) == 1 + 1 + 100 + 1


def test_records_held_in_memory_can_be_sent_and_are_sent_again(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        with disk_that_takes(16_384):
            held = journal.append([entry(b"a"), entry(b"b")])
            assert journal.fetch([1, 2]) == held
            assert journal.unconfirmed(0, 10) == held
        journal.append([])
        assert journal.unconfirmed(0, 10) == held


def test_s26_a_crash_while_the_disk_refuses_skips_numbers_and_names_the_hole(tmp_path: Path) -> None:
    crashed = opened(tmp_path)
    crashed.append([entry()])
    with disk_that_takes(16_384):
        given = crashed.append([entry()])
    crashed._db.close()  # as a SIGKILL would: nothing is written on the way out
    with opened(tmp_path) as journal:
        (hole,) = journal.holes
        assert (hole.first, hole.reason) == (given[0].number, "crash-without-disk")
        assert journal.append([entry()])[0].number > given[0].number + 1_000_000
    with opened(tmp_path) as journal:
        assert len(journal.holes) == 1


def test_a_smaller_max_bytes_shrinks_the_file_at_the_next_start(tmp_path: Path) -> None:
    with opened(tmp_path, 8 * MIB) as journal:
        journal.append([entry(bytes(10_000))] * 500)
    with opened(tmp_path, MIB) as journal:
        journal.append([entry()])
        assert bytes_on_disk(tmp_path / "journal.db") <= MIB
        assert journal.holes


def test_s26_a_record_is_on_the_disk_itself_when_append_returns(tmp_path: Path) -> None:
    """SIGKILL cannot show it, only a power cut can: SQLite waits for the disk with each commit (2, FULL)."""
    with opened(tmp_path) as journal:
        assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)
