"""A plant for the benchmarks: ``python -m benchmarks.plant DEVICES POINTS``; one JSON line per line it is told.

It says its ports at once. ``freeze`` stops all values; then it says how many changed readings it has ever served.
``count`` says so while they move.
``silence`` ends all answers; then it says how many readings it has ever served, changed or not.
``lift N`` puts device N's first point far above all others and says when, ``lower N`` lets it be.
"""

import asyncio
import json
import struct
import sys
import time

from davylamp_simulators.fleet import Counter
from davylamp_simulators.line import Line
from davylamp_simulators.modbus import ModbusServer, Unit
from davylamp_simulators.registers import Area, Block, Told
from davylamp_simulators.scenario import LineMode, LineState

LIFTED = 20_000.0
"""Above every other value of a fleet's counter."""

PERIOD_S = 0.4
"""Values move faster than they are polled: every poll sees every value changed, in whatever phase it comes."""


class Meter:
    """One device's registers; counts what is served and differs from what was served before."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._before: dict[int, bytes] = {}
        self.changed = self.served = 0
        self.lifted = False

    def read(self, area: Area, start: int, count: int) -> bytes | None:
        """Return a reply's bytes; all values move together, so a reply is changed as a whole."""
        found = self._counter.read(area, start, count)
        if self.lifted and start == 0 and found:
            found = struct.pack(">f", LIFTED) + found[4:]
        if found is not None and found != self._before.get(start):
            self._before[start] = found
            self.changed += count // 2
        self.served += count // 2 if found is not None else 0
        return found

    def block(self, area: Area, start: int, count: int) -> Block:
        """Return which points a reply tells about."""
        return self._counter.block(area, start, count)

    def told(self, block: Block) -> list[Told]:
        """Return their values."""
        return self._counter.told(block)


async def serve(devices: int, points: int) -> None:
    """Serve until standard input ends."""
    counter = Counter(points)
    meters = [Meter(counter) for _ in range(devices)]
    cable = Line()
    servers = [ModbusServer({1: Unit(f"d{n}", meter, None)}, cable) for n, meter in enumerate(meters)]
    for server in servers:
        await server.start("127.0.0.1", 0)
    _say(ports=[server.port for server in servers])
    moving = asyncio.create_task(_move(counter), name="plant clock")
    while line := await asyncio.to_thread(sys.stdin.readline):
        match line.split():
            case ["count"]:
                _say(served=sum(meter.changed for meter in meters))
            case ["freeze"]:
                moving.cancel()
                await asyncio.sleep(2.0)  # two scans: whatever moved last has been asked for
                _say(served=sum(meter.changed for meter in meters))
            case ["silence"]:
                cable.move(LineState(mode=LineMode.DEAD), 0.0)
                _say(served=sum(meter.served for meter in meters))
            case ["lift" | "lower" as what, device]:
                meters[int(device)].lifted = what == "lift"
                _say(at_ms=time.time_ns() // 1_000_000)
    for server in servers:
        await server.stop()


async def _move(counter: Counter) -> None:
    while True:
        await asyncio.sleep(PERIOD_S)
        counter.move()


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
