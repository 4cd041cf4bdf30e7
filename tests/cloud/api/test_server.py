"""A console nobody can reach is never left unnoticed: a port that is taken, a server that does not come up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from davylamp_cloud.api.address import listen
from davylamp_cloud.api.server import HttpServer
from fastapi import FastAPI


def test_a_port_is_taken_from_the_moment_it_is_listened_on() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port} cannot be listened on .*set host or port under"):
            listen("127.0.0.1", port)


def test_a_server_that_does_not_come_up_fails_its_start_and_is_told_of() -> None:
    @asynccontextmanager
    async def broken(app: FastAPI) -> AsyncIterator[None]:
        raise LookupError("no register")
        yield

    failures: list[BaseException] = []
    server = HttpServer(FastAPI(lifespan=broken), listen("127.0.0.1", 0), failures.append)
    try:
        with pytest.raises(RuntimeError, match="did not start"):
            server.start()
    finally:
        server.stop()
    assert len(failures) == 1
