"""How long an answer is awaited. A line has one timer for all its questions: most are answered long before it is due,
and to set a timer and take it away again would cost as much as to read the answer.
"""

import asyncio
from typing import Any


class Patience:
    """Ends a line's wait with TimeoutError when it is due."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._answer: asyncio.Future[Any] | None = None
        self._due_s = 0.0

    def awaits(self, answer: asyncio.Future[Any], seconds: float) -> None:
        """Give an answer so long from now; whatever was awaited before is over."""
        self._answer, self._due_s = answer, self._loop.time() + seconds
        if self._timer is None:
            self._set()
        elif self._timer.when() > self._due_s:
            self._timer.cancel()
            self._set()

    def end(self) -> None:
        """Await nothing any more."""
        self._answer = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self._timer = self._loop.call_at(self._due_s, self._look, self._due_s)

    def _look(self, set_for_s: float) -> None:
        """End the wait, or go on with one that began after the timer was set; without one, let the next set it."""
        self._timer = None
        if self._answer is None or self._answer.done():
            return
        if self._due_s > set_for_s:
            self._set()
        else:
            self._answer.set_exception(TimeoutError())
