"""OPC UA through asyncua: values are polled by Read, many nodes at a time.

Traps stepped over here, each with its test in ``tests/edge/test_opcua.py``: the first connect is never retried and a
client must not be used again after a loss (so every connect makes a new one); a bad value comes as None with its
reason in the StatusCode only; reads are not cut to the server's limit; namespace numbers change when a server restarts.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from davylamp_wire.profile import Point
from davylamp_wire.quality import Reason

from davylamp_edge.config import DeviceConfig
from davylamp_edge.datavalue import DataValueDecoder, by_kind, stamp_ms
from davylamp_edge.drivers import DeviceRefused, DeviceUnreachable, Wanted
from davylamp_edge.reply import Decoded

# asyncua logs every lost connection with its traceback; the scanner says once that a device is lost.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)

CHUNK = 250
"""Nodes in one Read: decoding them takes 5 to 8 ms, and other lines wait meanwhile."""
WATCHDOG_S = 10.0
"""asyncua probes the server beside our reads; each second, as by default, a busy PLC looks dead."""
SESSION_MS = 60_000
"""A crashed gateway's session must not occupy a small PLC for asyncua's default hour."""
SYNCHRONOUS_MS = 2_000
"""Clocks this close are taken for the same; servers show theirs in steps of up to a second."""

CURRENT_TIME = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_CurrentTime))
MAX_NODES_PER_READ = ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead))

TOO_MANY = {
    StatusCodes.BadTooManyOperations,
    StatusCodes.BadEncodingLimitsExceeded,
    StatusCodes.BadResponseTooLarge,
    StatusCodes.BadRequestTooLarge,
}
OVER = {
    StatusCodes.BadSessionIdInvalid,
    StatusCodes.BadSessionClosed,
    StatusCodes.BadSessionNotActivated,
    StatusCodes.BadSecureChannelClosed,
    StatusCodes.BadSecureChannelIdInvalid,
    StatusCodes.BadServerHalted,
    StatusCodes.BadShutdown,
    StatusCodes.BadConnectionClosed,
    StatusCodes.BadTcpSecureChannelUnknown,
}
"""Faults after which a session is of no use any more."""


@dataclass(frozen=True, slots=True, eq=False)
class OpcuaRequest:
    """Nodes read together, and how their values decode."""

    points: Sequence[int]
    nodes: Sequence[ua.NodeId]
    decoder: DataValueDecoder

    def decode(self, reply: Sequence[ua.DataValue], arrived_ms: int) -> Decoded:
        """Return a reply in columns; its first value is the server's clock."""
        clock, *values = reply
        return self.decoder.decode(values, arrived_ms, _ahead_ms(clock, arrived_ms))

    def halves(self) -> tuple[Self, Self] | None:
        """Return None: a node the server does not have harms no other."""
        return None


