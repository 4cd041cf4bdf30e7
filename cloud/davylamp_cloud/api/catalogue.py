"""The register as readers look things up in it: by tag id, by index, by a word; loaded again when it changed."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from sys import intern
from typing import Any

import numpy as np
from davylamp_wire.point import COMM_OK
from numpy.typing import NDArray
from sqlalchemy import String, case, func, select, type_coerce

from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import State

PAGE = 5000
"""Rows fetched at once."""

READ = (
    "idx", "tag_id", "node", "device", "point", "hazard_source", "plant_tag", "zh", "en", "device_zh", "device_en",
    "unit", "kind", "profile", "confirmed", "range_low", "range_high",
)  # fmt: skip
"""Columns an entry is made of, in the order `_entry` takes them."""

CHUNK = 500
"""Tags asked for in one query: SQLite bounds the number of parameters."""

Watched = Mapping[tuple[str, str], int]
"""How many tags there are, by hazard source and edge node."""

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag as the register has it."""

    index: int
    tag: str
    node: str
    device: str
    point: str
    hazard_source: str
    plant_tag: str
    name: Bilingual
    device_name: Bilingual
    unit: str
    kind: str
    profile: str
    confirmed: bool
    range: Range | None
    states: Mapping[str, Bilingual]
    words: str
    device_words: str
    """What a search looks through beside id and plant tag, in lower case: names and hazard source, its device's."""

    def holds(self, word: str) -> bool:
        """True where a word in lower case is in id, plant tag, names or hazard source."""
        named = word in self.words or word in self.device_words
        return named or word in self.tag.lower() or word in self.plant_tag.lower()


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the register has it; `own` are the indices of its points, `comm` says whether it answers."""

    node: str
    device: str
    hazard_source: str
    name: Bilingual
    profile: str
    confirmed: bool
    comm: int | None
    own: NDArray[np.int64]

    @property
    def tags(self) -> NDArray[np.int64]:
        """All its indices."""
        return self.own if self.comm is None else np.append(self.own, self.comm)


@dataclass(frozen=True, slots=True)
class Register:
    """All tags at one moment."""

    entries: tuple[Entry, ...]
    by_tag: Mapping[str, Entry]
    by_index: Mapping[int, Entry]

    def search(self, words: str, sees: Callable[[str], bool]) -> Iterator[Entry]:
        """Yield the tags that hold every word in id, plant tag, name or hazard source, in the register's order."""
        wanted = words.lower().split()
        for entry in self.entries:
            if sees(entry.hazard_source) and all(entry.holds(word) for word in wanted):
                yield entry


NO_TAGS = Register((), {}, {})


class Catalogue:
    """Keeps the register in memory: a hundred thousand tags are not read from disk for every screen.

    What is kept counts for the change it was read after: where reading fails, or a change comes meanwhile, it is read
    again. An empty list would say that there is nothing.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._change = 1
        self._register, self._register_of = NO_TAGS, 0
        self._named: dict[int, Entry] = {}
        self._devices: tuple[Device, ...] = ()
        self._devices_of = 0

    def forget(self) -> None:
        """Have the next reader load the register again; called on the monitor's thread after a change."""
        self._change += 1

    def some(self, tags: Iterable[str]) -> Register:
        """Return these tags: the whole register where it is here, else they alone, for a start must not wait."""
        with self._lock:
            if self._register_of == self._change:
                return self._register
        found = _register(self._state, sorted(set(tags)))
        with self._lock:
            self._named.update(found.by_index)
        return found

    def known(self, index: int) -> Entry | None:
        """Return a tag as the register had it when it was last read; never reads the disk."""
        return self._named.get(index) or self._register.by_index.get(index)

    def devices(self) -> tuple[Device, ...]:
        """Return every device, by node and name; reads the disk after a change."""
        with self._lock:
            change = self._change
            if self._devices_of != change:
                self._devices = _devices(self._state)
                self._devices_of = change
            return self._devices

    def watched(self) -> Watched:
        """Return how many tags each hazard source has by edge node; reads the disk after a change."""
        count: Counter[tuple[str, str]] = Counter()
        for device in self.devices():
            count[device.hazard_source, device.node] += len(device.tags)
        return count

    def register(self) -> Register:
        """Return the register; reads the disk after a change, so call it off the event loop."""
        with self._lock:
            change = self._change
            if self._register_of != change:
                self._register = _register(self._state)
                self._register_of, self._named = change, {}
            return self._register


