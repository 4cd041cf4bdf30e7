"""A serial line behind a serial server, for the benchmarks: ``python -m benchmarks.serial_line UNITS DEAD REPLY_S``.

It says its port as one JSON line. A dead unit is as silent as one that is not there.
"""

import asyncio
import json
import sys

from davylamp_simulators.fleet import Counter
from davylamp_simulators.framing import RtuFraming
from davylamp_simulators.line import Line
from davylamp_simulators.modbus import ModbusServer, Unit
from davylamp_simulators.scenario import LineMode, LineState

from benchmarks.line import POINTS


async def serve(units: int, dead: int, reply_s: float) -> None:
    """Serve until standard input ends; each answer takes as long as its bytes would."""
    counter, line = Counter(POINTS), Line()
    line.move(LineState(mode=LineMode.SLOW, delay_s=reply_s), 0.0)
    alive = {unit: Unit(f"u{unit}", counter, None) for unit in range(1, units + 1) if unit != dead}
    server = ModbusServer(alive, line, framing=RtuFraming())
    await server.start("127.0.0.1", 0)
    print(json.dumps({"port": server.port}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
