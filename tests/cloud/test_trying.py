"""A record that fails is tried three times, whether it raises or kills the process; then all else goes on."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.batch import Batch
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Transition
from davylamp_cloud import blame as blame_of
from davylamp_cloud.blame import MOST_OF_ONE, MOST_SOURCES, REST_S, Blame, Verdict, source_of
from davylamp_cloud.faultpoints import BadFaults, Faults
from davylamp_cloud.log import Record, RecordKind
from davylamp_cloud.outcomes import Committed
from davylamp_cloud.store import schema
from davylamp_cloud.trying import TRIES, Suspects, Trying
from sqlalchemy import select
from support.cloud_process import CloudProcess, JournalingEdge, until
from support.host import Host, host
from support.services import Broker
from support.speaker import Speaker

POISON = 6.66


def records(first: int, last: int) -> list[Record]:
    return [Record(seq, RecordKind.DATA, "park/edge-1", "store", 1, 0, b"") for seq in range(first, last + 1)]


def fail_on(monkeypatch: pytest.MonkeyPatch, errors: Iterator[Exception]) -> list[int]:
    """Let the engine fail half way through batches with POISON as long as there are errors; count its tries."""
    sound, tries = Engine.apply, []

    def apply(engine: Engine, batch: Batch, *said: Any) -> list[Transition]:
        told = sound(engine, batch, *said)
        if POISON in batch.value:
            tries.append(len(batch))
            for error in errors:
                raise error
        return told

    monkeypatch.setattr(Engine, "apply", apply)
    return tries


def forever() -> Iterator[Exception]:
    while True:
        yield IndexError("a mistake in the engine")


def say(running: Host, edge: Speaker, *values: float) -> None:
    messages = []
    for value in values:
        edge.now_ms += 1000
        messages.append(edge.data([value]))
    running.now_ms = edge.now_ms
    running.hear(*messages)
    running.settle()
    running.settle()  # what the monitor says of itself comes by records of its own


def test_s14_a_fault_of_the_moment_loses_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = fail_on(monkeypatch, iter([MemoryError(), MemoryError()]))
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth())
        say(running, edge, 0.5, POISON)
        assert running.events() == ["L1 raised B", "L2 raised B"]
        assert len(tries) == TRIES, "failed twice, done the third time"
        assert running.monitor.status()["records_set_aside"] == 0


def test_s14_a_record_is_set_aside_after_three_tries_with_its_number_kind_and_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = fail_on(monkeypatch, forever())
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth())
        say(running, edge, 0.5, POISON, 1.5)
        assert len(tries) == TRIES
        assert running.events()[0] == "L1 raised B"
        alarm = running.standing()["SYSTEM live"]
        aside = running.state.rows(select(schema.AUDIT).where(schema.AUDIT.c.action == "record set aside"))
        assert alarm["alarm_id"].endswith("record-set-aside")
        for words in (f"record {aside[0]['seq']} ", "data of park/edge-1", "a mistake in the engine"):
            assert words in alarm["comment"]
            assert words in aside[0]["after"]


def test_s14_a_listener_that_raises_is_counted_and_alarmed_and_stops_nobody(tmp_path: Path) -> None:
    edge = Speaker()
    heard: list[Committed] = []

    def broken(committed: Committed) -> None:
        raise ZeroDivisionError("a mistake in the console")

    with host(tmp_path) as running:
        running.monitor.on_commit(broken)
        running.monitor.on_commit(heard.append)
        running.hear(*edge.birth())
        say(running, edge, 5.0, 0.5, 5.0)
        assert {"L1 raised B", "L2 raised B"} <= set(running.events())
        assert heard, "whoever listens besides still hears"
        assert running.monitor.status()["listener_errors"] > 1
        system = [row for row in running.state.transitions(limit=1000) if row["kind"] == "SYSTEM"]
        assert [row["event"] for row in system] == ["raised", "cleared"], "said once, however often it fails"
        assert "a mistake in the console" in running.standing()["SYSTEM live"]["comment"]
        assert not running.failures


def test_a_slice_that_killed_the_process_is_taken_record_by_record_and_its_culprit_three_times(tmp_path: Path) -> None:
    path = tmp_path / "trying"
    first = Trying(path, 10)
    assert not first.careful(10)
    first.begin(records(11, 20))
    second = Trying(path, 10)
    assert second.suspects == Suspects(11, 20, 1)
    assert second.careful(10)
    for seq in range(11, 15):
        second.begin(records(seq, seq))
        second.done()
    second.begin(records(15, 15))
    third = Trying(path, 14)
    assert third.suspects == Suspects(15, 15, 2)
    assert not third.spent(records(15, 15))
    third.begin(records(15, 15))
    last = Trying(path, 14)
    assert last.spent(records(15, 15))
    assert not last.careful(15)


def test_what_was_done_or_stored_before_the_end_is_under_no_suspicion(tmp_path: Path) -> None:
    done = Trying(tmp_path / "done", 10)
    done.begin(records(11, 20))
    done.done()
    assert Trying(tmp_path / "done", 10).suspects.failures == 0
    Trying(tmp_path / "stored", 10).begin(records(11, 20))
    assert Trying(tmp_path / "stored", 20).suspects.failures == 0


def test_a_torn_note_of_what_was_tried_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trying"
    Trying(path, 0).begin(records(1, 5))
    path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])
    assert Trying(path, 0).suspects == Suspects()


@pytest.mark.timeout(120)
def test_s14_a_record_that_kills_the_process_is_set_aside_after_its_third_and_alarmed(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """The edge's own DDATA of one scan is deadly; everything before and after it is evaluated."""
    cloud = CloudProcess(tmp_path, mosquitto).start()
    edge = JournalingEdge(tmp_path, mosquitto)
    try:
        edge.read(cl2_1=0.1)
        until(edge.all_confirmed, "the first confirmation")
        cloud.stop()
        edge.read(cl2_1=5.0)
        for _ in range(TRIES):
            cloud.begin("monitor.evaluating@data:store")
            until(lambda: not cloud.lives(), "the record to kill the process")
        cloud.begin("monitor.evaluating@data:store")
        until(cloud.answers, "the start without the record")
        until(lambda: any("record-set-aside" in alarm["alarm_id"] for alarm in cloud.alarms()), "the alarm")
        assert cloud.lives()
    finally:
        edge.close()
        cloud.kill()
    with sqlite3.connect(cloud.folder / "state.db") as db:
        rows = db.execute("SELECT after FROM audit WHERE action = 'record set aside'").fetchall()
    db.close()
    assert len(rows) == 1
    assert "data of davylamp/edge-1" in rows[0][0]


