"""What a new edge reads before it is born for the first time.

No link was lost then: what is no older than the silence a host takes for granted is sent live, and its alarms are of
the present. Whatever is older waited for a link, and is backlog (SAFETY S2, S5).
"""

from collections.abc import Sequence

from davylamp_edge.records import Record
from davylamp_edge.spare import Spare

MOST_BYTES = 8 * 1024 * 1024
"""Records held; beyond it the oldest of the lowest class are backlog."""


class FirstReadings:
    """Holds records on disk until the first birth; of a journal that had records before it holds none."""

    def __init__(self, *, is_new: bool) -> None:
        self._held = Spare(MOST_BYTES) if is_new else None

    def hold(self, records: Sequence[Record]) -> None:
        """Keep records that no session was there for."""
        if self._held is not None:
            for record in records:
                self._held.hold(record)

    def take(self, from_ms: int) -> list[Record]:
        """Return those read from a moment on, in order of number; there are none after that."""
        held, self._held = self._held, None
        return [] if held is None else [record for record in held.records() if record.first_ms >= from_ms]
