"""An OPC UA server for the benchmarks: ``python -m benchmarks.opcua_plant POINTS``; one JSON line per line it is told.

It says its port at once. ``go`` sets every value once a second; ``freeze`` stops that, and then it says how many values
it has ever shown. asyncua's server is the plant here: it takes more of a core than the edge does.
"""

import asyncio
import json
import logging
import sys
import time
from datetime import UTC, datetime

from asyncua import ua
from asyncua.server.server import Server

NAMESPACE = "urn:davylamp:bench"
PERIOD_S = 1.0


def profile_text(points: int) -> str:
    """Return a profile of as many points as a plant has."""
    lines = ['zh = "压测"', 'en = "bench"']
    for n in range(points):
        lines += [
            f"[points.p{n}]",
            f'zh = "点 {n}"',
            f'en = "point {n}"',
            'unit = ""',
            'type = "float64"',
            f'address = {{opcua = "nsu={NAMESPACE};i={n + 1}"}}',
        ]
    return "\n".join(lines)


async def serve(points: int) -> None:
    """Serve until standard input ends."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/bench")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(NAMESPACE)
    nodes = [ua.NodeId(ua.Int32(n + 1), ua.Int16(index)) for n in range(points)]
    for n, node in enumerate(nodes):
        await server.nodes.objects.add_variable(node, f"p{n}", 0.0)
    async with server:
        assert server.bserver is not None
        _say(port=server.bserver.port)
        plant = _Plant(server, nodes)
        moving: asyncio.Task[None] | None = None
        while line := await asyncio.to_thread(sys.stdin.readline):
            match line.split():
                case ["go"]:
                    moving = asyncio.create_task(plant.move())
                case ["freeze"]:
                    plant.stopping = True
                    if moving is not None:
                        await moving
                    await asyncio.sleep(2.0)  # a publishing interval or two: what was set last has been sent
                    _say(served=(plant.rounds + 1) * points, cores=plant.cores(), rate=plant.rate() * points)


class _Plant:
    """The values, and the CPU it takes to serve them."""

    def __init__(self, server: Server, nodes: list[ua.NodeId]) -> None:
        self._server = server
        self._nodes = nodes
        self.rounds = 0
        self.stopping = False
        self._began = (time.process_time(), time.monotonic())
        self._ended_s = 0.0

    async def move(self) -> None:
        """Set every value once a second, a little at a time, until told to stop."""
        loop = asyncio.get_running_loop()
        self._began = (time.process_time(), time.monotonic())
        due_s = loop.time()
        while not self.stopping:
            self.rounds += 1
            now = datetime.now(UTC)
            value = ua.Variant(float(self.rounds), ua.VariantType.Double)
            shown = ua.DataValue(value, SourceTimestamp=now, ServerTimestamp=now)  # type: ignore[arg-type]  # any datetime does
            for n, node in enumerate(self._nodes):
                await self._server.write_attribute_value(node, shown)
                if n % 100 == 0:
                    await asyncio.sleep(0)  # writing never waits, and a server that does not answer is no plant
            due_s = max(due_s + PERIOD_S, loop.time() + PERIOD_S / 10)
            await asyncio.sleep(due_s - loop.time())
        self._ended_s = time.monotonic()

    def rate(self) -> float:
        """Return how many rounds a second it has managed, on a machine that has other things to do."""
        return self.rounds / (self._ended_s - self._began[1])

    def cores(self) -> float:
        """Return how many cores it has taken since it began to move."""
        return (time.process_time() - self._began[0]) / (time.monotonic() - self._began[1])


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
