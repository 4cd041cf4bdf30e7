"""A start with nothing but state.db's alarms to go on from: no alarm is forgotten, no number given twice (S4, S23)."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.batch import Batch
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Transition
from davylamp_cloud.monitor import REPLAY
from davylamp_cloud.settings import ASIDE, system_alarm_id
from davylamp_cloud.store.verify import verify_chain
from support.host import Host, host
from support.speaker import Speaker, gas_point, group

TAG = "park/edge-1/store/gas"
UNREADABLE = "UPDATE snapshots SET engine_version = engine_version - 1"
"""As after an upgrade to an engine whose snapshots have another form."""


def born(running: Host, edge: Speaker) -> None:
    running.hear(*edge.birth())
    running.settle()


def say(running: Host, edge: Speaker, *values: float, passing_s: float = 1.0) -> None:
    for value in values:
        edge.now_ms = running.now_ms = running.now_ms + round(passing_s * 1000)
        running.hear(edge.data([value]))
    running.settle()


def forget(folder: Path, running: Host | None = None) -> None:
    """Leave nothing to replay from: snapshots of another version, and with a running cloud, a trimmed log."""
    if running is not None:
        running.log.trim(running.log.last_seq, running.now_ms + 10**9, 0)
        return
    with sqlite3.connect(folder / "state.db") as db:
        db.execute(UNREADABLE)
    db.close()


def forgotten(folder: Path, value: float) -> Speaker:
    """Return an edge that was born and said a value, to a cloud that has nothing left to replay from."""
    edge = Speaker()
    with host(folder) as running:
        born(running, edge)
        say(running, edge, value)
        forget(folder, running)
    forget(folder)
    return edge


def letters(running: Host) -> dict[str, str]:
    return {name: row["letter"] for name, row in running.standing().items()}


def test_a_cold_start_without_alarms_still_watches(tmp_path: Path) -> None:
    edge = forgotten(tmp_path, 0.5)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        born(running, edge)
        say(running, edge, 5.0)
        assert running.events() == ["L1 raised B", "L2 raised B"]


def test_s04_what_stood_goes_on_standing_and_is_ended_by_a_good_value_alone(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 5.0)
        first = running.standing()["L1 live"]
        running.act("acknowledge", occurrence=first["occurrence"], version=first["version"])
        forget(tmp_path, running)
        before = letters(running)
    forget(tmp_path)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert letters(running) == before == {"L1 live": "C", "L2 live": "B"}
        assert running.events()[-2:] == ["L1 updated C", "L2 updated B"]
        second = running.standing()["L2 live"]
        assert running.act("acknowledge", occurrence=second["occurrence"], version=second["version"]).refusal is None
        born(running, edge)
        say(running, edge, 5.1)
        assert letters(running) == {"L1 live": "C", "L2 live": "C"}
        say(running, edge, 0.1)
        assert letters(running) == {}
        say(running, edge, 5.0)
        assert running.standing()["L1 live"]["occurrence"] != first["occurrence"]
        assert verify_chain(running.state) is None


def test_s01_a_birth_that_was_not_the_last_before_a_cold_start_is_not_taken_for_known(tmp_path: Path) -> None:
    """With a point that came and went, the birth between was: what it changed of who decides was passed over."""
    few, more = {"gas": gas_point()}, {"gas": gas_point(limits={}), "gas_2": gas_point()}
    edge = Speaker(points=few)
    with host(tmp_path) as running:
        for points in (few, more, few):
            edge.points = points
            edge.now_ms = running.now_ms = running.now_ms + 1_000
            born(running, edge)
        forget(tmp_path, running)
    forget(tmp_path)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        heard = running.monitor.examine(lambda evaluator: dict(evaluator.register.heard))
        assert f"{edge.group}/{edge.node}/{edge.device}" not in heard


def test_s16_a_shelf_nobody_knows_the_end_of_is_over(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 1.5)
        running.act("shelve", alarm=f"{TAG}#L1", comment="known leak", until_ms=running.now_ms + 600_000)
        assert letters(running) == {"L1 live": "G"}
        forget(tmp_path, running)
    forget(tmp_path)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert letters(running) == {"L1 live": "B"}


def test_s04_a_lost_link_and_the_systems_own_alarms_stand_on_too(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 0.5)
        running.hear(edge.death())
        running.pass_time(60)
        running.change("report", name="disk", active=True, comment="full")
        running.settle()
        forget(tmp_path, running)
        before = letters(running)
        assert before.keys() >= {"LINK live", "SYSTEM live"}
    forget(tmp_path)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert letters(running) == before
        running.change("report", name="disk", active=False)
        assert running.events()[-1].startswith("SYSTEM cleared")


def test_s18_a_vote_that_stood_counts_its_detectors_again(tmp_path: Path) -> None:
    points = {name: gas_point() for name in ("gas", "gas_2")}
    edge = Speaker(
        points={**points, "comm_ok": gas_point(kind="status", range=None, limits={})},
        groups={"leak": group("gas", "gas_2", limit="L2", need=2)},
    )
    with host(tmp_path) as running:
        born(running, edge)
        running.hear(edge.data([5.0, 5.0, 1.0]))
        running.settle()
        forget(tmp_path, running)
        before = letters(running)
    forget(tmp_path)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        born(running, edge)
        assert letters(running) == before == {"L1 live": "B", "L2 live": "B", "VOTE live": "B"}
        edge.now_ms = running.now_ms = running.now_ms + 1000
        running.hear(edge.data([0.1, 5.0, 1.0]))
        running.settle()
        assert running.standing()["VOTE live"]["condition"] == "normal"


def test_s14_an_engine_that_fails_on_what_an_older_one_took_starts_without_memory_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 5.0)
    forget(tmp_path)
    sound = Engine.apply

    def apply(engine: Engine, batch: Batch, *said: Any) -> list[Transition]:
        if 5.0 in batch.value:
            raise IndexError("a mistake in a newer engine")
        return sound(engine, batch, *said)

    monkeypatch.setattr(Engine, "apply", apply)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert letters(running) == {"L1 live": "B", "L2 live": "B", "SYSTEM live": "B"}
        assert running.standing()["SYSTEM live"]["alarm_id"] == system_alarm_id(REPLAY)
        born(running, edge)
        say(running, edge, 5.2, 0.1)
        assert "L1 live" not in {name for name, row in running.standing().items() if row["condition"] == "active"}
        assert verify_chain(running.state) is None


def waits(folder: Path, edge: Speaker, *values: float) -> None:
    """Let the log take readings that no monitor reads yet."""
    unread = Host(folder, now_ms=edge.now_ms)
    unread.commits.start()
    unread.hear(*edge.birth())
    for value in values:
        edge.now_ms = unread.now_ms = unread.now_ms + 1000
        unread.hear(edge.data([value]))
    unread.commits.stop()
    unread.close()


def test_s04_what_waits_in_the_log_goes_on_with_the_occurrence_that_stood(tmp_path: Path) -> None:
    """Raised anew, the occurrence a receiver knows would never have ended."""
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 5.0)
        stood = {name: row["occurrence"] for name, row in running.standing().items()}
        forget(tmp_path, running)
    forget(tmp_path)
    waits(tmp_path, edge, 5.1)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert {name: row["occurrence"] for name, row in running.standing().items()} == stood
        born(running, edge)
        say(running, edge, 0.1)
        ended = [row["occurrence"] for row in running.state.transitions(limit=1000) if row["event"] == "cleared"]
        assert set(ended) == set(stood.values())
        assert verify_chain(running.state) is None


def test_s23_what_begins_in_what_waited_has_an_id_of_this_start(tmp_path: Path) -> None:
    edge = forgotten(tmp_path, 0.1)
    waits(tmp_path, edge, 5.0)
    with host(tmp_path, now_ms=edge.now_ms, run="later") as running:
        running.settle()
        assert {row["occurrence"].rpartition("-")[2] for row in running.standing().values()} == {"later"}


def test_s14_an_engine_that_fails_on_what_stood_starts_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = forgotten(tmp_path, 5.0)

    def resume(engine: Engine, *said: Any) -> list[Transition]:
        raise IndexError("a mistake in a newer engine")

    monkeypatch.setattr(Engine, "resume", resume)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert running.standing()["SYSTEM live"]["alarm_id"] == system_alarm_id(ASIDE)
        born(running, edge)
        say(running, edge, 5.0)
        known = running.monitor.look(lambda engine: {record.alarm for record in engine.standing()})
        assert known >= {f"{TAG}#L1", f"{TAG}#L2"}


NEWEST_OF_ANOTHER = (
    "UPDATE snapshots SET engine_version = engine_version + 1 WHERE seq = (SELECT max(seq) FROM snapshots)"
)
"""As after a newer version had run, and this one was started again."""


def test_s04_a_snapshot_from_before_the_log_begins_is_not_gone_on_from(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 0.5)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        born(running, edge)
        say(running, edge, 5.0)
        before = letters(running)
        forget(tmp_path, running)
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute(NEWEST_OF_ANOTHER)
    db.close()
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        assert {name: letters(running)[name] for name in before} == before == {"L1 live": "B", "L2 live": "B"}
        known = running.monitor.look(lambda engine: {record.alarm for record in engine.standing()})
        assert known >= {f"{TAG}#L1", f"{TAG}#L2"}, "the engine knows what stands"
        born(running, edge)
        say(running, edge, 0.1)
        assert running.standing()["L2 live"]["condition"] == "normal"


def test_s04_where_the_log_was_lost_what_stood_goes_on_standing(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 5.0)
    forget(tmp_path)
    for name in ("log.db", "log.db-wal", "log.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    with host(tmp_path, now_ms=edge.now_ms) as running:
        running.settle()
        known = running.monitor.look(lambda engine: {record.alarm for record in engine.standing()})
        assert known >= {f"{TAG}#L1", f"{TAG}#L2"}
        born(running, edge)
        say(running, edge, 0.1)
        assert running.standing()["L2 live"]["condition"] == "normal"
        assert verify_chain(running.state) is None


@pytest.mark.parametrize("snapshot", [True, False])
def test_s04_where_the_log_was_lost_no_device_takes_the_numbers_of_another(tmp_path: Path, snapshot: bool) -> None:
    store, tank = Speaker(), Speaker(node="edge-2", device="tank")
    with host(tmp_path) as running:
        for edge in (store, tank):
            born(running, edge)
            say(running, edge, 0.1)
        say(running, store, 5.0)
    if not snapshot:
        forget(tmp_path)
    for name in ("log.db", "log.db-wal", "log.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    with host(tmp_path, now_ms=store.now_ms) as running:
        born(running, tank)
        say(running, tank, 0.1, 0.2)
        assert running.standing()["L2 live"]["condition"] == "active", "another device's good value ends no alarm"
        born(running, store)
        say(running, store, 0.1)
        assert running.standing()["L2 live"]["condition"] == "normal"
        say(running, tank, 5.0)
        active = [row for row in running.state.standing_alarms() if row["condition"] == "active"]
        assert {row["tag_id"] for row in active if row["kind"] == "L2"} == {"park/edge-2/tank/gas"}
    with host(tmp_path, now_ms=running.now_ms) as running:
        assert running.log.births.tag_ids == [row["tag_id"] for row in running.state.tags()]


def test_s04_where_the_log_was_lost_a_birth_that_says_more_is_taken_on(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        born(running, edge)
        say(running, edge, 0.1)
    for name in ("log.db", "log.db-wal", "log.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    more = Speaker(points={"gas": gas_point(), "gas_2": gas_point()})
    with host(tmp_path, now_ms=edge.now_ms) as running:
        born(running, more)
        more.now_ms = running.now_ms = running.now_ms + 1000
        running.hear(more.data([0.1, 5.0]))
        running.settle()
        assert {row["tag_id"] for row in running.state.standing_alarms()} >= {"park/edge-1/store/gas_2"}
