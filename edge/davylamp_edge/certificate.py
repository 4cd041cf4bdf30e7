"""Makes the edge's own certificate for OPC UA servers, signed by itself, and its key.

Source: OPC 10000-6, 6.2.2, application instance certificates.
"""

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEY_BITS = 2048
"""What every policy takes; Basic256Sha256 and the Aes policies take 2048 to 4096."""
CERTIFICATE, KEY = "davylamp-edge.der", "davylamp-edge.key"


def write_certificate(folder: Path, uri: str, hosts: Sequence[str], days: int) -> tuple[Path, Path]:
    """Write a new certificate and its key; return both files. Raises: FileExistsError rather than replace a key."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate_file, key_file = folder / CERTIFICATE, folder / KEY
    certificate, key = self_signed(uri, hosts, days, datetime.now(UTC))
    _write_key(key_file, key)
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    return certificate_file, key_file


def self_signed(uri: str, hosts: Sequence[str], days: int, now: datetime) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """Return a certificate that names an application by its URI and hosts, and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(days=days))
    for extension in _extensions(uri, hosts, key.public_key()):
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()), key


def _extensions(uri: str, hosts: Sequence[str], key: rsa.RSAPublicKey) -> Sequence[x509.ExtensionType]:
    return (
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), *map(_host_name, hosts)]),
        x509.BasicConstraints(ca=False, path_length=None),
        x509.KeyUsage(
            digital_signature=True,
            content_commitment=True,
            key_encipherment=True,
            data_encipherment=True,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        ),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectKeyIdentifier.from_public_key(key),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(key),
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_key(file: Path, key: rsa.RSAPrivateKey) -> None:
    """Write a key that only its owner may read."""
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
