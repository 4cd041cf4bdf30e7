"""What a warning's rule finds now, and as of when: a forecast grows old while no reading comes. Nothing changes."""

import json
from dataclasses import dataclass

import numpy as np

from davylamp_alarms.columns import NEVER
from davylamp_alarms.definition import Kind
from davylamp_alarms.memory import Memory
from davylamp_alarms.shown import shown


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule finds, as JSON text (evidence.py), and the time of the newest sample in it.

    Args:
        time_ms: By the clock of the tag's edge.
        host_ms: By the host's.
    """

    evidence: str
    time_ms: int
    host_ms: int


def finding(memory: Memory, tag: int, kind: Kind) -> tuple[Finding | None, str]:
    """Return what a warning's rule finds, None where it is left out or was fed nothing yet; and what it failed by."""
    evidence, failure = shown(memory, tag, kind)
    line = json.loads(evidence).get("line") if evidence else None
    time_ms = int(line[1][0]) if line else int(memory.layout.tags.time_ms[tag])
    if not evidence or time_ms == NEVER:
        return None, failure
    return Finding(evidence, time_ms, time_ms - int(memory.offset_of(np.array([tag]))[0])), failure


def finding_of(memory: Memory, alarm: str) -> Finding | None:
    """Return what the rule of an alarm finds; None where there is no such warning, or it is left out."""
    found = memory.layout.find(alarm)
    return finding(memory, *found)[0] if found else None
