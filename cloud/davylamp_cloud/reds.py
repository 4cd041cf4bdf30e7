"""Which red alarms stand, by hazard source: what beacons at edges show of alarms that the cloud alone decides.

What is told is what stands, not what is unacknowledged: an act in a console silences nothing on site (decision 0029).
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from davylamp_cloud.outcomes import Committed

STANDING = frozenset("BCE")
"""Active, and what backlog told and nobody has acknowledged yet; what is hidden has a letter of its own."""

Rows = Iterable[Mapping[str, Any]]
Areas = Mapping[str, frozenset[str]]
"""The hazard sources of each edge node."""


class Reds:
    """Follows the monitor's commits on its thread; the intake asks on others."""

    def __init__(self, standing: Callable[[], Rows], areas: Callable[[], Areas]) -> None:
        """Ask for what stands, and for who is where, with the first commit."""
        self._load = standing
        self._areas_now = areas
        self._lock = threading.Lock()
        self._reds: dict[str, dict[str, str]] | None = None
        self._areas: Areas = {}

    def heard(self, committed: Committed) -> None:
        """Take note of a commit of the monitor."""
        first = self._reds is None
        areas = self._areas_now() if first or committed.register_changed else self._areas
        rows = [*self._load()] if first else committed.transitions
        with self._lock:
            self._areas = areas
            self._reds = {} if self._reds is None else self._reds
            for row in rows:
                self._note(self._reds, row)

    def of(self, node: str) -> dict[str, str]:
        """Return the occurrences of red alarms in the hazard sources of an edge node, by alarm; the newest first."""
        with self._lock:
            sources, reds = self._areas.get(node, frozenset()), self._reds or {}
            found = {alarm: name for source in sorted(sources) for alarm, name in reds.get(source, {}).items()}
        return dict(reversed(found.items()))

    @staticmethod
    def _note(reds: dict[str, dict[str, str]], row: Mapping[str, Any]) -> None:
        """Keep or forget the alarm of a row; of its lanes the live one is named as the alarm itself."""
        name = row["alarm_id"] if row["lane"] == "live" else f"{row['alarm_id']} {row['lane']}"
        of_source = reds.setdefault(row["hazard_source"], {})
        of_source.pop(name, None)
        if row["priority"] == "red" and row["letter"] in STANDING:
            of_source[name] = row["occurrence"]
