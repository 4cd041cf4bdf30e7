"""From payloads in the log to one batch of columns; no Python per reading."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from davylamp_alarms.batch import Batch
from davylamp_wire.columns import Columns, decode_many
from davylamp_wire.decode import PayloadError
from davylamp_wire.quality import Level, Reason, bad
from numpy.typing import NDArray

from davylamp_cloud.edge_words import Text, stamp_of
from davylamp_cloud.log import Record
from davylamp_cloud.tags import EDGE_ALARMS, NO_TAG, BirthBook

Ints = NDArray[np.int64]
MARK_BITS = (1 << 63) - 1
"""Of a record number so much fits a column."""


Read = Columns | PayloadError
"""What a payload says, or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Told:
    """Whose readings a slice has: of each record its number, its birth, its mark and how many readings are its own.

    A mark stays the same when the same record comes again: its number at the edge, else the log's.
    """

    seqs: Ints
    births: Ints
    marks: Ints
    counts: Ints


@dataclass(frozen=True, slots=True)
class Slice:
    """The readings of consecutive records. `texts` are by position; `unread` are records nobody can decode.

    `unknown` counts readings under an alias their birth does not have.
    """

    batch: Batch
    texts: dict[int, str]
    told: Told
    unread: tuple[int, ...] = ()
    unknown: int = 0
    edge_words: tuple[Text, ...] = ()
    """What edges say of alarms that they decide."""


def slice_of(records: Sequence[Record], births: BirthBook, ahead: Mapping[int, Read] | None = None) -> Slice:
    """Decode records with the births they name; what is no tag is left out. `ahead` has what is decoded already."""
    read = decoded(records, births) if ahead is None else [ahead[record.seq] for record in records]
    parts: list[tuple[NDArray[np.generic], ...]] = []
    heads: list[tuple[int, int, bool, int, int, int]] = []
    texts: dict[int, str] = {}
    unread = []
    words: list[Text] = []
    at = 0
    for record, columns in zip(records, read, strict=True):
        if isinstance(columns, ValueError):
            unread.append(record.seq)
            continue
        tags = births.indices(record.birth, columns.aliases)
        if columns.texts:
            words += _edge_words(record, columns, tags)
            texts.update((at + position, text) for position, text in columns.texts.items())
        parts.append((tags, columns.times_ms, columns.values, columns.qualities))
        mark = record.seq if columns.record is None else columns.record & MARK_BITS
        heads.append((record.seq, record.time_ms, columns.historical, record.birth, mark, len(tags)))
        at += len(tags)
    if not parts:
        nothing = np.empty(0, np.int64)
        return Slice(Batch.concat([]), {}, Told(nothing, nothing, nothing, nothing), tuple(unread))
    return replace(_joined(parts, heads, texts, tuple(unread)), edge_words=tuple(words))


def _edge_words(record: Record, columns: Columns, tags: NDArray[np.generic]) -> Iterator[Text]:
    device = f"{record.node}/{record.device}"
    for place, text in columns.texts.items():
        if tags[place] == EDGE_ALARMS:
            stamp_ms = stamp_of(int(columns.times_ms[place]), record.time_ms)
            yield Text(record.seq, stamp_ms, device, text, columns.historical)


def decoded(records: Sequence[Record], births: BirthBook) -> list[Read]:
    """Return the columns of records, or why one has none."""
    return decode_many(
        [record.body for record in records],
        [births.datatypes(record.birth) for record in records],
        [record.time_ms for record in records],
    )


def _joined(
    parts: list[tuple[NDArray[np.generic], ...]],
    heads: list[tuple[int, int, bool, int, int, int]],
    texts: dict[int, str],
    unread: tuple[int, ...],
) -> Slice:
    tags, times, values, qualities = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    seqs, arrivals, lates, births, marks, counts = zip(*heads, strict=True)
    told = Told(*(np.array(column, np.int64) for column in (seqs, births, marks, counts)))
    batch = Batch.of(
        np.repeat(told.seqs, counts),
        tags,
        times,
        values,
        qualities,
        np.repeat(np.array(lates, np.bool_), counts),
        np.repeat(np.array(arrivals, np.int64), counts),
    )
    known = tags >= 0
    if known.all():
        return Slice(batch, texts, told, unread)
    return kept(Slice(batch, texts, told, unread, int(np.count_nonzero(tags == NO_TAG))), known)


def comparable(found: Slice, others: Mapping[int, frozenset[int]]) -> Slice:
    """Return readings where those in another unit than their tag's are bad: no limit says anything of them (S10).

    `others` are the tags that a birth has in another unit; a tag keeps its unit for life, and a birth never changes.
    """
    births = found.told.births
    if not others or others.keys().isdisjoint(births.tolist()):
        return found
    batch, owner = found.batch, np.repeat(births, found.told.counts)
    odd = np.zeros(len(batch), np.bool_)
    for birth in others.keys() & set(births.tolist()):
        odd |= (owner == birth) & np.isin(batch.tag, list(others[birth]))
    odd &= batch.quality >> 8 < Level.BAD
    quality = np.where(odd, bad(Reason.OTHER_UNIT), batch.quality).astype(batch.quality.dtype)
    return replace(found, batch=replace(batch, quality=quality))


def kept(found: Slice, keep: NDArray[np.bool_]) -> Slice:
    """Return a slice with only those readings."""
    batch, places = found.batch, np.cumsum(keep) - 1
    names = ("seq", "tag", "time_ms", "value", "quality", "late", "arrival_ms")
    columns = [getattr(batch, name)[keep] for name in names]
    texts = {int(places[at]): text for at, text in found.texts.items() if keep[at]}
    told = found.told
    owners = np.repeat(np.arange(len(told.counts)), told.counts)
    counts = np.bincount(owners[keep], minlength=len(told.counts))
    return replace(found, batch=Batch(*columns), texts=texts, told=replace(told, counts=counts))
