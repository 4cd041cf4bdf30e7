"""Alarms that an edge decides, on the cloud's real path: log, engine, lifecycle, register and chain."""

from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Why
from davylamp_cloud import blame
from davylamp_cloud.blame import MOST_OF_ONE
from davylamp_cloud.edge_words import Text, gathered
from davylamp_cloud.reasons import ending, reason
from davylamp_cloud.replay import restore
from davylamp_cloud.store import schema
from davylamp_cloud.store.verify import verify_chain
from davylamp_wire.decode import parse
from davylamp_wire.local_alarm import EdgeWord, LocalAlarm
from davylamp_wire.quality import GOOD, Reason, bad
from sqlalchemy import select
from support.host import Host, host
from support.speaker import START_MS, Speaker, gas_point, limit

TAG = "park/edge-1/store/gas"


def local_edge(**more: Any) -> Speaker:
    """An edge whose detector is decided at the edge."""
    return Speaker(points={"gas": gas_point(local=True, **more)})


def said(no: int, *, active: bool = True, kind: str = "L2", value: float = 4.5, **more: Any) -> LocalAlarm:
    raised_ms = START_MS + no * 10_000
    time_ms = raised_ms if active else raised_ms + 5_000
    alarm = LocalAlarm("gas", kind, no, active, time_ms, raised_ms, None, value, GOOD, 3.0, "v1")
    return alarm._replace(**more)


def hear(running: Host, edge: Speaker, *messages: tuple[str, bytes]) -> None:
    edge.now_ms = running.now_ms = edge.now_ms + 1000
    running.hear(*messages)
    running.settle()


def test_what_the_edge_says_is_recorded_and_no_reading_decides_it_again(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.data([8.0]))
        assert running.events() == []
        hear(running, edge, edge.alarms(said(1)))
        hear(running, edge, edge.data([0.2]))
        assert running.events() == ["L2 raised B"]
        (row,) = running.state.transitions(limit=10)
        assert (row["value"], row["limit"], row["time_ms"]) == (4.5, 3.0, START_MS + 10_000)
        hear(running, edge, edge.alarms(said(1, active=False, value=0.2)))
        assert running.events() == ["L2 raised B", "L2 cleared D"]
        assert verify_chain(running.state) is None


def test_the_life_of_the_alarm_is_the_clouds(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.alarms(said(1)))
        row = running.standing()["L2 live"]
        running.act("acknowledge", occurrence=row["occurrence"], version=row["version"])
        hear(running, edge, edge.alarms(said(1, active=False)))
        assert running.events() == ["L2 raised B", "L2 acknowledged C", "L2 cleared A"]
        until_ms = running.now_ms + 600_000
        running.act("shelve", alarm=f"{TAG}#L1", until_ms=until_ms, reason="pump test", comment="pump test")
        hear(running, edge, edge.alarms(said(1, kind="L1")))
        assert running.events()[-1] == "L1 raised G"


def test_s12_faults_and_silence_of_a_local_point_stay_with_the_cloud(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.data([None], quality=bad(Reason.LOOP_LOW)))
        assert running.events() == ["FAULT raised B"]


def test_a_birth_says_what_stands_before_any_backlog_comes(tmp_path: Path) -> None:
    edge = local_edge()
    edge.stands = EdgeWord("life-1", 3, (said(2, found=True),))
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        assert running.events() == ["L2 raised B"]
        for word in (said(1), said(1, active=False), said(2)):
            hear(running, edge, edge.alarms(word, run=2, historical=True))
        assert running.events() == ["L2 raised B", "L2 raised E", "L2 updated E"]
        hear(running, edge, *edge.birth())
        assert len(running.events()) == 3


def test_s04_a_restart_of_the_cloud_repeats_and_loses_nothing(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.alarms(said(1)))
        restored = restore(running.log, running.state, running.monitor.live, ())
        assert restored.differences == ()
    with host(tmp_path, now_ms=edge.now_ms) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.alarms(said(1)))
        hear(running, edge, edge.alarms(said(1, active=False)))
        assert running.events() == ["L2 raised B", "L2 cleared D"]


