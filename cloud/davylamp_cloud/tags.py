"""Tags and births: which column an alias means.

A tag gets a dense index the first time a birth names it, and keeps it for ever; index and birth are written in the
transaction of the birth's record. A birth is immutable: every later data record names the birth it must be read with.
"""

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from davylamp_wire.payload import LOCAL_ALARM
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]

NO_TAG = -1
"""An alias its birth does not know."""

CONTROL = -2
"""An alias of the edge itself, no tag: record number, hole, clock."""

EDGE_ALARMS = -3
"""The alias under which an edge says what it decides of its alarms."""

DENSE = 1 << 20
"""Widest span of aliases that is looked up in a table; wider ones (foreign edges) are searched."""


@dataclass(frozen=True, slots=True)
class Named:
    """A metric of a birth. The edge's own metrics have no tag id, and their own name for a point."""

    alias: int
    datatype: int
    point: str = ""
    tag_id: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a birth says, apart from its values: `digest` is the same each time the same is said."""

    node: str
    device: str
    own: bool
    description: str
    metrics: tuple[Named, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Birth:
    """What one node or device said it is. `indices[i]` is the tag index of `aliases[i]`."""

    id: int
    node: str
    device: str
    digest: str
    payload: bytes
    description: str
    aliases: tuple[int, ...]
    indices: tuple[int, ...]
    names: tuple[str, ...]
    types: tuple[int, ...]
    at_ms: int
    own: bool = True
    new_tags: tuple[tuple[int, str], ...] = ()

    def row(self) -> tuple[int, str, str, str, bytes, str, bytes, bytes, str, bytes, int, bool]:
        """Return the birth as a row of the births table."""
        aliases = np.array(self.aliases, np.int64).tobytes()
        indices = np.array(self.indices, np.int32).tobytes()
        names = json.dumps(self.names, ensure_ascii=False)
        types = np.array(self.types, np.int32).tobytes()
        head = (self.id, self.node, self.device, self.digest, self.payload, self.description)
        return (*head, aliases, indices, names, types, self.at_ms, self.own)


@dataclass(frozen=True, slots=True)
class Lookup:
    """From alias to what one birth says of it: a table where aliases lie close, else a sorted search."""

    base: int
    table: Int32s
    sorted_aliases: Int64s
    sorted_values: Int32s
    fill: int

    @classmethod
    def of(cls, aliases: Sequence[int], values_by_alias: Sequence[int], fill: int) -> "Lookup":
        keys = np.array(aliases, np.int64)
        values = np.array(values_by_alias, np.int32)
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
        base = int(keys[0]) if len(keys) else 0
        span = int(keys[-1]) - base + 1 if len(keys) else 0
        table = np.full(span + 1 if span <= DENSE else 0, fill, np.int32)
        if len(table):
            table[keys - base] = values
        return cls(base, table, keys, values, fill)

    def values(self, aliases: Int64s) -> Int32s:
        """Return what the birth says of each alias; the fill where it does not know it."""
        if len(self.table):
            offsets = aliases - self.base
            offsets[(offsets < 0) | (offsets >= len(self.table))] = len(self.table) - 1
            return self.table[offsets]
        if not len(self.sorted_aliases):
            return np.full(len(aliases), self.fill, np.int32)
        places = np.minimum(np.searchsorted(self.sorted_aliases, aliases), len(self.sorted_aliases) - 1)
        found = self.sorted_aliases[places] == aliases
        return np.where(found, self.sorted_values[places], self.fill).astype(np.int32)


STORED = """
SELECT id, node, device, digest, x'', '', aliases, indices, names, types, at_ms, own FROM births WHERE id = ?
"""
"""A birth as `birth_of` takes it, without payload and description."""


@dataclass(slots=True)
class BirthBook:
    """All tags and births, in memory. Only the thread that receives births may introduce new ones.

    Readers on other threads only look up ids that are already in records on disk, and a birth is in the book before
    its record is. Births of the log's file are read and made into lookups when they are first asked for: a start must
    not wait for all of them. Two threads that ask at once make the same.
    """

    tag_ids: list[str] = field(default_factory=list)
    _index: dict[str, int] = field(default_factory=dict)
    _births: dict[int, Birth] = field(default_factory=dict)
    _lookups: dict[int, Lookup] = field(default_factory=dict)
    _types: dict[int, Lookup] = field(default_factory=dict)
    _by_digest: dict[str, int] = field(default_factory=dict)
    _unread: set[int] = field(default_factory=set)
    _read: Callable[[int], Sequence[object]] | None = None
    _newest: int = 0
    _asked: dict[int, tuple[bytes, Int32s]] = field(default_factory=dict)
    """What each birth was asked last: a device says the same tags scan after scan."""

    @classmethod
    def load(cls, connection: sqlite3.Connection, read: Callable[[int], Sequence[object]]) -> "BirthBook":
        """Return the book as the log's file has it; `read` gives the row of a birth, on any thread."""
        book = cls(_read=read)
        book.tag_ids = _numbered(connection.execute("SELECT idx, tag_id FROM tags ORDER BY idx"))
        book._index = {tag: place for place, tag in enumerate(book.tag_ids)}
        book._by_digest = dict(connection.execute("SELECT digest, id FROM births"))
        book._unread = set(book._by_digest.values())
        book._newest = max(book._unread, default=0)
        return book

    def __len__(self) -> int:
        return len(self.tag_ids)

    def index(self, tag_id: str) -> int | None:
        """Return the index of a tag, None where it was never born."""
        return self._index.get(tag_id)

    def get(self, birth: int) -> Birth:
        """Return a birth by its id, without payload and description."""
        found = self._births.get(birth)
        return self._made(birth) if found is None else found

    def numbers(self) -> list[int]:
        """Return the number of every birth, oldest first."""
        return sorted({*self._births, *self._unread})

    def latest(self) -> Mapping[tuple[str, str], Birth]:
        """Return the newest birth of each (node, device); a node's own birth has device ``""``."""
        births = (self.get(number) for number in self.numbers())
        return {(birth.node, birth.device): birth for birth in births}

    def indices(self, birth: int, aliases: Int64s) -> Int32s:
        """Return the tag index of each alias as that birth meant it, not to be written; NO_TAG where it has none."""
        if birth in self._unread:
            self._made(birth)
        lookup = self._lookups.get(birth)
        if lookup is None:
            return np.full(len(aliases), NO_TAG, np.int32)
        asked = aliases.tobytes()
        before = self._asked.get(birth)
        if before is not None and before[0] == asked:
            return before[1]
        found = lookup.values(aliases.copy())
        found.flags.writeable = False
        self._asked[birth] = asked, found
        return found

    def datatypes(self, birth: int) -> Callable[[Int64s], Int32s] | None:
        """Return what tells the Sparkplug datatypes of aliases; only it tells a negative integer from a large one."""
        if birth in self._unread:
            self._made(birth)
        lookup = self._types.get(birth)
        return None if lookup is None else lookup.values

    def known(self, digest: str) -> Birth | None:
        """Return the birth that said exactly the same, if there was one: it is stored once."""
        found = self._by_digest.get(digest)
        return None if found is None else self.get(found)

    def introduce(self, said: "Said", payload: bytes, at_ms: int) -> Birth:
        """Take a birth on and return it with the tags that are new; the caller writes it with its record.

        One that no column holds takes no number: a number that is never written would shift all tags of the next start.
        """
        names = (metric.tag_id for metric in said.metrics if metric.tag_id and metric.tag_id not in self._index)
        new = dict(zip(dict.fromkeys(names), itertools.count(len(self.tag_ids)), strict=False))
        birth = Birth(
            id=self._newest + 1,
            node=said.node,
            device=said.device,
            digest=said.digest,
            payload=payload,
            description=said.description,
            aliases=tuple(metric.alias for metric in said.metrics),
            indices=tuple(self._number(metric, new) for metric in said.metrics),
            names=tuple(metric.point for metric in said.metrics),
            types=tuple(metric.datatype for metric in said.metrics),
            at_ms=at_ms,
            own=said.own,
            new_tags=tuple((number, name) for name, number in new.items()),
        )
        lookups = _lookups_of(birth)
        self._index.update(new)
        self.tag_ids.extend(new)
        self._keep(birth, *lookups)
        return birth

    def _number(self, metric: Named, new: Mapping[str, int]) -> int:
        if not metric.tag_id:
            return EDGE_ALARMS if metric.point == LOCAL_ALARM else CONTROL
        return new[metric.tag_id] if metric.tag_id in new else self._index[metric.tag_id]

    def _keep(self, birth: Birth, tags: Lookup, types: Lookup) -> None:
        """Keep what readers look up; payload and description stay on disk (`Log.birth` has them)."""
        self._lookups[birth.id] = tags
        self._types[birth.id] = types
        self._births[birth.id] = replace(birth, payload=b"", description="", new_tags=())
        self._by_digest[birth.digest] = birth.id
        self._newest = max(self._newest, birth.id)

    def number_on(self, tag_ids: Sequence[str], births: int) -> None:
        """Take on tags after the last one, and give no number of a birth up to this again."""
        self._index.update(zip(tag_ids, range(len(self.tag_ids), len(self.tag_ids) + len(tag_ids)), strict=True))
        self.tag_ids.extend(tag_ids)
        if births > self._newest:  # never back: births may come in meanwhile
            self._newest = births

    def _made(self, number: int) -> Birth:
        """Make a stored birth's lookups; only then is it no longer among the unread ones."""
        if number in self._unread:
            assert self._read is not None
            birth = birth_of(self._read(number))
            self._keep(birth, *_lookups_of(birth))
            self._unread.discard(number)
        return self._births[number]


