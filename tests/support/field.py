"""A small plant for tests: real Modbus and OPC UA servers, devices that misbehave, and configs that point at them."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.server.server import Server
from davylamp_edge.config import DeviceConfig, EdgeConfig
from davylamp_edge.drivers import Wanted
from davylamp_edge.install import Installed
from davylamp_edge.scan import Scanner, ScanResult
from davylamp_wire.point import Point
from davylamp_wire.profile import Profile
from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

DEADLINE_S = 10.0
FUNCTIONS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


def point(**said: Any) -> Point:
    """Return a point with nothing said but what the test says."""
    return Point.model_validate({"zh": "点", "en": "point", "unit": "", **said})


def profile(points: Mapping[str, Point], name: str = "rig") -> Profile:
    """Return a profile of these points."""
    return Profile.model_validate({"name": name, "family": "test", "zh": "台", "en": "rig", "points": points})


def device(address: str, **said: Any) -> dict[str, Any]:
    """Return a device's config table."""
    base = {"name": "rig1", "profile": "rig", "driver": "modbus", "hazard_source": "store", "address": address}
    return base | said


def edge_config(*devices: dict[str, Any], **said: Any) -> EdgeConfig:
    """Return an edge's config with these devices."""
    table = {"node": "edge1", "broker": {"host": "127.0.0.1"}, "journal": {"path": "journal.db"}, "devices": devices}
    return EdgeConfig.model_validate(table | said)


def wanted(points: Mapping[str, Point], driver: str = "modbus") -> list[Wanted]:
    """Return points as a driver is asked for them."""
    return [Wanted(i, name, each.address.get(driver, ""), each) for i, (name, each) in enumerate(points.items())]


def settings(**said: Any) -> DeviceConfig:
    """Return a device's config as a driver plans by it."""
    return DeviceConfig.model_validate(device(**({"address": "127.0.0.1:502"} | said)))


def readings(installed: Installed, result: ScanResult) -> list[tuple[str, Any, int]]:
    """Return a scan's result as rows of point name, value and quality."""
    rows = zip(result.points, result.values, result.qualities, strict=True)
    return [(installed.names[index], value, quality) for index, value, quality in rows]


def registers(layout: str, *values: float) -> list[int]:
    """Return values as registers, by a struct layout of the whole."""
    raw = struct.pack(layout, *values)
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


@dataclass
class Plc:
    """A running Modbus server; `unit` 1 unless the test says otherwise."""

    server: ModbusTcpServer
    address: str

    async def write(self, area: str, start: int, values: Sequence[int], unit: int = 1) -> None:
        """Change what the device measures."""
        await self.server.async_setValues(unit, FUNCTIONS[area], start, list(values))


Action = Callable[[int, int, int, int, list[int], Any], Awaitable[ExcCodes | None]]


@asynccontextmanager
async def plc(
    *,
    holding: Sequence[int] = (),
    inputs: Sequence[int] = (),
    coils: Sequence[bool] = (),
    discretes: Sequence[bool] = (),
    units: Sequence[int] = (1,),
    host: str = "127.0.0.1",
    port: int = 0,
    action: Any = None,
    rtu: bool = False,
) -> AsyncIterator[Plc]:
    """Run pymodbus's server with these tables, each from address 0; with RTU frames, as behind a serial server."""

    def table(values: Sequence[int], kind: DataType) -> list[SimData]:
        return [SimData(0, values=list(values) or [0] * 16, datatype=kind)]

    tables = (
        table([bool(each) for each in coils] or [False] * 16, DataType.BITS),
        table([bool(each) for each in discretes] or [False] * 16, DataType.BITS),
        table(holding, DataType.REGISTERS),
        table(inputs, DataType.REGISTERS),
    )
    devices = [SimDevice(unit, tables, action=action) for unit in units]
    framer = FramerType.RTU if rtu else FramerType.SOCKET
    server = ModbusTcpServer(devices, framer=framer, address=(host, port))
    await server.serve_forever(background=True)
    try:
        bound = server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # an asyncio.Server
        yield Plc(server, f"{'rtu-tcp://' if rtu else ''}{host}:{bound}")
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped
        await asyncio.sleep(0)


