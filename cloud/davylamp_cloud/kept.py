"""What is compiled from a file of the package while it runs, kept where Python keeps the package's own bytecode.

A start need not compile it again. Where that folder cannot be written, or Python is told to write none, nothing is
kept; what is damaged is not there.
"""

import hashlib
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

DIGEST = hashlib.sha256().digest_size


def kept(source: Path, mark: str) -> bytes | None:
    """Return what was kept of a file under a mark that says all it was made with, None where that is not there."""
    with suppress(OSError, NotImplementedError):
        said = _place(source).read_bytes()
        if said[:DIGEST] == _digest(mark, said[DIGEST:]):
            return said[DIGEST:]
    return None


def keep(source: Path, mark: str, made: bytes) -> None:
    """Keep what was made of a file, whole or not at all."""
    if sys.dont_write_bytecode:
        return
    with suppress(OSError, NotImplementedError):
        place = _place(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(place.name + ".part")
        part.write_bytes(_digest(mark, made) + made)
        part.replace(place)


def _place(source: Path) -> Path:
    return Path(cache_from_source(str(source))).with_suffix(f"{source.suffix}.kept")


def _digest(mark: str, made: bytes) -> bytes:
    return hashlib.sha256(mark.encode() + b"\0" + made).digest()
