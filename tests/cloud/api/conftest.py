"""A served cloud on a real port, with or without tokens."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from davylamp_cloud.config import CloudConfig, TokenConfig
from support.served import Plant

ROLES = ("viewer", "operator", "engineer", "regulator", "administrator")


def secret(name: str) -> str:
    """Return the token of a person of a test."""
    return f"secret-of-{name}"


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[TokenConfig, ...]:
    """One token per role, and an operator and a regulator who see one hazard source only."""
    found = []
    for name, role, sources in [
        *((role, role, ()) for role in ROLES),
        ("north", "operator", ("LC-01",)),
        ("north-park", "regulator", ("LC-01",)),
    ]:
        path = tmp_path / f"{name}.token"
        path.write_text(secret(name))
        found.append(TokenConfig(name=name, role=role, token_file=path, hazard_sources=sources))  # type: ignore[arg-type]  # a word of the config
    return tuple(found)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """A cloud on loopback without tokens."""
    yield from running(Plant(tmp_path, CloudConfig(data_dir=tmp_path)))


@pytest.fixture
def guarded(tmp_path: Path, tokens: tuple[TokenConfig, ...]) -> Iterator[Plant]:
    """A cloud that asks for tokens."""
    yield from running(Plant(tmp_path, CloudConfig(data_dir=tmp_path, tokens=tokens)))


def running(plant: Plant) -> Iterator[Plant]:
    try:
        yield plant
    finally:
        plant.close()


@pytest.fixture
def local(plant: Plant) -> Iterator[httpx.Client]:
    """A client on the same machine, without a token."""
    with httpx.Client(base_url=plant.serve()) as client:
        yield client


@pytest.fixture
def client_of(guarded: Plant) -> Iterator[Callable[[str], httpx.Client]]:
    """Clients with the token of a name; an empty name has none."""
    url = guarded.serve()
    opened: list[httpx.Client] = []

    def client(name: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {secret(name)}"} if name else {}
        opened.append(httpx.Client(base_url=url, headers=headers))
        return opened[-1]

    yield client
    for one in opened:
        one.close()