def lost_tag(number: int) -> str:
    """Return the name that stands in for a tag nobody knows the name of."""
    return f"lost/lost/lost/{number}"


def _numbered(rows: Iterable[tuple[int, str]]) -> list[str]:
    """Return tags, each at its number. One whose birth was never written leaves its number to nobody else."""
    names: list[str] = []
    for number, name in rows:
        names.extend(lost_tag(missing) for missing in range(len(names), number))
        names.append(name)
    return names


def _lookups_of(birth: Birth) -> tuple[Lookup, Lookup]:
    """Return what tells the tags of a birth's aliases, and what their datatypes; raises where no column holds them."""
    return Lookup.of(birth.aliases, birth.indices, NO_TAG), Lookup.of(birth.aliases, birth.types, 0)


def birth_of(row: Sequence[object]) -> Birth:
    """Return a row of the births table as a birth."""
    identity, node, device, digest, payload, description, aliases, indices, names, types, at_ms, own = row
    assert isinstance(aliases, bytes)
    assert isinstance(indices, bytes)
    assert isinstance(types, bytes)
    assert isinstance(payload, bytes)
    return Birth(
        id=int(str(identity)),
        node=str(node),
        device=str(device),
        digest=str(digest),
        payload=payload,
        description=str(description),
        aliases=tuple(np.frombuffer(aliases, np.int64).tolist()),
        indices=tuple(np.frombuffer(indices, np.int32).tolist()),
        names=tuple(json.loads(str(names))),
        types=tuple(np.frombuffer(types, np.int32).tolist()),
        at_ms=int(str(at_ms)),
        own=bool(own),
    )
