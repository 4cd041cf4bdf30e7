"""An OPC UA device on a real socket: asyncua's server, with each value made at the moment it is read or told.

Whoever reads gets a value at each read; whoever subscribes is told once a second what has changed.

asyncua cannot be slow or silent, so a relay stands between it and the wire::

    edge ──► relay (line: ok, slow, dead, down) ──► asyncua ──► value callback ──► ledger

The relay holds back requests, never answers: what the ledger has is on its way to the edge.
"""

import asyncio
import logging
import math
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from asyncua import ua
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from davylamp_wire.config import ConfigError
from davylamp_wire.point import DataType, Point

from davylamp_simulators.clock import now_ms
from davylamp_simulators.ledger import Ledger
from davylamp_simulators.line import Line
from davylamp_simulators.plant import DeviceConfig
from davylamp_simulators.process import Value
from davylamp_simulators.registers import Told
from davylamp_simulators.relay import Relay
from davylamp_simulators.sample import NOTHING, Condition, Sample

NAMESPACE = "urn:davylamp:sim"

# asyncua warns about the missing certificate and every lost client; a plant simulator has neither to tell.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)

TYPES = {
    DataType.BOOL: ua.VariantType.Boolean,
    DataType.INT8: ua.VariantType.SByte,
    DataType.UINT8: ua.VariantType.Byte,
    DataType.INT16: ua.VariantType.Int16,
    DataType.UINT16: ua.VariantType.UInt16,
    DataType.INT32: ua.VariantType.Int32,
    DataType.UINT32: ua.VariantType.UInt32,
    DataType.INT64: ua.VariantType.Int64,
    DataType.UINT64: ua.VariantType.UInt64,
    DataType.FLOAT32: ua.VariantType.Float,
    DataType.FLOAT64: ua.VariantType.Double,
    DataType.BCD16: ua.VariantType.UInt16,
    DataType.BCD32: ua.VariantType.UInt32,
    DataType.STRING: ua.VariantType.String,
}
STATUS = {
    Condition.WIRE_BREAK: StatusCodes.BadSensorFailure,
    Condition.NO_VALUE: StatusCodes.BadNoDataAvailable,
    Condition.INHIBIT: StatusCodes.BadOutOfService,
    Condition.OVER_RANGE: StatusCodes.UncertainEngineeringUnitsExceeded,
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_id(name: str, point: Point) -> str:
    """Return the string id of a point's node. Raises: ConfigError for a node this server does not make."""
    address = point.address.get("opcua", "")
    namespace, _, rest = address.partition(";")
    if namespace != f"nsu={NAMESPACE}" or not rest.startswith("s="):
        raise ConfigError([f"points.{name}.address.opcua: {address!r} is not nsu={NAMESPACE};s=NAME"])
    return rest.removeprefix("s=")


class Node:
    """One point as the server shows it."""

    def __init__(self, point: Point) -> None:
        self._point = point

    @property
    def variant(self) -> ua.VariantType:
        return TYPES[self._point.type]

    def shown(self, sample: Sample) -> tuple[Told, int]:
        """Return the value as a right reader gets it, and its StatusCode."""
        status = STATUS.get(sample.condition, StatusCodes.Good)
        if sample.condition is Condition.OVER_RANGE and self._point.range:
            low, high = self._point.range
            return self._as_type(high + 0.1 * (high - low)), status
        if sample.value is None or sample.condition in STATUS:
            return None, status
        return self._as_type(sample.value), status

    def _as_type(self, value: Value | str) -> Told:
        kind = self._point.type
        if kind is DataType.STRING:
            return str(value)
        if kind is DataType.BOOL:
            return bool(value)
        number = float(value)
        if kind is DataType.FLOAT32:
            single: float = struct.unpack("<f", struct.pack("<f", number))[0]
            return single
        return number if kind is DataType.FLOAT64 or not math.isfinite(number) else round(number)


def _node_id(text: str, namespace: int) -> ua.NodeId:
    return ua.NodeId(ua.String(text), ua.Int16(namespace))


TELL_S = 1.0
"""How often subscribed nodes are sampled, whatever a client asks for."""


def _nothing() -> None:
    """Ignore a read."""


class OpcuaDevice:
    """One device of a plant: its points as variables of one server."""

    def __init__(
        self,
        config: DeviceConfig,
        points: Mapping[str, Point],
        ledger: Ledger | None,
        line: Line,
        on_read: Callable[[], None] = _nothing,
    ) -> None:
        self._config = config
        self._device = config.name
        here = {name: point for name, point in points.items() if point.address.get("opcua")}
        self._nodes = {local_id(name, point): (name, Node(point)) for name, point in here.items()}
        self._ledger = ledger
        self._line = line
        self._on_read = on_read
        self._samples: Mapping[str, Sample] = {}
        self._server: Server | None = None
        self._relay: Relay | None = None
        self._telling: asyncio.Task[None] | None = None
        self._told: dict[ua.NodeId, tuple[Told, int]] = {}
        """What each node was last told as; at first, as it was read by who subscribed."""

    def load(self, samples: Mapping[str, Sample]) -> None:
        """Show these samples from now on; a point without one has no value."""
        self._samples = samples

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._relay is not None
        return self._relay.port

    async def start(self) -> None:
        """Listen. Raises: OSError where the port is taken."""
        relay = Relay(self._line)
        self._relay = relay
        await relay.start(self._config.host, self._config.port)
        server = Server()
        await server.init()
        # Behind the relay, on a port of the system's choice; clients keep to the address they dialled.
        server.set_endpoint("opc.tcp://127.0.0.1:0/davylamp/")
        server.set_server_name(f"Davylamp simulator {self._device}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_match_discovery_client_ip(False)
        await self._add_nodes(server)
        await server.start()
        self._server = server
        self._telling = asyncio.create_task(self._tell(server), name="opcua telling")
        assert server.bserver is not None
        relay.aim("127.0.0.1", server.bserver.port)

    async def _add_nodes(self, server: Server) -> None:
        index = await server.register_namespace(NAMESPACE)
        folder = await server.nodes.objects.add_object(_node_id(self._device, index), self._device)
        for text, (name, node) in self._nodes.items():
            node_id = _node_id(text, index)
            start = ua.Variant(None if node.variant is ua.VariantType.String else 0, node.variant)
            await folder.add_variable(node_id, name, start, varianttype=node.variant)
            server.set_attribute_value_callback(node_id, self._read)

    def _read(self, node_id: ua.NodeId, _: AttributeIds) -> ua.DataValue:
        """Make a value at the moment it is read, and note it."""
        self._on_read()
        shown = self._shown(node_id)
        self._told.setdefault(node_id, shown)
        return self._served(node_id, *shown)

    def _shown(self, node_id: ua.NodeId) -> tuple[Told, int]:
        name, node = self._nodes[str(node_id.Identifier)]
        return node.shown(self._samples.get(name, NOTHING))

    def _served(self, node_id: ua.NodeId, told: Told, status: int) -> ua.DataValue:
        """Return a value as it goes out now, and note it."""
        name, node = self._nodes[str(node_id.Identifier)]
        served_ms = now_ms()
        if self._ledger is not None:
            asked_ms = served_ms - round(1000 * self._line.delay_s)
            self._ledger.record(self._device, (name,), asked_ms, served_ms, [told])
        at = EPOCH + timedelta(milliseconds=served_ms)
        stamp = ua.DateTime(at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, at.tzinfo)
        variant = ua.Variant() if told is None else ua.Variant(told, node.variant)
        return ua.DataValue(variant, ua.StatusCode(ua.UInt32(status)), SourceTimestamp=stamp, ServerTimestamp=stamp)

    async def _tell(self, server: Server) -> None:
        """Tell subscribers what has changed since it last told."""
        while True:
            await asyncio.sleep(TELL_S)
            for node_id in list(self._told):
                monitors = server.iserver.aspace[node_id].attributes[AttributeIds.Value].datachange_callbacks
                shown = self._shown(node_id)
                if monitors and shown != self._told[node_id]:
                    self._told[node_id] = shown
                    value = self._served(node_id, *shown)
                    for handle, callback in list(monitors.items()):
                        await callback(handle, value)

    async def stop(self) -> None:
        """Close every connection and the ports."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        if self._relay is not None:
            await self._relay.stop()
        if self._server is not None:
            await self._server.stop()
        self._relay = self._server = None
