"""The demo: a whole simulated site as separate processes, and its story as it happens.

::

    plant (sim run) ─Modbus, OPC UA─► two edges ─MQTT─► broker ─► cloud ─signed webhooks─► regulator (sim regulator)
                                               └─Modbus─► lamp, horn and watchdog contact (sim beacon)

This file knows the other parts only as commands, config files, HTTP and logs. At the end it holds what the cloud's
history has against what the plant served.
"""

import argparse
import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from davylamp_wire.config import ConfigError

from davylamp_simulators.clock import now_ms
from davylamp_simulators.crew import Child, ChildDied, Crew
from davylamp_simulators.figures import Figures, figures_of
from davylamp_simulators.ledger import Comparison, compare_all, read_ledger
from davylamp_simulators.narrator import LOOK_S, Narrator
from davylamp_simulators.recording import load_config
from davylamp_simulators.regulator import read_received
from davylamp_simulators.scenario import load_scenario
from davylamp_simulators.stage import LOOPBACK, Historian, Stage, parts_of
from davylamp_simulators.stopping import until_signalled
from davylamp_simulators.story import Teller
from davylamp_simulators.visitor import Visitor, make_bucket

START_S = 120.0
"""How long a part may take to come up; a loaded machine needs 20 s for the OPC UA server alone."""
DRAIN_S = 30.0
AHEAD_MS = 60_000


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asked for."""

    scenario: str | None
    recording: str | None
    seconds: float | None
    json: bool
    historian: Historian
    language: str
    keep: Path | None
    port: int
    broker: str

    @classmethod
    def of(cls, given: argparse.Namespace) -> "DemoOptions":
        """Check the command line before anything starts. Raises: one ConfigError with every mistake."""
        mistakes: list[str] = []
        scenario = None if given.recording else given.scenario or "chlorine-leak"
        try:
            _check_story(scenario, given.recording)
        except ConfigError as error:
            mistakes += error.mistakes
        if (given.historian == "influxdb") != bool(given.influx_url):
            mistakes.append("--historian influxdb and --influx-url belong together; give both or neither")
        if given.influx_token_file is not None and not given.influx_token_file.is_file():
            mistakes.append(f"--influx-token-file: {given.influx_token_file} is not there")
        if given.seconds is not None and given.seconds <= 0:
            mistakes.append("--seconds: must be above 0")
        if given.json and given.seconds is None:
            mistakes.append("--json needs --seconds: figures are counted when the run ends by itself")
        if mistakes:
            raise ConfigError(mistakes)
        historian = Historian(given.historian, given.influx_url, given.influx_bucket, given.influx_token_file)
        return cls(
            scenario,
            given.recording,
            given.seconds,
            given.json,
            historian,
            given.lang,
            given.keep,
            given.port,
            given.broker,
        )


def _check_story(scenario: str | None, recording: str | None) -> None:
    if scenario is not None:
        load_scenario(scenario)
    if recording is not None and load_config(recording).profile is None:
        raise ConfigError([f"recording {recording}: names no profile"])


def run_demo(options: DemoOptions) -> int:
    """Run the demo to its end; return the exit code."""
    with ExitStack() as undo:
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            folder = options.keep.resolve()
        else:
            folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="davylamp-demo-")))
        demo = Demo(options, folder)
        asyncio.run(until_signalled(demo.run()))
        if demo.failure:
            print(f"davylamp-sim demo: {demo.failure}", file=sys.stderr)
            return 1
        if demo.figures is None:
            return 0
        demo.teller.summary(demo.figures)
        if options.json:
            print(json.dumps(demo.figures.as_json(), ensure_ascii=False), flush=True)
        return 0


class Demo:
    """One run. Afterwards `figures` are there if it ended by itself, `failure` if it could not go on."""

    def __init__(self, options: DemoOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder
        points = load_scenario(options.scenario).points if options.scenario else {}
        self._stage = Stage(folder, parts_of(options.recording), options.language, points)
        self.teller = Teller(options.language, options.seconds, lambda text: print(text, flush=True))
        self.figures: Figures | None = None
        self.failure = ""
        self._began_ms = now_ms()
        self._narrator = Narrator(self.teller, self._stage.notices)

    async def run(self) -> None:
        """Start everything, tell the story, count, end everything."""
        try:
            async with Crew(self._folder) as crew:
                await self._guarded(crew, self._whole(crew))
        except (ChildDied, TimeoutError, aiohttp.ClientError, OSError, ConfigError) as error:
            self.failure = str(error) or type(error).__name__
        except asyncio.CancelledError:
            self.teller.tell("ended")
            raise
        else:
            self.teller.tell("ended")

    async def _guarded(self, crew: Crew, work: Coroutine[Any, Any, None]) -> None:
        """Do the work while every process lives; the first one that dies ends it."""
        watch, doing = asyncio.create_task(crew.watch()), asyncio.create_task(work)
        try:
            await asyncio.wait({watch, doing}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.teller.tell("interrupted")
            raise
        finally:
            for task in (watch, doing):
                task.cancel()
            await asyncio.gather(watch, doing, return_exceptions=True)
        for task in (watch, doing):
            if not task.cancelled():
                task.result()

    async def _whole(self, crew: Crew) -> None:
        if self._options.keep is not None:
            self.teller.tell("folder", folder=self._folder)
        plant, beacon, url = await self._start(crew)
        async with Visitor(url, self._stage.token) as visitor, AsyncExitStack() as telling:
            for child in (plant, beacon):
                telling.push_async_callback(_ended, asyncio.create_task(self._narrator.listen(child)))
            await asyncio.wait_for(self._narrator.started.wait(), START_S)
            self.teller.start()
            self.teller.tell("live", what=self._subject())
            watching = asyncio.create_task(self._narrator.watch(visitor))
            telling.push_async_callback(_ended, watching)
            await asyncio.wait({watching}, timeout=self._options.seconds)
            if watching.done():
                watching.result()
            await _ended(watching)
            await self._count(crew, plant, visitor)

    def _subject(self) -> str:
        options = self._options
        described = load_config(options.recording) if options.recording else load_scenario(options.scenario or "calm")
        return described.zh if options.language == "zh" else described.en

    async def _start(self, crew: Crew) -> tuple[Child, Child, str]:
        """Start every process in order; return the plant, the beacon's module, and the console's address."""
        stage, python = self._stage, sys.executable
        historian = self._options.historian
        if historian.url is not None:
            await make_bucket(historian.url, historian.bucket, historian.token)
        broker = await self._child(crew, "broker", stage.broker_command(self._options.broker))
        await self._until(broker, lambda: _listens(stage.broker_port))
        sim = [python, "-m", "davylamp_simulators"]
        secret = ["--secret-file", str(stage.secret_file), "--log", str(stage.notices), "--port", "0"]
        regulator = await self._child(crew, "regulator", [*sim, "regulator", *secret], told=True)
        regulator_port = json.loads(await asyncio.wait_for(anext(regulator.lines()), START_S))["port"]
        config = stage.write_cloud(regulator_port, historian, self._options.port)
        cloud = await self._child(crew, "cloud", [python, "-m", "davylamp_cloud", "run", str(config)])
        plant_file = stage.write_plant(self._options.scenario)
        plant = await self._child(crew, "plant", [*sim, "run", str(plant_file), "--json"], told=True)
        await self._until(cloud, stage.address_file.exists)
        url = json.loads(stage.address_file.read_text(encoding="utf-8"))["url"]
        self.teller.tell("console", url=url, file=stage.token_file)
        await self._until(plant, stage.endpoints.exists)
        beacon = await self._child(crew, "beacon", [*sim, "beacon", "--port", "0", "--json"], told=True)
        beacon_port = json.loads(await asyncio.wait_for(anext(beacon.lines()), START_S))["port"]
        for file in stage.write_edges(beacon_port):
            await self._child(crew, file.stem, [python, "-m", "davylamp_edge", "run", str(file)])
        return plant, beacon, url

    async def _child(self, crew: Crew, name: str, command: list[str], *, told: bool = False) -> Child:
        self.teller.tell("starting", name=name)
        return await crew.start(name, command, told=told)

    async def _until(self, child: Child, ready: Callable[[], bool]) -> None:
        """Wait until a process is ready. Raises: TimeoutError with its last words."""
        try:
            async with asyncio.timeout(START_S):
                while not ready():  # noqa: ASYNC110  another process's port or file raises no event here
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise TimeoutError(f"{child.name} is not ready after {START_S:g} s:\n{child.last_words()}") from None
        self.teller.tell("up", name=child.name)

    async def _count(self, crew: Crew, plant: Child, visitor: Visitor) -> None:
        """End the plant, let the rest drain, and hold history against the ledger."""
        ended_ms, seconds = now_ms(), self.teller.elapsed_s
        self.teller.tell("stopping")
        await self._narrator.new_transitions(visitor)
        await crew.stop(plant)
        self.teller.tell("counting")
        comparison = await self._drained(visitor)
        received = [one for one in read_received(self._stage.notices) if one.data["time_ms"] <= ended_ms]
        self.figures = figures_of(comparison, len(self._narrator.raised), received, crew.peaks_mb(), seconds)

    async def _drained(self, visitor: Visitor) -> Comparison:
        """Compare until history has everything, or for as long as draining may take."""
        served = read_ledger(self._stage.ledger)
        deadline_s = asyncio.get_running_loop().time() + DRAIN_S
        while True:
            over = asyncio.get_running_loop().time() > deadline_s
            try:
                comparison = compare_all(served, await visitor.history(self._began_ms, now_ms() + AHEAD_MS))
            except aiohttp.ClientResponseError:
                if over:
                    raise
            else:
                if over or not comparison.lost:
                    return comparison
            await asyncio.sleep(2 * LOOK_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


async def _ended(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