def test_an_edit_of_a_local_limit_is_refused_with_words_that_say_where_it_is_changed(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        wanted = {"L2": limit(5.0).model_dump(mode="json")}
        outcome = running.change("limits", tag=TAG, base=1, limits=wanted, comment="too loud")
        assert outcome.refusal is not None
        assert outcome.refusal.why is Why.BAD_EDIT
        assert "change the limit in that edge's config, then reload it" in outcome.refusal.en
        assert "边缘站的配置" in outcome.refusal.zh


def test_limits_changed_at_the_edge_are_in_force_at_once_and_in_the_chain(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.alarms(said(1)))
        edge.points = {"gas": gas_point(local=True, limits={"L1": limit(1.5), "L2": limit(4.0)})}
        hear(running, edge, *edge.birth())
        row = running.state.limits(0)
        assert row is not None
        assert (row["version"], row["accepted_by"]) == (2, "park/edge-1")
        audits = select(schema.AUDIT).where(schema.AUDIT.c.action == "limits changed at their edge")
        assert [audit["actor"] for audit in running.state.rows(audits)] == ["park/edge-1"]
        assert running.state.rows(select(schema.PROPOSALS)) == []
        assert running.events() == ["L2 raised B", "L2 updated B"]


def test_s20_a_limit_taken_out_at_the_edge_while_its_alarm_stands_waits_for_two_persons(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.alarms(said(1)))
        edge.points = {"gas": gas_point(local=True, limits={"L1": limit(1.5)})}
        hear(running, edge, *edge.birth())
        assert running.events()[0] == "L2 raised B"
        assert "L2 live" in running.standing()
        (proposal,) = running.state.rows(select(schema.PROPOSALS).where(schema.PROPOSALS.c.state == "open"))
        alone = running.change("accept", proposal=proposal["id"])
        assert alone.refusal is not None
        assert alone.refusal.why is Why.SECOND_PERSON
        both = running.change("accept", proposal=proposal["id"], second="wang")
        assert both.refusal is None
        assert running.events()[-1] == "L2 closed A"


def test_s20_a_point_that_is_no_longer_local_is_decided_here_although_its_new_limits_wait_for_two_persons(
    tmp_path: Path,
) -> None:
    """The laxer limit would end what stands; nobody at all decided the point before, neither edge nor cloud."""
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.data([4.5]))
        hear(running, edge, edge.alarms(said(1)))
        edge.points = {"gas": gas_point(limits={"L1": limit(1.5), "L2": limit(6.0)})}
        hear(running, edge, *edge.birth())
        assert "L2 cleared D" not in running.events()
        (proposal,) = running.state.rows(select(schema.PROPOSALS).where(schema.PROPOSALS.c.state == "open"))
        hear(running, edge, edge.data([0.1]))
        hear(running, edge, edge.data([5.0]))
        decided = [event for event in running.events() if "L2" in event]
        assert decided == ["L2 raised B", "L2 updated B", "L2 cleared D", "L2 raised B"]
        assert running.change("accept", proposal=proposal["id"], second="wang").refusal is None
        hear(running, edge, edge.data([0.1]))
        hear(running, edge, edge.data([5.0]))
        assert [event for event in running.events() if "L2" in event][4:] == ["L2 closed A"]


def test_an_alarm_that_is_no_longer_local_is_decided_here_again(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.alarms(said(1)))
        edge.points = {"gas": gas_point()}
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.data([0.1]))
        assert running.events()[-1] == "L2 cleared D"
        edge.points = {"gas": gas_point(local=True)}
        edge.stands = EdgeWord("life-1", 2, ())
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.data([9.0]))
        assert running.events()[-1] == "L2 cleared D"


def test_an_alarm_nobody_knows_is_named_and_stops_nothing(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.alarms(said(1, kind="HH"), said(1)))
        assert running.events() == ["L2 raised B"]
        audits = select(schema.AUDIT).where(schema.AUDIT.c.action == "record unreadable")
        (audit,) = running.state.rows(audits)
        assert f"{TAG}#HH" in audit["after"]


