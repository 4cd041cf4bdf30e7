"""asyncua's own client on the benchmarks' OPC UA server, doing nothing with what it gets: what the edge is held to.

``python -m benchmarks.opcua_bare ADDRESS POINTS``; it says when it has subscribed, and at ``count`` what has come.
"""

import asyncio
import json
import logging
import sys

from asyncua import ua
from asyncua.client.client import Client

from benchmarks.opcua_plant import NAMESPACE

PUBLISH_MS = 500
QUEUE = 10
CHUNK = 500


async def listen(address: str, points: int) -> None:
    """Listen until standard input ends, by the quicker of asyncua's two ways: iterating over a queue."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    async with Client(address, timeout=20, watchdog_intervall=60) as client:
        index = await client.get_namespace_index(NAMESPACE)
        subscription = await client.create_subscription(PUBLISH_MS, queue_maxsize=4 * points)
        nodes = [client.get_node(ua.NodeId(ua.Int32(n + 1), ua.Int16(index))) for n in range(points)]
        for start in range(0, points, CHUNK):
            await subscription.subscribe_data_change(nodes[start : start + CHUNK], queuesize=QUEUE)
        count = 0

        async def take() -> None:
            nonlocal count
            async for _ in subscription:
                count += 1

        taking = asyncio.create_task(take())
        print(json.dumps({"subscribed": points}), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps({"count": count}), flush=True)
        taking.cancel()


if __name__ == "__main__":
    asyncio.run(listen(sys.argv[1], int(sys.argv[2])))
