"""Requests that come while routes are still being added wait for them: none hears that its page does not exist."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send


class Others:
    """The routes that come after the first answers: are they there?"""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._there: Future[None] = Future()
        self._there.set_running_or_notify_cancel()  # one request that gives up ends the wait of no other

    @property
    def there(self) -> bool:
        """True once every route is there."""
        return self._there.done()

    def leave_first(self, seconds: float) -> None:
        """Leave the interpreter to who asks for the first routes, until somebody wants another."""
        self._wanted.wait(seconds)

    def come(self) -> None:
        """Let everybody go on who waits; from any thread."""
        self._there.set_result(None)

    async def wait(self) -> None:
        """Return once every route is there."""
        self._wanted.set()
        await asyncio.wrap_future(self._there)


class Waiting:
    """Lets a request pass that a first route takes, and others once the others are there; plain ASGI."""

    def __init__(self, app: ASGIApp, first: Sequence[BaseRoute], others: Others) -> None:
        self.app = app
        self._first = first
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._others.there and not self._taken(scope):
            await self._others.wait()
        await self.app(scope, receive, send)

    def _taken(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._first)
