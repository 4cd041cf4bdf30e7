"""A real HTTP receiver that verifies signatures as a regulator would, and answers as a test tells it to."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from davylamp_cloud.config import ReceiverConfig
from standardwebhooks import Webhook

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

Answer = Callable[["Seen"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: `nth` counts requests with the same webhook-id, from 1."""

    id: str
    nth: int
    headers: dict[str, str]
    content: dict[str, Any]
    request: web.Request
    peer: tuple[str, int]

    @property
    def kind(self) -> str:
        kind: str = self.content["type"]
        return kind


async def accept(seen: Seen) -> web.StreamResponse:
    """Answer 204."""
    return web.Response(status=204)


def status(code: int, **headers: str) -> Answer:
    """Answer with a status and headers (``Retry_After`` becomes ``Retry-After``)."""

    async def answer(seen: Seen) -> web.StreamResponse:
        return web.Response(status=code, headers={key.replace("_", "-"): value for key, value in headers.items()})

    return answer


def first(times: int, before: Answer, after: Answer = accept) -> Answer:
    """Answer the first requests of each webhook-id one way, later ones another."""

    async def answer(seen: Seen) -> web.StreamResponse:
        return await (before if seen.nth <= times else after)(seen)

    return answer


@dataclass
class Receiver:
    """What a receiver was told. Heartbeats are kept apart and always accepted."""

    url: str
    answer: Answer = accept
    seen: list[Seen] = field(default_factory=list)
    beats: list[Seen] = field(default_factory=list)
    accepted: list[Seen] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Verify, remember, answer."""
        body = await request.read()
        verify(body, request)
        identity = request.headers["webhook-id"]
        nth = 1 + sum(one.id == identity for one in self.seen)
        seen = Seen(identity, nth, dict(request.headers), json.loads(body), request, _peer(request))
        if seen.kind.startswith("system."):
            self.beats.append(seen)
            self.changed.set()
            return web.Response(status=204)
        self.seen.append(seen)
        self.changed.set()
        response = await self.answer(seen)
        if 200 <= response.status < 300:
            self.accepted.append(seen)
        self.changed.set()
        return response

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Return once a condition holds; it is looked at after each request."""
        async with asyncio.timeout(seconds):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def ids(self) -> list[str]:
        """Return the accepted webhook-ids in their order."""
        return [one.id for one in self.accepted]


def _peer(request: web.Request) -> tuple[str, int]:
    assert request.transport is not None
    host, port = request.transport.get_extra_info("peername")[:2]
    return str(host), int(port)


def verify(body: bytes, request: web.Request) -> None:
    """Check both signatures; a wrong one is a broken test, not a refused request."""
    headers = dict(request.headers)
    Webhook(SECRET).verify(body, {key.lower(): value for key, value in headers.items()})
    public = Ed25519PublicKey.from_public_bytes(KEY.public_key().public_bytes_raw())
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    (signature,) = [one for one in headers["webhook-signature"].split() if one.startswith("v1a,")]
    public.verify(base64.b64decode(signature.removeprefix("v1a,")), signed)


@asynccontextmanager
async def receiver(
    answer: Answer = accept, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """A receiver for the length of a with block."""
    running = Receiver("", answer)
    app = web.Application()
    app.router.add_post("/notices", running.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        running.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/notices"
        yield running
    finally:
        running.gate.set()
        await runner.cleanup()


def self_signed(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 and its key into one PEM file."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    path = folder / "receiver.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path


def config_of(name: str, url: str, folder: Path, **more: Any) -> ReceiverConfig:
    """Return a receiver's config with both kinds of keys, written into a folder."""
    secret, key = folder / "secret", folder / "key.pem"
    secret.write_text(SECRET)
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ReceiverConfig(
        name=name, url=url, secret_file=secret, ed25519_key_file=key, insecure_http=True, **{"timeout_s": 5.0, **more}
    )
