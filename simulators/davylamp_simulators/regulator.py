"""A simulated regulator: takes signed notices over HTTP, believes only what verifies, and counts.

::

    POST /notices          a notice; 204 when it is believed, 401 when not
    GET  /control          the counts as JSON, and how it behaves
    POST /control          {"mode": "ok" | "slow" | "failing" | "dead", "delay_s": 3}; from this machine only

Each notice it has believed is one JSON line: ``{"at_ms", "id", "again", "answered", "body"}``. `at_ms` is when the
request had been read; `again` counts earlier arrivals under the same webhook-id, which at-least-once delivery allows.
"""

import asyncio
import contextlib
import json
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from aiohttp import web

from davylamp_simulators.clock import now_ms
from davylamp_simulators.signature import Keys, Verdict

LOOPBACK = ("127.0.0.1", "::1")
BODY_BYTES = 1 << 20


class Mode(StrEnum):
    """How the regulator behaves."""

    OK = "ok"
    SLOW = "slow"
    """Answers `delay_s` late."""
    FAILING = "failing"
    """Answers 503 and remembers nothing."""
    DEAD = "dead"
    """Never answers."""


@dataclass(slots=True)
class Counts:
    """What has arrived. A duplicate is one transition under two webhook-ids (DESIGN.md, Numbers to reach)."""

    requests: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    beats: int = 0
    ids: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    transitions: dict[str, set[str]] = field(default_factory=dict)

    def believe(self, name: str, body: dict[str, Any]) -> int:
        """Count a notice in; return how often its id had arrived before."""
        again = self.ids[name]
        self.ids[name] += 1
        if not again:
            self.types[str(body.get("type"))] += 1
        self.transitions.setdefault(transition_of(body), set()).add(name)
        return again

    @property
    def duplicates(self) -> int:
        return sum(len(names) - 1 for names in self.transitions.values())

    def told(self) -> dict[str, Any]:
        """Return the counts as JSON has them."""
        return {
            "requests": self.requests,
            "notices": len(self.ids),
            "repeated": sum(self.ids.values()) - len(self.ids),
            "duplicates": self.duplicates,
            "heartbeats": self.beats,
            "types": dict(self.types),
            "refused": dict(self.refused),
        }


def transition_of(body: dict[str, Any]) -> str:
    """Return which step of which occurrence a notice tells: the same two never come together again."""
    data = body.get("data", {})
    return f"{data.get('occurrence')} v{data.get('version')}"


class Regulator:
    """The receiver. Use it as an async context manager; `port` is known inside."""

    def __init__(self, keys: Keys, log: Path | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.counts = Counts()
        self.mode = Mode.OK
        self.delay_s = 3.0
        self._keys = keys
        self._path = log
        self._address = (host, port)
        self._log: IO[str] | None = None
        self._leaving = asyncio.Event()
        self._open = AsyncExitStack()
        app = web.Application(client_max_size=BODY_BYTES)
        app.add_routes(
            [
                web.post("/notices", self._notice),
                web.get("/control", self._show),
                web.post("/control", self._control),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            if self._path is not None:
                self._log = opening.enter_context(self._path.open("a", encoding="utf-8", buffering=1))
            opening.push_async_callback(self._runner.cleanup)
            await self._runner.setup()
            await web.TCPSite(self._runner, *self._address).start()
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        await self._open.aclose()

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._runner.addresses[0][1]
        return port

    async def _notice(self, request: web.Request) -> web.Response:
        raw = await request.read()
        at_ms = now_ms()
        self.counts.requests += 1
        if self.mode is Mode.DEAD:
            await self._leaving.wait()
        if self.mode in (Mode.DEAD, Mode.FAILING):
            return web.Response(status=503)
        if self.mode is Mode.SLOW:
            await self._rest(self.delay_s)
        verdict = self._keys.verify(request.headers, raw, at_ms / 1000)
        body = _json(raw)
        if verdict is not Verdict.VALID or body is None:
            self.counts.refused[str(verdict if body is not None else "the body is no JSON object")] += 1
            return web.Response(status=401 if body is not None else 400, text=f"{verdict}\n")
        self._take(request.headers["webhook-id"], at_ms, body)
        return web.Response(status=204)

    async def _rest(self, seconds: float) -> None:
        """Wait, but not beyond the regulator's own end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), seconds)

    def _take(self, name: str, at_ms: int, body: dict[str, Any]) -> None:
        if str(body.get("type", "")).startswith("system."):
            self.counts.beats += 1
            return
        again = self.counts.believe(name, body)
        line = {"at_ms": at_ms, "id": name, "again": again, "answered": 204, "body": body}
        if self._log is not None:
            self._log.write(json.dumps(line, ensure_ascii=False) + "\n")

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response({"mode": self.mode, "delay_s": self.delay_s, **self.counts.told()})

    async def _control(self, request: web.Request) -> web.Response:
        if request.remote not in LOOPBACK:
            return web.Response(status=403, text="control is for this machine only\n")
        wish = _json(await request.read()) or {}
        try:
            self.mode = Mode(wish.get("mode", self.mode))
            self.delay_s = float(wish.get("delay_s", self.delay_s))
        except (TypeError, ValueError):
            return web.Response(status=400, text=f"mode is one of {', '.join(Mode)}; delay_s is a number\n")
        return await self._show(request)


def _json(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Received:
    """One line of a regulator's log."""

    at_ms: int
    id: str
    again: int
    body: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.body.get("data", {})
        return data


def read_received(path: Path) -> list[Received]:
    """Return a regulator's log; a last line cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [Received(*(json.loads(line)[key] for key in ("at_ms", "id", "again", "body"))) for line in lines]
