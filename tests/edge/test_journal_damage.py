"""A journal on a bad disk: broken pages, no room to mend them, a kill in the middle. What is lost has a name (S26)."""

import itertools
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from davylamp_edge import salvage
from davylamp_edge.journal import Journal
from davylamp_edge.journal_file import JournalUnreadable
from davylamp_edge.records import Entry, JournalClass, Record
from davylamp_edge.rows import is_sound, row_of
from davylamp_wire.intervals import Intervals
from support.disk import disk_that_takes

MIB = 1 << 20
PAGE = 4096


class Clock:
    """What time the journal believes it is."""

    now_ms = 5_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(folder: Path, clock: Clock) -> Journal:
    return Journal.open(folder / "journal.db", 4 * MIB, spare_bytes=MIB, now_ms=clock)


def entry(body: bytes, kind: JournalClass = JournalClass.LIVE) -> Entry:
    return Entry("pump", kind, body, 1_000)


def body_of(number: int) -> bytes:
    """Return the body of a record of `filled`."""
    return b"%06d" % number * 50


def filled(folder: Path, clock: Clock, count: int = 200) -> None:
    """Leave a journal with so many records in many pages."""
    with opened(folder, clock) as journal:
        journal.append([entry(body_of(number)) for number in range(1, count + 1)])


def of_pump(journal: Journal) -> list[Record]:
    return [record for record in journal.unconfirmed(0, 1_000) if record.device == "pump"]


def break_page_of(path: Path, needle: bytes) -> None:
    """Overwrite the head of the page in which some bytes lie; a running journal reads it from the file again."""
    page = path.read_bytes().index(needle) // PAGE
    with open(path, "r+b") as file:
        file.seek(page * PAGE)
        file.write(bytes(64))


