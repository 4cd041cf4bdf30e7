"""OPC UA by polling: values are read many nodes at a time.

A bad value comes as None with its reason in the StatusCode only, and a node the server does not have harms no other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from davylamp_wire.config import ConfigError, Mistake
from davylamp_wire.point import Point
from davylamp_wire.quality import Reason

from davylamp_edge.config import DeviceConfig
from davylamp_edge.datavalue import DataValueDecoder, by_kind, stamp_ms
from davylamp_edge.drivers import Answer, DeviceRefused, DeviceUnreachable, Wanted, only_first
from davylamp_edge.drivers.opcua_session import CHUNK, Session, said
from davylamp_edge.drivers.opcua_trust import application_uri_problems, folder_problems, pair_problems
from davylamp_edge.opcua_settings import OpcuaSettings
from davylamp_edge.reply import Decoded

SYNCHRONOUS_MS = 2_000
"""Clocks this close are taken for the same; servers show theirs in steps of up to a second."""

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

    def joined(self, other: Self) -> Self | None:
        """Return None: nothing is ever split."""
        return None


class OpcuaDriver:
    """One session with one server; the devices behind it share it."""

    def __init__(self, address: str, timeout_s: float, settings: OpcuaSettings | None = None) -> None:
        self._session = Session(address, timeout_s, settings or OpcuaSettings())
        self._resolved: dict[OpcuaRequest, list[ua.NodeId]] = {}

    @classmethod
    def of(cls, device: DeviceConfig, timeout_s: float) -> Self:
        """Return the driver for a device's address and settings."""
        return cls(device.address, timeout_s, device.opcua)

    @staticmethod
    def wrong_address(address: str) -> str | None:
        """Return what is wrong with a server's address, or None."""
        try:
            parts = urlsplit(address)
            fits = parts.scheme == "opc.tcp" and parts.hostname and parts.port
        except ValueError:
            fits = False
        if fits and "@" in parts.netloc:
            en = "holds a user's name, and addresses are shown and logged; say it with opcua.username, password_file"
            return Mistake(en, "含有用户名，而地址会显示并写进日志；请改用 opcua.username、password_file")
        if fits:
            return None
        return Mistake(
            "is no address of an OPC UA server; write opc.tcp://host:port/path",
            "不是 OPC UA 服务器地址；请写 opc.tcp://主机:端口/路径",
        )

    @staticmethod
    def wrong_point(address: str, point: Point, device: DeviceConfig) -> str | None:
        """Return what is wrong with a node id, or None."""
        try:
            ua.NodeId.from_string(address)
        except (UaError, ValueError):
            shapes = "nsu=urn:plant:plc;s=Tank1.Level or ns=2;i=1001"
            return Mistake(f"{address!r} is no node id; write {shapes}", f"{address!r} 不是节点；请写 {shapes}")
        return None

    @staticmethod
    def plan(device: DeviceConfig, wanted: Sequence[Wanted]) -> Sequence[OpcuaRequest]:
        """Return the wanted points in chunks of a size the loop can stomach."""
        return [_request(wanted[start : start + CHUNK]) for start in range(0, len(wanted), CHUNK)]

    @staticmethod
    def takes_s(device: DeviceConfig, request: OpcuaRequest) -> float:
        """Return 0: a server works on many requests at once."""
        return 0.0

    @staticmethod
    def wrong_settings(device: DeviceConfig) -> Iterator[str]:
        """Yield what is wrong with the files a session's security rests on."""
        return settings_problems(device.opcua)

    @property
    def connected(self) -> bool:
        """Whether the session stands, as far as this side knows."""
        return self._session.connected

    @property
    def trusted_until_ms(self) -> int | None:
        """Until when the server's certificate is good."""
        return self._session.trusted_until_ms

    async def connect(self) -> None:
        """Open a new session. Raises: DeviceUnreachable."""
        self._resolved = {}
        await self._session.open()

    async def read(self, request: OpcuaRequest) -> list[ua.DataValue]:
        """Return the server's clock and the nodes' values.

        Raises: DeviceUnreachable after ``timeout_s``, DeviceRefused on a service fault.
        """
        server = self._session.server
        try:
            replies = await self._session.read(self._nodes(request))
        except UaStatusCodeError as fault:
            if fault.code not in OVER:
                raise DeviceRefused(f"{server}: {said(fault)}") from None
            await self.close()
            raise DeviceUnreachable(f"{server}: {said(fault)}") from None
        except (TimeoutError, OSError, UaError) as error:
            raise DeviceUnreachable(f"{server}: {said(error)}") from None
        if len(replies) != len(request.nodes) + 1:
            got = f"asked {len(request.nodes)} nodes, got {len(replies) - 1}"
            raise DeviceRefused(f"{server}: {got}", Reason.DEVICE_FAULT)
        return replies

    async def read_in_turn(
        self, requests: Sequence[OpcuaRequest], goes_on: Callable[[float], bool]
    ) -> Sequence[Answer]:
        """Return the answer to the first request: each is large enough to be worth its waking."""
        return await only_first(self, requests)

    def _nodes(self, request: OpcuaRequest) -> list[ua.NodeId]:
        """Return a request's node ids with this session's namespace numbers."""
        if request not in self._resolved:
            self._resolved[request] = [self._session.resolved(node) for node in request.nodes]
        return self._resolved[request]

    async def settle(self) -> None:
        """Return at once: OPC UA numbers its answers."""

    async def close(self) -> None:
        """Close the session and the connection, whatever state they are in."""
        await self._session.close()


def _request(wanted: Sequence[Wanted]) -> OpcuaRequest:
    order = by_kind([want.point for want in wanted])
    ordered = [wanted[i] for i in order]
    return OpcuaRequest(
        [want.index for want in ordered],
        [ua.NodeId.from_string(want.address) for want in ordered],
        DataValueDecoder([want.point for want in ordered]),
    )


def _ahead_ms(clock: ua.DataValue, arrived_ms: int) -> int:
    """Return how far the server's clock is ahead; 0 where they agree or it does not tell."""
    value = clock.Value.Value if clock.Value is not None else None
    try:
        told = stamp_ms(value)
    except (AttributeError, TypeError):
        return 0
    ahead = 0 if told is None else told - arrived_ms
    return 0 if abs(ahead) <= SYNCHRONOUS_MS else ahead


def settings_problems(settings: OpcuaSettings) -> Iterator[str]:
    """Yield what is wrong with the files that security rests on, each with its key."""
    if settings.certificate_file is not None and settings.key_file is not None:
        for line in pair_problems(settings.certificate_file, settings.key_file):
            yield f"opcua.certificate_file: {line}"
        for line in application_uri_problems(settings.certificate_file):
            yield f"opcua.certificate_file: {line}"
    if settings.user_certificate_file is not None and settings.user_key_file is not None:
        for line in pair_problems(settings.user_certificate_file, settings.user_key_file):
            yield f"opcua.user_certificate_file: {line}"
    if settings.trust_folder is not None:
        for line in folder_problems(settings.trust_folder):
            yield f"opcua.trust_folder: {line}"
    if settings.password_file is not None:
        try:
            settings.password()
        except ConfigError as error:
            yield from (f"opcua.password_file: {line}" for line in error.mistakes)
