"""A tap on the line between an edge and its broker: writes down every packet, both ways, and can cut the line."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.services import Broker
from support.sparkplug.packets import Packet, take_packets


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened on a connection; `packet` is None where it opened or closed."""

    connection: int
    at_ms: int
    from_edge: bool
    packet: Packet | None = None
    opened: bool = False


@dataclass
class Tap:
    """What has passed so far, in the order it passed. `host` and `port` are what the edge is told to connect to."""

    broker: Broker
    port: int = 0
    host: str = "127.0.0.1"
    events: list[Event] = field(default_factory=list)
    _connections: int = 0
    _dead: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Reset every connection, as a switch that restarts does."""
        for writer in list(self._writers):
            writer.transport.abort()

    def pull(self) -> None:
        """Pull the cable: from now on nothing comes through, and neither end is told."""
        self._dead = True

    def plug(self) -> None:
        """Put the cable back; what was on the line is gone."""
        self.cut()
        self._dead = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        self._connections += 1
        connection = self._connections
        try:
            broker_reader, broker_writer = await asyncio.open_connection(self.broker.host, self.broker.port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, broker_writer}
        self._writers |= both
        self._note(Event(connection, _now_ms(), True, opened=True))
        await asyncio.gather(
            self._pass(connection, True, reader, broker_writer), self._pass(connection, False, broker_reader, writer)
        )
        self._note(Event(connection, _now_ms(), True))
        self._writers -= both

    async def _pass(
        self, connection: int, from_edge: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        buffer = bytearray()
        try:
            while data := await reader.read(1 << 16):
                if self._dead:
                    continue
                buffer += data
                for packet in take_packets(buffer):
                    self._note(Event(connection, _now_ms(), from_edge, packet))
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def _note(self, event: Event) -> None:
        self.events.append(event)


@asynccontextmanager
async def tapped(broker: Broker) -> AsyncIterator[Tap]:
    """A tap in front of a broker for the length of a with block."""
    tap = Tap(broker)
    server = await asyncio.start_server(tap.serve, tap.host, 0)
    tap.port = server.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        server.close()
        tap.cut()
        await server.wait_closed()
        await asyncio.sleep(0.01)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
