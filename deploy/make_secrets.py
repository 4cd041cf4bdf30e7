"""Makes the secrets docker-compose.yml names, each random and in a file of its own; there are no default passwords.

Run once beside the compose file: ``python3 deploy/make_secrets.py``. What exists is kept. Standard library only.
"""

import base64
import hashlib
import secrets
import sys
from pathlib import Path

USERS = ("cloud", "edge-1", "edge-2")
ITERATIONS = 101


def mosquitto_line(user: str, password: str, salt: bytes) -> str:
    """Return a line of a Mosquitto 2 password file: PBKDF2-HMAC-SHA512 (mosquitto_passwd, format 7)."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"{user}:$7${ITERATIONS}${'$'.join(encoded)}"


def keep_or_make(path: Path, text: str) -> str:
    """Return what a file holds, writing it first where it does not exist.

    The folder is its owner's alone (0700); the file inside may be read by anyone who gets past it, because Compose
    mounts it with its mode into containers whose users have other numbers.
    """
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
    return path.read_text(encoding="utf-8").strip()


def make(folder: Path) -> None:
    """Write every secret the compose file names into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in ("influx_password", "influx_token", "grafana_password", "console_token"):
        keep_or_make(folder / name, secrets.token_urlsafe(32))
    keep_or_make(folder / "webhook_secret", "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    passwords = {user: keep_or_make(folder / f"mqtt_{user}", secrets.token_urlsafe(24)) for user in USERS}
    lines = [mosquitto_line(user, password, secrets.token_bytes(12)) for user, password in passwords.items()]
    keep_or_make(folder / "mosquitto_passwords", "\n".join(lines) + "\n")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "secrets"
    make(target)
    print(f"secrets are in {target}")
