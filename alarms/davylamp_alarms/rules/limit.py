"""Limits: HH, H, L1, L2 above; LL, L and a device's ``comm_ok`` below."""

import numpy as np
from davylamp_wire.quality import Level

from davylamp_alarms.batch import Bools, Floats
from davylamp_alarms.rules.rule import Rule, Samples


def judge_above(s: Samples) -> tuple[Bools, Bools]:
    """Return which readings are at or above their limit, and which are back inside by the deadband.

    Good and uncertain values raise; only good ones clear; bad ones and NaN do neither (SAFETY S4).
    """
    met = (s.level < Level.BAD) & (s.value >= s.limit)
    return met, (s.level == Level.GOOD) & (s.value <= s.leave) & ~met


def judge_below(s: Samples) -> tuple[Bools, Bools]:
    """Return which readings are at or below their limit, and which are back inside by the deadband."""
    met = (s.level < Level.BAD) & (s.value <= s.limit)
    return met, (s.level == Level.GOOD) & (s.value >= s.leave) & ~met


def calm_above(limit: Floats, leave: Floats, active: Bools) -> tuple[Floats, Floats]:
    """Return the span that keeps a high limit as it is: below the limit, or, once active, above where it is left."""
    return np.where(active, leave, -np.inf), np.where(active, np.inf, limit)


def calm_below(limit: Floats, leave: Floats, active: Bools) -> tuple[Floats, Floats]:
    """Return the span that keeps a low limit as it is."""
    return np.where(active, -np.inf, limit), np.where(active, leave, np.inf)


ABOVE = Rule(judge_above, calm_above)
BELOW = Rule(judge_below, calm_below)
