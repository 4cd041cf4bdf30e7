"""What a reading's quality says: over-range of a detector, and faults of instrument or loop."""

import numpy as np
from davylamp_wire.quality import Level, Reason

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.rules.rule import Rule, Samples


def judge_over_range(s: Samples) -> tuple[Bools, Bools]:
    """Return which readings are beyond the detector's range, at whatever level, and which are good again.

    The row latches apart from the value: a catalytic sensor may fall back to zero in rich gas (SAFETY S9, S11).
    """
    met = s.reason == Reason.OVER_RANGE
    return met, (s.level == Level.GOOD) & ~met


def judge_fault(s: Samples) -> tuple[Bools, Bools]:
    """Return which readings show a faulty instrument, and which show it well.

    A lost device is not the instrument's fault: COMM speaks for it once. On a gas tag over-range is a fault as well
    as a raise, even where the value still counts (SAFETY S9).
    """
    faulty = (s.level == Level.BAD) & (s.reason != Reason.COMM)
    met = faulty | (s.gas & (s.reason == Reason.OVER_RANGE))
    return met, (s.level == Level.GOOD) & ~met


def calm_while_normal(limit: Floats, leave: Floats, active: Bools) -> tuple[Floats, Floats]:
    """Return every value while normal; none while active, because the next good reading ends it."""
    return np.where(active, np.inf, -np.inf), np.where(active, -np.inf, np.inf)


OVER_RANGE = Rule(judge_over_range, calm_while_normal)
FAULT = Rule(judge_fault, calm_while_normal)