@pytest.mark.parametrize("text", ["", "{}", '{"life":"a","run":1,"alarms":[{"point":"gas"}]}', "\ud83d"])
def test_a_text_nobody_can_read_is_told(text: str) -> None:
    told: list[tuple[int, str]] = []
    assert gathered([Text(7, 0, "park/edge-1/store", text)], lambda *_: 0, lambda *why: told.append(why)) == []
    assert told[0][0] == 7


def test_why_names_the_edge_as_the_author(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        hear(running, edge, edge.alarms(said(1)))
        told = running.monitor.look(lambda engine: engine.explain(TAG, running.now_ms))
        words = {str(one.of.kind): (reason(one).en, ending(one)) for one in told}
        assert words["L2"][0] == "its edge decides, and says that it stands"
        assert words["L2"][1] is not None
        assert words["L1"] == ("its edge decides, and has not said that it stands", None)


@pytest.mark.parametrize("stamp_ms", [(1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_s02_births_with_absurd_times_of_local_alarms_stop_no_cloud_and_silence_no_alarm(
    tmp_path: Path, stamp_ms: int
) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        for _ in range(MOST_OF_ONE + 2):
            edge.stands = EdgeWord("life-1", 1, (said(1),))
            hear(running, edge, *(stamped(message, stamp_ms) for message in edge.birth()))
        assert not running.failures
        assert running.monitor.status()["records_set_aside"] == 0
        assert running.events() == ["L2 raised B"]


def test_s02_a_record_with_an_absurd_time_of_a_local_alarm_is_not_set_aside(tmp_path: Path) -> None:
    edge = local_edge()
    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        word = edge.alarms(said(1)._replace(time_ms=START_MS - 10_000, raised_ms=START_MS - 10_000))
        hear(running, edge, stamped(word, 1 << 63))
        assert running.monitor.status()["records_set_aside"] == 0
        assert running.events() == ["L2 raised B"]


def test_s01_a_local_raise_that_is_set_aside_is_heard_of_from_the_birth_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = local_edge()
    sound, poison = Engine.apply, [True]

    def apply(engine: Engine, batch: Any, words: Any = ()) -> Any:
        if poison and words:
            raise IndexError("a mistake in the engine")
        return sound(engine, batch, words)

    with host(tmp_path) as running:
        hear(running, edge, *edge.birth())
        monkeypatch.setattr(Engine, "apply", apply)
        hear(running, edge, edge.alarms(said(1)))
        running.pass_time(1)
        assert running.monitor.status()["records_set_aside"] == 1
        assert ("L2 raised B" in running.events(), running.rebirths()) == (False, 1)
        poison.clear()
        edge.stands = EdgeWord("life-1", 1, (said(1, found=True),))
        hear(running, edge, *edge.birth())
        assert running.events().count("L2 raised B") == 1
        asked = []
        for _ in range(70):
            running.intake.ask_again("park/edge-1")
            hear(running, edge, edge.data([0.2]))
            running.pass_time(0.5)
            asked.append(running.rebirths())
        assert (asked[50], asked[-1]) == (1, 2), "once a minute at most"


def test_s14_births_whose_alarms_the_engine_fails_on_are_their_devices_fault_and_stop_no_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blame, "MOST_OF_ONE", 2)
    edge, other = local_edge(), Speaker(node="edge-2")
    sound = Engine.edge_born

    def edge_born(engine: Engine, *said: Any) -> Any:
        if said[1] == "park/edge-1/store":
            raise IndexError("a mistake in the engine")
        return sound(engine, *said)

    with host(tmp_path) as running:
        hear(running, other, *other.birth())
        hear(running, other, other.data([0.2]))
        monkeypatch.setattr(Engine, "edge_born", edge_born)
        for _ in range(5):
            hear(running, edge, *edge.birth())
            hear(running, other, other.data([0.2]))
        assert not running.failures
        hear(running, other, other.data([8.0]))
        assert {"L1 raised B", "L2 raised B"} <= set(running.events())


def stamped(message: tuple[str, bytes], stamp_ms: int) -> tuple[str, bytes]:
    """Give what a message says of local alarms another time."""
    payload = parse(message[1])
    for metric in payload.metrics:
        if metric.string_value.startswith('{"life"'):
            metric.timestamp = stamp_ms
    return message[0], payload.SerializeToString()
