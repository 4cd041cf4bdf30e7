"""What every tag says now, as columns the API reads while the monitor writes.

The monitor is the only writer. A reader may see a tag of the slice before beside one of the slice after, never half a
reading that matters: `read` copies the four cells of a tag under a lock that is held for a whole slice's stores.
"""

import json
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from davylamp_wire.quality import Reason, bad
from numpy.typing import NDArray

NEVER_MS = -1

AHEAD_MS = 1_000
"""A stamp further ahead of its arrival than this says nothing of when it was (SAFETY S2): the arrival stands in for it,
and where the reading came as backlog, which arrives late, nothing does."""

SET_BACK_MS = 5_000
"""What a tag says lies this far ahead of a live reading's arrival where the cloud's clock was set back meanwhile: the
reading is the newer one, whatever the clock says. Arrivals of one clock never differ by so much out of order."""


@dataclass(frozen=True, slots=True)
class Now:
    """A tag's newest reading; `time_ms` is NEVER_MS where none came yet. `text` is the exact text of a string."""

    value: float
    time_ms: int
    quality: int
    arrival_ms: int
    text: str | None


class Live:
    """Newest value, source time, quality and arrival of every tag, by tag index."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._value = np.empty(0, np.float64)
        self._time = np.empty(0, np.int64)
        self._quality = np.empty(0, np.uint16)
        self._arrival = np.empty(0, np.int64)
        self._texts: dict[int, str] = {}

    def __len__(self) -> int:
        return self._count

    def read(self, tag: int) -> Now:
        """Return one tag's newest reading."""
        with self._lock:
            if tag >= self._count:
                return Now(np.nan, NEVER_MS, bad(Reason.NO_VALUE), NEVER_MS, None)
            return Now(
                float(self._value[tag]),
                int(self._time[tag]),
                int(self._quality[tag]),
                int(self._arrival[tag]),
                self._texts.get(tag),
            )

    def columns(self) -> "tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.uint16], NDArray[np.int64]]":
        """Return copies of value, time_ms, quality and arrival_ms of every tag."""
        with self._lock:
            n = self._count
            return self._value[:n].copy(), self._time[:n].copy(), self._quality[:n].copy(), self._arrival[:n].copy()

    def doubted_for(self, reasons: Collection[Reason]) -> list[int]:
        """Return the tags that are not good now for one of these reasons."""
        with self._lock:
            found = np.isin(self._quality[: self._count] & 0xFF, [int(reason) for reason in reasons])
            return [int(index) for index in np.flatnonzero(found)]

    def text(self, tag: int) -> str | None:
        """Return a tag's newest exact text: a string, or an integer above 2**53."""
        return self._texts.get(tag)

    def grow(self, count: int) -> None:
        """Make room for tags born meanwhile; they have no value yet."""
        with self._lock:
            if count <= self._count:
                return
            if count > len(self._value):
                more = max(count, 2 * len(self._value), 1024) - len(self._value)
                self._value = np.concatenate([self._value, np.full(more, np.nan)])
                self._time = np.concatenate([self._time, np.full(more, NEVER_MS, np.int64)])
                self._quality = np.concatenate([self._quality, np.full(more, bad(Reason.NO_VALUE), np.uint16)])
                self._arrival = np.concatenate([self._arrival, np.full(more, NEVER_MS, np.int64)])
            self._count = count

    def store(
        self,
        tags: NDArray[np.int32],
        times_ms: NDArray[np.int64],
        values: NDArray[np.float64],
        qualities: NDArray[np.uint16],
        arrivals_ms: NDArray[np.int64],
        texts: "dict[int, str]",
        late: "NDArray[np.bool_] | None" = None,
    ) -> None:
        """Take readings in log order; one older than what its tag already has changes nothing.

        Of each tag the reading placed last in time stays, of two at one time the later in the log, however the log is
        cut; a live one follows whatever the cloud's clock said before it was set back. `texts` are by position in the
        columns; `late` are those delivered as backlog.
        """
        if not len(tags):
            return
        placed_ms = _placed(times_ms, arrivals_ms)
        late = np.zeros(len(tags), np.bool_) if late is None else late
        order = np.argsort(placed_ms, kind="stable")
        order = order[~(late & (placed_ms != times_ms))[order]]
        with self._lock:
            for part in self._parts(order, tags, placed_ms, arrivals_ms):
                rows = tags[part]
                known_ms = _placed(self._time[rows], self._arrival[rows])
                set_back = ~late[part] & (known_ms > arrivals_ms[part] + SET_BACK_MS)
                newer = part[(placed_ms[part] >= known_ms) | set_back]
                rows = tags[newer]
                self._value[rows] = values[newer]
                self._time[rows] = times_ms[newer]
                self._quality[rows] = qualities[newer]
                self._arrival[rows] = arrivals_ms[newer]
                if texts or self._texts:
                    self._reword(tags, newer, texts)

    def _parts(
        self,
        order: NDArray[np.intp],
        tags: NDArray[np.int32],
        placed_ms: NDArray[np.int64],
        arrivals_ms: NDArray[np.int64],
    ) -> Iterator[NDArray[np.intp]]:
        """Yield readings that are taken at once: all of them, but one by one where the clock was set back."""
        before_ms = np.maximum(np.maximum.accumulate(placed_ms), _placed(self._time[tags], self._arrival[tags]))
        set_back = before_ms > arrivals_ms + SET_BACK_MS
        if not set_back.any():
            yield order
            return
        singly = np.isin(tags, tags[set_back])
        yield order[~singly[order]]
        yield from np.sort(order[singly[order]])[:, np.newaxis]

    def _reword(self, tags: NDArray[np.int32], newer: NDArray[np.intp], texts: dict[int, str]) -> None:
        """Keep the exact text of readings that have one; a reading without takes the text of the one before away."""
        worded = np.fromiter({*self._texts, *(int(tags[position]) for position in texts)}, np.int32)
        for position in newer[np.isin(tags[newer], worded)].tolist():
            tag = int(tags[position])
            if position in texts:
                self._texts[tag] = texts[position]
            else:
                self._texts.pop(tag, None)

    def dump(self) -> dict[str, NDArray[Any] | bytes]:
        """Return everything, for a snapshot."""
        value, times_ms, quality, arrival_ms = self.columns()
        texts = json.dumps(self._texts, ensure_ascii=False).encode()
        return {
            "live/value": value,
            "live/time": times_ms,
            "live/quality": quality,
            "live/arrival": arrival_ms,
            "live/texts": texts,
        }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        with self._lock:
            self._value = np.array(dumped["live/value"], np.float64)
            self._time = np.array(dumped["live/time"], np.int64)
            self._quality = np.array(dumped["live/quality"], np.uint16)
            self._arrival = np.array(dumped["live/arrival"], np.int64)
            self._texts = {int(tag): text for tag, text in json.loads(bytes(dumped["live/texts"])).items()}
            self._count = len(self._value)


def _placed(times_ms: NDArray[np.int64], arrivals_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when readings are taken to be from, against the clock of the cloud."""
    return np.where(times_ms > arrivals_ms + AHEAD_MS, arrivals_ms, times_ms)
