"""What paho does behind our back, each case once (facts: API traps of paho-mqtt 2.2)."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from davylamp_edge.link import OUTSTANDING_BYTES, Connected, Connecting, Event, Lost, pause_s
from davylamp_wire.payload import BD_SEQ
from davylamp_wire.topic import MessageType
from support import services
from support.edge_host import edge_host
from support.links import Watcher, broker_that_stops_reading, connection, watcher
from support.services import Broker


def test_nothing_is_queued_before_the_session_is_open(mosquitto: Broker) -> None:
    with watcher(mosquitto.port) as watching:
        event = watching.wait(Connected)
        assert not watching.link.publish("spBv1.0/davylamp/NDATA/edge-1", b"early")
        assert watching.link.open(connection(event))
        assert watching.link.publish("spBv1.0/davylamp/NDATA/edge-1", b"on time")


def test_a_connection_that_is_gone_cannot_be_opened(mosquitto: Broker) -> None:
    with watcher(mosquitto.port) as watching:
        first = connection(watching.wait(Connected))
        mosquitto.kill()
        watching.wait(Lost)
        assert not watching.link.open(first)
        mosquitto.start()
        second = connection(watching.wait(Connected, 2))
        assert not watching.link.open(first)
        assert watching.link.open(second)


def test_an_exception_in_a_callback_does_not_end_the_thread(mosquitto: Broker) -> None:
    failures: list[Event] = []

    def fail(event: Event) -> None:
        failures.append(event)
        raise RuntimeError("a callback fails")

    with edge_host(mosquitto) as host:
        watching = Watcher(mosquitto.port, post=fail)
        watching.link.start()
        host.wait(lambda: any(isinstance(event, Connected) for event in failures), "the connection")
        assert watching.link.open(connection(next(event for event in failures if isinstance(event, Connected))))
        watching.link.publish("spBv1.0/davylamp/NDEATH/edge-1", b"")
        host.wait(lambda: host.seen, "a message after the failure")
        watching.link.end()


def test_every_connect_carries_a_will_of_its_own_bdseq(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, watcher(mosquitto.port) as watching:
        watching.wait(Connected)
        host.wait(lambda: host.subscriptions == 1, "the host to hear")  # or the kill may come before its connection
        mosquitto.kill()
        mosquitto.start()
        watching.wait(Connected, 2)
        numbers = [event.bd_seq for event in watching.events if isinstance(event, Connecting)]
        assert numbers == sorted(set(numbers))
        host.wait(lambda: host.subscriptions >= 2, "the host to hear again")
        assert watching.link._client is not None
        sock = watching.link._client.socket()
        assert isinstance(sock, socket.socket)
        sock.shutdown(socket.SHUT_RDWR)
        host.wait(lambda: host.of(MessageType.NDEATH), "the will")
        assert host.of(MessageType.NDEATH)[0].message.value(BD_SEQ) == numbers[-1]


def test_small_messages_do_not_wait_for_acknowledgements(mosquitto: Broker) -> None:
    with watcher(mosquitto.port) as watching:
        watching.wait(Connected)
        assert watching.link._client is not None
        sock = watching.link._client.socket()
        assert isinstance(sock, socket.socket)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_paho_never_holds_more_than_its_share_and_a_stop_does_not_hang() -> None:
    with broker_that_stops_reading() as port, watcher(port) as watching:
        assert watching.link.open(connection(watching.wait(Connected)))
        queued = 0
        while watching.link.has_room and queued < 10_000:
            assert watching.link.publish("spBv1.0/davylamp/NDATA/edge-1", bytes(20_000))
            queued += 1
        assert queued < 2_000
        assert watching.link._outstanding <= OUTSTANDING_BYTES + 20_000
        began = time.monotonic()
        watching.link.end()
        assert time.monotonic() - began < 8


def test_a_broker_that_is_not_there_is_tried_again(free_port: Callable[[], int], tmp_path: Path) -> None:
    broker = Broker(tmp_path, free_port())
    with watcher(broker.port) as watching:
        watching.wait(Lost)
        broker.start()
        try:
            watching.wait(Connected)
        finally:
            broker.stop()


@pytest.mark.parametrize("failures", range(12))
def test_the_pause_before_a_reconnect_doubles_to_30_s_with_jitter(failures: int) -> None:
    longest = min(30.0, 2.0**failures)
    assert pause_s(failures, 1.0) == longest
    assert pause_s(failures, 0.0) == max(1.0, longest / 2)


def test_a_broker_that_is_not_there_is_named() -> None:
    port = services.free_port()
    with watcher(port) as watching:
        lost = watching.wait(Lost)
    assert isinstance(lost, Lost)
    assert lost.reason.startswith(f"broker 127.0.0.1:{port} unreachable")


@pytest.mark.parametrize("host", ["mqtt..plant", ".plant"])
def test_a_host_name_that_is_none_is_said_and_does_not_end_pahos_thread(host: str) -> None:
    with watcher(1883, host=host) as watching:
        lost = watching.wait(Lost)
        watching.wait(Lost, 2)
    assert isinstance(lost, Lost)
    assert lost.reason.startswith(f"broker {host}:1883 unreachable")
