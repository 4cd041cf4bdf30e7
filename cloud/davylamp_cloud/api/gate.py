"""The gate every request passes: who is it, may they, and does the request really come from them.

Without tokens the cloud listens on loopback only, and whoever sits there is the *local operator*. A page on the
internet can make that person's browser send requests to loopback too, so whatever does not carry a bearer token must
come from our own page: the Host must be a loopback name (DNS rebinding) and a change must come from our own origin.
"""

import ipaddress
import time
from collections import deque
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from davylamp_wire.config import ConfigError
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from davylamp_cloud.api.actor import LOCAL_OPERATOR, Actor, Credential, Credentials, Sessions
from davylamp_cloud.api.errors import ApiError, forbidden, foreign_origin, unauthenticated
from davylamp_cloud.api.language import both, mark
from davylamp_cloud.api.permissions import Permission

COOKIE = "davylamp_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FAILURES_A_MINUTE = 20
REMEMBERED_CLIENTS = 10_000


class BindRefused(ConfigError):
    """The person at the keyboard asked to listen beyond loopback without a token."""


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine alone."""
    name = host.strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def refuse_open_bind(host: str, has_tokens: bool) -> None:
    """Raise `BindRefused` where the network could reach an API that asks nobody for a token."""
    if not has_tokens and not is_loopback(host):
        text = both(
            mark("http.host {host} is reachable from other machines: add one of [[tokens]], or listen on 127.0.0.1."),
            host=host,
        )
        raise BindRefused([f"{text.en} / {text.zh}"])


class Gate:
    """Tells who asks. `now_ms` gives UTC milliseconds."""

    def __init__(self, credentials: Credentials, sessions: Sessions, now_ms: Callable[[], int]) -> None:
        self.credentials = credentials
        self.sessions = sessions
        self.now_ms = now_ms
        self._failures: dict[str, deque[float]] = {}

    async def identify(self, request: HTTPConnection) -> Actor | None:
        """Return who asks, or None. A bearer token goes before a cookie."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            credential = await self.verify(secret.strip(), client_of(request))
            return credential.actor if credential else None
        if self.credentials:
            actor = self.sessions.read(request.cookies.get(COOKIE, ""), self.now_ms())
        else:
            actor = LOCAL_OPERATOR if is_loopback(_host_name(request)) else None
        if actor and not from_own_page(request):
            raise foreign_origin()
        return actor

    async def verify(self, secret: str, client: str) -> Credential | None:
        """Return the token a secret belongs to; slow on purpose, and refused when a client tried many wrong ones."""
        if known := self.credentials.remembered(secret):
            return known
        failures = self._failures.get(client, deque())
        now = time.monotonic()
        if len(failures) == FAILURES_A_MINUTE and now - failures[0] < 60:
            raise too_many()
        credential = await run_in_threadpool(self.credentials.by_secret, secret)
        if credential is None:
            self._note_failure(client, now)
        return credential

    def _note_failure(self, client: str, now: float) -> None:
        if len(self._failures) > REMEMBERED_CLIENTS:
            self._failures.clear()
        self._failures.setdefault(client, deque(maxlen=FAILURES_A_MINUTE)).append(now)


def too_many() -> ApiError:
    return ApiError(
        429,
        "too_many_wrong_tokens",
        both(mark("Too many wrong tokens were tried.")),
        both(mark("Wait a minute, then use the right token.")),
    )


def client_of(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""


def _host_name(request: HTTPConnection) -> str:
    return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""


def from_own_page(request: HTTPConnection) -> bool:
    """Return whether a browser says a change comes from our own page; a client that is no browser says nothing."""
    if request.scope.get("method", "GET") in SAFE_METHODS:
        return True
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def gate_of(request: HTTPConnection) -> Gate:
    gate = request.app.state.gate
    assert isinstance(gate, Gate)
    return gate


def permitted(permission: Permission) -> Callable[[Request], object]:
    """Return a dependency that lets only those in who hold a permission, and says who it is."""

    async def check(request: Request) -> Actor:
        actor = await gate_of(request).identify(request)
        if actor is None:
            raise unauthenticated()
        if not actor.may(permission):
            raise forbidden(actor.role, permission)
        return actor

    return check


Reader = Annotated[Actor, Depends(permitted(Permission.READ))]
TransitionReader = Annotated[Actor, Depends(permitted(Permission.TRANSITIONS))]
Acknowledger = Annotated[Actor, Depends(permitted(Permission.ACKNOWLEDGE))]
Resetter = Annotated[Actor, Depends(permitted(Permission.RESET))]
Shelver = Annotated[Actor, Depends(permitted(Permission.SHELVE))]
Reviewer = Annotated[Actor, Depends(permitted(Permission.REVIEW))]
QuarantineReader = Annotated[Actor, Depends(permitted(Permission.QUARANTINE))]
Editor = Annotated[Actor, Depends(permitted(Permission.EDIT))]
Backtester = Annotated[Actor, Depends(permitted(Permission.BACKTEST))]
