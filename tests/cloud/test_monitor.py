"""The monitor: what is stored of what the engine says, what a restart keeps, and what a person decides."""

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.batch import Batch
from davylamp_alarms.engine import Engine
from davylamp_alarms.lifecycle import IllegalTransition
from davylamp_alarms.transition import Command, Transition, Why
from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.store import schema
from davylamp_cloud.store.verify import verify_chain
from davylamp_wire import sparkplug_pb2
from davylamp_wire.payload import device_death_payload
from davylamp_wire.quality import Reason, bad, uncertain
from davylamp_wire.topic import MessageType
from sqlalchemy import select, text
from support.cloud_process import until
from support.host import Host, host
from support.speaker import Speaker, gas_point, limit

REGULATOR = ReceiverConfig(name="park-bureau", url="https://regulator.example/", secret_env="NOT_READ_HERE")


def say(running: Host, edge: Speaker, *values: float, **more: Any) -> None:
    """Let an edge report values a second apart, and wait for the evaluation; it is born again after a restart."""
    if not running.intake.nodes[f"{edge.group}/{edge.node}"].births:
        born(running, edge)
    for value in values:
        edge.now_ms += 1000
        running.now_ms = edge.now_ms
        running.hear(edge.data([value], **more))
    running.settle()


def born(running: Host, edge: Speaker | None = None) -> Speaker:
    speaker = edge or Speaker()
    speaker.now_ms = max(speaker.now_ms, running.now_ms)
    running.hear(*speaker.birth())
    running.settle()
    return speaker


