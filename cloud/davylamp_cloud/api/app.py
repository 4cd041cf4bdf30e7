"""The HTTP API of a cloud: one app, its routes, its gate, its live hub."""

import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from davylamp_cloud.api import alarms, errors, events, routes
from davylamp_cloud.api.actor import Credentials, Sessions, session_key
from davylamp_cloud.api.catalogue import Catalogue
from davylamp_cloud.api.gate import Gate, refuse_open_bind
from davylamp_cloud.api.hub import Hub
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.backtest.jobs import Jobs
from davylamp_cloud.cloud import Cloud
from davylamp_cloud.cores import use_all

SECURITY_HEADERS = {
    b"content-security-policy": b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"x-frame-options": b"DENY",
}
"""Style attributes are allowed because ECharts' tooltips use them; scripts only come from files of our own.
The referrer stays within the site and is not dropped: browsers send ``Origin: null`` with a form then."""


def create_app(cloud: Cloud, credentials: Credentials) -> FastAPI:
    """Return the API of a cloud, open to the holders of some tokens, with what a start answers first: alarms, events.

    `davylamp_cloud.console.mount` adds the page, `davylamp_cloud.console.others` all other routes.

    Raises BindRefused when it would listen beyond loopback without a token.
    """
    config = cloud.config
    refuse_open_bind(config.http.host, bool(credentials))
    app = FastAPI(
        title="Davylamp",
        version="1",
        summary="Safety monitoring of major hazard sources. 监测报警，非事故报告。",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(cloud),
    )
    sessions = Sessions(session_key(config.data_dir / "session.key"), credentials)
    app.state.gate = Gate(credentials, sessions, cloud.now_ms)
    errors.install(app)
    for module in (alarms, events):
        routes.add(app, module.router)
    app.add_middleware(SecurityHeaders)
    return app


def _lifespan(cloud: Cloud) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        catalogue = Catalogue(cloud.state)
        hub = Hub(cloud, catalogue)
        # After the hub is there, which has the catalogue read again where it changes.
        ahead = threading.Thread(target=_read_ahead, args=(catalogue,), name="devices", daemon=True)
        ahead.start()
        jobs = Jobs(cloud.now_ms)
        app.state.parts = Parts(cloud, catalogue, hub, jobs)
        try:
            yield
        finally:
            jobs.close()
            hub.close()
            ahead.join()

    return run


def _read_ahead(catalogue: Catalogue) -> None:
    """Read all devices for the first page, which reads them itself where this fails.

    SQLite goes through all tags for it, on another core if there is one.
    """
    use_all()
    with contextlib.suppress(SQLAlchemyError):
        catalogue.devices()


class SecurityHeaders:
    """Adds the headers every answer carries; plain ASGI, so that streams pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS.items()]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
