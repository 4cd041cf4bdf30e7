"""When certificates end: read, counted in days, and said 30, 7 and 1 days ahead.

One date of each is all that is wanted, so it is read from the DER itself: a gateway without OPC UA carries no
cryptography library.
"""

import re
import ssl
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

DAY_MS = 86_400_000
WARN_DAYS = (1, 7, 30)

_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18
_BEFORE_VALIDITY = 3
"""Serial number, signature algorithm and issuer stand before it; the version too, except in version 1."""


def end_of(der: bytes) -> int:
    """Return when a certificate ends, in ms UTC.

    Raises: ValueError where it is no certificate. Source: RFC 5280, 4.1.
    """
    try:
        _, start, _ = _element(der, 0)
        _, at, _ = _element(der, start)
        tag, _, end = _element(der, at)
        at = end if tag == _VERSION else at
        for _ in range(_BEFORE_VALIDITY):
            at = _element(der, at)[2]
        _, not_before, _ = _element(der, at)
        tag, start, end = _element(der, _element(der, not_before)[2])
        return _time_ms(tag, der[start:end].decode("ascii"))
    except (IndexError, ValueError) as error:
        raise ValueError(f"is no X.509 certificate ({error})") from None


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag of the DER element at a place, and where its content begins and ends."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size], "big"), start + size
    if start + length > len(der):
        raise ValueError("it is cut off")
    return der[at], start, start + length


def _time_ms(tag: int, text: str) -> int:
    if tag == _UTC_TIME:  # two digits of the year: 50 to 99 are the last century's (RFC 5280, 4.1.2.5.1)
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError(f"a time has tag {tag:#x}")
    return int(datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp() * 1000)


def first_end_in(file: Path) -> int:
    """Return when the first of a PEM file's certificates ends. Raises: OSError, or ValueError where there is none."""
    found = _PEM.findall(file.read_text(encoding="ascii", errors="replace"))
    if not found:
        raise ValueError("has no certificate in PEM form in it")
    return min(end_of(ssl.PEM_cert_to_DER_cert(pem)) for pem in found)


def end_in(file: Path) -> int:
    """Return when the certificate in a PEM or DER file ends. Raises: OSError, or ValueError where there is none."""
    content = file.read_bytes()
    return end_of(content) if content[:1] == _SEQUENCE else first_end_in(file)


_SEQUENCE = b"\x30"


class Certificates:
    """The ends that are known, from files and from what the other side, ``peer``, has shown in a handshake.

    Safe from several threads: the broker's comes from paho's.
    """

    def __init__(self, peer: str = "the broker", read: Callable[[Path], int] = first_end_in) -> None:
        self._peer = peer
        self._read = read
        self._lock = threading.Lock()
        self._ends: dict[str, int] = {}
        self._said: dict[str, int] = {}
        self._unread: set[str] = set()

    def look(self, files: Mapping[str, Path], now_ms: int) -> None:
        """Read files anew, and count the days of all that is known; one that cannot be read keeps the end it had."""
        for name, file in files.items():
            try:
                self.found(name, self._read(file), now_ms)
                self._unread.discard(name)
            except (OSError, ValueError) as error:
                if name not in self._unread:
                    log.warning("certificate cannot be read", certificate=name, file=str(file), error=str(error))
                self._unread.add(name)
        for name, end_ms in list(self._ends.items()):
            self.found(name, end_ms, now_ms)

    def saw(self, name: str, der: bytes, now_ms: int) -> None:
        """Take a certificate that came in a handshake."""
        self.found(name, end_of(der), now_ms)

    def found(self, name: str, end_ms: int, now_ms: int) -> None:
        """Take an end, and say it where another of the days ahead has come, or where it has moved away again."""
        days = (end_ms - now_ms) / DAY_MS
        with self._lock:
            self._ends[name] = end_ms
            due = _due(days)
            said = self._said.get(name, _NEVER)
            self._said[name] = due
        if due != said:
            self._say(name, days, end_ms, nearer=due < said)

    def keep(self, names: Collection[str]) -> None:
        """Forget all but these: a config may name others now."""
        with self._lock:
            for name in self._ends.keys() - set(names):
                del self._ends[name]
                self._said.pop(name, None)

    def days(self, now_ms: int) -> dict[str, float]:
        """Return the days left of each certificate, below zero where it has ended."""
        with self._lock:
            return {name: round((end_ms - now_ms) / DAY_MS, 2) for name, end_ms in self._ends.items()}

    def _say(self, name: str, days: float, end_ms: int, *, nearer: bool) -> None:
        ends = datetime.fromtimestamp(end_ms / 1000, UTC).isoformat(timespec="minutes")
        if not nearer:
            log.info("certificate renewed", certificate=name, days=round(days, 1), ends=ends)
        elif days <= 0:
            log.error(f"certificate has ended, {self._peer} is refused or refuses us", certificate=name, ends=ends)
        else:
            log.warning("certificate ends soon, renew it", certificate=name, days=round(days, 1), ends=ends)


_NEVER = 1 << 30


def _due(days: float) -> int:
    """Return the lowest of the days ahead that has come: 0 once it has ended."""
    return 0 if days <= 0 else next((ahead for ahead in WARN_DAYS if days <= ahead), _NEVER)
