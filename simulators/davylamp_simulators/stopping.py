"""Ending on SIGTERM or Ctrl-C, cleanly, at any moment."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any


async def until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, or until a signal cancels it; it then cleans up as on any cancellation."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, _cancel_once, task)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _cancel_once(task: asyncio.Task[None]) -> None:
    """Cancel a task that is not being cancelled yet: a second Ctrl-C must not cut the cleaning-up short."""
    if not task.cancelling():
        task.cancel()
