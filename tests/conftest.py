"""Fixtures and rules for every test: real services, and nothing left behind."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support import services
from support.leaks import footprint, guard_tasks, left_behind

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Guard the tasks of async tests, and keep the torture runs for `make torture`."""
    for item in items:
        function = getattr(item, "obj", None)
        if inspect.iscoroutinefunction(function) and isinstance(item, pytest.Function):
            item.obj = guard_tasks(function)


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, process or socket behind."""
    if {"influx_server", "browser"} & set(request.fixturenames):
        # Fixtures of wider scope start their processes inside a test's set-up: have them running before we look.
        for name in ("influx_server", "browser"):
            if name in request.fixturenames:
                request.getfixturevalue(name)
    before = footprint()
    yield
    left = left_behind(before)
    assert not left, "left behind: " + "; ".join(left)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A source of TCP ports nobody listens on."""
    return services.free_port


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[services.Broker]:
    """A Mosquitto of this test's own."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    with services.broker(folder) as running:
        yield running


@pytest.fixture(scope="session")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Influx]:
    """One InfluxDB for the whole run; each test uses a bucket of its own."""
    with services.influx(tmp_path_factory.mktemp("influx")) as running:
        yield running


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[services.Influx]:
    """An InfluxDB of this test's own, for tests that kill it."""
    folder = tmp_path / "influx"
    folder.mkdir()
    with services.influx(folder) as running:
        yield running
