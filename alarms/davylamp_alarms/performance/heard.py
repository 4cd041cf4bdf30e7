"""A transition as its listeners need it: what a person in the duty room heard of it, and when."""

from dataclasses import dataclass

from davylamp_alarms.definition import position_of
from davylamp_alarms.transition import Condition, Event, Lane, Transition

ACTS = frozenset({Event.ACKNOWLEDGED, Event.SHELVED, Event.RESET, Event.TAKEN_OUT, Event.SUPPRESSED})
"""What a person did about an alarm."""

SOUNDING = frozenset({Event.RAISED, Event.RE_ALARMED, Event.UNSHELVED, Event.UNSUPPRESSED, Event.RETURNED})
"""Events after which an alarm may sound: a raise, a repeat, the end of what hid it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One transition at the host time at which it became known here.

    That time and not the source's decides: a flood is what people hear, and so is chatter. The source's own time
    (`raised_ms`) only says what came first.
    """

    at_ms: int
    step: Transition

    @property
    def position(self) -> str:
        """The operating position that hears it."""
        return position_of(self.step.alarm_id)

    @property
    def annunciated(self) -> bool:
        """Whether it sounded: a raise or repeat, or what came back from being hidden and nobody knows of yet.

        Counting these and no returns or acknowledgements follows ISA-18.2, 16.5 (from secondary sources, unverified).
        """
        step = self.step
        if step.suppressions or step.event not in SOUNDING:
            return False
        standing = step.condition is Condition.ACTIVE or step.latched
        return step.event in (Event.RAISED, Event.RE_ALARMED) or (standing and not step.acknowledged)

    @property
    def live_raise(self) -> bool:
        """Whether an alarm of the present was raised, hidden or not."""
        return self.step.event is Event.RAISED and self.step.lane is Lane.LIVE

    @property
    def live_end(self) -> bool:
        """Whether an alarm of the present ended."""
        return self.step.event in (Event.CLEARED, Event.CLOSED) and self.step.lane is Lane.LIVE
