"""What a start answers first waits for nothing; who asks for the rest waits, and does not hear that it is not there."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from davylamp_cloud.api.address import listen
from davylamp_cloud.api.app import create_app
from davylamp_cloud.api.server import HttpServer
from davylamp_cloud.api.tokens import credentials_of
from davylamp_cloud.api.waiting import Others, Waiting
from davylamp_cloud.console import mount
from davylamp_cloud.console.others import add_others
from fastapi import FastAPI
from starlette.routing import BaseRoute, Match
from support.served import Plant


@pytest.fixture
def first(plant: Plant) -> FastAPI:
    """The app as a start serves it first."""
    return mount(create_app(plant.cloud, credentials_of(plant.config)))


@pytest.fixture
def others() -> Others:
    return Others()


@pytest.fixture
def client(plant: Plant, first: FastAPI, others: Others) -> Iterator[httpx.Client]:
    """Somebody who asks while only the first routes are there."""
    first.add_middleware(Waiting, first=tuple(first.routes), others=others)
    server = HttpServer(first, listen("127.0.0.1", 0), plant.failures.append)
    with httpx.Client(base_url=server.start(), timeout=30) as found:
        yield found
    server.stop()


def test_the_first_routes_are_answered_and_the_others_waited_for(
    client: httpx.Client, first: FastAPI, others: Others
) -> None:
    with ThreadPoolExecutor() as people:
        later = {path: people.submit(client.get, path) for path in ("/api/v1/tags", "/api/v1/openapi.json", "/nowhere")}
        others.leave_first(30)
        answers = [client.get(path).status_code for path in ("/api/v1/alarms", "/", "/static/console.css")]
        early = [path for path, answer in later.items() if answer.done()]
        add_others(first)
        others.come()
        codes = {path: answer.result().status_code for path, answer in later.items()}
    assert not early
    assert answers == [200, 200, 200]
    assert codes == {"/api/v1/tags": 200, "/api/v1/openapi.json": 200, "/nowhere": 404}


def test_who_gives_up_ends_the_wait_of_no_other(client: httpx.Client, first: FastAPI, others: Others) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.get("/api/v1/tags", timeout=0.2)
    with ThreadPoolExecutor() as people:
        later = people.submit(client.get, "/api/v1/tags")
        add_others(first)
        others.come()
        assert later.result().status_code == 200


def test_no_first_route_takes_what_is_meant_for_another(first: FastAPI) -> None:
    early = tuple(first.routes)
    add_others(first)
    later = first.routes[len(early) :]
    assert later
    assert not [route for route in later if any(takes(one, route) for one in early)]


def takes(one: BaseRoute, other: BaseRoute) -> bool:
    """Return whether a route answers a request that is meant for another."""
    path, methods = str(getattr(other, "path", "")), getattr(other, "methods", ())
    scopes = ({"type": "http", "method": method, "path": path, "root_path": ""} for method in methods)
    return any(one.matches(scope)[0] is Match.FULL for scope in scopes)