class OpcuaDriver:
    """One session with one server; the devices behind it share it."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address = address
        self._host = urlsplit(address).hostname or ""
        self._timeout_s = timeout_s
        self._client: Client | None = None
        self._namespaces: dict[str, int] = {}
        self._most = CHUNK
        self._resolved: dict[OpcuaRequest, list[ua.NodeId]] = {}

    @staticmethod
    def wrong_address(address: str) -> str | None:
        """Return what is wrong with a server's address, or None."""
        try:
            parts = urlsplit(address)
            fits = parts.scheme == "opc.tcp" and parts.hostname and parts.port
        except ValueError:
            fits = False
        return None if fits else "is no address of an OPC UA server; write opc.tcp://host:port/path"

    @staticmethod
    def wrong_point(address: str, point: Point, device: DeviceConfig) -> str | None:
        """Return what is wrong with a node id, or None."""
        try:
            ua.NodeId.from_string(address)
        except (UaError, ValueError):
            return f"{address!r} is no node id; write nsu=urn:plant:plc;s=Tank1.Level or ns=2;i=1001"
        return None

    @staticmethod
    def plan(device: DeviceConfig, wanted: Sequence[Wanted]) -> Sequence[OpcuaRequest]:
        """Return the wanted points in chunks of a size the loop can stomach."""
        return [_request(wanted[start : start + CHUNK]) for start in range(0, len(wanted), CHUNK)]

    @property
    def connected(self) -> bool:
        """Whether the session stands, as far as this side knows."""
        return self._client is not None and self._client.uaclient.state is UaClientState.CONNECTED

    async def connect(self) -> None:
        """Connect with a client of its own and learn the server's namespaces and limits."""
        await self.close()
        client = Client(self._address, timeout=self._timeout_s, watchdog_intervall=WATCHDOG_S, auto_reconnect=False)
        client.session_timeout = SESSION_MS
        self._client = client
        try:
            await client.connect()
            await self._learn(client)
        except (TimeoutError, OSError, UaError) as error:
            await self.close()
            raise DeviceUnreachable(f"OPC UA server {self._host}: {_said(error)}") from None
        except BaseException:
            await self.close()
            raise

    async def _learn(self, client: Client) -> None:
        names = await client.get_namespace_array()
        self._namespaces = {name: index for index, name in enumerate(names)}
        self._resolved = {}
        (limit,) = await _read(client, [MAX_NODES_PER_READ])
        most = limit.Value.Value if limit.Value is not None else None
        self._most = min(CHUNK, most - 1) if isinstance(most, int) and most > 1 else CHUNK

    async def read(self, request: OpcuaRequest) -> list[ua.DataValue]:
        """Return the server's clock and the nodes' values.

        Raises: DeviceUnreachable after ``timeout_s``, DeviceRefused on a service fault.
        """
        client = self._client
        if client is None:
            raise DeviceUnreachable(f"OPC UA server {self._host} is not connected")
        try:
            replies = await self._read_all(client, self._nodes(request))
        except UaStatusCodeError as fault:
            if fault.code not in OVER:
                raise DeviceRefused(f"OPC UA server {self._host}: {_said(fault)}") from None
            await self.close()
            raise DeviceUnreachable(f"OPC UA server {self._host}: {_said(fault)}") from None
        except (TimeoutError, OSError, UaError) as error:
            raise DeviceUnreachable(f"OPC UA server {self._host}: {_said(error)}") from None
        if len(replies) != len(request.nodes) + 1:
            got = f"asked {len(request.nodes)} nodes, got {len(replies) - 1}"
            raise DeviceRefused(f"OPC UA server {self._host}: {got}", Reason.DEVICE_FAULT)
        return replies

    async def _read_all(self, client: Client, nodes: list[ua.NodeId]) -> list[ua.DataValue]:
        """Read the server's clock and the nodes in as few Reads as it allows, fewer at a time when it says too many."""
        asked = [CURRENT_TIME, *nodes]
        replies: list[ua.DataValue] = []
        while len(replies) < len(asked):
            chunk = asked[len(replies) : len(replies) + self._most + 1]
            try:
                got = await _read(client, chunk)
            except UaStatusCodeError as fault:
                if fault.code not in TOO_MANY or self._most <= 1:
                    raise
                self._most = max(1, self._most // 2)
                continue
            if len(got) != len(chunk):
                break
            replies += got
        return replies

    def _nodes(self, request: OpcuaRequest) -> list[ua.NodeId]:
        """Return a request's node ids with this session's namespace numbers; a null id where it has no such space."""
        if request not in self._resolved:
            self._resolved[request] = [_resolved(node, self._namespaces) for node in request.nodes]
        return self._resolved[request]

    async def close(self) -> None:
        """Close the session and the connection, whatever state they are in."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            await client.disconnect()
        finally:
            client.disconnect_socket()
            # The transport closes its socket in the loop's next round.
            await asyncio.sleep(0)


def _request(wanted: Sequence[Wanted]) -> OpcuaRequest:
    order = by_kind([want.point for want in wanted])
    ordered = [wanted[i] for i in order]
    return OpcuaRequest(
        [want.index for want in ordered],
        [ua.NodeId.from_string(want.address) for want in ordered],
        DataValueDecoder([want.point for want in ordered]),
    )


async def _read(client: Client, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
    parameters = ua.ReadParameters()
    parameters.MaxAge = 0
    parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
    parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value) for node in nodes]
    return await client.uaclient.read(parameters)


def _resolved(node: ua.NodeId, namespaces: dict[str, int]) -> ua.NodeId:
    uri = getattr(node, "NamespaceUri", None)
    if uri is None:
        return node
    return ua.NodeId(node.Identifier, ua.Int16(namespaces[uri])) if uri in namespaces else ua.NodeId()


def _ahead_ms(clock: ua.DataValue, arrived_ms: int) -> int:
    """Return how far the server's clock is ahead; 0 where they agree or it does not tell."""
    value = clock.Value.Value if clock.Value is not None else None
    try:
        told = stamp_ms(value)
    except (AttributeError, TypeError):
        return 0
    ahead = 0 if told is None else told - arrived_ms
    return 0 if abs(ahead) <= SYNCHRONOUS_MS else ahead


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
