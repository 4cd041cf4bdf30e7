"""The tokens of a config: read before anything runs, so that a secret that is missing stops no cloud half way."""

from davylamp_wire.config import secret_from

from davylamp_cloud.api.actor import Actor, Credential, Credentials
from davylamp_cloud.config import CloudConfig, TokenConfig


def credentials_of(config: CloudConfig) -> Credentials:
    """Return the tokens of a config, secrets read from their files."""
    return Credentials(tuple(_credential(token) for token in config.tokens))


def _credential(token: TokenConfig) -> Credential:
    secret = secret_from(token.token_file, None, f"token {token.name}")
    actor = Actor(token.name, token.role, frozenset(token.hazard_sources))
    return Credential(actor, token.hash or "", secret.get_secret_value() if secret else "")
