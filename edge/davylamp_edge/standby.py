"""Tries the way that is not taken, again and again: a standby that died unnoticed is none.

A probe is a client of its own: TCP, TLS, CONNECT, CONNACK, DISCONNECT. It has another client id than the node, no will
and no session, and publishes and subscribes nothing, so that no host takes it for the node and no broker drops the
node for it.
"""

import asyncio
import ssl
from collections.abc import Callable

import structlog

from davylamp_edge.config import BrokerConfig, EdgeConfig
from davylamp_edge.dial import dialled
from davylamp_edge.tls import context_of
from davylamp_edge.ways import Way, Ways

log = structlog.get_logger(__name__)

PROBE_S = 10.0
"""A whole probe's time."""

NOT_YET_S = 60.0
"""How often an edge with one way looks whether a new config has given it another."""

DISCONNECT = b"\xe0\x00"
_REFUSALS = {
    1: "protocol version",
    2: "client id",
    3: "server unavailable",
    4: "user name or password",
    5: "not authorized",
}
_CLEAN_SESSION, _PASSWORD, _USER_NAME = 0x02, 0x40, 0x80
_KEEPALIVE_S = 10


async def watch(ways: Ways, config: Callable[[], EdgeConfig], stop: asyncio.Event) -> None:
    """Probe the idle way now and every `probe_s` of the config that holds, until `stop` is set."""
    async with asyncio.TaskGroup() as group:
        probing = group.create_task(_probe_again_and_again(ways, config))
        await stop.wait()
        probing.cancel()


async def _probe_again_and_again(ways: Ways, config: Callable[[], EdgeConfig]) -> None:
    while True:
        now, way = config(), ways.idle
        try:
            if way is not None:
                ways.probed(way, await probe(way, now))
        except Exception:
            log.exception("the standby could not be probed")
        await asyncio.sleep(NOT_YET_S if now.broker.standby is None else now.broker.standby.probe_s)


async def probe(way: Way, config: EdgeConfig) -> str:
    """Return why a way leads nowhere; "" where the broker took us in."""
    try:
        context = None if way.tls is None else context_of(way.tls)
        async with asyncio.timeout(PROBE_S):
            return await _greeted(way, context, connect_packet(client_id(config), config.broker))
    except TimeoutError:
        return f"no answer within {PROBE_S:g} s"
    except ConnectionRefusedError:
        return f"nothing listens at {way.host}:{way.port}"
    except (OSError, EOFError) as error:
        return str(error) or type(error).__name__


def client_id(config: EdgeConfig) -> str:
    """Return the probe's client id."""
    return f"davylamp-edge-{config.group}-{config.node}-probe"


async def _greeted(way: Way, context: ssl.SSLContext | None, greeting: bytes) -> str:
    sock = await dialled(way)
    name = None if context is None else way.host
    reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name)
    try:
        writer.write(greeting)
        code = (await reader.readexactly(4))[3]
        writer.write(DISCONNECT)
        await writer.drain()
        return "" if code == 0 else f"refused: {_REFUSALS.get(code, code)}"
    finally:
        writer.close()


def connect_packet(client: str, broker: BrokerConfig) -> bytes:
    """Return a CONNECT with a clean session and no will. Source: MQTT 3.1.1, 3.1."""
    password = broker.password()
    flags, fields = _CLEAN_SESSION, [client.encode()]
    if broker.username is not None:
        flags |= _USER_NAME
        fields.append(broker.username.encode())
        if password is not None:
            flags |= _PASSWORD
            fields.append(password.get_secret_value().encode())
    body = b"\x00\x04MQTT\x04" + bytes([flags]) + _KEEPALIVE_S.to_bytes(2)
    body += b"".join(len(field).to_bytes(2) + field for field in fields)
    return b"\x10" + _length(len(body)) + body


def _length(count: int) -> bytes:
    """Return a remaining length, seven bits a byte, the lowest first. Source: MQTT 3.1.1, 2.2.3."""
    coded = bytearray()
    while True:
        count, low = divmod(count, 128)
        coded.append(low | (0x80 if count else 0))
        if not count:
            return bytes(coded)
