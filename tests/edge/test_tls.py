"""TLS to a real broker that asks every edge for a certificate of its own."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from davylamp_edge.tls import tls_mistakes
from davylamp_wire.payload import BD_SEQ
from davylamp_wire.topic import MessageType
from support.certificates import Authority, Files, private, tls_broker
from support.edge_host import EdgeHost, edge_host
from support.edge_process import Process, came, config_of, edge_process, fetch
from support.field import plc
from support.services import Broker, free_port


@dataclass
class Site:
    """A broker with TLS for edges and, on another port, without it for the test's own host."""

    authority: Authority
    tls: Broker
    host: EdgeHost

    @property
    def log(self) -> str:
        return (self.tls.folder / "mosquitto.log").read_text()


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    with tls_broker(folder) as (authority, tls, plain), edge_host(plain) as host:
        yield Site(authority, tls, host)


@asynccontextmanager
async def edge(folder: Path, site: Site, own: Files | None, **settings: int) -> AsyncIterator[Process]:
    own_lines = "" if own is None else f'cert_file = "{own.cert}"\nkey_file = "{own.key}"\n'
    tls = f'[broker.tls]\nca_file = "{site.authority.file}"\n{own_lines}'
    async with plc(holding=[0] * 8, coils=[True] * 8) as rig:
        with edge_process(config_of(folder, site.tls, rig.address, broker=tls, **settings)) as process:
            yield process


async def test_an_edge_with_a_certificate_is_let_in_and_says_how_long_its_certificates_last(tmp_path: Path) -> None:
    port = free_port()
    with site(tmp_path) as here:
        own = here.authority.sign("edge-1", days=5.3)
        async with edge(tmp_path, here, own, status=port) as process:
            await came(here.host, lambda: here.host.records, "a record over TLS")
            _, text = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/healthz")
            days = json.loads(text)["certificate_days"]
            assert {name: round(left) for name, left in days.items()} == {"client": 5, "ca": 3650, "broker": 25}
            _, metrics = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/metrics")
            assert 'davylamp_edge_certificate_days{node="edge-1",certificate="client"} 5.' in metrics
            said = process.log.read_text()
            assert 'event="certificate ends soon, renew it" certificate=client days=5.' in said
            assert 'event="certificate ends soon, renew it" certificate=broker days=25' in said
            assert "u'edge-1'" in here.log


async def test_an_edge_without_a_certificate_or_with_anothers_is_kept_out_and_says_so(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        (tmp_path / "other").mkdir()
        stranger = Authority(tmp_path / "other").sign("edge-1", days=5)
        for own in (None, stranger):
            async with edge(tmp_path, here, own) as process:
                await came(here.host, lambda process=process: "broker lost" in process.log.read_text(), "the refusal")
                process.log.unlink()
        assert here.host.seen == []


async def test_an_edge_does_not_speak_to_a_broker_of_another_authority(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        own = here.authority.sign("edge-1", days=100)
        (tmp_path / "other").mkdir()
        here.authority = Authority(tmp_path / "other")
        async with edge(tmp_path, here, own) as process:
            await came(here.host, lambda: "certificate verify failed" in process.log.read_text(), "the reason")
        assert here.host.seen == []


async def test_a_renewed_certificate_is_taken_with_the_next_connection(tmp_path: Path) -> None:
    """Files are replaced while the edge runs, which the broker then sees under another name."""
    with site(tmp_path) as here:
        own = here.authority.sign("edge-1", days=5)
        async with edge(tmp_path, here, own):
            await came(here.host, lambda: here.host.of(MessageType.NBIRTH), "the birth")
            renewed = here.authority.sign("edge-1-renewed", days=400)
            renewed.cert.replace(own.cert)
            renewed.key.replace(own.key)
            here.tls.kill()
            here.tls.start()
            await came(here.host, lambda: len(here.host.of(MessageType.NBIRTH)) == 2, "the second birth")
            assert "u'edge-1-renewed'" in here.log
            numbers = [seen.message.value(BD_SEQ) for seen in here.host.of(MessageType.NBIRTH)]
            assert len(set(numbers)) == 2


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
