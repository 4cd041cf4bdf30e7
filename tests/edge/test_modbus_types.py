"""Every type in every order and area, served by the simulators' own codec on a real socket, read by the edge's own.

The two were written apart from the same words (docs/how-to/profile.md), so that a mistake in one shows in the other.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from davylamp_edge.drivers.modbus import ModbusDriver
from davylamp_simulators.framing import Framing, RtuFraming, TcpFraming
from davylamp_simulators.modbus import ModbusServer, Unit
from davylamp_simulators.registers import Area, Bank
from davylamp_simulators.sample import Sample
from davylamp_wire.point import DataType, Point
from davylamp_wire.reading import Value
from support.field import point, settings, wanted

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
VALUES: dict[DataType, tuple[float | str, ...]] = {
    DataType.INT8: (-128, 127, -2),
    DataType.UINT8: (0, 255, 18),
    DataType.INT16: (-32768, 32767, -2),
    DataType.UINT16: (0, 65535, 0x1234),
    DataType.INT32: (-(2**31), 2**31 - 1, -0x10204),
    DataType.UINT32: (0, 2**32 - 1, 0x12345678),
    DataType.INT64: (-(2**53), 2**53, -0x123456789ABCD),
    DataType.UINT64: (0, 2**53, 0x123456789ABCD),
    DataType.FLOAT32: (-1.5, 3.4028234663852886e38, 62.25),
    DataType.FLOAT64: (-1e300, 5e-324, 123.456),
    DataType.BCD16: (0, 9999, 9047),
    DataType.BCD32: (0, 99_999_999, 90_471_256),
    DataType.STRING: ("", "ESD-7", "氯气罐"),
}
PARTS = {"low": "int8", "high": "uint8", "3-9": "int16", "9-15": "uint16"}
WIDE_PARTS = {"12-19": "uint32", "16-31": "int32", "0-0": "uint32"}


def everything() -> tuple[dict[str, Point], dict[str, Sample]]:
    """Return a point for every type, order and value, side by side in the registers, and what they shall show."""
    points: dict[str, Point] = {}
    samples: dict[str, Sample] = {}
    at = 0

    def add(name: str, address: str, value: Any, **said: Any) -> None:
        points[name] = point(address={"modbus": address}, length=5, **said)
        samples[name] = Sample(value)

    for kind, values in VALUES.items():
        for order in ORDERS:
            for n, value in enumerate(values):
                area = ("holding", "input")[n % 2]
                add(f"{kind}_{order}_{n}", f"{area}:{at}", value, type=kind, order=order)
                at += 5
    for order in ORDERS:
        for n, (part, whole) in enumerate((PARTS | WIDE_PARTS).items()):
            add(
                f"part_{order}_{n}",
                f"holding:{at}.{part}",
                (-1 if whole.startswith("i") else 1),
                type=whole,
                order=order,
            )
            at += 2
        for bit in (0, 7, 8, 15):
            add(f"bit_{order}_{bit}", f"input:{at}.{bit}", bit in (0, 15), type="bool", order=order)
        at += 1
    for n in range(20):
        add(f"coil_{n}", f"coil:{n}", n % 3 == 0, type="bool")
        add(f"discrete_{n}", f"discrete:{n + 3}", n % 3 == 1, type="bool")
    return points, samples


async def read(address: str, points: Mapping[str, Point], **said: Any) -> dict[str, Value]:
    names, driver = list(points), ModbusDriver(address, 5.0)
    found: dict[str, Value] = {}
    await driver.connect()
    for request in ModbusDriver.plan(settings(timeout_s=5.0, **said), wanted(points)):
        decoded = request.decode(await driver.read(request), 0)
        assert not decoded.doubts
        found |= {names[index]: value for index, value in zip(request.points, decoded.values, strict=True)}
    await driver.close()
    return found


@pytest.mark.parametrize(("framing", "scheme"), [(TcpFraming(), "tcp"), (RtuFraming(), "rtu-tcp")], ids=["tcp", "rtu"])
@pytest.mark.parametrize("how", [{}, {"max_registers": 7, "gap_registers": 0}, {"read": "values"}], ids=str)
async def test_what_is_served_is_what_is_read(framing: Framing, scheme: str, how: dict[str, Any]) -> None:
    points, samples = everything()
    bank = Bank(points)
    bank.load(samples)
    server = ModbusServer({1: Unit("d", bank, None)}, framing=framing)
    await server.start("127.0.0.1", 0)
    found = await read(f"{scheme}://127.0.0.1:{server.port}", points, **how)
    await server.stop()
    await asyncio.sleep(0)
    assert found == {name: sample.value for name, sample in samples.items()}
    told = {name: value for area in Area for name, value in _told(bank, area).items()}
    assert found == told


def _told(bank: Bank, area: Area) -> dict[str, Any]:
    block = bank.block(area, 0, 65536)
    return dict(zip(block.names, bank.told(block), strict=True))
