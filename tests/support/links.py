"""A link to a broker with the events it posted, and a broker that takes nothing."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from davylamp_edge.config import EdgeConfig
from davylamp_edge.link import Connected, Event, Link

CONNACK = b"\x20\x02\x00\x00"


class Watcher:
    """A link and the events it posted."""

    def __init__(self, port: int, post: Callable[[Event], None] | None = None, **broker: Any) -> None:
        device = {"name": "a", "profile": "p", "driver": "modbus", "hazard_source": "h", "address": "x"}
        config = EdgeConfig.model_validate(
            {
                "node": "edge-1",
                "broker": {"host": "127.0.0.1", "port": port, **broker},
                "journal": {"path": "unused"},
                "devices": [device],
            }
        )
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._numbers = iter(range(1000))
        self.link = Link(config, lambda: next(self._numbers), post or self.take, lambda: 0)

    def take(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, kind: type[Event], times: int = 1) -> Event:
        def found() -> list[Event]:
            return [event for event in self.events if isinstance(event, kind)]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= times, 15), f"no {kind.__name__}: {self.events}"
            return found()[times - 1]


@contextmanager
def watcher(port: int, **settings: Any) -> Iterator[Watcher]:
    watching = Watcher(port, **settings)
    watching.link.start()
    try:
        yield watching
    finally:
        watching.link.end()


def connection(event: Event) -> int:
    assert isinstance(event, Connected)
    return event.connection


@contextmanager
def broker_that_stops_reading() -> Iterator[int]:
    """A server that welcomes a client and then never reads again."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def welcome() -> None:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        taken.append(peer)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.recv(1024)
        peer.sendall(CONNACK)

    thread = threading.Thread(target=welcome)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for peer in taken:
            peer.close()
