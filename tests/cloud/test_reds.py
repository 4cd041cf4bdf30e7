"""Red alarms that stand are told to the edges of their hazard source, whatever is done in a console."""

from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud import intake
from davylamp_cloud.app import App
from davylamp_cloud.config import BrokerConfig, CloudConfig, HttpConfig
from davylamp_cloud.intake import WORD_MS
from davylamp_cloud.outcomes import Committed
from davylamp_cloud.reds import Reds
from davylamp_wire.payload import RED, decode
from davylamp_wire.red import decode_reds
from support.cloud_process import JournalingEdge, until
from support.host import Host, host
from support.services import Broker
from support.speaker import Speaker, gas_point, limit

GAS = "park/edge-1/store/gas"


def edges() -> tuple[Speaker, Speaker, Speaker]:
    """Return two edges of one hazard source, the first with a detector that is red, and one of another."""
    red = gas_point(limits={"L2": limit(3.0, priority="red")})
    return Speaker(points={"gas": red}), Speaker(node="edge-2"), Speaker(node="edge-3", hazard_source="tank-farm")


def told(running: Host) -> dict[str, dict[str, str]]:
    """Return what each edge was told last."""
    running.pass_time(WORD_MS / 1000 + 1)
    said = [(topic.rpartition("/")[2], decode(payload).value(RED)) for topic, payload in running.sent]
    return {node: decode_reds(str(text)) for node, text in said if text is not None}


def test_s28_a_red_is_told_to_the_edges_of_its_hazard_source_until_it_is_over_acknowledged_or_not(
    tmp_path: Path,
) -> None:
    first, second, other = edges()
    with host(tmp_path) as running:
        reds = Reds(running.state.standing_reds, lambda: running.monitor.examine(lambda e: e.register.areas()))
        running.monitor.on_commit(reds.heard)
        running.outside.engine_age_ms, running.outside.reds = lambda: 120, reds.of
        running.hear(*first.birth(), *second.birth(), *other.birth())
        running.settle()
        assert told(running) == {"edge-1": {}, "edge-2": {}, "edge-3": {}}
        running.hear(first.data([5.0]))
        running.settle()
        row = running.standing()["L2 live"]
        here = {f"{GAS}#L2": row["occurrence"]}
        assert told(running) == {"edge-1": here, "edge-2": here, "edge-3": {}}
        running.act("acknowledge", occurrence=row["occurrence"], version=row["version"])
        assert told(running)["edge-2"] == here
        again = Reds(running.state.standing_reds, lambda: {"park/edge-2": frozenset({"cl2-store"})})
        again.heard(running.committed[-1])
        assert again.of("park/edge-2") == here, "after a start"
        first.now_ms = running.now_ms
        running.hear(first.data([0.1]))
        running.settle()
        assert told(running) == {"edge-1": {}, "edge-2": {}, "edge-3": {}}


def row(letter: str = "B", alarm: str = f"{GAS}#L2", **more: str) -> dict[str, Any]:
    said = {"alarm_id": alarm, "lane": "live", "hazard_source": "cl2-store", "priority": "red", "occurrence": "cl2-1"}
    return {**said, "letter": letter, **more}


def following(*rows: dict[str, Any], stood: tuple[dict[str, Any], ...] = ()) -> dict[str, str]:
    """Return what an edge is told after a start beside what stood, and these rows."""
    reds = Reds(lambda: stood, lambda: {"park/edge-1": frozenset({"cl2-store"})})
    reds.heard(Committed(1))
    reds.heard(Committed(2, rows))
    return reds.of("park/edge-1")


@pytest.mark.parametrize(("letter", "stands"), [(letter, letter in "BCE") for letter in "ABCDEFGHI"])
def test_s28_a_red_stands_by_its_letter_and_at_a_start_too(letter: str, stands: bool) -> None:
    here = {f"{GAS}#L2": "cl2-1"} if stands else {}
    assert following(row(letter)) == here
    assert following(stood=(row(letter),)) == here
    assert following(row("B"), row(letter)) == here


def test_s28_a_red_of_backlog_and_one_of_the_present_are_two_and_orange_is_none() -> None:
    assert following(row(), row("E", lane="late", occurrence="cl2-0"), row("A")) == {f"{GAS}#L2 late": "cl2-0"}
    assert following(row(priority="orange")) == {}
    assert following(row(), row(priority="orange")) == {}


def test_s28_a_real_edge_hears_from_the_real_cloud_of_a_red_that_it_does_not_decide(
    tmp_path: Path, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WORD_MS", 100)
    app = App(
        CloudConfig(data_dir=tmp_path / "cloud", broker=BrokerConfig(port=mosquitto.port), http=HttpConfig(port=0))
    )
    app.start()
    edge = JournalingEdge(tmp_path, mosquitto)
    try:
        until(lambda: edge.uplink.engine.moved_s is not None, "a word of the engine")
        assert edge.uplink.engine.reds == {}
        edge.read(cl2_1=9.0)
        until(lambda: any(alarm.endswith("/cl2_1#L2") for alarm in edge.uplink.engine.reds), "the red")
        edge.read(cl2_1=0.0)
        until(lambda: edge.all_confirmed(), "the return")
    finally:
        edge.close()
        app.stop()