def break_root_of(path: Path, name: str) -> None:
    """Overwrite the first page of a table or an index."""
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    with open(path, "r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(bytes(PAGE))


@pytest.mark.parametrize("name", ["records_class", "devices", "damaged"])
def test_s26_a_broken_index_or_table_beside_the_records_does_not_keep_the_journal_from_opening(
    tmp_path: Path, clock: Clock, name: str
) -> None:
    filled(tmp_path, clock)
    break_root_of(tmp_path / "journal.db", name)
    with opened(tmp_path, clock) as journal:
        journal.describe("pump", "{}")
        assert journal.former_devices({}) == {"pump": "{}"}
        assert len(of_pump(journal)) == 200
        assert journal.holes == []


def test_s26_a_broken_page_does_not_end_a_start_that_looks_for_former_devices(tmp_path: Path, clock: Clock) -> None:
    filled(tmp_path, clock)
    with opened(tmp_path, clock) as journal:
        journal.describe("tank", "{}")  # it has no records, and every page is looked at to know
    break_page_of(tmp_path / "journal.db", body_of(100))
    with opened(tmp_path, clock) as journal:
        assert journal.former_devices({}) == {}
        assert len(of_pump(journal)) >= 136


def test_s26_a_broken_page_on_a_full_disk_costs_nothing_once_there_is_room(tmp_path: Path, clock: Clock) -> None:
    filled(tmp_path, clock)
    path = tmp_path / "journal.db"
    with opened(tmp_path, clock) as journal:
        break_page_of(path, body_of(100))
        with disk_that_takes(2 * PAGE):
            with pytest.raises(JournalUnreadable):
                journal.unconfirmed(0, 1_000)
            live = journal.append([entry(b"while it is full")])
            assert journal.fetch([live[0].number]) == live
        journal.append([entry(b"there is room")])
        clock.now_ms += 60_000
        kept = of_pump(journal)
        (hole,) = journal.holes
        assert len(kept) + hole.count == 202
        assert hole.count <= 64
        assert [record.body for record in kept[-2:]] == [b"while it is full", b"there is room"]


def test_s26_a_damaged_record_on_a_full_disk_keeps_no_other_from_being_read(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path, clock) as journal:
        journal.append([entry(b"first" * 10), entry(b"second" * 10, JournalClass.EVENT), entry(b"third" * 10)])
    path = tmp_path / "journal.db"
    path.write_bytes(path.read_bytes().replace(b"second" * 10, b"secund" * 10))
    with opened(tmp_path, clock) as journal:
        with disk_that_takes(2 * PAGE):
            assert [record.number for record in of_pump(journal)] == [1, 3]
            assert [record.number for record in journal.fetch([1, 2, 3])] == [1, 3]
        journal.append([])
        assert [(hole.first, hole.last, hole.reason) for hole in journal.holes] == [(2, 2, "damaged")]
        assert journal.damaged == 1


@pytest.mark.parametrize("killed", [False, True], ids=["after a stop", "after a kill"])
def test_s26_a_journal_opens_on_a_full_disk_and_holds_the_newest_in_memory(
    tmp_path: Path, clock: Clock, killed: bool
) -> None:
    """It did not, and an edge that was started anew on a full disk saw nothing until somebody made room."""
    before = tmp_path / "before"
    before.mkdir()
    with opened(before, clock) as journal:
        journal.describe("pump", "{}")
        journal.append([entry(body_of(1))])
        if killed:
            shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    if not killed:
        shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    with disk_that_takes(2 * PAGE):
        journal = opened(tmp_path, clock)
        journal.describe("pump", "said otherwise")
        given = journal.append([entry(b"while it is full")])
        assert journal.refusal
        assert journal.fetch([given[0].number]) == given
    with journal:
        journal.append([])
        assert [record.body for record in of_pump(journal)] == [body_of(1), b"while it is full"]


def test_s26_new_points_are_named_in_memory_on_a_full_disk_and_keep_their_names(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path, clock) as journal:
        journal.append([entry(body_of(1))])
    with disk_that_takes(2 * PAGE):
        journal = opened(tmp_path, clock)
        given = journal.aliases("new", [("level", 10), ("flow", 10)])
        journal.append([Entry("new", JournalClass.LIVE, b"while it is full", 1_000)])
        assert journal.refusal
    with journal:
        journal.append([])
        assert journal.refusal is None
    with opened(tmp_path, clock) as journal:
        assert journal.aliases("new", [("level", 10), ("flow", 10)]) == given
        assert [record.body for record in journal.unconfirmed(0, 10) if record.device == "new"] == [b"while it is full"]


def test_an_alias_that_was_given_in_memory_before_a_crash_is_not_given_again(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path, clock) as journal:
        journal.append([entry(body_of(1))])
    with disk_that_takes(2 * PAGE):
        journal = opened(tmp_path, clock)
        given = journal.aliases("new", [("level", 10), ("flow", 10)])
        journal._db.close()  # killed
        journal._mark.set(journal.last_record)
    with opened(tmp_path, clock) as journal:
        assert journal.alias("other", "level", 10) not in given


def test_s26_a_journal_whose_file_is_deleted_while_it_is_used_is_written_anew(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path, clock) as journal:
        journal.append([entry(body_of(1))])
        for part in ("", "-wal"):
            (tmp_path / f"journal.db{part}").unlink()
        journal.append([entry(body_of(2))])
        journal.look()
        journal.append([entry(body_of(3))])
        epoch = journal.epoch
        shutil.copytree(tmp_path, tmp_path / "killed", ignore=shutil.ignore_patterns("killed"))
    for folder in (tmp_path, tmp_path / "killed"):
        with opened(folder, clock) as journal:
            assert [record.body for record in of_pump(journal)] == [body_of(1), body_of(2), body_of(3)]
            assert journal.epoch == epoch


def test_s26_a_file_put_in_the_place_of_a_journal_in_use_is_set_beside_it(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path, clock) as journal:
        journal.append([entry(body_of(1))])
        (tmp_path / "copy").write_bytes(b"an older copy")
        (tmp_path / "copy").rename(tmp_path / "journal.db")
        journal.look()
        journal.append([entry(body_of(2))])
        before = (tmp_path / "journal.db").stat().st_ino
        journal.look()
        assert (tmp_path / "journal.db").stat().st_ino == before
    assert (tmp_path / "journal.db.other").read_bytes() == b"an older copy"
    with opened(tmp_path, clock) as journal:
        assert [record.body for record in of_pump(journal)] == [body_of(1), body_of(2)]


KILLED = """
import os, signal
from pathlib import Path
from davylamp_edge import {module}
from davylamp_edge.journal import Journal

calls, real = 0, {module}.{function}
def dying(*given):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given)
{module}.{function} = dying
with Journal.open(Path({path!r}), 4 << 20, now_ms=lambda: 5_000) as journal:
    journal.unconfirmed(0, 1_000)
"""


def killed_while_reading(path: Path, module: str, function: str, call: int) -> None:
    """Read a journal in a process that is killed when it calls a function for so many times."""
    code = KILLED.format(path=str(path), module=module, function=function, call=call)
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == -9


@pytest.mark.parametrize(("function", "call"), [("is_sound", 70), ("write_meta", 1), ("finish", 1), ("_settle", 2)])
def test_s26_a_kill_in_the_middle_of_a_rebuild_loses_nothing_more(
    tmp_path: Path, clock: Clock, function: str, call: int
) -> None:
    filled(tmp_path, clock)
    path = tmp_path / "journal.db"
    with opened(tmp_path, clock) as journal:
        epoch = journal.epoch
    break_page_of(path, body_of(100))
    killed_while_reading(path, "salvage", function, call)
    with opened(tmp_path, clock) as journal:
        kept = of_pump(journal)
        (hole,) = journal.holes
        assert journal.epoch == epoch
        assert (len(kept) + hole.count, hole.reason) == (200, "journal-damaged")
        assert hole.count <= 64
    assert not list(tmp_path.glob("journal.db.re*"))


def test_s26_a_kill_right_after_a_damaged_record_was_found_names_it_all_the_same(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path, clock) as journal:
        journal.append([entry(b"first" * 10), entry(b"second" * 10), entry(b"third" * 10)])
    path = tmp_path / "journal.db"
    path.write_bytes(path.read_bytes().replace(b"second" * 10, b"secund" * 10))
    killed_while_reading(path, "holes", "hole_entry", 1)
    with opened(tmp_path, clock) as journal:
        assert [record.number for record in of_pump(journal)] == [1, 3]
        assert [hole.first for hole in journal.holes] == [2]


def test_s26_what_a_rebuild_gives_up_is_not_the_newest_of_a_long_journal(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salvage, "PATIENCE", 3)  # else it takes a million records
    filled(tmp_path, clock, 500)
    break_page_of(tmp_path / "journal.db", body_of(100))
    with opened(tmp_path, clock) as journal:
        assert of_pump(journal)[-1].number == 500
        assert sum(hole.count for hole in journal.holes) <= 64


def test_s01_a_rebuild_waits_for_no_confirmed_record_longer_than_it_may(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gigabyte of them took minutes, and no reading was journaled or sent meanwhile."""
    monkeypatch.setattr(salvage, "CONFIRMED_S", 0.0)
    filled(tmp_path, clock, 500)
    with opened(tmp_path, clock) as journal:
        journal.confirm(Intervals.parse("1-400"))
        break_page_of(tmp_path / "journal.db", body_of(450))
        kept = [record.number for record in of_pump(journal)]
        (hole,) = journal.holes
        assert len(kept) + hole.count == 100
        assert kept[-1] == 500
        assert journal.steps >= 2, "the watchdog sees it move"
        journal.confirm(Intervals())
        assert of_pump(journal)[0].number > 400


def test_s27_of_the_confirmed_records_a_rebuild_keeps_the_newest_first(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    monkeypatch.setattr(salvage, "CONFIRMED_S", 3.0)
    filled(tmp_path, clock, 500)
    with opened(tmp_path, clock) as journal:
        journal.confirm(Intervals.parse("1-400"))
        break_page_of(tmp_path / "journal.db", body_of(450))
        of_pump(journal)
        journal.confirm(Intervals())
        confirmed = [record.number for record in of_pump(journal) if record.number <= 400]
        assert confirmed[-1] == 400
        assert confirmed[0] > 1


def test_s26_an_error_nobody_foresaw_in_a_rebuild_leaves_the_journal_open(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, clock)
    with opened(tmp_path, clock) as journal:
        break_page_of(tmp_path / "journal.db", body_of(100))
        with monkeypatch.context() as broken:
            broken.setattr(salvage, "is_sound", lambda *_: 1 // 0)
            with pytest.raises(JournalUnreadable):
                journal.unconfirmed(0, 1_000)
            assert journal.append([entry(b"goes on")])
        clock.now_ms += 60_000
        assert of_pump(journal)[-1].body == b"goes on"


def test_a_rebuild_keeps_the_clocks_jumps_and_the_words_of_former_devices(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path, clock) as journal:
        journal.keep("clock", "[[], null]")
        journal.describe("pump", "{}")
    filled(tmp_path, clock)
    break_page_of(tmp_path / "journal.db", body_of(100))
    with opened(tmp_path, clock) as journal:
        of_pump(journal)
        assert journal.holes
        assert journal.kept("clock") == "[[], null]"
        assert journal.former_devices({}) == {"pump": "{}"}


def test_s26_a_rebuild_calls_nothing_lost_that_waits_in_memory(tmp_path: Path, clock: Clock) -> None:
    filled(tmp_path, clock)
    path = tmp_path / "journal.db"
    with opened(tmp_path, clock) as journal:
        with disk_that_takes(2 * PAGE):
            held = journal.append([entry(b"held")] * 3)
        break_page_of(path, body_of(100))
        kept = of_pump(journal)
        assert [record.number for record in kept[-3:]] == [record.number for record in held]
        (hole,) = journal.holes
        assert hole.last < held[0].number
        assert len(kept) + hole.count == 203


@pytest.mark.parametrize("column", range(6))
def test_s26_no_column_of_a_record_changes_unseen(column: int) -> None:
    row = row_of(Record(7, "d", JournalClass.LIVE, 5_000, b"\x07"), 3)
    assert is_sound(row)
    damaged = list[Any](row)
    damaged[column] = b"\x06" if column == 5 else damaged[column] ^ 1
    assert not is_sound(tuple(damaged))


def test_holes_the_cloud_knows_are_not_held_in_memory(tmp_path: Path, clock: Clock) -> None:
    with Journal.open(tmp_path / "journal.db", MIB, now_ms=clock) as journal:
        for _ in range(8):
            while len(journal.holes) < 5:
                journal.append([entry(bytes(30_000))] * 2)
            journal.confirm(Intervals([(1, journal.last_record)]))
        assert len(journal._holes.waiting(Intervals())) < 20
