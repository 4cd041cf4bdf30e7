"""A transition as its listeners need it: what a person in the duty room heard of it, and when."""

from davylamp_alarms.definition import position_of
from davylamp_alarms.performance.firsts import Candidate
from davylamp_alarms.transition import Condition, Event, Lane, Transition

ACTS = (Event.ACKNOWLEDGED, Event.SHELVED, Event.RESET, Event.TAKEN_OUT, Event.SUPPRESSED)
"""What a person did about an alarm. A tuple: a set would hash an enum's member in Python."""

SOUNDING = (Event.RAISED, Event.RE_ALARMED, Event.UNSHELVED, Event.UNSUPPRESSED, Event.RETURNED)
"""Events after which an alarm may sound: a raise, a repeat, the end of what hid it."""

NEWS = (Event.RAISED, Event.RE_ALARMED)
RAISED, CLEARED, CLOSED, LIVE, ACTIVE = Event.RAISED, Event.CLEARED, Event.CLOSED, Lane.LIVE, Condition.ACTIVE


class Heard:
    """One transition at the host time at which it became known here.

    That time and not the source's decides: a flood is what people hear, and so is chatter. The source's own time
    (`raised_ms`) only says what came first. What is asked several times of each transition is found out once.

    Attributes:
        live_raise: Whether an alarm of the present was raised, hidden or not.
        live_end: Whether an alarm of the present ended.
        annunciated: Whether it sounded: a raise or repeat, or what came back from being hidden and nobody knows of
            yet. Counting these and no returns or acknowledgements follows ISA-18.2, 16.5 (from secondary sources,
            unverified).
    """

    __slots__ = ("_candidate", "annunciated", "at_ms", "live_end", "live_raise", "step")

    def __init__(self, at_ms: int, step: Transition) -> None:
        event, live = step.event, step.lane is LIVE
        self._candidate: Candidate | None = None
        self.at_ms = at_ms
        self.step = step
        self.live_raise = live and event is RAISED
        self.live_end = live and (event is CLEARED or event is CLOSED)
        self.annunciated = not step.suppressions and not self.live_end and (event is RAISED or _sounds(step))

    @property
    def candidate(self) -> Candidate:
        """What may have been first.

        A raise of the present is one since its source's own time. What sounds again (a repeat, the end of what hid
        it) began long ago and is one only since it sounded.
        """
        found = self._candidate
        if found is None:
            step = self.step
            since_ms = step.raised_ms if self.live_raise else self.at_ms
            found = self._candidate = Candidate(since_ms, step.occurrence, step.alarm_id, step.scan_ms)
        return found

    @property
    def position(self) -> str:
        """The operating position that hears it."""
        return position_of(self.step.alarm_id)


def _sounds(step: Transition) -> bool:
    """Return whether it is news, or what came back stands, or is latched, and nobody acknowledged it."""
    if step.event not in SOUNDING:
        return False
    return step.event in NEWS or ((step.condition is ACTIVE or step.latched) and not step.acknowledged)
