"""Who is told, how, and until it has arrived.

```
monitor ── transaction ──► outbox table ══► Outbox (one retry loop, a queue per receiver) ──► Notifier ──► receiver
                                │                                                                │
                                └──────────── delivered ◄──── DELIVERY record in the log ◄───────┘
```

A notifier sends once and raises; it never retries, waits or remembers. It is named by one line of `NOTIFIERS` and must
pass `tests/cloud/notify/test_notifier_contract.py` (docs/how-to/notifier.md).
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from davylamp_cloud.config import ReceiverConfig

NOTIFIERS = {"webhook": "davylamp_cloud.notify.webhook:WebhookNotifier"}
"""Kind in the config -> class, imported on first use. Tests and sites may add to it."""


class ReceiverRefused(Exception):
    """The receiver answered and will answer the same again: a person must act. It is tried again all the same."""


class ReceiverUnavailable(Exception):
    """The receiver did not answer, or asks for time: try again. `retry_after_s` is what it asked for."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Notice:
    """What one attempt sends. `id` is the same over all attempts (SAFETY S23); `sent_ms` is this attempt's time."""

    id: str
    body: bytes
    sent_ms: int


class Notifier(Protocol):
    """One receiver's way of being told. Lives on the outbox's event loop."""

    async def send(self, notice: Notice) -> None:
        """Return once the receiver has accepted; raise ReceiverRefused or ReceiverUnavailable."""

    async def close(self) -> None:
        """Let go of connections."""


class NotifierClass(Protocol):
    """What a dotted path in `NOTIFIERS` names."""

    def open(self, receiver: ReceiverConfig) -> Notifier:
        """Read what the receiver's config names; raise ConfigError where a person must mend it. Opens no connection."""


def open_notifier(receiver: ReceiverConfig) -> Notifier:
    """Return the notifier of a receiver."""
    module, name = NOTIFIERS[receiver.kind].split(":")
    return cast(NotifierClass, getattr(import_module(module), name)).open(receiver)
