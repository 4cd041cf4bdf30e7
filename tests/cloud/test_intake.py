"""What ingest makes of an edge's messages: what is logged, what is dropped, and above all what is confirmed."""

import itertools
import json
import tempfile
from pathlib import Path

import pytest
from davylamp_cloud.intake import Pressure
from davylamp_cloud.log import Log, RecordKind
from davylamp_wire import sparkplug_pb2
from davylamp_wire.describe import slug
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import (
    EPOCH,
    BirthMetric,
    SparkplugType,
    birth_payload,
    death_payload,
    metrics_body,
    record_metric,
)
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import Host, host
from support.speaker import HOLE_ALIAS, NODE_RECORD, START_MS, Speaker, gas_point


def kinds(running: Host) -> list[str]:
    return [record.kind for record in running.log.read(0) if record.kind not in (RecordKind.TICK, RecordKind.CHANGE)]


def last_confirmed(running: Host) -> str:
    running.settle()
    running.pass_time(1)
    return running.confirmed()[-1].text


def test_a_birth_registers_tags_and_brings_the_link_up(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        running.hear(*Speaker().birth())
        running.settle()
        assert kinds(running) == ["birth", "link", "birth"]
        assert running.log.births.tag_ids == ["park/edge-1/store/gas"]


def test_records_are_confirmed_as_one_compact_set_at_most_twice_a_second(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        running.hear(*edge.birth())
        running.settle()
        for _ in range(50):
            running.hear(edge.data([0.5]))
        running.settle()
        assert len(running.confirmed()) <= 1
        running.pass_time(2)
        assert [str(c.records) for c in running.confirmed()][-1] == "1-50"
        assert len(running.confirmed()) <= 3
        assert running.sent[-1][0] == "spBv1.0/park/NCMD/edge-1"


def test_s26_nothing_is_confirmed_before_it_is_on_disk(tmp_path: Path) -> None:
    running = Host(tmp_path)
    edge = Speaker()
    running.hear(*edge.birth(), edge.data([0.5]), edge.data([0.6]))
    running.pass_time(5)
    assert all(not c.records for c in running.confirmed()), "the group commit does not run: nothing is on disk"
    running.start()
    assert last_confirmed(running) == "e1:1-2"
    running.stop()


def test_a_record_that_comes_twice_is_logged_once_and_confirmed_again(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        running.hear(*edge.birth(), edge.data([0.5], record=7))
        assert last_confirmed(running) == "e1:7"
        before = len(running.confirmed())
        running.hear(edge.data([0.5], record=7))
        running.settle()
        running.pass_time(1)
        assert kinds(running).count("data") == 1
        assert len(running.confirmed()) == before + 1
        assert running.intake.counts["duplicates"] == 1


def test_s27_a_new_journal_epoch_starts_a_new_set(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        running.hear(*edge.birth(), edge.data([0.5], record=1))
        assert last_confirmed(running) == "e1:1"
        edge.epoch, edge.record, edge.now_ms = "e2", 0, edge.now_ms + 1000
        running.hear(*edge.birth())
        assert last_confirmed(running) == "e2:"
        running.hear(edge.data([0.5], record=1))
        assert last_confirmed(running) == "e2:1"
        assert kinds(running).count("data") == 2


def test_data_sent_before_a_new_journal_was_announced_are_left_to_be_sent_again(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker(epoch="old")
        edge.birth()
        early = edge.data([9.0], record=1)
        edge.epoch, edge.now_ms = "new", edge.now_ms + 1000
        running.hear(early, *edge.birth())
        assert last_confirmed(running) == "new:"
        assert "data" not in kinds(running)


def test_s26_a_hole_is_stored_by_its_name_and_counts_as_settled(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker(record=10)
        running.hear(*edge.birth(), edge.hole(1, 10, count=10))
        assert last_confirmed(running) == "e1:1-11"
        hole = running.log.holes("park/edge-1")[0]
        assert (hole.first, hole.last, hole.reason, hole.count) == (1, 10, "journal full", 10)


def test_s26_a_hole_settles_no_record_of_another_class_that_is_still_on_its_way(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker(record=10)
        running.hear(*edge.birth(), edge.hole(1, 10, count=9))
        assert last_confirmed(running) == "e1:11"
        running.hear(edge.data([5.0], record=4))
        assert last_confirmed(running) == "e1:1-11"


def test_holes_and_sets_survive_a_restart(tmp_path: Path) -> None:
    edge = Speaker(record=10)
    with host(tmp_path) as running:
        running.hear(*edge.birth(), edge.hole(1, 10, count=9))
        running.settle()
    with host(tmp_path) as running:
        edge.now_ms += 1000
        running.hear(*edge.birth(), edge.data([5.0], record=4))
        assert last_confirmed(running) == "e1:1-11"


def test_a_payload_nobody_can_read_is_set_aside_with_its_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        topic, _ = edge.data([0.5], record=1)
        edge.seq = 1
        junk = [(topic, b"\xff\xff junk"), ("spBv1.0/park/NONSENSE/edge-1", b""), ("spBv1.0/a/b", b"x")]
        running.hear(*edge.birth(), *junk, edge.data([0.6], record=2))
        running.settle()
        reasons = [q.reason for q in running.log.quarantined()]
        assert len(reasons) == 3
        assert any("not a Sparkplug payload" in reason for reason in reasons)
        assert running.intake.counts["quarantined"] == 3
        assert kinds(running).count("data") == 1


def test_a_payload_too_large_to_be_a_record_is_not_even_looked_at(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        running.hear((edge.topic(MessageType.DDATA), bytes(5 << 20)))
        running.settle()
        assert "more than" in running.log.quarantined()[0].reason


def test_a_description_that_does_not_fit_is_quarantined_with_its_field(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        nbirth, _ = edge.birth()
        metric = BirthMetric("Davylamp/Device", SparkplugType.STRING, None, json.dumps({"name": "store"}))
        dbirth = edge.topic(MessageType.DBIRTH), birth_payload([metric], seq=1, sent_ms=edge.now_ms)
        running.hear(nbirth, dbirth, edge.data([0.5]))
        running.settle()
        assert any("profile" in q.reason for q in running.log.quarantined())
        assert "data" not in kinds(running)


def test_a_datatype_beyond_all_that_exist_costs_no_tag_its_place(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        strange, other = Speaker(epoch=None), Speaker(node="edge-2")
        (of_node, (topic, said)) = strange.birth()
        payload = sparkplug_pb2.Payload.FromString(said)
        payload.metrics[0].datatype = 1 << 31
        running.hear(of_node, (topic, payload.SerializeToString()), *other.birth())
        running.settle()
        named = list(running.log.births.tag_ids)
    assert named == ["park/edge-1/store/gas", "park/edge-2/store/gas"]
    again = Log(tmp_path / "log.db")
    assert again.births.tag_ids == named
    again.close()


def test_a_birth_whose_epoch_is_no_text_may_come_twice(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        for _ in range(2):
            (topic, said), device = edge.birth()
            payload = sparkplug_pb2.Payload.FromString(said)
            next(metric for metric in payload.metrics if metric.name == EPOCH).long_value = 1
            running.hear((topic, payload.SerializeToString()), device)
        running.settle()
        assert kinds(running).count("birth") == 4


def test_a_foreign_edge_is_taken_and_the_values_of_its_birth_are_readings(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker(group="Plant 7", node="Gateway A", device="Boiler", epoch=None)
        running.hear(*edge.birth())
        running.settle()
        tag = running.log.births.index(f"{slug('Plant 7')}/{slug('Gateway A')}/Boiler/gas")
        assert tag is not None
        assert running.monitor.live.read(tag).value == 0.5
        running.hear(edge.data([0.7]))
        running.settle()
        assert running.monitor.live.read(tag).value == 0.7
        assert running.confirmed() == []
        assert not running.state.tags()[tag]["confirmed"]


def test_the_same_birth_again_is_stored_once_and_logged_each_time(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        for _ in range(3):
            running.hear(*edge.birth())
            edge.now_ms += 1000
        running.settle()
        assert kinds(running).count("birth") == 6
        assert len(running.log.births.latest()) == 2


def test_s14_behind_its_bound_the_cloud_confirms_nothing_and_says_so(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        running.hear(*edge.birth())
        running.pressure = Pressure.HOLD
        running.pass_time(0.5)
        running.hear(edge.data([0.5]))
        running.settle()
        running.pass_time(5)
        assert all(not c.records for c in running.confirmed())
        assert running.standing()["SYSTEM live"]["priority"] == "orange"
        running.pressure = Pressure.NONE
        assert last_confirmed(running) == "e1:1"
        running.settle()
        assert running.standing()["SYSTEM live"]["condition"] == "normal"


def test_s14_far_behind_records_their_edge_will_send_again_are_not_taken(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge, foreign = Speaker(), Speaker(node="foreign", epoch=None)
        running.hear(*edge.birth(), *foreign.birth())
        running.pressure = Pressure.FULL
        running.pass_time(0.5)
        running.hear(edge.data([0.5], record=1), foreign.data([0.7]))
        running.settle()
        assert kinds(running).count("data") == 1, "a foreign edge cannot send again"
        running.pressure = Pressure.NONE
        running.pass_time(0.5)
        edge.seq -= 1
        running.hear(edge.data([0.5], record=1))
        assert last_confirmed(running) == "e1:1"


def test_silence_and_will_bring_the_link_down_and_a_birth_brings_it_up(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        running.hear(*edge.birth())
        running.pass_time(23)
        running.settle()
        assert running.standing()["LINK live"]["event"] == "raised"
        edge.now_ms, edge.bd_seq = running.now_ms, 1
        running.hear(*edge.birth())
        running.settle()
        assert running.standing().get("LINK live", {}).get("condition") != "active"
        running.hear(edge.death())
        running.pass_time(1)
        running.settle()
        assert running.standing()["LINK live"]["condition"] == "active"


def test_s03_a_node_known_from_before_a_restart_gets_its_full_time_to_be_heard(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth())
        running.settle()
    with host(tmp_path, now_ms=edge.now_ms + 3_600_000) as running:
        running.pass_time(20)
        running.settle()
        assert "LINK live" not in running.standing()
        running.pass_time(5)
        running.settle()
        assert running.standing()["LINK live"]["condition"] == "active"


def test_losing_the_broker_is_losing_every_link(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        running.hear(*Speaker(epoch=None).birth())
        running.intake.broker_lost(running.now_ms)
        running.settle()
        assert running.standing()["LINK live"]["condition"] == "active"


def test_data_without_a_birth_ask_for_one_and_not_again_at_once(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        edge.birth()
        running.hear(edge.data([0.5]), edge.data([0.6]))
        running.pass_time(2)
        assert running.rebirths() == 1


def test_the_clock_of_an_edge_is_measured(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        edge.now_ms += 3_600_000
        running.hear(*edge.birth(), edge.data([0.5]))
        assert running.intake.offsets() == {"park/edge-1": 3_600_000}


def test_births_of_different_points_make_different_tags(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        running.hear(*Speaker(points={"a": gas_point(), "b": gas_point()}).birth())
        running.hear(*Speaker(node="edge-2", points={"a": gas_point()}).birth())
        running.settle()
        assert running.log.births.tag_ids == ["park/edge-1/store/a", "park/edge-1/store/b", "park/edge-2/store/a"]
        assert EPOCH  # births without it are foreign: see above


@pytest.mark.parametrize("numbers", [[1, 2, 3], [3, 1, 2], [5, 1, 9, 2]])
def test_whatever_the_order_the_set_says_exactly_what_is_here(tmp_path: Path, numbers: list[int]) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        running.hear(*edge.birth(), *(edge.data([0.5], record=number) for number in numbers))
        assert last_confirmed(running) == f"e1:{Intervals([(n, n) for n in numbers])}"


def test_s26_a_hole_settles_nothing_twice_where_the_edge_let_go_of_what_was_here_already(tmp_path: Path) -> None:
    """1 to 5 came, but their confirmation did not get through, and the edge counted them among what it lost."""
    with host(tmp_path) as running:
        edge = Speaker()
        running.hear(*edge.birth(), *[edge.data([0.5]) for _ in range(5)])
        assert last_confirmed(running) == "e1:1-5"
        edge.record = 10
        running.hear(edge.hole(1, 10, count=8))
        assert last_confirmed(running) == "e1:1-5,11"
        running.hear(edge.data([5.0], record=6))
        assert last_confirmed(running) == "e1:1-6,11"
        assert kinds(running).count("data") == 7


def test_s02_an_edge_whose_clock_is_set_back_after_its_birth_is_heard(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker(now_ms=START_MS + 86_400_000)
        running.hear(*edge.birth())
        running.pass_time(11)
        edge.now_ms = running.now_ms
        running.hear(edge.data([5.0]))
        assert last_confirmed(running) == "e1:1"
        assert "L2 raised B" in running.events()


def test_s02_a_clock_that_is_set_back_is_noticed_at_once_and_delays_no_raise(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker(now_ms=START_MS + 3_600_000)
        running.hear(*edge.birth())
        for back_ms in (0, 3_600_000, 0):
            for _ in range(11):
                edge.now_ms += 1000
                running.hear(edge.data([0.5]))
                running.pass_time(1)
                running.tick()
            edge.now_ms -= back_ms
        edge.now_ms += 1000
        running.hear(edge.data([1.5]))
        running.settle()
        assert running.intake.nodes["park/edge-1"].clock.offset_ms(0) == pytest.approx(0, abs=1000)
        assert "L1 raised B" in running.events()


@pytest.mark.parametrize(
    "wrong",
    [
        {"newer": 1},
        {"first": "one"},
        {"first": -3},
        {"last": 0},
        {"count": 1 << 70},
        {"count": True},
        {"reason": "\ud800"},
        {"epoch": None},
    ],
)
def test_a_hole_nobody_can_read_is_set_aside_and_neither_confirmed_nor_the_end_of_the_log(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    said = {
        "epoch": "e1",
        "first": 1,
        "last": 1,
        "journal_class": "live",
        "reason": "full",
        "first_ms": 1,
        "last_ms": 1,
    }
    text = json.dumps({**said, "count": 1, **wrong})
    with host(tmp_path) as running:
        edge = Speaker()
        readings = Readings([HOLE_ALIAS], [edge.now_ms], [text], [0])
        body = metrics_body(readings, {HOLE_ALIAS: int(SparkplugType.STRING)})
        running.hear(*edge.birth())
        numbered = record_metric(NODE_RECORD, 1, edge.now_ms) + body
        running.hear((edge.topic(MessageType.NDATA), edge.payload(numbered)), edge.data([0.5], record=2))
        assert last_confirmed(running) == "e1:2"
        assert "hole" in running.log.quarantined()[0].reason


STEPS = ("data", "data", "data", "again", "lost", "birth", "epoch", "hole", "junk", "foreign", "late", "node death")


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=20), st.data())
def test_messages_that_come_at_once_lead_to_what_they_lead_to_one_by_one(steps: list[str], data: st.DataObject) -> None:
    said = messages_of(steps)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(said)))) | {0, len(said)})
    batches = [said[start:stop] for start, stop in itertools.pairwise(cuts)]
    assert led_to(batches) == led_to([[message] for message in said])


def messages_of(steps: list[str]) -> list[tuple[str, bytes]]:
    """Return what an edge of ours and a foreign one say, broken in the ways of a bad network."""
    edge, foreign = Speaker(), Speaker(node="foreign", epoch=None)
    found = [*edge.birth(), *foreign.birth()]
    for step in steps:
        edge.now_ms += 1
        found += _said(step, edge, foreign)
    return found


def _said(step: str, edge: Speaker, foreign: Speaker) -> list[tuple[str, bytes]]:
    match step:
        case "again":
            return [edge.data([0.5], record=max(1, edge.record))]
        case "lost":
            edge.data([0.5])
            return [edge.data([0.6])]
        case "birth":
            return edge.birth()
        case "epoch":
            edge.epoch, edge.record = f"{edge.epoch}x", 0
            return edge.birth()
        case "hole":
            return [edge.hole(edge.record + 1, edge.record + 3, count=3)]
        case "junk":
            return [(edge.topic(MessageType.DDATA), b"\xff\x00"), ("spBv1.0/a", b"")]
        case "foreign":
            return [foreign.data([0.7])]
        case "late":
            one, other = edge.data([0.5]), edge.data([0.6])
            return [other, one]
        case "node death":
            return [(edge.topic(MessageType.NDEATH), death_payload(edge.bd_seq, edge.now_ms))]
    return [edge.data([0.5])]


def led_to(batches: list[list[tuple[str, bytes]]]) -> object:
    """Return records, holes, quarantine, confirmations and counts."""
    with tempfile.TemporaryDirectory() as name:
        running = Host(Path(name))
        for batch in batches:
            running.hear(*batch)
        running.pass_time(12)
        running.commits.start()
        running.commits.stop()
        running.pass_time(1)
        log = running.log
        records = [(record.kind, record.node, record.device, record.birth, record.body) for record in log.read(0)]
        junk = [(one.topic, one.reason) for one in log.quarantined()]
        sets = [(one.epoch, str(one.intervals)) for one in log.confirmed()]
        found = records, junk, sets, log.holes(), running.intake.counts, running.sent[-1:]
        running.close()
        return found


def test_what_is_wrong_with_one_message_does_not_hurt_those_that_came_with_it(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        birth, one, other = edge.birth(), edge.data([0.5]), edge.data([0.6])
        said = [*birth, one, (edge.topic(MessageType.DDATA), b"\xff"), other]
        raw = [(topic.encode(), payload) for topic, payload in said]
        running.intake.receive([*raw[:3], (b"\xff", b""), *raw[3:]], running.now_ms)
        assert last_confirmed(running) == "e1:1-2"
        assert len(running.log.quarantined()) == 1
