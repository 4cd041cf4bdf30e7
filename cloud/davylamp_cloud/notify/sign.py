"""Signatures of Standard Webhooks 1.0.0: `v1` (HMAC-SHA256, shared secret) and `v1a` (Ed25519, public key).

Signed is ``id.timestamp.body``. For a regulator prefer Ed25519: what verifies cannot forge. Two keys during a change
of keys give two signatures in one header. No message here ever contains key material.
"""

import base64
import binascii
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from davylamp_wire.config import ConfigError
from standardwebhooks import Webhook

SECRET_BYTES = range(24, 65)
SEED_BYTES = 32


class Signer(Protocol):
    """Signs one attempt."""

    def sign(self, message: str, timestamp_s: int, body: str) -> str:
        """Return the signature with its version, for example ``v1a,…``."""


class HmacSigner:
    """`v1`: both sides hold the secret."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)

    def sign(self, message: str, timestamp_s: int, body: str) -> str:
        """Return ``v1,<base64>``."""
        return self._webhook.sign(message, datetime.fromtimestamp(timestamp_s, UTC), body)


class Ed25519Signer:
    """`v1a`: the receiver holds the public key only."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> str:
        """Return the public key as receivers enter it, ``whpk_<base64>``."""
        return "whpk_" + base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, message: str, timestamp_s: int, body: str) -> str:
        """Return ``v1a,<base64>``."""
        signature = self._key.sign(f"{message}.{timestamp_s}.{body}".encode())
        return "v1a," + base64.b64encode(signature).decode()


def hmac_signer(secret: str, origin: str) -> HmacSigner:
    """Return the signer of a ``whsec_<base64>`` secret; ConfigError names where it came from, never the secret."""
    key = _decoded(secret.removeprefix("whsec_"))
    if key is None or len(key) not in SECRET_BYTES:
        raise ConfigError([f"{origin}: needs whsec_ and 24 to 64 bytes in base64 (openssl rand -base64 32)"])
    return HmacSigner(secret)


def ed25519_signer(path: Path) -> Ed25519Signer:
    """Return the signer of a key file: PEM (openssl genpkey -algorithm ed25519) or ``whsk_<base64>``."""
    try:
        content = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError([f"{path}: Ed25519 key cannot be read ({error.strerror})"]) from None
    key = _private_key(content)
    if key is None:
        raise ConfigError([f"{path}: is no Ed25519 key; make one with: openssl genpkey -algorithm ed25519 -out FILE"])
    return Ed25519Signer(key)


def _private_key(content: bytes) -> Ed25519PrivateKey | None:
    if content.startswith(b"whsk_"):
        raw = _decoded(content.removeprefix(b"whsk_").decode("ascii", "replace"))
        # 64 bytes is libsodium's form: the seed, then the public key.
        sound = raw is not None and len(raw) in (SEED_BYTES, 2 * SEED_BYTES)
        return Ed25519PrivateKey.from_private_bytes(raw[:SEED_BYTES]) if raw is not None and sound else None
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
