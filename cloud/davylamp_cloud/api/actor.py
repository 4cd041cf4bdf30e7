"""Who is asking: bearer tokens, the console's session cookie, and the local operator on loopback.

A session cookie is signed, not stored: a restart of the cloud must not sign the duty room's screen out. It names a
token and carries that token's fingerprint, so withdrawing or changing the token ends its sessions at once.
"""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from davylamp_cloud.api.permissions import Permission, allowed
from davylamp_cloud.config import Role
from davylamp_cloud.settings import SYSTEM_SOURCE

SESSION_MS = 7 * 24 * 3600 * 1000
"""Longest life of a session without a page load: a duty-room screen runs for days, a lost phone must not run on."""

REMEMBERED_TOKENS = 256
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or system that asks. An empty set of hazard sources means all of them."""

    name: str
    role: Role
    hazard_sources: frozenset[str] = frozenset()
    how: Literal["token", "session", "local"] = "token"

    def may(self, permission: Permission) -> bool:
        return allowed(self.role, permission)

    def sees(self, hazard_source: str) -> bool:
        """Return whether a hazard source is any of this actor's business (object-level check).

        The monitoring system's own alarms are everybody's: they say how far the rest can be trusted.
        """
        return not self.hazard_sources or hazard_source in self.hazard_sources or hazard_source == SYSTEM_SOURCE


LOCAL_OPERATOR = Actor("local operator", Role.OPERATOR, how="local")


@dataclass(frozen=True, slots=True)
class Credential:
    """A token of the config: either its argon2 hash or the secret itself, read from a file."""

    actor: Actor
    hash: str = ""
    secret: str = field(default="", repr=False)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.hash}\0{self.secret}".encode()).hexdigest()[:24]

    def matches(self, secret: str) -> bool:
        """Return whether a secret is this token's; takes tens of milliseconds where it is stored as a hash."""
        if self.secret:
            return hmac.compare_digest(self.secret.encode(), secret.encode())
        try:
            return bool(self.hash) and PasswordHasher().verify(self.hash, secret)
        except (VerificationError, InvalidHashError):
            return False


class Credentials:
    """All tokens of a config, with the verified ones remembered by digest: argon2 is meant to be slow."""

    def __init__(self, credentials: tuple[Credential, ...]) -> None:
        self._credentials = credentials
        self._known: OrderedDict[bytes, Credential] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._credentials)

    def remembered(self, secret: str) -> Credential | None:
        """Return the token a secret was found to belong to before; fast, so no flood of wrong ones shuts it out."""
        return self._known.get(hashlib.sha256(secret.encode()).digest())

    def by_secret(self, secret: str) -> Credential | None:
        """Return the token a secret belongs to."""
        for credential in self._credentials:
            if credential.matches(secret):
                self._known[hashlib.sha256(secret.encode()).digest()] = credential
                if len(self._known) > REMEMBERED_TOKENS:
                    self._known.popitem(last=False)
                return credential
        return None

    def by_name(self, name: str) -> Credential | None:
        return next((found for found in self._credentials if found.actor.name == name), None)


class Sessions:
    """Signs and reads session cookies."""

    def __init__(self, key: bytes, credentials: Credentials) -> None:
        self._key = key
        self._credentials = credentials

    def issue(self, credential: Credential, now_ms: int) -> str:
        """Return the cookie of a new session."""
        content = {"name": credential.actor.name, "token": credential.fingerprint, "until": now_ms + SESSION_MS}
        body = urlsafe_b64encode(json.dumps(content).encode())
        return f"{body.decode()}.{self._sign(body)}"

    def read(self, cookie: str, now_ms: int) -> Actor | None:
        """Return whose session a cookie is; None when forged, run out, or its token was changed."""
        body, _, signature = cookie.partition(".")
        if not hmac.compare_digest(self._sign(body.encode()).encode(), signature.encode()):
            return None
        content = json.loads(urlsafe_b64decode(body))
        credential = self._credentials.by_name(content["name"])
        if credential is None or credential.fingerprint != content["token"] or content["until"] < now_ms:
            return None
        actor = credential.actor
        return Actor(actor.name, actor.role, actor.hazard_sources, "session")

    def _sign(self, body: bytes) -> str:
        return hmac.new(self._key, body, hashlib.sha256).hexdigest()


def session_key(path: Path) -> bytes:
    """Return the key sessions are signed with; made once, readable by the cloud's own user alone.

    One that a crash or a full disk cut short is made anew: anybody could sign with an empty key.
    """
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) != KEY_BYTES:
        key = secrets.token_bytes(KEY_BYTES)
        part = path.with_name(f"{path.name}.part")
        part.touch(mode=0o600)
        part.write_bytes(key)
        part.replace(path)
    return key
