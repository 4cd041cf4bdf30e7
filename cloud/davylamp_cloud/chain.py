"""The hash chain: who did what, when, from what to what, so that no row can be changed in silence (SAFETY S29).

One chain per hazard source over its transitions, and one over the audit rows. A row's hash is SHA-256 over the hash
of the row before it and the canonical JSON of everything else in the row. A head per chain remembers number and hash
of the newest row, so that a missing tail shows as well.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

GENESIS = "0" * 64
HASHES = ("prev_hash", "hash")
NO_DEFAULTS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row of a chain."""

    number: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Break:
    """The first row where a chain does not hold, and why."""

    chain: str
    number: int
    reason: str


_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(values: Mapping[str, Any]) -> str:
    """Return values as JSON that is the same on every machine: sorted keys, no spaces, UTF-8, no NaN."""
    return _WRITER.encode(values)


def mark_of(head: Head, *what: object) -> str:
    """Return ten characters that the next row of this chain has for this content, and for no other.

    They follow from all rows before it as well: two copies of a chain that went different ways never share them.
    """
    said = "\n".join([head.hash, *map(str, what)])
    return hashlib.sha256(said.encode()).hexdigest()[:10]


def link(head: Head, row: Mapping[str, Any], later: Mapping[str, Any] = NO_DEFAULTS) -> tuple[dict[str, Any], Head]:
    """Return a row with its two hashes, and the head after it; `later` as for `content_of`."""
    digest = hash_of(head.hash, content_of(row, later))
    return {**row, "prev_hash": head.hash, "hash": digest}, Head(head.number + 1, digest)


def content_of(row: Mapping[str, Any], later: Mapping[str, Any] = NO_DEFAULTS) -> dict[str, Any]:
    """Return what of a row is hashed.

    `later` are columns that came after rows were stored, with their defaults: a default is left out, so that the hash
    of a row from before still holds, and a value that was changed to its default is still found.
    """
    content = {**row}
    for name in (*HASHES, *(name for name, default in later.items() if row.get(name) == default)):
        content.pop(name, None)
    return content


def hash_of(previous: str, content: Mapping[str, Any]) -> str:
    """Return the hash of a row's content after the hash of the row before it."""
    return hashlib.sha256(f"{previous}\n{canonical(content)}".encode()).hexdigest()


def first_break(
    chain: str,
    rows: Iterable[Mapping[str, Any]],
    number: str,
    stored: Head | None,
    later: Mapping[str, Any] = NO_DEFAULTS,
) -> Break | None:
    """Return where a chain first does not hold; None where it holds to its stored head.

    `rows` come in the order of their numbers, from 1; `number` names that column; `later` as for `content_of`.
    """
    head = Head()
    for row in rows:
        found = _fault(head, row, row[number], later)
        if found:
            return Break(chain, min(row[number], head.number + 1), found)
        head = Head(head.number + 1, row["hash"])
    if stored is None and head.number:
        return Break(chain, head.number, "the chain has rows and no head")
    if stored is not None and stored.number != head.number:
        return Break(chain, head.number + 1, f"rows after {head.number} are missing: the head is {stored.number}")
    if stored is not None and stored.hash != head.hash:
        return Break(chain, head.number, "the newest row is not the one the head remembers")
    return None


def _fault(head: Head, row: Mapping[str, Any], number: int, later: Mapping[str, Any]) -> str | None:
    if number != head.number + 1:
        return f"row {head.number + 1} is missing" if number > head.number + 1 else f"row {number} is there twice"
    if row["prev_hash"] != head.hash:
        return "does not follow the row before it"
    if row["hash"] != hash_of(head.hash, content_of(row, later)):
        return "was changed after it was written"
    return None
