"""Signed webhooks: one POST, one answer. Only 2xx means accepted; a redirect is a failure and is never followed.

What a receiver sees is docs/webhooks.md. Nothing here reads an answer's body further than it must to keep the
connection, and no message repeats the address, for it may carry a key.
"""

import asyncio
import os
import ssl
from collections.abc import Sequence

import aiohttp
from davylamp_wire.config import ConfigError, secret_from

from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.notify import Notice, ReceiverRefused, ReceiverUnavailable
from davylamp_cloud.notify.schedule import retry_after_s
from davylamp_cloud.notify.sign import Signer, ed25519_signer, hmac_signer

CONNECT_S = 3.0
BODY_S = 1.0
BODY_BYTES = 64 * 1024
BUSY = (408, 425, 429)


class WebhookNotifier:
    """Posts to one receiver over kept-alive connections."""

    def __init__(self, receiver: ReceiverConfig, signers: Sequence[Signer], tls: ssl.SSLContext | bool) -> None:
        self._receiver = receiver
        self._signers = signers
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def open(cls, receiver: ReceiverConfig) -> "WebhookNotifier":
        """Read the receiver's keys and certificates."""
        return cls(receiver, _signers_of(receiver), _tls_of(receiver))

    async def send(self, notice: Notice) -> None:
        """Post one notice; return on 2xx."""
        timeout = aiohttp.ClientTimeout(total=self._receiver.timeout_s, sock_connect=CONNECT_S)
        name = self._receiver.name
        try:
            async with self._opened().post(
                self._receiver.url,
                data=notice.body,
                headers=self._headers(notice),
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                await _drain(response)
                _judge(name, response.status, response.headers.get("Retry-After"), notice.sent_ms)
        except TimeoutError:
            raise ReceiverUnavailable(f"{name}: no answer within {self._receiver.timeout_s:g} s") from None
        except aiohttp.ClientConnectorCertificateError:
            raise ReceiverRefused(f"{name}: its certificate is not trusted") from None
        except aiohttp.InvalidURL:
            raise ReceiverRefused(f"{name}: its address is not a URL") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ReceiverUnavailable(f"{name}: cannot be reached ({_cause(error)})") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _headers(self, notice: Notice) -> dict[str, str]:
        timestamp_s = notice.sent_ms // 1000
        text = notice.body.decode()
        return {
            "content-type": "application/json",
            "user-agent": "davylamp",
            "webhook-id": notice.id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": " ".join(signer.sign(notice.id, timestamp_s, text) for signer in self._signers),
        }

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, made on the loop that sends. The outbox bounds how many posts run at once."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ssl=self._tls, keepalive_timeout=75)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
            )
        return self._session


def _judge(name: str, status: int, retry_after: str | None, now_ms: int) -> None:
    """Return on 2xx, else raise what the status means."""
    if 200 <= status < 300:
        return
    if status >= 500 or status in BUSY:
        raise ReceiverUnavailable(f"{name}: answered {status}", retry_after_s(retry_after, now_ms))
    if 300 <= status < 400:
        raise ReceiverRefused(f"{name}: answered {status}; redirects are never followed, name the final address")
    if status == 410:
        raise ReceiverRefused(f"{name}: answered 410, this address is gone; ask the receiver for the new one")
    raise ReceiverRefused(f"{name}: answered {status}")


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short answer so that the connection can be kept; close it on a long or slow one.

    The status alone decides, and it is already here.
    """
    left = BODY_BYTES
    try:
        async with asyncio.timeout(BODY_S):
            while left > 0:
                chunk = await response.content.read(left)
                if not chunk:
                    return
                left -= len(chunk)
    except (TimeoutError, aiohttp.ClientError):
        pass
    response.close()


def _cause(error: Exception) -> str:
    """Return why, without the address: aiohttp's own text may repeat it."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    reason = os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno and cause.errno > 0 else ""
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__


def _signers_of(receiver: ReceiverConfig) -> list[Signer]:
    signers: list[Signer] = []
    if receiver.ed25519_key_file is not None:
        signers.append(ed25519_signer(receiver.ed25519_key_file))
    for file, variable in ((receiver.secret_file, receiver.secret_env), (receiver.previous_secret_file, None)):
        secret = secret_from(file, variable, f"secret of receiver {receiver.name}")
        if secret is not None:
            signers.append(hmac_signer(secret.get_secret_value(), str(file or variable)))
    return signers


def _tls_of(receiver: ReceiverConfig) -> ssl.SSLContext | bool:
    if receiver.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=receiver.ca_file)
    except (OSError, ssl.SSLError):
        raise ConfigError([f"{receiver.ca_file}: is no file of CA certificates (PEM)"]) from None
