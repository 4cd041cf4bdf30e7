"""Staleness: raised by ticks alone (timers.py), ended by a good live reading like everything else (SAFETY S3, S4)."""

import numpy as np
from davylamp_wire.quality import Level

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.rules.fault import calm_while_normal
from davylamp_alarms.rules.rule import Rule, Samples

SILENCES = 3
"""A tag is stale after this many of its longest silences (SAFETY S8)."""


def judge_stale(s: Samples) -> tuple[Bools, Bools]:
    """Return that no reading makes a tag stale, and every good one ends it."""
    return np.zeros(len(s.value), np.bool_), s.level == Level.GOOD


def overdue(arrival_ms: Ints, base_ms: Ints, stale_ms: Ints, up: Bools, now_ms: int) -> Bools:
    """Return which tags have been silent too long while their edge's link was up.

    Args:
        arrival_ms: Host time of each tag's last live arrival.
        base_ms: Host time from which silence counts: the link came up, or the host itself came back (SAFETY S3).
        up: Whether the tag's edge is connected; a lost link has an alarm of its own.
    """
    silent: Floats | Ints = now_ms - np.maximum(arrival_ms, base_ms)
    return up & (silent > stale_ms)


STALE = Rule(judge_stale, calm_while_normal)
