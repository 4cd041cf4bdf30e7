"""Whose records the engine fails on, and who is left out for a while because of it (SAFETY S14).

A device whose records fail again and again must cost neither a restart of the cloud nor the time of all others: after
so many its readings are set aside unseen, for a minute at a time. Its tags then fall silent, which is an alarm of their
own. Where nobody else's readings are evaluated meanwhile, where many such devices fail at once, or where records of the
cloud itself do, it is the engine's fault.
"""

from collections import deque
from collections.abc import Sequence
from enum import StrEnum

from davylamp_cloud.log import Record, RecordKind

MOST_OF_ONE = 20
"""More records of one source than this set aside within `WITHIN_S`, and it is left out."""
WITHIN_S = 600.0
REST_S = 60.0
"""How long readings of a source are left out; where they kill the process, as long as they count."""
MOST_SOURCES = 10
"""More sources than this left out at once are no source's fault."""
DEADLY = 7
"""A record that killed the process counts for so many: each has cost three starts."""

Source = tuple[str, str]
CLOUD: Source = ("", "")


class Verdict(StrEnum):
    """What follows from a record that was set aside."""

    GO_ON = "go on"
    LEAVE_OUT = "leave out"
    """Its source, for a while."""
    HOPELESS = "hopeless"


def source_of(record: Record) -> Source:
    """Return the node and device that a record comes from; everything else is the cloud's own.

    Of changes, only what an edge's birth says of its own alarms names a device.
    """
    theirs = record.kind in (RecordKind.DATA, RecordKind.BIRTH) or (record.kind is RecordKind.CHANGE and record.device)
    return (record.node, record.device) if theirs else CLOUD


class Blame:
    """Counts what was set aside by source. Times are seconds of a clock that nobody sets."""

    def __init__(self) -> None:
        self._failures: dict[Source, deque[float]] = {}
        self._rests_until: dict[Source, float] = {}
        self._lived: set[Source] = set()
        """Sources whose readings were evaluated since the first failure."""

    def lived(self, records: Sequence[Record]) -> None:
        """Take note of records that were evaluated; costs nothing before the first failure."""
        if self._failures:
            self._lived |= {source_of(record) for record in records if record.kind is RecordKind.DATA}

    def failed(self, source: Source, now_s: float, weight: int = 1) -> Verdict:
        """Count a record that was set aside because the engine failed on it; return what follows."""
        failures = self._failures.setdefault(source, deque(maxlen=MOST_OF_ONE + 1))
        failures.extend([now_s] * weight)
        if len(failures) <= MOST_OF_ONE or now_s - failures[0] >= WITHIN_S:
            return Verdict.GO_ON
        if source == CLOUD:
            return Verdict.HOPELESS
        self._rests_until[source] = now_s + (WITHIN_S if weight >= DEADLY else REST_S)
        resting = self._resting(now_s)
        return Verdict.LEAVE_OUT if len(resting) <= MOST_SOURCES and self._lived - resting else Verdict.HOPELESS

    def split(self, records: list[Record], now_s: float) -> tuple[list[Record], list[Record]]:
        """Return the first records that are readings of sources left out now; where there are none, those before such.

        A birth is never left out: what comes later must be read with it.
        """
        resting = self._resting(now_s)
        if not resting:
            return [], records
        out = [record.kind is not RecordKind.BIRTH and source_of(record) in resting for record in records]
        end = out.index(not out[0]) if not all(each == out[0] for each in out) else len(out)
        return (records[:end], []) if out[0] else ([], records[:end])

    def _resting(self, now_s: float) -> set[Source]:
        if not self._rests_until:
            return set()
        self._rests_until = {source: until_s for source, until_s in self._rests_until.items() if until_s > now_s}
        return set(self._rests_until)
