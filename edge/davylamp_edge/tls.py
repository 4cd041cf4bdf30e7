"""TLS to the broker: what the config's files make, and every mistake in them."""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from davylamp_edge.config import BrokerConfig, Tls
from davylamp_edge.expiry import first_end_in


class _Encrypted(Exception):
    """A key asks for a pass phrase, and nobody is there to give one."""


def context_of(tls: Tls) -> ssl.SSLContext:
    """Return a context that trusts the given authority, the system's where none is given, and says who we are."""
    context = ssl.create_default_context(cafile=None if tls.ca_file is None else str(tls.ca_file))
    load_own(context, tls)
    return context


def load_own(context: ssl.SSLContext, tls: Tls) -> None:
    """Load our certificate and key; again later, a renewed one counts from the next handshake on.

    Raises: OSError (ssl.SSLError is one) where the files do not fit.
    """
    if tls.cert_file is not None and tls.key_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)


def _no_password() -> str:
    raise _Encrypted


def files_of(broker: BrokerConfig) -> dict[str, Path]:
    """Return the files whose certificates end one day, by what they are."""
    found: dict[str, Path | None] = {}
    if broker.tls is not None:
        found |= {"client": broker.tls.cert_file, "ca": broker.tls.ca_file}
    if broker.standby is not None and broker.standby.tls is not None:
        found |= {"standby_client": broker.standby.tls.cert_file, "standby_ca": broker.standby.tls.ca_file}
    return {name: file for name, file in found.items() if file is not None}


def tls_mistakes(table: Mapping[str, Any], where: str = "broker.tls") -> Iterator[str]:
    """Yield one line per mistake in the files that a table of TLS names. Its shape is looked at elsewhere."""
    sound = True
    for name in ("ca_file", "cert_file"):
        if isinstance(table.get(name), str) and (wrong := _wrong_certificate(Path(table[name]))):
            sound = False
            yield f"{where}.{name}: {table[name]} {wrong}"
    cert, key = table.get("cert_file"), table.get("key_file")
    if sound and isinstance(cert, str) and isinstance(key, str) and (wrong := _wrong_key(Path(cert), Path(key))):
        yield f"{where}.key_file: {key} {wrong}"


def _wrong_certificate(file: Path) -> str | None:
    try:
        first_end_in(file)
    except OSError as error:
        return f"cannot be read ({error.strerror}); name an existing PEM file"
    except ValueError as error:
        return f"{error}; name a PEM file"
    return None


def _wrong_key(cert: Path, key: Path) -> str | None:
    if not key.is_file():
        return "cannot be read (No such file or directory); name an existing PEM file"
    try:
        load_own(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), Tls(cert_file=cert, key_file=key))
    except _Encrypted:
        return "is encrypted, and nobody is there to type its pass phrase; give the key without one, mode 0600"
    except ssl.SSLError as error:
        return f"does not fit cert_file ({error.reason or error}); give the key that belongs to the certificate"
    except OSError as error:
        return f"cannot be read ({error.strerror}); let the edge's user read it"
    return None
