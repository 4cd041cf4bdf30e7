"""The publisher on a real broker: births before data, live before backlog, and again until it is confirmed."""

import itertools
import threading
import time
from pathlib import Path
from typing import cast

import pytest
from davylamp_edge.journal import Journal
from davylamp_edge.journal_file import JournalFile
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import BD_SEQ, ENGINE, EPOCH, HOLE, REBIRTH, BirthMetric, SparkplugType
from davylamp_wire.topic import MessageType
from support.edge_host import edge_host
from support.services import Broker
from support.uplink import DEVICE, LONG_MS, NODE, Edge, born, edge_on, values


def test_births_come_first_and_seq_counts_on_from_0(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        for n in range(300):
            edge.read(float(n))
        host.wait(lambda: len(host.records) == 300, "300 records")
        types = [seen.topic.type for seen in host.seen]
        assert types[:2] == [MessageType.NBIRTH, MessageType.DBIRTH]
        assert [seen.message.seq for seen in host.seen] == [n % 256 for n in range(len(host.seen))]
        birth = host.seen[0].message
        assert birth.value(EPOCH) == edge.journal.epoch
        assert birth.value(REBIRTH) is False


def test_a_reading_wakes_the_uplink_and_waits_for_none_of_its_rests(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        delays = []
        for n in range(50):
            began = time.monotonic()
            edge.read(float(n))
            host.wait(lambda n=n: len(host.records) > n, "the reading")  # type: ignore[misc]  # a default binds n
            delays.append(host.records[-1].seen.at_s - began)
        # How fast is the latency benchmark's to say; an uplink that slept through readings would take a second each.
        assert sorted(delays)[25] < 0.5, delays


def test_nothing_is_born_before_the_primary_host_is_online(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto, host="another") as bystander, edge_on(tmp_path, mosquitto) as edge:
        edge.read(1.0)
        edge.written(bystander, 1)
        bystander.wait(lambda: edge.uplink.state == "waiting_host", "waiting for the host")
        assert bystander.seen == []
        with edge_host(mosquitto) as host:
            born(host)
            host.wait(lambda: host.records, "the reading")


def test_s05_what_a_new_edge_has_just_read_is_of_the_present_at_its_first_birth_and_later_backlog(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """No link was lost before it, so that no alarm may say so; what waited long, or for a second session, did wait."""
    with edge_host(mosquitto, host="another") as bystander, edge_on(tmp_path, mosquitto) as edge:
        edge.read(1.0, ago_ms=LONG_MS)
        edge.read(2.0)
        edge.read(3.0)
        edge.written(bystander, 3)
        with edge_host(mosquitto) as host:
            host.wait(lambda: len(host.records) == 3, "three readings")
            assert [(record.number, record.historical) for record in host.records] == [
                (2, False),
                (3, False),
                (1, True),
            ]
        bystander.wait(lambda: edge.uplink.state != "online", "that the host has gone")
        edge.read(4.0)
        edge.written(bystander, 4)
        with edge_host(mosquitto) as host:
            host.wait(lambda: 4 in host.numbers(), "the fourth")
            assert all(record.historical for record in host.records)


def test_a_host_that_goes_offline_ends_the_session_with_a_death(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        host.say(False)
        host.wait(lambda: host.of(MessageType.NDEATH), "the death")
        edge.read(1.0)
        host.wait(lambda: edge.uplink.state == "waiting_host", "waiting for the host")
        host.say(True)
        born(host, 2)
        first, second = (seen.message.value(BD_SEQ) for seen in host.of(MessageType.NBIRTH))
        assert second == (int(str(first)) + 1) % 256
        host.wait(lambda: host.records, "what was read meanwhile")


def test_a_clean_stop_says_goodbye_itself(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host:
        with edge_on(tmp_path, mosquitto) as edge:
            born(host)
            edge.read(1.0)
        host.wait(lambda: host.of(MessageType.NDEATH), "the death")
        birth, death = host.of(MessageType.NBIRTH)[0], host.of(MessageType.NDEATH)[0]
        assert death.message.value(BD_SEQ) == birth.message.value(BD_SEQ)
        assert death.message.seq is None
        assert values(host) == [1.0]


def test_a_rebirth_begins_at_seq_0_with_the_same_bdseq(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        edge.read(1.0)
        host.wait(lambda: host.records, "a record")
        for _ in range(5):
            host.ask_rebirth(NODE)
        born(host, 2)
        births = host.of(MessageType.NBIRTH)
        assert [seen.message.seq for seen in births] == [0, 0]
        assert births[0].message.value(BD_SEQ) == births[1].message.value(BD_SEQ)
        assert edge.uplink.published.births == 2


def test_a_command_to_a_device_is_refused_and_junk_is_survived(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        host._client.publish(f"spBv1.0/davylamp/DCMD/edge-1/{DEVICE}", b"\x08\x01", qos=1)
        host._client.publish("spBv1.0/davylamp/NCMD/edge-1", b"\xff\xff\xff", qos=1)
        host.confirm(NODE, None)
        host.wait(lambda: edge.uplink.counters.refused_commands == 2, "two refusals")
        edge.read(1.0)
        host.wait(lambda: host.records, "a record after the junk")


def test_s26_a_record_that_is_not_confirmed_is_sent_again_until_it_is(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto, confirms=False) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        for n in range(3):
            edge.read(float(n))
        host.wait(lambda: len(host.records) == 3, "three records")
        host.confirm(NODE, Intervals.parse("1,3"))
        host.wait(lambda: len(host.records) == 4, "the one that was passed over")
        again = host.records[-1]
        assert (again.number, again.historical) == (2, True)
        host.confirm(NODE, Intervals.parse("1-3"))
        host.wait(lambda: edge.uplink.in_flight == 0, "nothing in flight")


def test_s26_everything_unconfirmed_is_sent_after_a_birth(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto, confirms=False) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        for n in range(10):
            edge.read(float(n))
        host.wait(lambda: len(host.records) == 10, "ten records")
        host.confirm(NODE, Intervals.parse("1-6"))
        host.wait(lambda: edge.uplink.in_flight == 4, "six confirmed")
        host.ask_rebirth(NODE)
        host.wait(lambda: len(host.records) == 14, "the other four")
        assert host.numbers()[10:] == [7, 8, 9, 10]
        assert all(record.historical for record in host.records[10:])


def test_s27_a_restored_cloud_is_filled_again(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        for n in range(20):
            edge.read(float(n))
        host.wait(lambda: len(host.records) == 20 and edge.uplink.in_flight == 0, "twenty records, confirmed")
        host.stored = Intervals.parse("1-5")
        host.confirm(NODE)
        host.wait(lambda: host.stored == Intervals.parse("1-20"), "the forgotten ones")
        assert sorted(set(host.numbers()[20:])) == list(range(6, 21))


def test_live_goes_before_the_backlog_of_a_cut(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto, host="another") as bystander, edge_on(tmp_path, mosquitto, backlog_rate=100) as edge:
        for n in range(200):
            edge.read(float(n), ago_ms=LONG_MS)
        edge.written(bystander, 200)
        with edge_host(mosquitto) as host:
            born(host)
            edge.read(1000.0)
            host.wait(lambda: 1000.0 in values(host), "the live one")
            live = next(record for record in host.records if record.values[0] == 1000.0)
            assert not live.historical
            assert len(host.records) < 150
            host.wait(lambda: len(set(host.numbers())) == 201, "the backlog")
            host.wait(lambda: not edge.journal.unconfirmed(0, 1000), "confirmation of all of it")


def test_s26_sigkill_of_the_broker_loses_nothing_and_backlog_comes_as_history(
    tmp_path: Path, mosquitto: Broker
) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        for n in range(50):
            edge.read(float(n))
        mosquitto.kill()
        for n in range(50, 100):
            edge.read(float(n))
        host.wait(lambda: edge.uplink.state != "online", "the cut")
        mosquitto.start()
        born(host, 2)
        host.wait(lambda: host.stored == Intervals.parse("1-100"), "every record")
        before, after = (int(str(seen.message.value(BD_SEQ))) for seen in host.of(MessageType.NBIRTH)[:2])
        assert after > before
        second_birth = host.of(MessageType.NBIRTH)[1].at_s
        assert all(record.historical for record in host.records if record.seen.at_s > second_birth)


def test_s26_holes_travel_as_records_of_the_node(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto, max_bytes=1 << 20) as edge:
        born(host)
        mosquitto.kill()
        host.wait(lambda: edge.uplink.state != "online", "the cut")
        for n in range(4_000):
            edge.read(float(n), times=30)
        edge.writer.stop()
        mosquitto.start()
        born(host, 2)
        host.wait(lambda: not edge.journal.unconfirmed(0, 10), "everything confirmed")
        holes = [record for record in host.records if record.device is None]
        assert holes
        lost = sum(int(edge.journal.lost[kind]) for kind in edge.journal.lost)
        delivered = {record.number for record in host.records if record.device == DEVICE}
        assert len(delivered) + lost == 4_000
        assert all(HOLE and '"reason":"evicted"' in str(record.values[0]) for record in holes)


def test_a_one_way_link_repeats_and_settles(tmp_path: Path, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("davylamp_edge.outgoing.REPEAT_MS", 100)
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto, one_way=True, repeats=3) as edge:
        born(host)
        edge.read(1.0)
        host.wait(lambda: host.numbers().count(1) == 3, "three copies")
        host.wait(lambda: edge.journal.confirmed.covers(1), "the record settled")
        host.ask_rebirth(NODE)
        assert edge.uplink.counters.confirmations == 0


def test_an_edge_with_nothing_to_say_still_beats(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto, keepalive_s=1):
        born(host)
        host.wait(lambda: len(host.of(MessageType.NDATA)) >= 3, "three heartbeats")
        beats = [seen.at_s for seen in host.of(MessageType.NDATA)]
        assert all(later - earlier < 1.5 for earlier, later in itertools.pairwise(beats))


def test_s26_a_record_made_while_the_births_go_out_is_sent(
    tmp_path: Path, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made by another thread just after the uplink looked how far the backlog goes."""
    looked = cast(property, vars(JournalFile)["last_record"]).fget
    assert looked is not None
    running: list[Edge] = []

    def last_record(journal: Journal) -> int:
        number = looked(journal)
        if running and threading.current_thread().name == "uplink":
            edge = running.pop()
            edge.read(7.0)
            deadline = time.monotonic() + 10
            while edge.writer.appended == 0 and time.monotonic() < deadline:
                time.sleep(0.001)
        return int(number)

    monkeypatch.setattr(Journal, "last_record", property(last_record))
    with edge_on(tmp_path, mosquitto) as edge:
        running.append(edge)
        with edge_host(mosquitto) as host:
            host.wait(lambda: 7.0 in values(host), "the record made meanwhile")


def test_a_password_file_that_is_gone_for_a_while_does_not_leave_the_edge_mute(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """Somebody renews it while the session begins anew: remove, then write."""
    password = tmp_path / "password"
    password.write_text("first")
    login = {"username": "edge", "password_file": str(password)}
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto, login=login) as edge:
        host.wait(lambda: host.of(MessageType.NBIRTH), "the first birth")
        password.unlink()
        host.say(False, 1)
        host.wait(lambda: edge.uplink.counters.failures == 1, "that it cannot begin anew")
        host.say(True, 2)
        password.write_text("second")
        host.wait(lambda: len(host.of(MessageType.NBIRTH)) == 2, "the second birth")
        edge.read(2.5)
        host.wait(lambda: host.stored.highest, "a record")


def test_s28_a_word_of_the_engine_counts_from_when_it_came_however_late_it_is_looked_at(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """Behind a journal that was busy for minutes an old word held the beacon's contact as if it were new."""
    with edge_host(mosquitto, confirms=False) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        with edge.journal._lock:
            host.confirm(NODE, Intervals())
            host.command(NODE, BirthMetric(ENGINE, SparkplugType.INT64, None, 0))
            time.sleep(1.0)  # the journal is busy
            free_s = time.monotonic()
        host.wait(lambda: edge.uplink.engine.moved_s is not None, "the word")
        assert (edge.uplink.engine.moved_s or 0.0) < free_s
        assert (edge.uplink.clock.ms or 0) < 900
