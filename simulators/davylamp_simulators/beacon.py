"""A relay module with lamp, horn and watchdog contact, and two buttons: what an edge's beacon hangs on.

As the real ones do, it opens a relay by itself where nobody has asked it anything for a while: its own watchdog is what
tells that the process which should write to it is no more. All relays are open when it is switched on.
Source: Modbus Application Protocol 1.1b3, 6.1, 6.2 and 6.5.
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from davylamp_simulators.framing import Framing
from davylamp_simulators.line import Line
from davylamp_simulators.modbus import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    ModbusServer,
)
from davylamp_simulators.registers import Block

READ_COILS, READ_INPUTS, WRITE_COIL = 1, 2, 5
ASK = struct.Struct(">BHH")
VALUES = {0xFF00: True, 0x0000: False}
LAMP, HORN, WATCHDOG = 0, 1, 2
"""Where they hang, unless the config of the edge says otherwise."""
TEST, SILENCE = 0, 1


@dataclass(frozen=True, slots=True)
class Moved:
    """A relay that was written or fell open. `at_s` is the loop's time."""

    at_s: float
    coil: int
    closed: bool
    by_watchdog: bool = False


def _nothing(_: Moved) -> None:
    """Tell nobody."""


NAMES = {LAMP: ("灯", "lamp"), HORN: ("声", "horn"), WATCHDOG: ("看门狗触点", "watchdog contact")}
BUTTONS = {"test": TEST, "silence": SILENCE}
HELD_S = 0.5


def told(moved: Moved) -> tuple[str, str]:
    """Return what a relay did, in zh and en."""
    zh, en = NAMES.get(moved.coil, (f"线圈 {moved.coil}", f"coil {moved.coil}"))
    why = ("（通信看门狗动作）", " (the module's own watchdog)") if moved.by_watchdog else ("", "")
    how = ("闭合", "closed") if moved.closed else ("断开", "open")
    return f"声光报警器：{zh}{how[0]}{why[0]}", f"beacon: {en} {how[1]}{why[1]}"


class RelayModule:
    """A module of eight relays and as many inputs; `watchdog_s` None never opens by itself."""

    def __init__(
        self,
        watchdog_s: float | None = 5.0,
        watchdog_coil: int = WATCHDOG,
        unit: int = 1,
        line: Line | None = None,
        framing: Framing | None = None,
        on_change: Callable[[Moved], None] = _nothing,
    ) -> None:
        self.coils = [False] * 8
        self.inputs = [False] * 8
        self.writes: list[Moved] = []
        """Every write that came, repeats included."""
        self.stuck: int | None = None
        """A relay whose coil is burnt out: it takes writes and does not move."""
        self._watchdog_s = watchdog_s
        self._watchdog_coil = watchdog_coil
        self._on_change = on_change
        self._timer: asyncio.TimerHandle | None = None
        self._server = ModbusServer({unit: self}, line, self._fed, framing)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen. Raises: OSError where the port is taken."""
        await self._server.start(host, port)

    async def stop(self) -> None:
        """Switch it off: every relay falls open."""
        if self._timer is not None:
            self._timer.cancel()
        await self._server.stop()
        self.coils = [False] * 8

    def press(self, button: int, held: bool = True) -> None:
        """Press a button, or let go of it."""
        self.inputs[button] = held

    def answer(self, request: bytes) -> tuple[bytes, Block | None]:
        """Return the reply to a request."""
        function = request[0]
        if function not in (READ_COILS, READ_INPUTS, WRITE_COIL):
            return bytes((function | 0x80, ILLEGAL_FUNCTION)), None
        if len(request) != ASK.size:
            return bytes((function | 0x80, ILLEGAL_VALUE)), None
        _, start, count = ASK.unpack(request)
        if function == WRITE_COIL:
            return self._written(request, start, count), None
        return self._read(function, start, count), None

    def note(self, block: Block, asked_ms: int, served_ms: int) -> None:
        """Keep no ledger."""

    def _read(self, function: int, start: int, count: int) -> bytes:
        bits = (self.coils if function == READ_COILS else self.inputs)[start : start + count]
        if not 1 <= count <= len(self.coils) or len(bits) != count:
            return bytes((function | 0x80, ILLEGAL_ADDRESS))
        return bytes((function, 1, sum(bit << at for at, bit in enumerate(bits))))

    def _written(self, request: bytes, coil: int, value: int) -> bytes:
        if value not in VALUES:
            return bytes((WRITE_COIL | 0x80, ILLEGAL_VALUE))
        if coil >= len(self.coils):
            return bytes((WRITE_COIL | 0x80, ILLEGAL_ADDRESS))
        moved = Moved(asyncio.get_running_loop().time(), coil, VALUES[value])
        self.writes.append(moved)
        if coil != self.stuck:
            self._move(moved)
        return request

    def _move(self, moved: Moved) -> None:
        if self.coils[moved.coil] != moved.closed:
            self.coils[moved.coil] = moved.closed
            self._on_change(moved)

    def _fed(self) -> None:
        """Begin the watchdog's time again."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watchdog_s is not None:
            self._timer = asyncio.get_running_loop().call_later(self._watchdog_s, self._fall_open)

    def _fall_open(self) -> None:
        self._move(Moved(asyncio.get_running_loop().time(), self._watchdog_coil, False, by_watchdog=True))


@contextmanager
def pressed_on(module: RelayModule, keys: TextIO) -> Iterator[None]:
    """Press the buttons that are typed, `test` or `silence` and return, for the length of a with block."""
    loop = asyncio.get_running_loop()

    def typed() -> None:
        line = keys.readline()
        if not line:
            loop.remove_reader(keys)
        button = BUTTONS.get(line.strip())
        if button is not None:
            module.press(button)
            loop.call_later(HELD_S, module.press, button, False)

    try:
        loop.add_reader(keys, typed)
    except (OSError, ValueError):
        yield  # nobody types into a file, or into nothing
        return
    try:
        yield
    finally:
        loop.remove_reader(keys)
