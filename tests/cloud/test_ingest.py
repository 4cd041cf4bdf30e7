"""The host application on a real broker: STATE, births asked for, confirmations that arrive."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from davylamp_cloud import ingest as ingest_module
from davylamp_cloud.config import BrokerConfig, MonitorConfig
from davylamp_cloud.ingest import Ingest
from davylamp_cloud.intake import Pressure
from davylamp_cloud.log import NewRecord, RecordKind
from davylamp_cloud.outcomes import Committed
from davylamp_wire.decode import decode
from davylamp_wire.payload import CONFIRM, REBIRTH
from davylamp_wire.topic import HostState, state_topic
from paho.mqtt.enums import CallbackAPIVersion
from support.cloud_process import until
from support.host import Host
from support.services import Broker
from support.speaker import Speaker

STATE = state_topic("davylamp")


class Wire:
    """A client that hears everything and can speak as an edge."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="wire")
        self._client.on_connect = lambda client, *_: client.subscribe("spBv1.0/#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _u, m: self.heard.append((m.topic, bytes(m.payload), m.retain))
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        assert self._ready.wait(10)

    def say(self, *messages: tuple[str, bytes]) -> None:
        for topic, payload in messages:
            self._client.publish(topic, payload).wait_for_publish(5)

    def retain(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1, retain=True).wait_for_publish(5)

    def states(self) -> list[HostState]:
        return [HostState.decode(payload) for topic, payload, _ in list(self.heard) if topic == STATE]

    def commands(self, name: str) -> list[Any]:
        found = [decode(p).value(name) for topic, p, _ in list(self.heard) if "/NCMD/" in topic]
        return [value for value in found if value is not None]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_connect = self._client.on_subscribe = self._client.on_message = None
        del self._client


@pytest.fixture
def wire(mosquitto: Broker) -> Iterator[Wire]:
    running = Wire(mosquitto)
    yield running
    running.close()


def utc_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def ingesting(
    folder: Path, broker: Broker, now_ms: Callable[[], int] = utc_ms, bounds: MonitorConfig | None = None
) -> Iterator[tuple[Host, Ingest]]:
    host = Host(folder, now_ms=utc_ms()).start()
    settings = BrokerConfig(host=broker.host, port=broker.port)
    lag = host.monitor.lag
    ingest = Ingest(
        "davylamp", settings, bounds or MonitorConfig(), host.log, host.commits, lag, now_ms, host.failures.append
    )
    ingest.start()
    try:
        yield host, ingest
    finally:
        ingest.stop()
        host.stop()


def test_the_host_says_that_it_is_there_and_that_it_goes_with_one_timestamp(
    tmp_path: Path, mosquitto: Broker, wire: Wire
) -> None:
    with ingesting(tmp_path, mosquitto):
        until(lambda: wire.states(), "STATE")
    until(lambda: len(wire.states()) == 2, "the goodbye")
    online, offline = wire.states()
    assert (online.online, offline.online) == (True, False)
    assert online.timestamp_ms == offline.timestamp_ms
    late = Wire(mosquitto)
    try:
        until(lambda: late.heard, "the retained STATE")
        assert late.heard[0][2], "an edge that comes later hears it, too"
    finally:
        late.close()


def test_a_late_will_that_calls_the_living_host_dead_is_contradicted(
    tmp_path: Path, mosquitto: Broker, wire: Wire
) -> None:
    with ingesting(tmp_path, mosquitto):
        until(lambda: wire.states(), "STATE")
        wire.retain(STATE, HostState(False, 1).encode())
        until(lambda: len(wire.states()) >= 3, "the answer")
        assert wire.states()[-1].online


def test_an_edge_is_confirmed_over_the_broker(tmp_path: Path, mosquitto: Broker, wire: Wire) -> None:
    with ingesting(tmp_path, mosquitto) as (host, ingest):
        until(lambda: wire.states(), "STATE")
        edge = Speaker(now_ms=utc_ms())
        wire.say(*edge.birth(), edge.data([0.5]), edge.data([0.6]))
        until(lambda: "e1:1-2" in wire.commands(CONFIRM), "the confirmation")
        host.settle()
        assert ingest.status()["records"] == 2
        node = ingest.status()["nodes"]["park/edge-1"]
        assert node["online"]
        assert abs(node["clock_offset_ms"]) < 5000


def test_data_of_an_edge_that_was_born_before_the_host_came_ask_for_its_birth(
    tmp_path: Path, mosquitto: Broker, wire: Wire
) -> None:
    edge = Speaker(now_ms=utc_ms())
    edge.birth()
    with ingesting(tmp_path, mosquitto) as (host, _):
        until(lambda: wire.states(), "STATE")
        wire.say(edge.data([5.0]))
        until(lambda: True in wire.commands(REBIRTH), "the request")
        edge.now_ms += 1
        wire.say(*edge.birth(), edge.data([5.0], record=1))
        until(lambda: "e1:1" in wire.commands(CONFIRM), "its data, sent again after the birth")
        host.settle()
        assert "L2 live" in host.standing()


def test_junk_on_the_broker_ends_nothing(tmp_path: Path, mosquitto: Broker, wire: Wire) -> None:
    with ingesting(tmp_path, mosquitto) as (host, ingest):
        until(lambda: wire.states(), "STATE")
        for topic in ("spBv1.0/a", "spBv1.0/a/b/c/d/e/f", "spBv1.0/g/DDATA/n/d", "spBv1.0/g/NBIRTH/n"):
            wire.say((topic, b"\xff\x00\xff"), (topic, b""))
        wire.retain(STATE, b"ONLINE")
        edge = Speaker(now_ms=utc_ms())
        wire.say(*edge.birth(), edge.data([0.5]))
        until(lambda: "e1:1" in wire.commands(CONFIRM), "the confirmation")
        assert ingest.status()["quarantined"] >= 2
        assert host.log.quarantined()


def test_s14_a_monitor_far_behind_stops_confirmations_and_shows_its_lag(
    tmp_path: Path, mosquitto: Broker, wire: Wire
) -> None:
    with ingesting(tmp_path, mosquitto, bounds=MonitorConfig(max_lag_records=1)) as (host, ingest):
        until(lambda: wire.states(), "STATE")
        standing, held = threading.Event(), threading.Event()

        def stand_still(_: Committed) -> None:
            standing.set()
            held.wait(20)

        end = host.monitor.on_commit(stand_still)
        edge = Speaker(now_ms=utc_ms())
        wire.say(*edge.birth())
        assert standing.wait(20)
        wire.say(edge.data([0.5]), edge.data([0.5]))
        until(lambda: ingest.status()["pressure"] != "none", "the bound")
        until(lambda: host.monitor.lag().records > 1, "both on disk")
        wire.say(edge.data([0.5]))
        assert "e1:1-3" not in wire.commands(CONFIRM)
        end()
        held.set()
        until(lambda: ingest.status()["pressure"] == "none", "the monitor's return")
        assert host.monitor.status()["lag_records"] <= 1


def test_s14_what_waited_while_no_cloud_ran_is_no_lag_of_this_one(tmp_path: Path, mosquitto: Broker) -> None:
    stopped_ms = utc_ms() - 3_600_000
    with ingesting(tmp_path, mosquitto) as (host, ingest), stood_still(host) as go_on:
        host.log.append([NewRecord(RecordKind.CHANGE, b'{"op": "shifts", "shifts_ms": []}', stopped_ms)])
        assert host.monitor.lag().ms > 3_000_000
        assert ingest._pressure() is Pressure.NONE
        ingest._began_ms -= 60_000
        assert ingest._pressure() is Pressure.FULL, "a minute of this cloud's own it did not get on"
        go_on.set()


@contextmanager
def stood_still(host: Host) -> Iterator[threading.Event]:
    """Let the monitor stand still until the event is set."""
    standing, go_on = threading.Event(), threading.Event()

    def stand_still(_: object) -> None:
        standing.set()
        go_on.wait(20)

    staller = threading.Thread(target=host.monitor.look, args=(stand_still,))
    staller.start()
    try:
        assert standing.wait(20)
        yield go_on
    finally:
        go_on.set()
        staller.join()


def test_a_topic_that_is_no_text_does_not_end_the_thread_that_receives(tmp_path: Path) -> None:
    """Mosquitto refuses such a client; not every broker does."""
    running = Host(tmp_path)
    broker = BrokerConfig(host="127.0.0.1", port=1)
    ingest = Ingest(
        "davylamp", broker, MonitorConfig(), running.log, running.commits, running.monitor.lag,
        lambda: running.now_ms, running.failures.append,
    )  # fmt: skip
    ingest._on_messages([(b"\xff", b""), *((topic.encode(), said) for topic, said in Speaker().birth())])
    assert ingest.status()["messages"] == 2
    running.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_s13_a_receiving_thread_that_ends_ends_the_process(tmp_path: Path, mosquitto: Broker, wire: Wire) -> None:
    """It is ended the hard way here: by an exception that no part of it can catch."""

    def fatal(*_: object) -> None:
        raise SystemExit

    with ingesting(tmp_path, mosquitto) as (host, ingest):
        until(lambda: wire.states(), "STATE")
        ingest._client.on_messages = fatal
        wire.say(*Speaker(now_ms=utc_ms()).birth())
        until(lambda: host.failures, "the report of it")
        assert "receives from the broker" in str(host.failures.pop())


def test_s12_a_broker_that_is_gone_takes_the_links_of_foreign_edges_with_it_too(
    tmp_path: Path, mosquitto: Broker, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their silence alone says nothing: it was the broker's to tell."""
    assert ingest_module.BROKER_LOST_MS < 60_000
    monkeypatch.setattr(ingest_module, "BROKER_LOST_MS", 200)
    with ingesting(tmp_path, mosquitto) as (_, ingest):
        until(lambda: wire.states(), "STATE")
        wire.say(*Speaker(epoch=None, now_ms=utc_ms()).birth())
        until(lambda: ingest.status()["nodes"].get("park/edge-1", {}).get("online"), "its link")
        mosquitto.kill()
        until(lambda: not ingest.status()["nodes"]["park/edge-1"]["online"], "that it is lost")


def test_s02_what_the_broker_has_kept_is_never_a_live_reading(tmp_path: Path, mosquitto: Broker, wire: Wire) -> None:
    """A foreign edge that has everything retained, and is gone: it is known, and not there; until it speaks."""
    foreign = Speaker(epoch=None, node="gone", now_ms=utc_ms())
    for topic, payload in [*foreign.birth(), foreign.data([9.0])]:
        wire.retain(topic, payload)
    with ingesting(tmp_path, mosquitto) as (host, ingest):
        until(lambda: ingest.status().get("stored_by_broker") == 3, "what was kept")
        until(lambda: wire.commands(REBIRTH), "that it is asked for births")
        until(lambda: len(readings(host)) == 1, "the value of its birth")
        ((value, historical),) = readings(host)
        assert (value, historical) == (0.5, True)
        assert not ingest.status()["nodes"]["park/gone"]["online"]
        assert [entry.reason for entry in host.log.quarantined(10)] == ["kept by the broker, nobody knows since when"]
        wire.say(foreign.data([1.0]))
        until(lambda: (1.0, False) in readings(host), "its live word")
        assert ingest.status()["nodes"]["park/gone"]["online"]


def readings(host: Host) -> list[tuple[Any, bool]]:
    """Return every reading in the log, and whether it is history."""
    records = [record for record in host.log.read(0, 100) if record.kind in (RecordKind.BIRTH, RecordKind.DATA)]
    metrics = [metric for record in records if record.device for metric in decode(record.body).metrics]
    return [(metric.value, metric.historical) for metric in metrics]
