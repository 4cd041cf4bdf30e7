"""A fleet serves many devices for little, and its ledger is as exact as any."""

import struct
from pathlib import Path
from typing import Any

from davylamp_simulators.fleet import Counter, Fleet, profile_text
from davylamp_simulators.ledger import Ledger, read_ledger
from davylamp_simulators.registers import Area
from davylamp_wire.profile import load_profile
from pymodbus.client import AsyncModbusTcpClient


async def test_every_device_of_a_fleet_answers(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    values: Any = []
    async with Fleet(devices=3, points=200, ledger=ledger) as fleet:
        assert len(set(fleet.ports)) == 3
        for port in fleet.ports:
            client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0)
            assert await client.connect()
            reply = await client.read_holding_registers(100, count=100, device_id=1)
            values = client.convert_from_registers(reply.registers, client.DATATYPE.FLOAT32)
            client.close()
            assert values[:2] == [struct.unpack(">f", struct.pack(">f", 0.05 + n / 1000))[0] for n in range(2)]
    ledger.close()
    served = read_ledger(tmp_path / "ledger")
    assert len(served) == 3 * 50
    assert served["d2", "p50"][0].value == values[0]


def test_every_value_changes_with_each_step_and_differs_from_its_neighbour() -> None:
    registers = Counter(10)
    before = registers.told(registers.block(Area.HOLDING, 0, 20))
    registers.move()
    after = registers.told(registers.block(Area.HOLDING, 0, 20))
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert len(set(after)) == 10


def test_a_block_that_begins_inside_a_point_does_not_tell_of_it() -> None:
    registers = Counter(10)
    assert registers.block(Area.HOLDING, 1, 4).names == ("p1",)
    assert registers.block(Area.HOLDING, 1, 1).names == ()
    assert registers.told(registers.block(Area.HOLDING, 1, 1)) == []
    assert registers.read(Area.HOLDING, 18, 3) is None
    assert registers.read(Area.INPUT, 0, 2) is None


def test_the_profile_of_a_fleet_is_a_profile(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    path = tmp_path / "bench" / "fleet.toml"
    path.write_text(profile_text(50), encoding="utf-8")
    assert load_profile(path).points["p49"].address == {"modbus": "holding:98"}