@pytest.mark.parametrize("text", ["nowhere", "monitor.before_commit#x", "random:1", "random:a:b"])
def test_a_fault_point_nobody_has_is_refused_with_the_names_there_are(text: str) -> None:
    with pytest.raises(BadFaults, match="it is"):
        Faults(text)


def test_fault_points_count_by_name_and_key_and_chance_repeats_itself() -> None:
    third = Faults("log.after_commit#3")
    assert [third.due("log.after_commit", "") for _ in range(4)] == [False, False, True, True]
    keyed = Faults("monitor.evaluating@data:store")
    assert [keyed.due("monitor.evaluating", key) for key in ("tick:", "data:store")] == [False, True]
    one, other = Faults("random:7:10"), Faults("random:7:10")
    hits = [one.due("log.after_commit", "") for _ in range(200)]
    assert hits == [other.due("log.after_commit", "") for _ in range(200)]
    assert 5 < sum(hits) < 50
    assert not any(one.due("monitor.evaluating", "") for _ in range(200))


def data_of(device: str, seq: int = 1) -> Record:
    return Record(seq, RecordKind.DATA, "park/edge-1", device, 1, 0, b"")


def test_s14_a_source_is_left_out_for_a_minute_after_twenty_and_the_others_are_heard() -> None:
    blame, bad, good = Blame(), data_of("store"), data_of("pump", 2)
    assert {blame.failed(source_of(bad), now) for now in range(20)} == {Verdict.GO_ON}
    blame.lived([good])
    assert blame.split([bad, good], 20) == ([], [bad, good])
    assert blame.failed(source_of(bad), 20) is Verdict.LEAVE_OUT
    assert blame.split([bad, bad, good], 21) == ([bad, bad], [])
    assert blame.split([good, good, bad], 21) == ([], [good, good])
    birth = bad._replace(kind=RecordKind.BIRTH)
    assert blame.split([birth], 21) == ([], [birth]), "what comes later must be read with it"
    assert blame.split([bad], 20 + REST_S) == ([], [bad])
    assert blame.failed(source_of(bad), 20 + REST_S) is Verdict.LEAVE_OUT, "it still fails"
    assert blame.failed(source_of(bad), 3000) is Verdict.GO_ON, "long ago"


def test_s14_many_sources_at_once_or_the_clouds_own_records_are_no_sources_fault() -> None:
    blame = Blame()
    assert blame.failed(("park/edge-1", "only"), 0.0, MOST_OF_ONE + 1) is Verdict.HOPELESS, "nothing else is evaluated"
    blame = Blame()
    blame.failed(("park/edge-1", "d0"), 0.0)
    blame.lived([data_of("good")])
    verdicts = [blame.failed(("park/edge-1", f"d{n}"), 0.0, MOST_OF_ONE + 1) for n in range(MOST_SOURCES + 1)]
    assert verdicts == [Verdict.LEAVE_OUT] * MOST_SOURCES + [Verdict.HOPELESS]
    tick = Record(1, RecordKind.TICK, "", "", 0, 0, b"")
    assert Blame().failed(source_of(tick), 0.0, MOST_OF_ONE + 1) is Verdict.HOPELESS


def test_s14_one_devices_poison_stops_neither_the_cloud_nor_another_devices_alarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blame_of, "MOST_OF_ONE", 2)
    tries = fail_on(monkeypatch, forever())
    edge, other = Speaker(), Speaker(node="edge-2")
    with host(tmp_path) as running:
        running.hear(*edge.birth(), *other.birth())
        say(running, edge, POISON)
        say(running, other, 0.5)
        say(running, edge, *[POISON] * 5)
        assert len(tries) == 3 * TRIES, "three were tried, the others left out unseen"
        say(running, other, 5.0)
        assert {"L1 raised B", "L2 raised B"} <= set(running.events())
        assert running.monitor.status()["records_set_aside"] == 6
        assert "all readings of park/edge-1/store are left out" in running.standing()["SYSTEM live"]["comment"]
        assert not running.failures
        rows = running.state.rows(select(schema.AUDIT).where(schema.AUDIT.c.action == "record set aside"))
        assert len(rows) == 6, "each by name"
    with host(tmp_path, now_ms=running.now_ms) as again:
        say(again, edge, POISON)
        assert len(tries) == 3 * TRIES, "whom it failed on before is known at the next start"
