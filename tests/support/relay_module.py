"""The simulated relay module of a beacon, and the settings that point at it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from davylamp_edge.beacon_settings import BeaconSettings
from davylamp_simulators.beacon import HORN, LAMP, WATCHDOG, RelayModule

DEADLINE_S = 10.0
COILS = {"lamp": LAMP, "horn": HORN, "watchdog": WATCHDOG}


def settings_of(address: str, **said: Any) -> BeaconSettings:
    """Return a beacon with lamp, horn and watchdog contact apart."""
    return BeaconSettings.model_validate({"address": address, "coils": COILS, **said})


@asynccontextmanager
async def relay_module(port: int = 0, **said: Any) -> AsyncIterator[RelayModule]:
    """Run a relay module for the length of a with block."""
    module = RelayModule(**said)
    await module.start(port=port)
    try:
        yield module
    finally:
        await module.stop()


def shown(module: RelayModule) -> dict[str, bool]:
    """Return what its relays show."""
    return {name: module.coils[coil] for name, coil in COILS.items()}


async def shows(module: RelayModule, *, seconds: float = DEADLINE_S, **wanted: bool) -> None:
    """Wait until relays are as wanted: a real process or a real socket is at work."""
    try:
        async with asyncio.timeout(seconds):
            while not wanted.items() <= shown(module).items():  # noqa: ASYNC110 - a coil
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"wanted {wanted}, it shows {shown(module)}") from None
