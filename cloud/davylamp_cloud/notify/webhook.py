"""Signed webhooks: one POST, one answer. Only 2xx means accepted; a redirect is a failure and is never followed.

What a receiver sees is docs/webhooks.md. No message repeats the address, for it may carry a key.
"""

import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

from davylamp_wire.config import ConfigError, secret_from

from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.notify import Notice, ReceiverRefused, ReceiverUnavailable
from davylamp_cloud.notify.schedule import retry_after_s
from davylamp_cloud.notify.sign import Signer, ed25519_signer, hmac_signer

if TYPE_CHECKING:
    from davylamp_cloud.notify.post import Poster

BUSY = (408, 425, 429)


class WebhookNotifier:
    """Posts to one receiver."""

    def __init__(self, receiver: ReceiverConfig, signers: Sequence[Signer], tls: ssl.SSLContext | bool) -> None:
        self._receiver = receiver
        self._signers = signers
        self._tls = tls
        self._poster: Poster | None = None

    @classmethod
    def open(cls, receiver: ReceiverConfig) -> "WebhookNotifier":
        """Read the receiver's keys and certificates."""
        return cls(receiver, _signers_of(receiver), _tls_of(receiver))

    async def send(self, notice: Notice) -> None:
        """Post one notice; return on 2xx."""
        status, retry_after = await self._opened().post(notice.body, self._headers(notice))
        _judge(self._receiver.name, status, retry_after, notice.sent_ms)

    async def close(self) -> None:
        """Close the connections."""
        if self._poster is not None:
            await self._poster.close()
            self._poster = None

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

    def _opened(self) -> "Poster":
        if self._poster is None:
            from davylamp_cloud.notify.post import Poster  # late: the list of alarms does not wait for aiohttp

            self._poster = Poster(self._receiver, self._tls)
        return self._poster


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
