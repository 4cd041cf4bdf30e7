"""Many cheap devices for benchmarks: one Modbus server per device, registers that change once a second, little CPU.

Every device serves float32 points side by side from holding register 0. All values move together, by a
counter in one memory shared by every device, so that a thousand devices cost as much as their sockets and no more.
"""

import asyncio
import struct
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from davylamp_simulators.ledger import Ledger
from davylamp_simulators.modbus import ModbusServer, Unit
from davylamp_simulators.registers import Area, Block, Told

PATTERN = 997
"""Values differ between neighbours and repeat after a prime number of points."""


class Counter:
    """The registers of every device of a fleet: point n shows ``step + (n mod 997) / 1000``."""

    def __init__(self, points: int) -> None:
        self._format = struct.Struct(f">{points}f")
        self._offsets = [(n % PATTERN) / 1000.0 for n in range(points)]
        self._names = [f"p{n}" for n in range(points)]
        self._blocks: dict[tuple[int, int], Block] = {}
        self._memory = b""
        self._step = -1
        self.move()

    def move(self) -> None:
        """Let every value change."""
        self._step = (self._step + 1) % 10_000
        step = float(self._step)
        self._memory = self._format.pack(*[step + offset for offset in self._offsets])

    def read(self, area: Area, start: int, count: int) -> bytes | None:
        """Return holding registers; None for what is not there."""
        wanted = self._memory[2 * start : 2 * (start + count)]
        return wanted if area is Area.HOLDING and len(wanted) == 2 * count else None

    def block(self, area: Area, start: int, count: int) -> Block:
        """Return which points lie wholly in a reply."""
        key = (start, count)
        if key not in self._blocks:
            self._blocks[key] = Block(tuple(self._names[(start + 1) // 2 : (start + count) // 2]))
        return self._blocks[key]

    def told(self, block: Block) -> list[Told]:
        """Return the values of a block as single-precision floats."""
        if not block.names:
            return []
        first = int(block.names[0][1:])
        return list(struct.unpack_from(f">{len(block.names)}f", self._memory, 4 * first))


class Fleet:
    """A number of devices on loopback, from `async with` to its end."""

    def __init__(self, devices: int, points: int, period_s: float = 1.0, ledger: Ledger | None = None) -> None:
        self._registers = Counter(points)
        self._period_s = period_s
        self._servers = [ModbusServer({1: Unit(f"d{n}", self._registers, ledger)}) for n in range(devices)]
        self._open = AsyncExitStack()

    @property
    def ports(self) -> list[int]:
        """Return every device's port, in order."""
        return [server.port for server in self._servers]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            for server in self._servers:
                opening.push_async_callback(server.stop)
                await server.start("127.0.0.1", 0)
            mover = asyncio.create_task(self._move(), name="fleet clock")
            opening.push_async_callback(_ended, mover)
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def _move(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            self._registers.move()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def profile_text(points: int) -> str:
    """Return the profile of a fleet's devices, for the edge that polls them."""
    head = 'zh = "基准测试设备"\nen = "benchmark device"\n'
    body = "".join(
        f'\n[points.p{n}]\nzh = "测点 {n}"\nen = "point {n}"\nunit = ""\naddress = {{modbus = "holding:{2 * n}"}}\n'
        for n in range(points)
    )
    return head + body
