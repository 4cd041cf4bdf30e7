"""Lets the alarm system's own performance listen to what a slice brought, in the order of the log. Pure.

It hears every transition and every tick once, and nothing depends on where slices are cut.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from davylamp_alarms.performance.watch import Found, Performance

from davylamp_cloud.step import Step

Row = dict[str, Any]


class Heard:
    """What of a slice was heard already, and the rows that came of it: of each row only its newest form."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.ticks: list[tuple[int, int]] = []
        self.at = 0

    def tick(self, after: int, now_ms: int) -> None:
        """Note that the clock ticked after so many of the slice's transitions."""
        self.ticks.append((after, now_ms))

    def keep(self, found: Iterable[Found]) -> None:
        """Keep rows for the store."""
        for table, row in found:
            self.rows[table, row["id"]] = row


def listen(performance: Performance, heard: Heard, steps: "list[Step]") -> None:
    """Let transitions and ticks be heard that were not yet."""
    for after, now_ms in heard.ticks:
        _hear(performance, heard, steps, after)
        heard.keep(performance.tick(now_ms))
    heard.ticks.clear()
    _hear(performance, heard, steps, len(steps))


def _hear(performance: Performance, heard: Heard, steps: "list[Step]", upto: int) -> None:
    for said in islice(steps, heard.at, upto):
        if found := performance.hear(said.transition, said.at_ms):
            heard.keep(found)
    heard.at = upto