Answer = Callable[[bytes], Awaitable[bytes | None]]
"""A misbehaving device: gets a request frame, gives a reply frame, or None for silence."""


@asynccontextmanager
async def rogue(answer: Answer, *, port: int = 0, length: int = 12) -> AsyncIterator[str]:
    """Run a raw server that answers frames of a length (8 for RTU) as the test likes; gives its address."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while True:
                frame = await reader.readexactly(length)
                reply = await answer(frame)
                if reply == b"":
                    break
                if reply is not None:
                    writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0.01)


def reply_to(frame: bytes, body: bytes, *, function: int | None = None) -> bytes:
    """Return a reply frame to a request frame: same transaction, same unit."""
    pdu = bytes([frame[7] if function is None else function, len(body)]) + body
    return frame[:4] + struct.pack(">H", len(pdu) + 1) + frame[6:7] + pdu


def exception_to(frame: bytes, code: int) -> bytes:
    """Return an exception frame to a request frame."""
    return frame[:4] + b"\x00\x03" + frame[6:7] + bytes([frame[7] | 0x80, code])


def asked(frame: bytes) -> tuple[int, int]:
    """Return start and count of a request frame."""
    start, count = struct.unpack(">HH", frame[8:12])
    return start, count


class Collector:
    """A sink that remembers, and can be waited on."""

    def __init__(self) -> None:
        self.results: list[ScanResult] = []
        self._came = asyncio.Event()

    def __call__(self, result: ScanResult) -> None:
        self.results.append(result)
        self._came.set()

    def rows(self, installed: Installed) -> list[tuple[str, Any, int]]:
        """Return everything one device reported, as point name, value, quality."""
        return [
            row for result in self.results if result.device == installed.name for row in readings(installed, result)
        ]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until what came satisfies a condition; it is looked at after each result."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def scanning(
    config: EdgeConfig, profiles: Mapping[str, Profile], **said: Any
) -> AsyncIterator[tuple[Scanner, Collector]]:
    """Run a scanner; gives it and its collector, and stops it in order."""
    collector, stop = Collector(), asyncio.Event()
    scanner = Scanner(config, profiles, collector, **said)
    async with asyncio.TaskGroup() as group:
        group.create_task(scanner.run(stop))
        try:
            yield scanner, collector
        finally:
            stop.set()


@dataclass
class OpcuaPlant:
    """A running OPC UA server with a namespace ``urn:davylamp:plant``; `read` counts nodes read per request."""

    server: Server
    address: str
    namespace: int

    async def add(self, name: str, value: Any, kind: ua.VariantType) -> None:
        """Add a variable."""
        await self.server.nodes.objects.add_variable(
            ua.NodeId(ua.String(name), ua.Int16(self.namespace)), name, value, kind
        )

    async def write(self, name: str, value: ua.DataValue) -> None:
        """Give a variable a value with its status and stamps."""
        node = self.server.get_node(ua.NodeId(ua.String(name), ua.Int16(self.namespace)))
        await self.server.write_attribute_value(node.nodeid, value)


PLANT_URI = "urn:davylamp:plant"


@asynccontextmanager
async def opcua_plant(
    port: int,
    *,
    before: Sequence[str] = (),
    users: Any = None,
    secure: Callable[[Server], Awaitable[None]] | None = None,
    **values: float | bool | str,
) -> AsyncIterator[OpcuaPlant]:
    """Run an OPC UA server with these variables: floats as Double, bools as Boolean, texts as String.

    ``before`` are namespaces that push the plant's own to another number; ``secure`` gives the server its endpoints.
    """
    server = Server(user_manager=users)
    await server.init()
    address = f"opc.tcp://127.0.0.1:{port}/plant"
    server.set_endpoint(address)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    if secure is not None:
        await secure(server)
    for uri in before:
        await server.register_namespace(uri)
    namespace = await server.register_namespace(PLANT_URI)
    plant = OpcuaPlant(server, address, namespace)
    kinds = {bool: ua.VariantType.Boolean, float: ua.VariantType.Double, str: ua.VariantType.String}
    for name, value in values.items():
        await plant.add(name, value, kinds[type(value)])
    async with server:
        yield plant
