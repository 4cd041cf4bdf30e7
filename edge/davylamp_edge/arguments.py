"""What a person may give on the command line besides words: numbers within bounds, names a certificate can carry."""

import argparse
import math
from collections.abc import Callable

URI_LENGTH = 64
"""Longest application URI: it is the certificate's common name as well (X.520, ub-common-name)."""


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reading of whole numbers between two, both included."""

    def read(written: str) -> int:
        number = int(written) if written.strip().isascii() and written.strip().lstrip("-").isdigit() else low - 1
        if not low <= number <= high:
            raise _refused(written, f"{low} to {high}", f"{low} 至 {high}")
        return number

    return read


def seconds(most: float) -> Callable[[str], float]:
    """Return a reading of seconds above zero."""

    def read(written: str) -> float:
        try:
            number = float(written)
        except ValueError:
            number = math.nan
        if not 0 < number <= most:
            raise _refused(written, f"seconds above 0, at most {most:g}", f"大于 0、至多 {most:g} 的秒数")
        return number

    return read


def application_uri(written: str) -> str:
    """Return an application URI that a certificate can carry."""
    if not (written.isascii() and written.isprintable() and ":" in written and len(written) <= URI_LENGTH):
        some = f"like urn:plant:edge-1, plain ASCII, at most {URI_LENGTH} characters"
        raise _refused(written, some, f"形如 urn:plant:edge-1，仅 ASCII，至多 {URI_LENGTH} 个字符")
    return written


def host_name(written: str) -> str:
    """Return a host's name or address that a certificate can carry."""
    if not (written.isascii() and written.isprintable() and written and " " not in written):
        raise _refused(written, "a host name or IP address in plain ASCII", "仅 ASCII 的主机名或 IP 地址")
    return written


def _refused(written: str, en: str, zh: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"{written!r}: give {en}（请给{zh}）")
