"""One open line to Modbus devices: one request out, its answer in, and quiet again after an answer that did not come.

::

    ask ─► answer in time ─► next question, at once ─► … ─► all that was heard
     └──► timeout ─► settle: the answer comes late ───────► next request
                      └──► nothing came for long enough ─► (RTU over TCP) closed ─► next request

Several questions are asked one after another without waking the task that asked: to wake it costs as much as to ask.

RTU frames do not say which request they answer. So where one was not answered, nothing else is asked until its answer
has come late and was thrown away, or until it cannot come any more: `quiet_s` after the timeout.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import BinaryIO, cast

from davylamp_edge.drivers.modbus_address import Address, Port, SerialLine, numbers_answers
from davylamp_edge.drivers.modbus_frames import (
    Asked,
    Frames,
    Heard,
    OutOfStep,
    Question,
    RtuFrames,
    TcpFrames,
    fits,
)
from davylamp_edge.drivers.patience import Patience

SILENT_CHARACTERS = 3.5
FASTEST_SILENCE_S = 0.00175
"""Between two frames on a serial line; above 19,200 baud it is fixed (Modbus over Serial Line 1.02, 2.5.1.1)."""
LATE_FACTOR = 2.0
"""How many times as long as the slowest answer so far an answer is awaited before the line counts as quiet."""
MOST_BYTES = 4096
"""More than this before an answer is no noise but a peer that speaks something else."""


GoesOn = Callable[[float], bool]
"""Says, at a time of the loop's clock, whether the next question may go out."""


def never(now_s: float) -> bool:
    """Let one question be all."""
    return False


def silence_of(line: SerialLine) -> float:
    """Return the shortest silence between two frames on a serial line, in seconds."""
    return max(FASTEST_SILENCE_S, SILENT_CHARACTERS * line.character_s)


def frames_of(address: Address) -> Frames:
    """Return the frames that an address carries."""
    return TcpFrames() if numbers_answers(address) else RtuFrames()


