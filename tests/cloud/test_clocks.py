"""Clocks that are set or off, on the real log and monitor: said within a minute, and nothing else happens."""

from pathlib import Path

from davylamp_cloud.edge_node import Clock
from davylamp_cloud.intake import Pressure
from davylamp_cloud.log import RecordKind
from davylamp_cloud.store import schema
from davylamp_cloud.ticker import tick
from sqlalchemy import select
from support.host import Host, host
from support.speaker import START_MS, Speaker

HOUR_MS = 3_600_000


def told(running: Host) -> list[str]:
    rows = running.state.rows(select(schema.TRANSITIONS).order_by(schema.TRANSITIONS.c.seq))
    return [f"{row['kind']} {row['event']} {row['comment']}".strip() for row in rows]


def tick_at(running: Host, now_ms: int, monotonic_ms: int, offsets: dict[str, int]) -> None:
    seq = running.commits.append([tick(now_ms, monotonic_ms, "boot", offsets)], 20.0)[0]
    running.monitor.await_outcome(seq, 20.0)


def test_s02_an_edge_whose_clock_is_27_hours_off_is_said_at_the_next_tick(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth())
        edge.now_ms += 27 * HOUR_MS
        running.hear(edge.data([0.2]))
        running.tick()
        running.settle()
        assert told(running) == ["CLOCK raised 27:00:00 ahead / 快 27:00:00"]


def test_s02_a_host_clock_that_is_set_is_an_alarm_that_stays_until_it_is_reset(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth(), edge.data([0.2]))
        tick_at(running, START_MS, 0, {"park/edge-1": 0})
        tick_at(running, START_MS + HOUR_MS + 200, 200, {"park/edge-1": -HOUR_MS})
        tick_at(running, START_MS + HOUR_MS + 400, 400, {"park/edge-1": -HOUR_MS})
        said = [line for line in told(running) if line.startswith("SYSTEM")]
        assert said[0] == "SYSTEM raised set by +3600 s"
        assert [line.split()[1] for line in said] == ["raised", "cleared"]
        (row,) = [row for row in running.state.standing_alarms() if row["kind"] == "SYSTEM"]
        assert (row["letter"], row["latched"]) == ("E", True)
        assert not [line for line in told(running) if line.startswith(("LINK", "STALE"))]


def test_s02_setting_the_hosts_clock_makes_no_edges_clock_look_wrong() -> None:
    clock = Clock()
    for second in range(10):
        clock.heard(START_MS + second * 1000, second * 1000)
    assert clock.offset_ms(START_MS) == 0
    assert clock.offset_ms(START_MS + HOUR_MS) == -HOUR_MS, "told at once, whatever was heard before"
    clock.heard(START_MS + 10_000, 10_000)
    assert clock.offset_ms(START_MS + HOUR_MS) == -HOUR_MS


def test_s03_patience_with_edges_runs_by_a_clock_nobody_sets(tmp_path: Path) -> None:
    """Before, a host set back by an hour neither confirmed anything nor noticed a lost edge for that hour."""
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth(), edge.data([0.2]))
        running.settle()
        running.pass_time(1)
        confirmed = len(running.confirmed())
        running.now_ms -= HOUR_MS
        running.intake.apart_ms -= HOUR_MS
        running.hear(edge.data([0.3]))
        running.settle()
        running.pass_time(1)
        assert len(running.confirmed()) > confirmed
        running.pass_time(30)
        running.settle()
        links = [record for record in running.log.read(0) if record.kind is RecordKind.LINK]
        assert b'"up": false' in links[-1].body
        assert running.pressure is Pressure.NONE
