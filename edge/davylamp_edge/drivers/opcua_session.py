"""One session with one OPC UA server: connecting, securing it, and reading many nodes at a time.

Traps stepped over here, each with its test in ``tests/edge/test_opcua.py``: the first connect is never retried and a
client must not be used again after a loss (so every session has a new one); asyncua trusts any server it is given no
certificate of; reads are not cut to the server's limit; namespace numbers change when a server restarts.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import structlog
from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.crypto import security_policies
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from davylamp_wire.config import ConfigError

from davylamp_edge.drivers import DeviceUnreachable
from davylamp_edge.drivers.opcua_namespaces import Namespaces
from davylamp_edge.drivers.opcua_trust import TrustFolder, Untrusted, certificate_in, first_in, key_in, uris_of
from davylamp_edge.opcua_settings import OpcuaSettings

# asyncua logs every lost connection with its traceback; the scanner says once that a device is lost.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)

log = structlog.get_logger("davylamp_edge.scan")

CHUNK = 250
"""Nodes in one Read: decoding them takes 5 to 8 ms, and other lines wait meanwhile."""
WATCHDOG_S = 10.0
"""asyncua probes the server beside our reads, which keeps a session alive that is seldom asked; each second, as by
default, a busy PLC looks dead."""
SESSION_MS = 60_000
"""A crashed gateway's session must not occupy a small PLC for asyncua's default hour."""
APPLICATION_URI = "urn:davylamp:edge"
"""Who we say we are where no certificate says it."""

CURRENT_TIME = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_CurrentTime))
MAX_NODES_PER_READ = ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead))
MAX_ITEMS_PER_CALL = ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall))

TOO_MANY = {
    StatusCodes.BadTooManyOperations,
    StatusCodes.BadEncodingLimitsExceeded,
    StatusCodes.BadResponseTooLarge,
    StatusCodes.BadRequestTooLarge,
}


class Session:
    """A session with a server, from `open` to `close`; `open` again makes a new one."""

    def __init__(
        self, address: str, timeout_s: float, settings: OpcuaSettings, *, watchdog_s: float = WATCHDOG_S
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._settings = settings
        self._watchdog_s = watchdog_s
        self._client: Client | None = None
        self._namespaces = Namespaces()
        self.trusted_until_ms: int | None = None
        """Until when the certificate that the server showed last is good; None where nothing is secured."""
        self.most_read = CHUNK
        """Nodes the server takes in one Read."""
        self.most_monitored = 0
        """Items the server takes in one call; 0 where it does not say."""

    @property
    def server(self) -> str:
        """The server, as messages call it; never its whole address, which may hold a password."""
        return f"OPC UA server {urlsplit(self._address).hostname or ''}"

    @property
    def connected(self) -> bool:
        """Whether the session stands, as far as this side knows."""
        return self._client is not None and self._client.uaclient.state is UaClientState.CONNECTED

    @property
    def client(self) -> Client:
        """The client of an open session. Raises: DeviceUnreachable."""
        if self._client is None:
            raise DeviceUnreachable(f"{self.server} is not connected")
        return self._client

    async def open(self) -> None:
        """Connect with a client of its own and learn the server's namespaces and limits. Raises: DeviceUnreachable."""
        await self.close()
        client = Client(
            self._address, timeout=self._timeout_s, watchdog_intervall=self._watchdog_s, auto_reconnect=False
        )
        client.session_timeout = SESSION_MS
        client.application_uri = APPLICATION_URI
        self._client = client
        try:
            await self._secure(client)
            await client.connect()
            await self._learn(client)
        except (TimeoutError, OSError, UaError, Untrusted, ConfigError, ValueError) as error:
            await self.close()
            raise DeviceUnreachable(f"{self.server}: {said(error)}") from None
        except BaseException:
            await self.close()
            raise

    async def _secure(self, client: Client) -> None:
        """Say who we are, and see that the server is who we think before anything secret is said."""
        settings = self._settings
        if settings.username is not None:
            client.set_user(settings.username)
            password = settings.password()
            client.set_password(password.get_secret_value() if password else "")
        if settings.user_certificate_file is not None and settings.user_key_file is not None:
            client.user_certificate = certificate_in(settings.user_certificate_file)
            client.user_private_key = key_in(settings.user_key_file)
        if settings.secured:
            await self._secure_channel(client)

    async def _secure_channel(self, client: Client) -> None:
        settings = self._settings
        assert settings.certificate_file is not None
        assert settings.key_file is not None
        assert settings.trust_folder is not None
        policy = getattr(security_policies, f"SecurityPolicy{settings.policy}")
        mode = ua.MessageSecurityMode[settings.security]
        offered = await client.connect_and_get_server_endpoints()
        endpoint = _fitting(offered, policy.URI, mode)
        if endpoint is None:
            raise UaError(f"offers no {settings.policy}/{settings.security}; it offers {_listed(offered)}")
        theirs = first_in(endpoint.ServerCertificate)
        if theirs is None:
            raise UaError(f"offers {settings.policy} without a certificate of its own")
        host = urlsplit(self._address).hostname or ""
        trusted = TrustFolder.read(settings.trust_folder)
        self.trusted_until_ms = int(trusted.until(theirs).timestamp() * 1000)
        trusted.check(theirs, endpoint.Server.ApplicationUri, host, datetime.now(UTC))
        ours, key = certificate_in(settings.certificate_file), key_in(settings.key_file)
        client.application_uri = next(iter(uris_of(ours)), APPLICATION_URI)
        await client.set_security(
            policy,
            ours.public_bytes(Encoding.DER),
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            server_certificate=theirs.public_bytes(Encoding.DER),
            mode=mode,
        )

    async def _learn(self, client: Client) -> None:
        moved = self._namespaces.learn(await client.get_namespace_array())
        if moved:
            way_out = "write addresses with nsu= instead of ns=, they hold over a restart of this edge, too"
            log.warning("OPC UA namespaces have moved", server=self.server, moved="; ".join(moved), way_out=way_out)
        read, monitored = await _read(client, [MAX_NODES_PER_READ, MAX_ITEMS_PER_CALL])
        most = _number(read)
        self.most_read = min(CHUNK, most - 1) if most > 1 else CHUNK
        self.most_monitored = _number(monitored)

    async def read(self, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        """Return the server's clock and the nodes' values, in as few Reads as it allows, fewer when it says too many.

        Fewer come back where the server gives fewer than it was asked for.
        """
        client = self.client
        asked = [CURRENT_TIME, *nodes]
        replies: list[ua.DataValue] = []
        while len(replies) < len(asked):
            chunk = asked[len(replies) : len(replies) + self.most_read + 1]
            try:
                got = await _read(client, chunk)
            except UaStatusCodeError as fault:
                if fault.code not in TOO_MANY or self.most_read <= 1:
                    raise
                self.most_read = max(1, self.most_read // 2)
                continue
            if len(got) != len(chunk):
                break
            replies += got
        return replies

    async def values(self, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        """Return nodes' values, and so hear whether the server lives. Raises: DeviceUnreachable."""
        try:
            _, *values = await self.read(nodes)
        except (TimeoutError, OSError, UaError, ValueError) as error:
            raise DeviceUnreachable(f"{self.server}: {said(error)}") from None
        return values

    async def attributes(
        self,
        asked: Sequence[tuple[ua.NodeId, AttributeIds]],
        stamps: ua.TimestampsToReturn = ua.TimestampsToReturn.Neither,
    ) -> list[ua.DataValue]:
        """Return attributes of nodes, as many in one Read as the server takes."""
        client, replies = self.client, list[ua.DataValue]()
        for start in range(0, len(asked), self.most_read):
            parameters = ua.ReadParameters(TimestampsToReturn=stamps)
            parameters.NodesToRead = [
                ua.ReadValueId(NodeId=node, AttributeId=kind) for node, kind in asked[start : start + self.most_read]
            ]
            replies += await client.uaclient.read(parameters)
        return replies

    def named(self, node: ua.NodeId) -> str:
        """Return a node id as a profile says it, with its namespace's URI."""
        number, text = node.NamespaceIndex, node.to_string()
        uri = self._namespaces.uri(number)
        return text.replace(f"ns={number};", f"nsu={uri};") if number and uri is not None else text

    def resolved(self, node: ua.NodeId) -> ua.NodeId:
        """Return a node id with this session's number of its namespace; a null id where the server has no such."""
        uri, said = getattr(node, "NamespaceUri", None), node.NamespaceIndex
        number = self._namespaces.number(said) if uri is None else self._namespaces.of(uri)
        if number is None:
            return ua.NodeId()
        return node if uri is None and number == said else ua.NodeId(node.Identifier, ua.Int16(number))

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


async def _read(client: Client, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
    parameters = ua.ReadParameters()
    parameters.MaxAge = 0
    parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
    parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value) for node in nodes]
    return await client.uaclient.read(parameters)


def _number(reply: ua.DataValue) -> int:
    value = reply.Value.Value if reply.Value is not None else None
    return value if isinstance(value, int) else 0


def _fitting(
    offered: Sequence[ua.EndpointDescription], policy: str, mode: ua.MessageSecurityMode
) -> ua.EndpointDescription | None:
    fitting = (each for each in offered if each.SecurityPolicyUri == policy and each.SecurityMode == mode)
    return next(fitting, None)


def _listed(offered: Sequence[ua.EndpointDescription]) -> str:
    names = sorted({f"{each.SecurityPolicyUri.rpartition('#')[2]}/{each.SecurityMode.name}" for each in offered})
    return ", ".join(names) or "nothing"


def said(error: Exception) -> str:
    """Return what an error says, or its kind where it says nothing."""
    return str(error) or type(error).__name__