class Bus(asyncio.Protocol):
    """A line. Used by one task. Lost once, it is lost for good."""

    def __init__(self, address: Address, frames: Frames | None = None) -> None:
        """`frames` are those of the address unless others are given."""
        self.is_open = False
        self.slowest_s = 0.0
        """The longest any answer took, late ones included."""
        self._address = address
        self._serial = address if isinstance(address, SerialLine) else None
        self._frames = frames or frames_of(address)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        """Of a serial port, one that only reads."""
        self._port: BinaryIO | None = None
        self._buffer = bytearray()
        self._transaction = 0
        self._asked: Asked | None = None
        self._asked_s = 0.0
        self._heard_s = 0.0
        self._answer: asyncio.Future[None] | None = None
        self._heard: list[Heard] = []
        self._next: deque[Question] = deque()
        self._goes_on: GoesOn = never
        self._timeout_s = 0.0
        self._set_aside = 0
        self._patience = Patience(self._loop)

    async def open(self, timeout_s: float) -> None:
        """Connect. Raises: OSError, TimeoutError."""
        async with asyncio.timeout(timeout_s):
            if isinstance(self._address, Port):
                await self._loop.create_connection(lambda: self, self._address.host, self._address.port)
            else:
                from davylamp_edge.drivers.serial_port import open_port  # POSIX only, and few need it

                self._port = open_port(self._address)
                await self._loop.connect_read_pipe(lambda: self, self._port)

    async def close(self) -> None:
        """Close; the socket or port is closed when this returns."""
        self.is_open = False
        self._patience.end()
        if self._transport is None:
            if self._port is not None:
                self._port.close()
        elif self._port is not None:
            self._transport.close()
        else:
            self._transport.abort()
        await asyncio.sleep(0)  # a transport closes in the loop's next round

    async def ask(self, question: Question, timeout_s: float) -> bytes:
        """Return the PDU that answers. Raises: TimeoutError, OSError, OutOfStep."""
        (heard,) = await self.ask_in_turn([question], timeout_s)
        if isinstance(heard.said, Exception):
            raise heard.said
        return heard.said

    async def ask_in_turn(
        self, questions: Iterable[Question], timeout_s: float, goes_on: GoesOn = never
    ) -> list[Heard]:
        """Return what was heard of the first of these questions, one at least, each asked behind the answer before.

        `goes_on` is asked before each but the first. Nothing is asked behind an error or an answer that is no; an error
        is one of what `ask` raises.
        """
        if not self.is_open:
            return [Heard(ConnectionResetError("the connection is closed"), self._loop.time())]
        answer: asyncio.Future[None] = self._loop.create_future()
        self._answer, self._heard, self._next = answer, [], deque(questions)
        self._timeout_s, self._goes_on = timeout_s, goes_on
        heard = self._heard
        try:
            self._ask()
            await answer
        except (TimeoutError, OSError, OutOfStep) as error:
            heard.append(Heard(self._late() if isinstance(error, TimeoutError) else error, self._loop.time()))
        finally:
            self._answer = None
            self._next.clear()
        return heard

    def _ask(self) -> None:
        """Send the next question."""
        question = self._next.popleft()
        self._transaction = self._transaction + 1 & 0xFFFF
        asked = self._asked = Asked(self._transaction, question.unit, question.function, question.size, question.echo)
        frame = self._frames.request(asked, question.start, question.count)
        if not self._frames.numbered:
            self._buffer.clear()
        self._set_aside = self._frames.set_aside
        self._asked_s = self._loop.time()
        self._send(frame)
        assert self._answer is not None
        self._patience.awaits(self._answer, self._timeout_s + self._on_wire_s(len(frame) + question.size + 5))

    def _late(self) -> TimeoutError:
        others = self._frames.set_aside - self._set_aside
        late = f"; {others} came that answer another unit or an older request" if others else ""
        return TimeoutError(f"no answer within {self._timeout_s:g} s{late}")

    @property
    def is_settled(self) -> bool:
        """Whether no answer to an earlier request can be taken for the next one's."""
        return self._frames.numbered or self._asked is None

    def quiet_s(self, timeout_s: float) -> float:
        """Return how long after a timeout an answer may still come."""
        return max(timeout_s, LATE_FACTOR * self.slowest_s)

    async def settle(self, timeout_s: float) -> bool:
        """Wait until no answer can come any more; return whether the line may go on being used."""
        if self.is_settled or not self.is_open:
            return self.is_open
        self._answer, self._heard = self._loop.create_future(), []
        self._look()
        self._patience.awaits(self._answer, self.quiet_s(timeout_s))
        try:
            await self._answer
        except (TimeoutError, OutOfStep):
            return self._serial is not None and await self._is_silent()
        except OSError:
            return False
        finally:
            self._answer = self._asked = None
            self._buffer.clear()
        return True

    async def _is_silent(self) -> bool:
        """Wait for the end of whatever is being said; give up on a line that never falls silent."""
        for _ in range(100):
            since_s = self._loop.time() - self._heard_s
            if since_s > self.silence_s:
                return True
            await asyncio.sleep(self.silence_s)
        return False

    @property
    def silence_s(self) -> float:
        """Shortest silence between two frames; a serial server keeps it by itself."""
        return silence_of(self._serial) if self._serial is not None else 0.0

    def _on_wire_s(self, characters: int) -> float:
        return characters * self._serial.character_s if self._serial is not None else 0.0

    def _send(self, frame: bytes) -> None:
        if self._port is not None:
            os.write(self._port.fileno(), frame)
        elif self._transport is not None:
            self._transport.write(frame)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport that asyncio made."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, and does not say so
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """End whatever waits."""
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        """Take what came for the answer to what was asked last, or set it aside.

        Numbered frames are kept to their end, whenever they come: where one is cut short, the next is none.
        """
        self._heard_s = self._loop.time()
        if self._asked is not None or self._frames.numbered:
            self._buffer += data
            self._look()
        if self._answer is None and len(self._buffer) > MOST_BYTES and self._port is None and self._transport:
            self._transport.abort()

    def _look(self) -> None:
        if self._asked is None or self._answer is None or self._answer.done():
            return
        try:
            pdu = self._frames.answer(self._buffer, self._asked)
        except OutOfStep as error:
            self._answer.set_exception(error)
            return
        if pdu is not None:
            self._take(pdu, self._asked, self._answer)
        elif len(self._buffer) > MOST_BYTES:
            self._answer.set_exception(OutOfStep("sends without end what is no answer"))

    def _take(self, pdu: bytes, asked: Asked, answer: asyncio.Future[None]) -> None:
        """Take an answer, and ask on or tell whoever waits."""
        self.slowest_s = max(self.slowest_s, self._heard_s - self._asked_s)
        self._heard.append(Heard(pdu, self._heard_s))
        is_yes = pdu[0] == asked.function
        if fits(pdu, asked):
            self._asked = None  # what does not fit may answer an older request, and ours is still to come
        if self._asked is None and is_yes and self._next and self._goes_on(self._heard_s):
            self._ask()
        else:
            answer.set_result(None)