def test_a_leak_raises_both_levels_and_stores_them_with_their_words(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        say(running, born(running), 0.5, 5.0)
        assert running.events() == ["L1 raised B", "L2 raised B"]
        row = running.standing()["L2 live"]
        assert (row["priority"], row["value"], row["limit"], row["tag_id"]) == (
            "red",
            5.0,
            3.0,
            "park/edge-1/store/gas",
        )


def test_s24_every_alarm_says_what_where_how_much_since_when_and_what_to_do_in_both_languages(
    tmp_path: Path,
) -> None:
    with host(tmp_path) as running:
        say(running, born(running), 5.0)
        row = running.standing()["L2 live"]
        for words in (
            "监测报警·红",
            "cl2-store 氯气库",
            "氯气浓度（1#AT-101/A）",
            "5 ppm ≥ 3 ppm",
            "自 2025-10-09 16:53:21 起",
        ):
            assert words in row["text_zh"], words
        for words in ("MONITORING RED", "chlorine store", "chlorine (1#AT-101/A)", "5 ppm ≥ 3 ppm", "since 2025-10-09"):
            assert words in row["text_en"], words
        assert row["text_zh"].endswith("核实并按处置卡操作")
        assert row["text_en"].endswith("follow the handling card")


def test_s21_a_notice_names_the_monitoring_scheme_and_no_government_colour(tmp_path: Path) -> None:
    with host(tmp_path, receivers=[REGULATOR]) as running:
        say(running, born(running), 5.0)
        rows = running.state.rows(select(schema.OUTBOX))
        data = json.loads(rows[0]["body"])["data"]
        assert (data["scheme"], data["level"]) == ("monitoring", "red")
        assert "非事故报告" in data["notice"]
        stored = {json.loads(row["body"])["scheme"] for row in running.state.transitions()}
        assert stored == {"monitoring"}, "who reads them by the API reads the same"


def test_s23_one_transition_is_one_row_one_id_and_one_outbox_row_a_receiver(tmp_path: Path) -> None:
    with host(tmp_path, receivers=[REGULATOR]) as running:
        edge = born(running)
        say(running, edge, 5.0, 0.5, 5.0)
        rows = running.state.transitions()
        ids = [row["id"] for row in rows]
        assert len(set(ids)) == len(ids)
        assert [row["source_no"] for row in rows] == list(range(1, len(rows) + 1))
        told = running.state.rows(select(schema.OUTBOX.c.transition).order_by(schema.OUTBOX.c.id))
        red = [row["id"] for row in rows if row["priority"] in ("red", "orange")]
        assert [row["transition"] for row in told] == red


def test_an_acknowledgement_is_kept_with_its_name_over_a_restart(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 5.0)
        row = running.standing()["L2 live"]
        outcome = running.act("acknowledge", occurrence=row["occurrence"], version=row["version"])
        assert [step["event"] for step in outcome.transitions] == ["acknowledged"]
    with host(tmp_path, now_ms=edge.now_ms) as running:
        row = running.standing()["L2 live"]
        assert (row["letter"], row["acknowledged_by"]) == ("C", "li")
        again = running.act("acknowledge", occurrence=row["occurrence"], version=row["version"])
        assert not again.transitions
        assert len(running.events()) == 3


def test_a_command_on_an_older_version_is_refused_with_its_reason_and_the_refusal_is_kept(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        outcome = running.act("acknowledge", occurrence="cl2-store-99", version=1)
        assert outcome.refusal is not None
        assert outcome.refusal.why is Why.UNKNOWN
        assert running.state.rows(select(schema.REFUSALS))[0]["subject"] == "cl2-store-99"


def test_a_shelf_shows_until_when(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        say(running, born(running), 1.5)
        until_ms = running.now_ms + 600_000
        alarm = running.standing()["L1 live"]["alarm_id"]
        running.act("shelve", alarm=alarm, comment="pump test", until_ms=until_ms)
        row = running.standing()["L1 live"]
        assert (row["letter"], row["shelved_until_ms"]) == ("G", until_ms)


@pytest.mark.parametrize("lost_snapshots", [0, 1, 2])
def test_a_killed_cloud_goes_on_without_losing_or_repeating_a_transition(tmp_path: Path, lost_snapshots: int) -> None:
    """The monitor dies with its thread; what follows the last snapshot is replayed, compared and not stored again."""
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 0.5)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        say(running, edge, 5.0, 0.2)
        row = running.standing()["L2 live"]
        running.act("acknowledge", occurrence=row["occurrence"], version=row["version"])
        before = running.state.transitions()
        standing = running.standing()
    with sqlite3.connect(tmp_path / "state.db") as db:
        newest = "SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?"
        db.execute(f"DELETE FROM snapshots WHERE seq IN ({newest})", (lost_snapshots,))
    db.close()
    with host(tmp_path, now_ms=edge.now_ms) as running:
        assert running.state.transitions() == before
        assert running.standing() == standing
        assert "SYSTEM live" not in running.standing()
        say(running, edge, 5.0)
        assert [row["source_no"] for row in running.state.transitions()] == list(range(1, len(running.events()) + 1))
        assert verify_chain(running.state) is None


def test_where_a_replay_differs_the_stored_transition_wins_and_an_alarm_says_so(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 5.0)
        before = running.events()
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("DELETE FROM snapshots")
    db.close()
    with sqlite3.connect(tmp_path / "log.db") as db:
        db.execute("UPDATE records SET body = x'00' WHERE kind = 'data'")
    db.close()
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert running.events()[: len(before)] == before
        alarm = running.standing()["SYSTEM live"]
        assert "replay" in alarm["alarm_id"]
        assert "2 transitions are stored, 0 came out" in alarm["comment"]
        say(running, edge, 6.0)
        numbers = [row["id"] for row in running.state.transitions()]
        assert len(set(numbers)) == len(numbers)
        occurrences = {row["occurrence"] for row in running.state.transitions() if row["event"] == "raised"}
        assert len(occurrences) == 5, "an occurrence's number is never given twice"
        assert verify_chain(running.state) is None


def test_a_replay_that_agrees_again_ends_that_alarm(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        running.change("report", name="replay", active=True)
        assert running.standing()["SYSTEM live"]["condition"] == "active"
    with host(tmp_path) as running:
        running.settle()
        assert running.standing()["SYSTEM live"]["condition"] == "normal"


def test_first_limits_are_live_and_later_ones_are_proposals(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        edge.points = {"gas": gas_point(limits={"L1": limit(0.7), "L2": limit(3.0, deadband=0.3)})}
        edge.now_ms += 1000
        born(running, edge)
        say(running, edge, 0.8)
        assert running.events() == [], "what a birth wants is not in force before a person accepts it"
        proposal = running.state.rows(select(schema.PROPOSALS))[0]
        assert [difference[0] for difference in proposal["differences"]] == ["limits.L1"]
        running.change("accept", proposal=proposal["id"], second="wang")
        say(running, edge, 0.8)
        assert running.events() == ["L1 raised B"]
        assert running.state.limits(0)["version"] == 2  # type: ignore[index]  # it is there
    with host(tmp_path, now_ms=edge.now_ms) as running:
        assert running.state.limits(0)["settings"]["limits"]["L1"]["value"] == 0.7  # type: ignore[index]
        assert running.standing()["L1 live"]["limit"] == 0.7


def test_a_rejected_proposal_is_not_asked_about_again(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        edge.points = {"gas": gas_point(limits={"L1": limit(0.7)})}
        edge.now_ms += 1000
        born(running, edge)
        proposal = running.state.rows(select(schema.PROPOSALS))[0]
        running.change("reject", proposal=proposal["id"])
    with host(tmp_path, now_ms=edge.now_ms + 1000) as running:
        edge.device_zh = "another"  # type: ignore[attr-defined]  # the birth is the same but for its time
        born(running, edge)
        assert [row["state"] for row in running.state.rows(select(schema.PROPOSALS))] == ["rejected"]


def test_new_words_for_a_known_tag_are_taken_at_once(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        edge.points = {"gas": gas_point(zh="一号氯气", plant_tag="AT-7")}
        edge.now_ms += 1000
        born(running, edge)
        tag = running.state.tags()[0]
        assert (tag["zh"], tag["plant_tag"]) == ("一号氯气", "AT-7")
        assert running.state.rows(select(schema.PROPOSALS)) == []


def test_what_a_tag_keeps_for_life_cannot_be_accepted_away(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        edge.hazard_source = "other-store"
        edge.now_ms += 1000
        born(running, edge)
        proposal = running.state.rows(select(schema.PROPOSALS))[0]
        outcome = running.change("accept", proposal=proposal["id"])
        assert outcome.refusal is not None
        assert "hazard_source" in outcome.refusal.en


def test_s30_a_limit_nobody_verified_stays_unverified_in_the_register(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        born(running)
        source = running.state.limits(0)["settings"]["limits"]["L2"]["source"]  # type: ignore[index]
        assert (source["basis"], source["verified_by"]) == ("proposal", "")


def test_s12_a_blind_detector_is_an_alarm_as_loud_as_what_it_guards_and_no_gas_alarm(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = born(running, Speaker(points={"a": gas_point(), "b": gas_point()}))
        edge.now_ms += 1000
        running.hear(edge.data([0.5, 0.5]))
        for _ in range(60):
            edge.now_ms = running.now_ms = edge.now_ms + 1000
            running.hear(edge.data([None, 0.5], quality=bad(Reason.LOOP_LOW)))
            running.tick()
        running.settle()
        row = running.standing()["FAULT live"]
        assert row["priority"] == "red"
        assert "BLIND: 1 of 2 points lost" in row["text_en"]
        assert "失去监视：2 个测点中 1 个" in row["text_zh"]


def test_s05_a_late_excursion_says_when_it_was_and_asks_for_the_field(tmp_path: Path) -> None:
    with host(tmp_path, receivers=[REGULATOR]) as running:
        edge = born(running)
        say(running, edge, 0.5)
        edge.now_ms += 60_000
        backlog = [edge.data([value], historical=True, time_ms=edge.now_ms - ago) for value, ago in
                   ((0.5, 50_000), (6.0, 40_000), (7.0, 20_000), (0.4, 10_000))]  # fmt: skip
        running.hear(*backlog)
        running.settle()
        late = [row for row in running.state.transitions() if row["kind"] == "L2" and row["late"]]
        assert late
        data = json.loads(late[-1]["body"])
        assert "during link loss, check the field" in data["text"]["en"]
        assert "请到现场核实" in data["text"]["zh"]
        assert any(json.loads(row["body"])["data"]["late"] for row in running.state.rows(select(schema.OUTBOX)))


def test_s29_refusals_and_decisions_are_in_a_chain_with_who_and_what(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        running.act("acknowledge", occurrence="cl2-store-99", version=1)
        edge.points = {"gas": gas_point(limits={"L1": limit(0.7)})}
        edge.now_ms += 1000
        born(running, edge)
        proposal = running.state.rows(select(schema.PROPOSALS))[0]
        running.change("accept", proposal=proposal["id"], second="wang")
        rows = running.state.rows(select(schema.AUDIT))
        assert [(row["action"], row["actor"]) for row in rows] == [
            ("tags introduced", "park/edge-1"),
            ("acknowledge refused", "li"),
            ("settings accepted", "li + wang"),
        ]
        assert json.loads(rows[2]["before"])["limits"]["L1"]["value"] == 1.0
        assert json.loads(rows[2]["after"])["limits"]["L1"]["value"] == 0.7
        assert verify_chain(running.state) is None


TAMPERINGS = {
    "edited": ("UPDATE transitions SET actor = 'nobody' WHERE source_no = 2", 2),
    "edited value": ("UPDATE transitions SET value = 0.1 WHERE source_no = 1", 1),
    "edited body": ("UPDATE transitions SET body = replace(body, 'red', 'blue') WHERE source_no = 2", 2),
    "deleted": ("DELETE FROM transitions WHERE source_no = 2", 2),
    "tail cut": ("DELETE FROM transitions WHERE source_no = 3", 3),
    "head edited": ("UPDATE chain_heads SET hash = 'x' WHERE chain = 'cl2-store'", 3),
    "renumbered": ("UPDATE transitions SET source_no = source_no + 10 WHERE source_no = 3", 3),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_s29_any_change_of_a_stored_transition_is_found(tmp_path: Path, name: str) -> None:
    statement, number = TAMPERINGS[name]
    with host(tmp_path) as running:
        say(running, born(running), 5.0, 0.5)
        assert len(running.events()) >= 3
        with running.state.writing() as connection:
            connection.execute(text("DELETE FROM transitions WHERE source_no > 3"))
            third = connection.execute(text("SELECT hash FROM transitions WHERE source_no = 3")).scalar()
            connection.execute(text(f"UPDATE chain_heads SET number = 3, hash = '{third}' WHERE chain = 'cl2-store'"))
        assert verify_chain(running.state) is None
        with running.state.writing() as connection:
            connection.execute(text(statement))
        found = verify_chain(running.state)
        assert found is not None
        assert (found.chain, found.number) == ("cl2-store", number)
        running.state.close()
        Path(tmp_path / "state.db").touch()


def test_s29_a_hazard_source_whose_every_transition_was_deleted_is_named(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        say(running, born(running), 5.0)
        with running.state.writing() as connection:
            connection.execute(text("DELETE FROM transitions"))
        found = verify_chain(running.state)
        assert found is not None
        assert (found.chain, found.number) == ("cl2-store", 1)


@pytest.mark.parametrize(
    ("tampering", "chain", "number"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE number = 1", "#audit", 1),
        ("DELETE FROM audit", "#audit", 1),
        ("DELETE FROM chain_heads WHERE chain = '#audit'", "#audit", 1),
        ("DELETE FROM chain_heads WHERE chain = 'cl2-store'", "cl2-store", 2),
    ],
)
def test_s29_any_change_of_an_audit_row_and_a_head_that_was_taken_away_are_found(
    tmp_path: Path, tampering: str, chain: str, number: int
) -> None:
    with host(tmp_path) as running:
        say(running, born(running), 5.0)
        assert verify_chain(running.state) is None
        with running.state.writing() as connection:
            connection.execute(text(tampering))
        found = verify_chain(running.state)
        assert found is not None
        assert (found.chain, found.number) == (chain, number)


def test_s29_a_device_that_its_edge_takes_out_is_in_the_chain_and_clears_nothing(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = born(running)
        say(running, edge, 5.0)
        edge.seq += 1
        running.hear((edge.topic(MessageType.DDEATH), device_death_payload(seq=edge.seq, sent_ms=edge.now_ms)))
        running.settle()
        (row,) = running.state.rows(select(schema.AUDIT).where(schema.AUDIT.c.action == "device removed by its edge"))
        assert row["subject"] == "park/edge-1/store"
        assert verify_chain(running.state) is None
        standing = running.standing()
        assert {name: standing[name]["condition"] for name in ("L1 live", "L2 live")} == {
            "L1 live": "active", "L2 live": "active",
        }  # fmt: skip


def test_s29_an_inserted_transition_is_found(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        say(running, born(running), 5.0)
        with running.state.writing() as connection:
            row = dict(connection.execute(select(schema.TRANSITIONS)).mappings().first() or {})
            forged = {**row, "id": "cl2-store-3", "source_no": 3, "version": 9}
            connection.execute(schema.TRANSITIONS.insert(), forged)
        found = verify_chain(running.state)
        assert found is not None
        assert found.number == 3


def test_a_damaged_record_is_audited_and_the_rest_goes_on(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
    log = Log(tmp_path / "log.db")
    junk = [(RecordKind.LINK, b"{}"), (RecordKind.COMMAND, b"junk")]
    log.append([NewRecord(kind, body, edge.now_ms) for kind, body in junk])
    log.close()
    with host(tmp_path, now_ms=edge.now_ms) as running:
        say(running, edge, 5.0)
        assert "L2 live" in running.standing()
        actions = [row["action"] for row in running.state.rows(select(schema.AUDIT))]
        assert actions.count("record unreadable") == 2


def test_s13_a_monitor_whose_disk_refuses_stands_still_in_plain_sight_and_goes_on_after(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = born(running)
        position = running.monitor.position
        with running.state.writing() as connection:
            connection.execute(text("ALTER TABLE transitions RENAME TO elsewhere"))
        edge.now_ms += 1000
        running.now_ms = edge.now_ms + 8000
        running.hear(edge.data([5.0]))
        until(lambda: running.log.last_seq > position, "the record on disk")
        assert running.monitor.position == position
        assert running.monitor.lag().records >= 1
        assert running.monitor.status()["lag_ms"] >= 0
        with running.state.writing() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO transitions"))
        running.settle()
        assert running.events() == ["L1 raised B", "L2 raised B"]
        assert running.monitor.lag().records == 0


def test_s29_a_commit_that_fails_at_its_end_breaks_no_chain_and_skips_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cursor is what a commit writes last: chains had gone on in memory by then."""
    with host(tmp_path) as running:
        edge = born(running)
        position = running.monitor.position
        with running.state.writing() as connection:
            connection.execute(text("ALTER TABLE cursors RENAME TO elsewhere"))
        edge.now_ms += 1000
        running.hear(edge.data([5.0]))
        until(lambda: running.log.last_seq > position, "the record on disk")
        until(lambda: "state.db refuses the monitor" in "".join(capsys.readouterr()), "the refusal")
        with running.state.writing() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO cursors"))
        running.settle()
        assert running.events() == ["L1 raised B", "L2 raised B"]
        assert [row["source_no"] for row in running.state.transitions()] == [1, 2]
        assert verify_chain(running.state) is None


def test_listeners_hear_each_commit_after_it_is_stored(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        heard: list[tuple[int, int]] = []
        running.monitor.on_commit(
            lambda committed: heard.append((len(committed.transitions), len(running.state.transitions())))
        )
        say(running, born(running), 5.0)
        running.settle()
        told = [pair for pair in heard if pair[0]]
        assert told == [(2, 2)]


def test_live_values_survive_a_restart(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        say(running, born(running, edge), 0.25)
        before = running.monitor.live.read(0)
    with host(tmp_path) as running:
        assert running.monitor.live.read(0) == before


def test_the_log_may_be_trimmed_up_to_the_oldest_snapshot_and_the_next_start_still_works(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        say(running, born(running, edge), 5.0)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        say(running, edge, 5.1)
        standing = running.standing()
        gone = running.log.trim(running.monitor.needed(), edge.now_ms + 10**9, 0)
        assert gone > 0
    with host(tmp_path, now_ms=edge.now_ms) as running:
        assert running.standing() == standing


def test_two_edges_of_one_hazard_source_share_its_chain(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        one, two = born(running), born(running, Speaker(node="edge-2", device="vent"))
        say(running, one, 5.0)
        say(running, two, 5.0)
        rows = running.state.transitions(hazard_source="cl2-store")
        assert [row["source_no"] for row in rows] == [1, 2, 3, 4]
        assert MessageType.NBIRTH  # both were born by their own


def test_s09_an_infinite_value_is_an_alarm_and_not_the_end_of_the_monitor(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        say(running, born(running), math.inf, quality=uncertain(Reason.OVER_RANGE))
        assert {"L2 live", "OVER_RANGE live", "FAULT live"} <= running.standing().keys()
        assert running.standing()["L2 live"]["value"] is None


def test_s04_an_alarm_whose_reading_has_a_stamp_no_calendar_has_is_raised_and_told(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        running.hear(*edge.birth())
        topic, said = edge.data([5.0])
        payload = sparkplug_pb2.Payload.FromString(said)
        payload.metrics[-1].timestamp = (1 << 63) + 5
        running.hear((topic, payload.SerializeToString()))
        running.settle()
        assert running.standing().keys() == {"L1 live", "L2 live"}
        assert "since 1900-01-01" in running.standing()["L2 live"]["text_en"]


@pytest.mark.parametrize("epoch", ["e1", None])
def test_s14_a_time_of_sending_no_clock_has_stops_no_tick(tmp_path: Path, epoch: str | None) -> None:
    with host(tmp_path) as running:
        edge = Speaker(epoch=epoch)
        running.hear(*edge.birth())
        topic, said = edge.data([0.5])
        payload = sparkplug_pb2.Payload.FromString(said)
        payload.timestamp = (1 << 64) - 1
        running.hear((topic, payload.SerializeToString()))
        running.tick()
        running.settle()
        assert running.monitor.status()["records_set_aside"] == 0


def test_s02_a_stamp_from_the_future_keeps_no_later_value_off_the_screen_and_delays_no_raise(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = born(running)
        say(running, edge, 0.5, time_ms=running.now_ms + 86_400_000)
        say(running, edge, 1.5)
        assert running.events() == ["L1 raised B"]
        assert running.monitor.live.read(0).value == 1.5


def poison(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    """Let the engine fail half way through any batch that holds a value."""
    sound = Engine.apply

    def apply(engine: Engine, batch: Batch, *said: Any) -> list[Transition]:
        told = sound(engine, batch, *said)
        if value in batch.value:
            raise IndexError("a mistake in the engine")
        return told

    monkeypatch.setattr(Engine, "apply", apply)


def test_s14_a_record_the_engine_fails_on_is_set_aside_and_silences_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 6.66)
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        messages = []
        for value in (0.5, 6.66, 1.5, 0.5):
            edge.now_ms += 1000
            messages.append(edge.data([value]))
        running.now_ms = edge.now_ms
        running.hear(*messages)
        running.settle()
        running.settle()  # the alarm comes by a record of its own
        assert [event for event in running.events() if not event.startswith("SYSTEM")] == [
            "L1 raised B",
            "L1 cleared D",
        ], "the one that failed left no trace in the engine"
        assert running.standing()["SYSTEM live"]["letter"] == "E"
        rows = running.state.rows(select(schema.AUDIT).where(schema.AUDIT.c.action == "record set aside"))
        assert len(rows) == 1
        assert "a mistake in the engine" in rows[0]["after"]
        assert running.monitor.status()["records_set_aside"] == 1
        before = running.events()
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("DELETE FROM snapshots")
    db.close()
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert running.events() == before, "a replay passes it over, too"
        say(running, edge, 5.0)
        assert "L2 live" in running.standing()
        assert verify_chain(running.state) is None


@pytest.mark.parametrize("record", ["tick", "link"])
def test_s14_a_tick_or_a_link_the_engine_fails_on_is_set_aside_and_alarmed_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: str
) -> None:
    """Such errors passed for a mistake in the record: each tick was passed over, and no delay was ever over."""
    sound = getattr(Engine, record)

    def failing(engine: Engine, *said: Any) -> list[Transition]:
        told: list[Transition] = sound(engine, *said)
        if running.now_ms == broken_ms:
            raise KeyError("a mistake in the engine")
        return told

    with host(tmp_path) as running:
        broken_ms = running.now_ms + 5_000
        edge = born(running)
        say(running, edge, 1.5)
        monkeypatch.setattr(Engine, record, failing)
        running.now_ms = broken_ms
        lost = NewRecord(RecordKind.LINK, b'{"node": "park/edge-1", "up": false}', broken_ms)
        running.tick() if record == "tick" else running.commits.append([lost], 20.0)
        until(lambda: running.monitor.status()["records_set_aside"] == 1, "it is set aside")
        running.now_ms = edge.now_ms = broken_ms + 1_000
        running.settle()
        assert "a mistake in the engine" in running.standing()["SYSTEM live"]["comment"]
        say(running, edge, 5.0)
        assert "L2 live" in running.standing(), "the engine goes on"
        assert verify_chain(running.state) is None


def test_s14_where_everything_fails_the_monitor_stops_and_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 6.66)
    running = Host(tmp_path).start()
    edge = born(running)
    for _ in range(30):
        edge.now_ms += 1000
        running.hear(edge.data([6.66]))
    until(lambda: bool(running.failures), "the monitor to give up")
    assert "a mistake in the engine" in str(running.failures.pop())
    running.stop()


def test_s14_an_act_the_engine_fails_on_is_refused_and_not_called_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def obey(engine: Engine, seq: int, command: Command) -> list[Transition]:
        raise IllegalTransition("a mistake in the engine")

    with host(tmp_path) as running:
        say(running, born(running), 5.0)
        monkeypatch.setattr(Engine, "command", obey)
        row = running.standing()["L2 live"]
        outcome = running.act("acknowledge", occurrence=row["occurrence"], version=row["version"])
        assert outcome.refusal is not None
        assert not running.standing()["L2 live"]["acknowledged"]


def test_s14_a_birth_the_engine_fails_on_blinds_its_own_tags_only(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        unfit = Speaker(points={"gas": gas_point(limits={"L2": limit(3.0, on_delay_s=1e300)})})
        running.hear(*unfit.birth(), unfit.data([5.0]))
        edge = Speaker(node="edge-2", points={"gas": gas_point(), "other": gas_point()})
        running.hear(*edge.birth(), edge.data([5.0, 0.5]), unfit.data([5.0]))
        running.settle()
        running.settle()
        tags = {row["tag_id"] for row in running.state.standing_alarms()}
        assert "park/edge-2/store/gas" in tags
        assert "SYSTEM live" in running.standing()
        assert running.monitor.status()["unknown_aliases"] >= 1
