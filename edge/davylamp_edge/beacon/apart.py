"""Whether the relay module is really apart from the plant: one thing may have two names, and `check` looks nothing up.

A host may be named once and numbered once, a serial port be reached through a link. So it is looked up once more
before each connection, and nothing is written to what is polled (SAFETY S28).
"""

import asyncio
import os
import socket
from collections.abc import Iterable

from davylamp_edge.drivers.modbus_address import Address, Port, SerialLine, parse_address


async def polled_as(address: Address, polled: Iterable[str]) -> str | None:
    """Return the address under which the plant is polled over this very line; None where it is not."""
    for text in polled:
        if await _is_one(address, parse_address(text)):
            return text
    return None


async def _is_one(ours: Address, other: Address) -> bool:
    if isinstance(ours, SerialLine) and isinstance(other, SerialLine):
        return _target(ours.path) == _target(other.path)
    if isinstance(ours, Port) and isinstance(other, Port) and ours.port == other.port:
        return bool(await _ips(ours) & await _ips(other))
    return False


def _target(path: str) -> str:
    return os.path.realpath(path)


async def _ips(port: Port) -> set[str]:
    """Return where a host is found; nothing for one that nobody knows, which is not polled then either."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(port.host, port.port, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(place[0]) for *_, place in found}
