"""The HTTP server on a thread of its own, with live streams that end when it does."""

import asyncio
import socket
import threading
from collections.abc import Callable

import uvicorn
import uvloop
from fastapi import FastAPI

from davylamp_cloud.api.parts import Parts

GRACE_S = 3
START_S = 30.0


class _Server(uvicorn.Server):
    """Closes the live streams first: uvicorn waits for open connections, and those never end by themselves."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, started: threading.Event) -> None:
        super().__init__(config)
        self._app = app
        self._ready = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        parts = getattr(self._app.state, "parts", None)
        if isinstance(parts, Parts):
            parts.hub.close()
        await super().shutdown(sockets)


class HttpServer:
    """Serves an app on a socket that listens. `start` returns the address."""

    def __init__(self, app: FastAPI, listening: socket.socket, failed: Callable[[BaseException], None]) -> None:
        """`failed` is called once, from the thread, when the server ends by an error."""
        self._socket = listening
        self._failed = failed
        self._ready = threading.Event()
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=30,
        )
        self._server = _Server(config, app, self._ready)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def url(self) -> str:
        """The address a browser opens."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> str:
        """Start serving and return the address once requests are answered."""
        self._thread.start()
        if not self._ready.wait(START_S):
            raise RuntimeError(f"the HTTP server did not start within {START_S:g} s")
        if not self._server.started:
            raise RuntimeError("the HTTP server did not start")
        return self.url

    def stop(self) -> None:
        """End streams and connections, then the thread."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._server.serve([self._socket]))
        except BaseException as error:
            self._failed(error)
        finally:
            self._ready.set()
