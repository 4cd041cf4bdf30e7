"""Certificates: whom to trust, and whether our own will do. There is no trust on first use.

A server is trusted when its very certificate lies in the trust folder, or when an authority that lies there has issued
it for this host and application. What is refused is put into ``rejected/`` there, for a person to look at and move.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

CERTIFICATES = (".der", ".crt", ".cer", ".pem")
REVOCATIONS = ".crl"
REJECTED = "rejected"


class Untrusted(Exception):
    """A server showed a certificate that nobody here vouches for."""


@dataclass(frozen=True, slots=True)
class TrustFolder:
    """The certificates and revocation lists of one folder."""

    folder: Path
    certificates: Sequence[x509.Certificate]
    revocations: Sequence[x509.CertificateRevocationList]

    @classmethod
    def read(cls, folder: Path) -> "TrustFolder":
        """Read a folder. Raises: ValueError or OSError, with the file that cannot be read in the message."""
        files = sorted(file for file in folder.iterdir() if file.is_file())
        certificates = [certificate_in(file) for file in files if file.suffix.lower() in CERTIFICATES]
        revocations = [_revocations_in(file) for file in files if file.suffix.lower() == REVOCATIONS]
        return cls(folder, certificates, revocations)

    def until(self, certificate: x509.Certificate) -> datetime:
        """Return when trust in a certificate ends: with itself, or before with the last authority that vouches for it.

        One that nobody vouches for ends by itself.
        """
        own = certificate.not_valid_after_utc
        if certificate in self.certificates:
            return own
        vouching = [each.not_valid_after_utc for each in self.certificates if _signed(each, certificate)]
        return min(own, max(vouching, default=own))

    def check(self, certificate: x509.Certificate, application_uri: str, host: str, now: datetime) -> None:
        """Raise `Untrusted` unless this server's certificate may be talked to."""
        why = self._doubt(certificate, application_uri, host, now)
        if why is not None:
            place = self._put_aside(certificate)
            raise Untrusted(f"{named(certificate)} {why}; look at {place}, and move it into {self.folder} to trust it")

    def _doubt(self, certificate: x509.Certificate, application_uri: str, host: str, now: datetime) -> str | None:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return f"is valid from {_day(certificate.not_valid_before_utc)} to {_day(certificate.not_valid_after_utc)}"
        if any(_revoked(certificate, revocations) for revocations in self.revocations):
            return "was revoked"
        if certificate in self.certificates:
            return None
        if not any(_issued(authority, certificate, now) for authority in self.certificates):
            return "is not trusted"
        if application_uri not in uris_of(certificate):
            return f"was issued to another application than {application_uri}"
        return None if host in _hosts_of(certificate) else f"was issued to another host than {host}"

    def _put_aside(self, certificate: x509.Certificate) -> Path:
        place = self.folder / REJECTED / f"{fingerprint(certificate)[:16]}.der"
        try:
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
        except OSError:
            pass  # a folder that cannot be written to is no reason to trust, and the message says enough
        return place


def certificate_in(file: Path) -> x509.Certificate:
    """Return the certificate in a PEM or DER file. Raises: OSError, ValueError with the file's name."""
    content = file.read_bytes()
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificate(content)
        return x509.load_der_x509_certificate(content)
    except ValueError:
        raise ValueError(f"{file} is no certificate; it takes one in PEM or DER") from None


def key_in(file: Path) -> RSAPrivateKey:
    """Return the private key in a PEM or DER file. Raises: OSError, ValueError with the file's name."""
    content = file.read_bytes()
    load = serialization.load_pem_private_key if b"-----BEGIN" in content else serialization.load_der_private_key
    try:
        key = load(content, password=None)
    except (ValueError, TypeError):
        raise ValueError(f"{file} is no private key without a password; it takes one in PEM or DER") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{file} is no RSA key, and OPC UA's policies take no other")
    return key


def pair_problems(certificate_file: Path, key_file: Path) -> Iterator[str]:
    """Yield what is wrong with a certificate of our own and its key.

    Not that it has ended: an edge that would not start for it would be blind to all its other devices.
    """
    try:
        certificate, key = certificate_in(certificate_file), key_in(key_file)
    except (OSError, ValueError) as error:
        yield _said(error)
        return
    if certificate.public_key() != key.public_key():
        yield f"{key_file} is not the key of {certificate_file}"
    if key.key_size < 2048:
        yield f"{key_file} has {key.key_size} bits; the policies take 2048 to 4096"


def application_uri_problems(certificate_file: Path) -> Iterator[str]:
    """Yield what is wrong with the name a certificate gives its application: servers compare it with what we say."""
    try:
        found = uris_of(certificate_in(certificate_file))
    except (OSError, ValueError):
        return  # `pair_problems` has named it
    if len(found) != 1:
        yield (
            f"{certificate_file} names {len(found)} application URIs (subjectAltName URI) and needs one;"
            " davylamp-edge certificate makes such a certificate"
        )


def folder_problems(folder: Path) -> Iterator[str]:
    """Yield what is wrong with a trust folder."""
    try:
        found = TrustFolder.read(folder)
    except (OSError, ValueError) as error:
        yield _said(error)
        return
    if not found.certificates:
        yield f"{folder} holds no certificate ({', '.join(CERTIFICATES)}), so no server is trusted; put the server's in"


def first_in(chain: bytes | None) -> x509.Certificate | None:
    """Return the server's own certificate of what an endpoint shows, DER: its issuers may stand behind it."""
    if not chain:
        return None
    length_bytes = chain[1] & 0x7F if chain[1] & 0x80 else 0
    body = int.from_bytes(chain[2 : 2 + length_bytes], "big") if length_bytes else chain[1]
    return x509.load_der_x509_certificate(chain[: 2 + length_bytes + body])


def uris_of(certificate: x509.Certificate) -> list[str]:
    """Return the application URIs a certificate names."""
    names = _alternative_names(certificate)
    return names.get_values_for_type(x509.UniformResourceIdentifier) if names else []


def fingerprint(certificate: x509.Certificate) -> str:
    """Return a certificate's SHA-256, as certificate viewers show it."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def named(certificate: x509.Certificate) -> str:
    """Return a certificate as a person tells it from others."""
    return f"certificate {certificate.subject.rfc4514_string()} (SHA-256 {fingerprint(certificate)})"


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _hosts_of(certificate: x509.Certificate) -> set[str]:
    names = _alternative_names(certificate)
    if names is None:
        return set()
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


def _issued(authority: x509.Certificate, certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether an authority, valid now, has signed a certificate."""
    return _signed(authority, certificate) and authority.not_valid_before_utc <= now <= authority.not_valid_after_utc


def _signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Return whether an authority has signed a certificate."""
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(authority)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return constraints.ca


def _revoked(certificate: x509.Certificate, revocations: x509.CertificateRevocationList) -> bool:
    same_issuer = revocations.issuer == certificate.issuer
    return same_issuer and revocations.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def _revocations_in(file: Path) -> x509.CertificateRevocationList:
    content = file.read_bytes()
    try:
        return x509.load_pem_x509_crl(content) if b"-----BEGIN" in content else x509.load_der_x509_crl(content)
    except ValueError:
        raise ValueError(f"{file} is no revocation list; it takes one in PEM or DER") from None


def _day(when: datetime) -> str:
    return when.astimezone(UTC).date().isoformat()


def _said(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename} cannot be read ({error.strerror})"
    return str(error)
