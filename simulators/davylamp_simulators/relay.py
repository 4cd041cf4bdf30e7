"""A TCP relay that stands for the line to a device whose own server cannot be slow, silent or gone.

Bytes from the client wait as the line says; bytes to the client never do.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from davylamp_simulators.line import Line
from davylamp_simulators.scenario import LineMode

CHUNK = 1 << 16
LAST_ANSWERS_S = 0.3
"""How long a relay that stops goes on handing answers to what it had let through."""


class Relay:
    """Listens for clients and hands each through to one server."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._target: tuple[str, int] | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moved = asyncio.Event()
        self._stopping = False
        line.watch(self._line_moved)

    def aim(self, host: str, port: int) -> None:
        """Say where the server is; clients before that are turned away."""
        self._target = (host, port)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises: OSError where the port is taken."""
        self._server = await asyncio.start_server(self._client, host, port)

    def _line_moved(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
        if self._line.mode is LineMode.DOWN:
            for writer in tuple(self._writers):
                writer.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with self._open(writer):
                await self._hand_through(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either side is gone, or the plant stops: the client sees a closed connection
        finally:
            self._tasks.discard(task)

    async def _hand_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._target is None or self._line.mode is LineMode.DOWN:
            return
        to_reader, to_writer = await asyncio.open_connection(*self._target)
        with self._open(to_writer):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, to_writer))
                group.create_task(_answers(to_reader, writer))

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self._line.delay_s:
                await asyncio.sleep(self._line.delay_s)
            while self._line.mode is LineMode.DEAD:
                await self._moved.wait()
            if not self._stopping:
                writer.write(data)
                await writer.drain()
        writer.close()

    @contextmanager
    def _open(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.close()

    async def stop(self) -> None:
        """Let no more requests through, hand over the last answers, close every connection and the port."""
        if self._server is None:
            return
        self._server.close()
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_ANSWERS_S)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()
