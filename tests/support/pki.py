"""Certificates for tests, real ones: our own maker's, and an authority's for what it does not make."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from davylamp_edge.certificate import self_signed

Pair = tuple[x509.Certificate, RSAPrivateKey]
NOW = datetime.now(UTC)


def own(uri: str, *hosts: str, days: int = 1, now: datetime = NOW) -> Pair:
    """Return a self-signed pair."""
    return self_signed(uri, hosts, days, now)


def authority() -> Pair:
    """Return an authority."""
    _, key = own("urn:test:authority")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    return builder.add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()), key


def issued(by: Pair, pair: Pair) -> x509.Certificate:
    """Return a pair's certificate, signed by an authority instead of itself."""
    certificate, _ = pair
    builder = x509.CertificateBuilder(
        by[0].subject,
        certificate.subject,
        certificate.public_key(),
        x509.random_serial_number(),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        [*certificate.extensions],
    )
    return builder.sign(by[1], hashes.SHA256())


def revoking(by: Pair, certificate: x509.Certificate) -> x509.CertificateRevocationList:
    """Return an authority's list with one certificate on it."""
    entry = x509.RevokedCertificateBuilder(certificate.serial_number, NOW).build()
    builder = x509.CertificateRevocationListBuilder(by[0].subject, NOW, NOW + timedelta(days=1))
    return builder.add_revoked_certificate(entry).sign(by[1], hashes.SHA256())


def write(folder: Path, name: str, pair: Pair) -> tuple[Path, Path]:
    """Write a pair; return the files of certificate and key."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / f"{name}.der", folder / f"{name}.key"
    certificate.write_bytes(pair[0].public_bytes(Encoding.DER))
    key.write_bytes(pair[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key
