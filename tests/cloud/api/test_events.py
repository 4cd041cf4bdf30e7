"""Live events: what a program hears, how soon, and what it missed."""

import json
import threading
import time
from collections.abc import Iterator

import httpx
from davylamp_cloud.api.event import Event
from support.served import NOW_MS, Clock, Plant


def heard(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yield (event, data) of a stream."""
    name, data = "", []
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            data.append(line[6:])
        elif not line and name:
            yield name, "\n".join(data)
            name, data = "", []


def test_an_event_is_framed_line_by_line() -> None:
    assert Event("alarms", "a\nb\r\nc", 7).encode() == "id: 7\nevent: alarms\ndata: a\ndata: b\ndata: c\n\n"


def test_s13_a_heartbeat_carries_how_old_the_engine_is(plant: Plant, local: httpx.Client) -> None:
    clock = plant.now_ms
    assert isinstance(clock, Clock)
    clock.ms += 4000
    with local.stream("GET", "/events") as stream:
        beat = next(json.loads(data) for name, data in heard(stream.iter_lines()) if name == "heartbeat")
    assert (beat["now_ms"], beat["engine_ms"], beat["engine_age_ms"]) == (NOW_MS + 4000, NOW_MS, 4000)


def test_s01_a_raise_reaches_a_listener_within_a_second(plant: Plant, local: httpx.Client) -> None:
    tag = plant.tag("gas1", "氯气", "Chlorine")
    with local.stream("GET", "/events") as stream:
        events = heard(stream.iter_lines())
        assert next(events)[0] == "heartbeat"
        started = time.monotonic()
        plant.alarm(tag, "L2", "red")
        steps = next(json.loads(data) for name, data in events if name == "transitions")
    assert steps[0]["occurrence"] == "LC-01-1"
    assert time.monotonic() - started < 1.0


def test_a_reader_that_comes_back_hears_what_it_missed(plant: Plant, local: httpx.Client) -> None:
    tag = plant.tag("gas1", "氯气", "Chlorine")
    for kind in ("L1", "L2", "HH"):
        plant.alarm(tag, kind, "red")
    with local.stream("GET", "/events", headers={"Last-Event-ID": "1"}) as stream:
        steps = next(json.loads(data) for name, data in heard(stream.iter_lines()) if name == "transitions")
    assert [step["kind"] for step in steps] == ["L2", "HH"]


def test_a_thousand_changes_a_second_come_in_at_most_ten_batches(plant: Plant, local: httpx.Client) -> None:
    tag = plant.tag("gas1", "氯气", "Chlorine")
    stop = threading.Event()

    def change() -> None:
        for n in range(1500):
            if stop.is_set():
                return
            plant.read(tag, float(n), age_ms=-n)
            plant.publish()
            stop.wait(0.001)

    writer = threading.Thread(target=change)
    with local.stream("GET", "/events?tags=0") as stream:
        writer.start()
        started, batches = time.monotonic(), 0
        for name, _ in heard(stream.iter_lines()):
            batches += name == "values"
            if time.monotonic() - started > 1.0:
                break
        took = time.monotonic() - started
        stop.set()
    writer.join()
    assert 5 <= batches <= 10 * took + 2


def test_a_reader_hears_only_its_own_hazard_sources(guarded: Plant, client_of) -> None:  # type: ignore[no-untyped-def]  # a fixture
    other = guarded.tag("level", "液位", "Level", source="LPG-02")
    mine = guarded.tag("gas1", "氯气", "Chlorine", source="LC-01")
    client = client_of("north")
    guarded.read(other, 1.0)
    guarded.read(mine, 2.0)
    with client.stream("GET", "/events?tags=0,1") as stream:
        events = heard(stream.iter_lines())
        first = dict([next(events), next(events)])
        guarded.alarm(other, "HH", "orange")
        guarded.alarm(mine, "L2", "red")
        steps = next(json.loads(data) for name, data in events if name == "transitions")
    assert [value["index"] for value in json.loads(first["values"])] == [mine]
    assert {step["hazard_source"] for step in steps} == {"LC-01"}


def test_the_server_stops_while_screens_watch(plant: Plant, local: httpx.Client) -> None:
    with local.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        started = time.monotonic()
        assert plant.server
        plant.server.stop()
        assert time.monotonic() - started < 3.0
