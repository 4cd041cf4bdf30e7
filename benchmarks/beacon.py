"""From a register over its limit to lamp and horn, and from a death to the open contact: a real agent, real sockets.

The agent polls one device every 50 ms and decides alone; there is no broker until the last figure, for which a real
cloud is killed while it holds the contact. The relay module's own watchdog waits 5 s, the beacon 30 s: both as
docs/how-to/beacon.md advises.
"""

import argparse
import asyncio
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from davylamp_simulators.beacon import RelayModule
from support.cloud_process import CloudProcess
from support.edge_process import PROFILE, Process, config_of, edge_process
from support.field import Plc, plc
from support.relay_module import relay_module, shows
from support.services import Broker, broker

from benchmarks.report import Figure, Report, at_most

ROUNDS = 100
SCAN_S = 0.05
LIMIT = """
local = true
[points.count.limits.H]
value = 80
action = {zh = "查看", en = "look"}
source = {standard = "test", basis = "proposal"}
"""
LOCAL = PROFILE.replace("[points.switch]", f"{LIMIT}[points.switch]")
MODULE_S = 5.0
LONGEST_S = 90.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often the limit is passed")


def run(rounds: int = ROUNDS) -> Report:
    """Measure raises, deaths of the agent, and the death of a cloud."""
    report = Report("beacon")
    raises_ms = asyncio.run(_alone(partial(_raises, rounds=rounds)))
    report.add(Figure("register to lamp and horn, median", statistics.median(raises_ms), "ms"))
    report.add(at_most("register to lamp and horn, longest", max(raises_ms), "ms", 1000 * (SCAN_S + 1)))
    for name, number in (("kill -9", signal.SIGKILL), ("a stop in its tracks", signal.SIGSTOP)):
        (took_s,) = asyncio.run(_alone(partial(_death, sent=number)))
        report.add(at_most(f"agent, {name}: contact open after", took_s, "s", MODULE_S + 1))
    report.add(at_most("cloud, kill -9: contact open after", asyncio.run(_cloud()), "s", 60))
    return report


Work = Callable[[Plc, RelayModule, Process], Coroutine[Any, Any, list[float]]]


async def _alone(work: Work) -> list[float]:
    """Do some work with an agent that has no broker, and holds the contact."""
    with tempfile.TemporaryDirectory() as name:
        async with plc(holding=[50] * 8, coils=[True] * 8) as rig, relay_module(watchdog_s=MODULE_S) as module:
            config = _config(Path(name), Broker(Path(name), 1), rig.address, module.port, "local")
            with edge_process(config) as edge:
                await shows(module, seconds=LONGEST_S, watchdog=True)
                return await work(rig, module, edge)


def _config(folder: Path, listening: Broker, address: str, port: int, engine: str) -> Path:
    coils = "[beacon.coils]\nlamp = 0\nhorn = 1\nwatchdog = 2\n"
    more = f'[beacon]\naddress = "127.0.0.1:{port}"\nengine = "{engine}"\n{coils}'
    return config_of(folder, listening, address, profile=LOCAL, more=more)


async def _raises(rig: Plc, module: RelayModule, _: Process, rounds: int) -> list[float]:
    took_ms = []
    for _round in range(rounds):
        await asyncio.sleep(random.uniform(0.2, 0.4))  # at any moment of the agent's own rounds
        began_s = time.perf_counter()
        await rig.write("holding", 0, [81])
        while not (module.coils[0] and module.coils[1]):  # noqa: ASYNC110 - a coil
            await asyncio.sleep(0.001)
        took_ms.append(1000 * (time.perf_counter() - began_s))
        await rig.write("holding", 0, [50])
        await shows(module, lamp=False, horn=False)
    return took_ms


async def _death(_: Plc, module: RelayModule, edge: Process, sent: signal.Signals) -> list[float]:
    began_s = time.perf_counter()
    edge.running.send_signal(sent)
    await shows(module, seconds=LONGEST_S, watchdog=False)
    took_s = time.perf_counter() - began_s
    edge.running.send_signal(signal.SIGCONT)
    return [took_s]


async def _cloud() -> float:
    """Return how long after a cloud's death its beacon opens the contact."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "broker").mkdir()
        with broker(folder / "broker") as listening:
            cloud = CloudProcess(folder, listening).start()
            try:
                return await _cloud_dies(folder, listening, cloud)
            finally:
                cloud.kill()


async def _cloud_dies(folder: Path, listening: Broker, cloud: CloudProcess) -> float:
    async with plc(holding=[50] * 8, coils=[True] * 8) as rig, relay_module(watchdog_s=MODULE_S) as module:
        with edge_process(_config(folder, listening, rig.address, module.port, "cloud")):
            await shows(module, seconds=LONGEST_S, watchdog=True)
            await asyncio.sleep(random.uniform(5, 10))  # at any moment between two of its words
            began_s = time.perf_counter()
            cloud.kill()
            await shows(module, seconds=LONGEST_S, watchdog=False)
            return time.perf_counter() - began_s
