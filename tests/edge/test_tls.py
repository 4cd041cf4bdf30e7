"""TLS to a real broker that asks every edge for a certificate of its own."""

import asyncio
import json
import queue
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from davylamp_edge.config import EdgeConfig
from davylamp_edge.link import Connected, Event, Link, Lost
from davylamp_edge.tls import tls_mistakes
from support.certificates import Authority, Files, private, tls_broker
from support.edge_host import edge_host
from support.edge_process import came, config_of, edge_process, fetch
from support.field import plc
from support.services import Broker, free_port


async def test_an_edge_with_a_certificate_is_let_in_and_says_how_long_its_certificates_last(tmp_path: Path) -> None:
    port = free_port()
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig:
        with tls_broker(tmp_path) as (authority, broker, plain), edge_host(plain) as host:
            own = authority.sign("edge-1", days=5.3)
            tls = f'[broker.tls]\nca_file = "{authority.file}"\ncert_file = "{own.cert}"\nkey_file = "{own.key}"\n'
            with edge_process(config_of(tmp_path, broker, rig.address, broker=tls, status=port)) as process:
                await came(host, lambda: host.records, "a record over TLS")
                _, text = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/healthz")
                days = json.loads(text)["certificate_days"]
                assert {name: round(left) for name, left in days.items()} == {"client": 5, "ca": 3650, "broker": 25}
                _, metrics = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/metrics")
                assert 'davylamp_edge_certificate_days{node="edge-1",certificate="client"} 5.' in metrics
                said = process.log.read_text()
                assert 'event="certificate ends soon, renew it" certificate=client days=5.' in said
                assert 'event="certificate ends soon, renew it" certificate=broker days=25' in said
        assert "u'edge-1'" in (tmp_path / "mosquitto.log").read_text()


@contextmanager
def link(broker: Broker, authority: Authority, own: Files | None) -> Iterator[Callable[[type[Event]], Event]]:
    """A link to a broker for the length of a with block; gives what waits for its next event of a kind."""
    tls = {"ca_file": authority.file, **({} if own is None else {"cert_file": own.cert, "key_file": own.key})}
    device = {"name": "a", "profile": "p", "driver": "modbus", "hazard_source": "h", "address": "x"}
    table = {
        "node": "edge-1",
        "broker": {"host": broker.host, "port": broker.port, "tls": tls},
        "journal": {"path": "unused"},
        "devices": [device],
    }
    events: queue.Queue[Event] = queue.Queue()
    running = Link(EdgeConfig.model_validate(table), lambda: 0, events.put, lambda: 0)

    def next_of(kind: type[Event]) -> Event:
        while not isinstance(event := events.get(timeout=15), kind):
            pass
        return event

    running.start()
    try:
        yield next_of
    finally:
        running.end()


@pytest.fixture
def foreign(tmp_path: Path) -> Authority:
    """An authority the broker does not know."""
    (tmp_path / "foreign").mkdir()
    return Authority(tmp_path / "foreign")


def test_an_edge_without_a_certificate_or_with_anothers_is_kept_out(tmp_path: Path, foreign: Authority) -> None:
    with tls_broker(tmp_path) as (authority, broker, _):
        for own in (None, foreign.sign("edge-1", days=5)):
            with link(broker, authority, own) as next_of:
                next_of(Lost)
        assert "as davylamp-edge" not in (tmp_path / "mosquitto.log").read_text()


def test_an_edge_does_not_speak_to_a_broker_of_another_authority_and_says_why(
    tmp_path: Path, foreign: Authority
) -> None:
    with tls_broker(tmp_path) as (authority, broker, _):
        with link(broker, foreign, authority.sign("edge-1", days=5)) as next_of:
            lost = next_of(Lost)
        assert isinstance(lost, Lost)
        assert "certificate verify failed" in lost.reason


def test_a_renewed_certificate_is_taken_with_the_next_connection(tmp_path: Path) -> None:
    """Files are replaced while the edge runs, which the broker then sees under another name."""
    with tls_broker(tmp_path) as (authority, broker, _):
        own = authority.sign("edge-1", days=5)
        with link(broker, authority, own) as next_of:
            next_of(Connected)
            renewed = authority.sign("edge-1-renewed", days=400)
            renewed.cert.replace(own.cert)
            renewed.key.replace(own.key)
            broker.kill()
            broker.start()
            next_of(Connected)
        assert "u'edge-1-renewed'" in (tmp_path / "mosquitto.log").read_text()


def test_mistakes_in_the_files_are_named_before_anything_connects(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, other = authority.sign("own", days=5), authority.sign("other", days=5)
    encrypted = tmp_path / "encrypted.key"
    key = ec.generate_private_key(ec.SECP256R1())
    encrypted.write_bytes(private(key, serialization.BestAvailableEncryption(b"secret")))
    fine = {"ca_file": str(authority.file), "cert_file": str(own.cert), "key_file": str(own.key)}
    for wrong, expected in (
        ({}, None),
        (
            {"ca_file": str(tmp_path / "no.pem")},
            "broker.tls.ca_file: .*no.pem cannot be read .* name an existing PEM file",
        ),
        ({"ca_file": str(own.key)}, "broker.tls.ca_file: .*own.key has no certificate in PEM form in it"),
        ({"key_file": str(other.key)}, "broker.tls.key_file: .*other.key does not fit cert_file .*MISMATCH"),
        ({"key_file": str(encrypted)}, "broker.tls.key_file: .*encrypted.key is encrypted"),
        ({"key_file": str(tmp_path / "no.key")}, "broker.tls.key_file: .*no.key cannot be read"),
    ):
        found = list(tls_mistakes(fine | wrong))
        assert len(found) == (expected is not None), found
        if expected is not None:
            assert re.match(expected, found[0]), found[0]
