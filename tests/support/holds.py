"""Waiting for what nobody announces."""

import asyncio
from collections.abc import Callable


async def holds(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Return once a condition holds. Raises: TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what it looks at tells nobody
            await asyncio.sleep(0.01)
