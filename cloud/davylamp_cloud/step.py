"""A transition on its way from the engine to the store."""

from dataclasses import dataclass

from davylamp_alarms.transition import Transition


@dataclass(frozen=True, slots=True)
class Step:
    """A transition, and when the record that made it arrived."""

    transition: Transition
    at_ms: int
