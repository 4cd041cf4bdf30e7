"""The register as readers look things up in it: by tag id, by index, by a word; loaded again when it changed."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.store.state import Row, State


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
    range: tuple[float, float] | None
    states: Mapping[str, Bilingual]
    haystack: str


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
            if sees(entry.hazard_source) and all(word in entry.haystack for word in wanted):
                yield entry


NO_TAGS = Register((), {}, {})


class Catalogue:
    """Keeps the register in memory: a hundred thousand tags are not read from disk for every screen."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._stale = True
        self._register = NO_TAGS

    def forget(self) -> None:
        """Have the next reader load the register again; called on the monitor's thread after a change."""
        self._stale = True

    def register(self) -> Register:
        """Return the register; reads the disk after a change, so call it off the event loop."""
        with self._lock:
            if self._stale:
                self._stale = False
                self._register = _register(self._state.tags())
            return self._register


def _register(rows: list[Row]) -> Register:
    entries = tuple(_entry(row) for row in rows)
    return Register(entries, {e.tag: e for e in entries}, {e.index: e for e in entries})


def _entry(row: Row) -> Entry:
    low, high = row["range_low"], row["range_high"]
    names = (row["tag_id"], row["plant_tag"], row["zh"], row["en"], row["hazard_source"], row["device_zh"])
    return Entry(
        index=row["idx"],
        tag=row["tag_id"],
        node=row["node"],
        device=row["device"],
        point=row["point"],
        hazard_source=row["hazard_source"],
        plant_tag=row["plant_tag"],
        name=Bilingual(row["zh"], row["en"]),
        device_name=Bilingual(row["device_zh"], row["device_en"]),
        unit=row["unit"],
        kind=row["kind"],
        profile=row["profile"],
        confirmed=row["confirmed"],
        range=None if low is None or high is None else (low, high),
        states={key: Bilingual(text["zh"], text["en"]) for key, text in row["states"].items()},
        haystack=" ".join((*names, row["device_en"])).lower(),
    )
