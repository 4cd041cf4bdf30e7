"""A device that counts how often it was read and keeps a ledger: whatever it served must come, however slow all is."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from davylamp_simulators.ledger import Comparison, Ledger, Run, Stored, compare, read_ledger
from davylamp_simulators.modbus import ModbusServer, Unit
from davylamp_simulators.registers import Bank
from davylamp_simulators.sample import Sample
from davylamp_wire.point import Point

from support.edge_host import EdgeHost

UNHARMED = Run()


@dataclass(frozen=True)
class Counted:
    """Where it answers, and its ledger, which is whole once it has ended."""

    name: str
    address: str
    ledger: Path

    def held_against(self, host: EdgeHost, point: str, run: Run = UNHARMED) -> Comparison:
        """Hold what came of one point, each record once, against what was served."""
        once = {record.number: record.seen for record in host.records if record.device == self.name}
        aliases = {alias for alias, name in host.names().items() if name == point}
        metrics = [metric for seen in once.values() for metric in seen.message.metrics if metric.alias in aliases]
        stored = [Stored(metric.time_ms or 0, metric.value, metric.quality) for metric in metrics]
        return compare(
            read_ledger(self.ledger)[self.name, point], sorted(stored, key=lambda reading: reading.time_ms), run
        )


@asynccontextmanager
async def counted(folder: Path, name: str, points: Mapping[str, Point], top: int = 60_000) -> AsyncIterator[Counted]:
    """Run such a device; all its points show the count, below ``top`` and from 0 again."""
    path = folder / f"{name}.jsonl"
    bank, ledger, numbers = Bank(points), Ledger(path), itertools.count()

    def count() -> None:
        number = next(numbers) % top
        bank.load({each: Sample(number) for each in points})

    count()
    server = ModbusServer({1: Unit(name, bank, ledger)}, on_read=count)
    await server.start("127.0.0.1", 0)
    try:
        yield Counted(name, f"127.0.0.1:{server.port}", path)
    finally:
        await server.stop()
        ledger.close()