def _devices(state: State) -> tuple[Device, ...]:
    """Return every device. Tags of one birth and hazard source are one device's, and the quickest to put together."""
    tags = schema.TAGS
    comm = case((tags.c.point == COMM_OK, tags.c.idx))
    own = case((tags.c.point != COMM_OK, tags.c.idx))
    sums = (func.min(tags.c.idx).label("first"), func.max(comm).label("comm"), func.group_concat(own).label("own"))
    alike = select(*sums).group_by(tags.c.birth, tags.c.hazard_source).subquery()
    place = (tags.c.node, tags.c.device, tags.c.hazard_source)
    words = (tags.c.device_zh, tags.c.device_en, tags.c.profile, tags.c.confirmed)
    query = select(*place, *words, alike.c.comm, alike.c.own).join(alike, alike.c.first == tags.c.idx)
    with state.reading() as connection:
        found = connection.execute(query.order_by(*place, tags.c.birth.desc())).all()
    return tuple(_device(list(rows)) for _, rows in groupby(found, itemgetter(0, 1, 2)))


def _device(rows: Sequence[Any]) -> Device:
    """Return the device that some births describe, newest first; older ones have points it no longer has."""
    node, device, source, zh, en, profile, *_ = rows[0]
    confirmed = all(row.confirmed for row in rows)
    comm = max((row.comm for row in rows if row.comm is not None), default=None)
    own = np.concatenate([np.fromstring(row.own or "", np.int64, sep=",") for row in rows])
    return Device(node, device, source, Bilingual(zh, en), profile, confirmed, comm, own)


def _register(state: State, only: Sequence[str] | None = None) -> Register:
    """Return all tags, or those that are named."""
    tags = schema.TAGS
    columns = [tags.c[name] for name in READ]
    query = select(*columns, type_coerce(tags.c.states, String)).order_by(tags.c.idx)
    chunks = [None] if only is None else [only[at : at + CHUNK] for at in range(0, len(only), CHUNK)]
    queries = (query if chunk is None else query.where(tags.c.tag_id.in_(chunk)) for chunk in chunks)
    with state.reading() as connection:
        pages = (page for one in queries for page in connection.execute(one).partitions(PAGE))
        entries = tuple(_entry(row) for page in pages for row in page)
    return Register(entries, {e.tag: e for e in entries}, {e.index: e for e in entries})


def _entry(row: Any) -> Entry:
    """Return a row of READ and states as an entry; what many tags say alike is kept once."""
    index, tag, node, device, point, source, plant, zh, en, device_zh, device_en, unit, kind, *rest = row
    profile, confirmed, low, high, states = rest
    return Entry(
        index,
        tag,
        intern(node),
        intern(device),
        intern(point),
        intern(source),
        intern(plant),
        _both(zh, en),
        _both(device_zh, device_en),
        intern(unit),
        intern(kind),
        intern(profile),
        confirmed,
        _range(low, high),
        _states(states),
        _words(zh, en, source),
        _words(device_zh, device_en, ""),
    )


@lru_cache(maxsize=1 << 14)
def _both(zh: str, en: str) -> Bilingual:
    return Bilingual(zh, en)


@lru_cache(maxsize=1 << 12)
def _range(low: float | None, high: float | None) -> Range | None:
    return None if low is None or high is None else (low, high)


@lru_cache(maxsize=1 << 12)
def _states(text: str) -> Mapping[str, Bilingual]:
    return {key: Bilingual(said["zh"], said["en"]) for key, said in json.loads(text).items()}


@lru_cache(maxsize=1 << 14)
def _words(*words: str) -> str:
    return " ".join(words).lower()
