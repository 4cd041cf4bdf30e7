"""What a device behind OPC UA is told besides its address: how values come, and who trusts whom."""

from pathlib import Path
from typing import Literal, Self

from davylamp_wire.config import Section, secret_from
from pydantic import Field, SecretStr, model_validator

Policy = Literal["None", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss", "Basic256", "Basic128Rsa15"]
DEPRECATED = ("Basic256", "Basic128Rsa15")
"""Policies the OPC Foundation has withdrawn because of SHA-1 (OPC 10000-7, 6.6)."""

PATHS = (
    "certificate_file",
    "key_file",
    "trust_folder",
    "password_file",
    "user_certificate_file",
    "user_key_file",
)
"""Keys whose relative paths start at the config file's folder."""


class OpcuaSettings(Section):
    """``[devices.opcua]``. Devices that share an address share one session, and say the same here.

    ``publish_s`` is how often the server sends what it has sampled; each point is sampled every ``scan_s`` of its own.
    """

    mode: Literal["subscribe", "poll"] = "subscribe"
    publish_s: float = Field(default=0.5, ge=0.05, le=60)
    policy: Policy = "None"
    security: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    allow_deprecated: bool = False
    certificate_file: Path | None = None
    key_file: Path | None = None
    trust_folder: Path | None = None
    username: str | None = Field(default=None, min_length=1)
    password_file: Path | None = None
    user_certificate_file: Path | None = None
    user_key_file: Path | None = None

    @property
    def secured(self) -> bool:
        """Whether anything is signed."""
        return self.policy != "None"

    def certificates(self) -> list[Path]:
        """Return the files that say to the server who we are."""
        own = self.certificate_file if self.secured else None
        return [file for file in (own, self.user_certificate_file) if file is not None]

    def password(self) -> SecretStr | None:
        """Return the user's password from its file; it prints as ``***``."""
        return secret_from(self.password_file, None, "the OPC UA user's password")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        problems = [*self._unsecured(), *self._user_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unsecured(self) -> list[str]:
        problems = []
        if self.policy in DEPRECATED and not self.allow_deprecated:
            problems.append(
                f'policy "{self.policy}" is deprecated: choose Basic256Sha256 or better,'
                " or spell out allow_deprecated = true where the server has nothing else"
            )
        needed = ("certificate_file", "key_file", "trust_folder")
        if self.secured and (missing := [key for key in needed if getattr(self, key) is None]):
            problems.append(f'policy "{self.policy}" needs {", ".join(missing)}')
        return problems

    def _user_problems(self) -> list[str]:
        problems = []
        for one, other in (("username", "password_file"), ("user_certificate_file", "user_key_file")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                problems.append(f"{one} and {other} belong together; give both or neither")
        if self.username is not None and self.user_certificate_file is not None:
            problems.append("a user has a name and password, or a certificate; give one of them")
        return problems
