"""Edges are told how long ago the engine moved: by the engine's own ticks, not by who tells (SAFETY S13)."""

import threading
import time
from pathlib import Path

import pytest
from davylamp_cloud import intake
from davylamp_cloud.app import App
from davylamp_cloud.config import BrokerConfig, CloudConfig, HttpConfig
from davylamp_cloud.engine_age import EngineAge
from davylamp_cloud.intake import WORD_MS
from davylamp_cloud.outcomes import Committed, Lag
from davylamp_wire.payload import ENGINE, decode
from support.cloud_process import JournalingEdge, until
from support.host import Host, host
from support.services import Broker
from support.speaker import Speaker


def words(running: Host) -> list[tuple[str, object]]:
    """Return which edges were told of the engine, and what."""
    said = [(topic, decode(payload).value(ENGINE)) for topic, payload in running.sent]
    return [(topic, age_ms) for topic, age_ms in said if age_ms is not None]


def test_our_edges_are_told_every_five_seconds_and_foreign_ones_never(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        running.outside.engine_age_ms = lambda: 120
        running.hear(*Speaker().birth(), *Speaker(node="foreign", epoch=None).birth())
        running.pass_time(3 * WORD_MS / 1000 + 1)
        assert words(running) == [("spBv1.0/park/NCMD/edge-1", 120)] * 4


def test_an_edge_whose_link_is_lost_is_told_nothing_until_it_is_back(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker()
        running.outside.engine_age_ms = lambda: 120
        running.hear(*edge.birth())
        running.pass_time(1)
        running.hear(edge.death())
        running.pass_time(30)
        assert len(words(running)) == 1
        edge.now_ms += 31_000
        running.hear(*edge.birth())
        running.pass_time(1)
        assert len(words(running)) == 2


def test_nothing_is_said_of_an_engine_that_has_not_moved_yet(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        running.hear(*Speaker().birth())
        running.pass_time(10)
        assert words(running) == []


def test_an_engine_is_as_old_as_its_newest_tick_or_as_what_it_has_not_seen() -> None:
    now_s, lag = [100.0], [Lag(0, 0)]
    age = EngineAge(lambda: lag[0], lambda: now_s[0])
    assert age.ms() is None
    age.heard(Committed(1))
    assert age.ms() is None, "it moved, but its time did not"
    age.heard(Committed(2, clock_ms=1))
    now_s[0] = 102.0
    assert age.ms() == 2000
    lag[0] = Lag(5000, 45_000)
    assert age.ms() == 45_000


def test_s13_a_real_edge_hears_of_the_engine_and_hears_when_it_stands_still(
    tmp_path: Path, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that tells goes on telling: what it says is that the engine stands still."""
    monkeypatch.setattr(intake, "WORD_MS", 100)
    app = App(
        CloudConfig(data_dir=tmp_path / "cloud", broker=BrokerConfig(port=mosquitto.port), http=HttpConfig(port=0))
    )
    app.start()
    edge, stalled, go_on = JournalingEdge(tmp_path, mosquitto), threading.Event(), threading.Event()

    def stall(_: object) -> None:
        stalled.set()
        go_on.wait(60)

    def age_s() -> float:
        moved_s = edge.uplink.engine.moved_s
        return 1e9 if moved_s is None else time.monotonic() - moved_s

    staller = threading.Thread(target=app.cloud.monitor.look, args=(stall,))
    try:
        until(lambda: age_s() < 1, "a word of the engine")
        staller.start()
        stalled.wait(20)
        until(lambda: age_s() > 1.5, "the engine's age", 20)
        until(lambda: edge.uplink.clock.ms is not None, "words all the same")
        go_on.set()
        until(lambda: age_s() < 1, "the engine moves again")
    finally:
        go_on.set()
        staller.join()
        edge.close()
        app.stop()
