"""Verifying Standard Webhooks 1.0.0 as a regulator does: `v1` by a shared secret, `v1a` by a public Ed25519 key.

Written from the specification and apart from the cloud's signer, so that a mistake cannot hide in both.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from davylamp_wire.config import ConfigError

TOLERANCE_S = 300
"""How old or early a notice may be, against replay."""


class Verdict(StrEnum):
    """Whether a notice is believed, or why not."""

    VALID = "valid"
    NO_HEADERS = "a webhook header is missing"
    BAD_TIMESTAMP = "webhook-timestamp is no number"
    TOO_OLD = "webhook-timestamp is too far from this clock"
    NOT_SIGNED = "no signature matches"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a receiver believes: shared secrets (`v1`), public keys (`v1a`)."""

    secrets: Sequence[bytes] = ()
    public: Sequence[Ed25519PublicKey] = ()

    @classmethod
    def of(cls, secret_files: Sequence[Path], public_files: Sequence[Path]) -> "Keys":
        """Read ``whsec_…`` and ``whpk_…`` files. Raises: one ConfigError with every mistake, and never a key."""
        mistakes: list[str] = []
        secrets = [_key(path, "whsec_", mistakes) for path in secret_files]
        public = [_key(path, "whpk_", mistakes) for path in public_files]
        mistakes += [
            f"{path}: an Ed25519 public key has 32 bytes, not {len(raw)}"
            for path, raw in zip(public_files, public, strict=True)
            if raw and len(raw) != 32
        ]
        if mistakes:
            raise ConfigError(mistakes)
        return cls(secrets, [Ed25519PublicKey.from_public_bytes(raw) for raw in public])

    def verify(self, headers: Mapping[str, str], body: bytes, now_s: float) -> Verdict:
        """Return whether a notice is what its sender signed, and recent."""
        try:
            name, stamp, signatures = (headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
        except KeyError:
            return Verdict.NO_HEADERS
        try:
            age_s = now_s - int(stamp)
        except ValueError:
            return Verdict.BAD_TIMESTAMP
        if abs(age_s) > TOLERANCE_S:
            return Verdict.TOO_OLD
        message = f"{name}.{stamp}.".encode() + body
        good = any(self._matches(signature, message) for signature in signatures.split())
        return Verdict.VALID if good else Verdict.NOT_SIGNED

    def _matches(self, signature: str, message: bytes) -> bool:
        version, _, encoded = signature.partition(",")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return False
        if version == "v1":
            return any(hmac.compare_digest(raw, hmac.digest(key, message, hashlib.sha256)) for key in self.secrets)
        return version == "v1a" and any(_signed(key, raw, message) for key in self.public)


def _signed(key: Ed25519PublicKey, raw: bytes, message: bytes) -> bool:
    try:
        key.verify(raw, message)
    except InvalidSignature:
        return False
    return True


def _key(path: Path, prefix: str, mistakes: list[str]) -> bytes:
    try:
        text = path.read_text(encoding="ascii").strip()
        if not text.startswith(prefix):
            raise ValueError
        return base64.b64decode(text.removeprefix(prefix), validate=True)
    except OSError as error:
        mistakes.append(f"{path}: cannot be read ({error.strerror})")
    except ValueError:
        mistakes.append(f"{path}: is not {prefix} and base64")
    return b""
