"""A running plant: every device's server, and the one clock that moves them all."""

import asyncio
import importlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from davylamp_wire.point import Point, Text

from davylamp_simulators.ledger import Ledger
from davylamp_simulators.line import Line
from davylamp_simulators.plant import DeviceConfig, Plant
from davylamp_simulators.replay import ReplaySource
from davylamp_simulators.sample import Sample
from davylamp_simulators.source import ProcessSource, Source

TICK_S = 0.1
FLUSH_TICKS = 5

PROTOCOLS: dict[str, str] = {
    "modbus": "davylamp_simulators.modbus:ModbusDevice",
    "opcua": "davylamp_simulators.opcua:OpcuaDevice",
}

Tell = Callable[[str, float, Text], None]
"""Takes what happens in the plant: the device, its simulated seconds, and the scenario's words."""


class Server(Protocol):
    """One device on a real socket."""

    def __init__(
        self,
        config: DeviceConfig,
        points: Mapping[str, Point],
        ledger: Ledger | None,
        line: Line,
        on_read: Callable[[], None],
    ) -> None: ...

    @property
    def port(self) -> int:
        """The port it listens on."""

    def load(self, samples: Mapping[str, Sample]) -> None:
        """Show these samples from now on."""

    async def start(self) -> None:
        """Listen. Raises: OSError where the port is taken."""

    async def stop(self) -> None:
        """Close every connection and the port."""


class Device:
    """One device of a running plant: what is inside, the line to it, and its server."""

    def __init__(self, config: DeviceConfig, plant: Plant, ledger: Ledger | None) -> None:
        self.name = config.name
        self.was_read = asyncio.Event()
        self.line = Line()
        self.source = _source(config, plant)
        module, _, name = PROTOCOLS[config.protocol].partition(":")
        kind: type[Server] = getattr(importlib.import_module(module), name)
        self.server = kind(config, plant.profiles[config.profile].points, ledger, self.line, self._read)
        self._shown: Mapping[str, Sample] | None = None
        self.show()

    def _read(self) -> None:
        self.was_read.set()

    def show(self) -> None:
        """Give the server new samples, if there are any."""
        samples = self.source.samples()
        if samples is not self._shown:
            self._shown = samples
            self.server.load(samples)


def _source(config: DeviceConfig, plant: Plant) -> Source:
    if config.name in plant.recordings:
        return ReplaySource(plant.recordings[config.name])
    assert config.process is not None
    seed = f"{plant.config.seed}/{config.name}"
    return ProcessSource(config.process, seed, plant.scenario.of(config.name), plant.scenario.speed)


class Site:
    """Serves a plant from `async with` to its end. `started` is called when the plant's clock starts."""

    def __init__(self, plant: Plant, tell: Tell | None = None, started: Callable[[], None] | None = None) -> None:
        self._config = plant.config
        self._tell = tell
        self._started = started
        self._ledger = Ledger(plant.config.ledger) if plant.config.ledger else None
        self.devices = [Device(device, plant, self._ledger) for device in plant.config.devices]
        self._ticker: asyncio.Task[None] | None = None
        self._open = AsyncExitStack()

    @property
    def ports(self) -> dict[str, int]:
        """Return every device's port."""
        return {device.name: device.server.port for device in self.devices}

    @property
    def served(self) -> int:
        """Return how many values the ledger has."""
        return self._ledger.served if self._ledger else 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            if self._ledger:
                opening.callback(self._ledger.close)
            for device in self.devices:
                opening.push_async_callback(device.server.stop)
                await device.server.start()
            if self._config.endpoints:
                _write_whole(self._config.endpoints, json.dumps(self.ports))
            self._ticker = asyncio.create_task(self._run(), name="plant clock")
            opening.push_async_callback(self._stop_clock)
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def run(self) -> None:
        """Wait until the plant's clock dies, which only a mistake in this package can bring about."""
        assert self._ticker is not None
        await self._ticker

    async def _stop_clock(self) -> None:
        assert self._ticker is not None
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        if self._config.start == "first-read":
            await asyncio.gather(*(device.was_read.wait() for device in self.devices))
        if self._started:
            self._started()
        start_s, ticks = loop.time(), 0
        while True:
            self._move(loop.time() - start_s)
            ticks += 1
            if self._ledger and ticks % FLUSH_TICKS == 0:
                self._ledger.flush()
            await asyncio.sleep(TICK_S)

    def _move(self, elapsed_s: float) -> None:
        for device in self.devices:
            simulated_s = elapsed_s * self._config.speed * device.source.speed
            for said in device.source.advance(simulated_s):
                if self._tell:
                    self._tell(device.name, simulated_s, said)
            device.line.move(device.source.line, elapsed_s)
            device.show()


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
