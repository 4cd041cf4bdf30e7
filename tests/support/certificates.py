"""An authority of a test's own, what it signs, and a broker that asks for it."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.services import Broker, broker, free_port

# Mosquitto gives up root before it reads its key, and pytest's folders are root's alone.
LISTENER = """\
user root
cafile {ca}
certfile {cert}
keyfile {key}
require_certificate true
use_identity_as_username true
listener {plain} 127.0.0.1
"""

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Files:
    """A certificate and its key, in PEM."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates into a folder."""

    def __init__(self, folder: Path, name: str = "authority", days: float = 3650) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.certificate = _built(self._name, self._name, self._key, self._key, days, authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, name: str, days: float) -> Files:
        """Write a certificate for this machine under a name, and its key; again for a renewed one."""
        files = Files(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _built(_name(name), self._name, key, self._key, days)
        files.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(private(key, serialization.NoEncryption()))
        return files


@contextmanager
def tls_broker(folder: Path) -> Iterator[tuple[Authority, Broker, Broker]]:
    """An authority, a Mosquitto that asks every client for a certificate of it, and where it lets in anybody."""
    authority, plain = Authority(folder), free_port()
    server = authority.sign("broker", days=25)
    extra = LISTENER.format(ca=authority.file, cert=server.cert, key=server.key, plain=plain)
    with broker(folder, extra=extra, log_dest="stderr") as running:
        yield authority, running, Broker(folder, plain)


def private(key: Key, encryption: serialization.KeySerializationEncryption) -> bytes:
    """Return a key in PEM."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _built(
    subject: x509.Name, issuer: x509.Name, key: Key, signer: Key, days: float, authority: bool = False
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=3651)).not_valid_after(now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return builder.add_extension(here, critical=False).sign(signer, hashes.SHA256())
