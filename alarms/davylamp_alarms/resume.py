"""A start with nothing to start from but what was stored of the alarms: what stood goes on standing (SAFETY S4).

What hid an alarm is not taken over: nobody knows any more for how long it may, so it is heard again (SAFETY S16).
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from davylamp_alarms.book import Record, occurrence_number
from davylamp_alarms.columns import ALWAYS
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import NO_TAG
from davylamp_alarms.groups import count
from davylamp_alarms.memory import Memory
from davylamp_alarms.planning import row_of
from davylamp_alarms.transition import Condition, Event, Lane, Transition

COMMENT = "taken over by an engine that started without a snapshot; whatever hid it is over"


def resume(memory: Memory, seq: int, now_ms: int, standing: Iterable[Record]) -> list[Transition]:
    """Take over occurrences, and say so of each; one whose alarm is gone, or has begun anew meanwhile, is left."""
    told = []
    for record in sorted(standing, key=lambda record: record.key):
        facts = memory.find(record.alarm)
        if facts is None or record.key in memory.book.records:
            continue
        taken = replace(record, tag=facts.tag, state=replace(record.state, suppressions=frozenset()))
        memory.book.number_on(facts.hazard_source, 0, occurrence_number(taken.occurrence))
        memory.book.records[taken.key] = taken
        memory.book.keys[taken.occurrence] = taken.key
        if taken.lane is Lane.LIVE and taken.state.condition is Condition.ACTIVE:
            _stand(memory, taken)
        told.append(memory.book.write(seq, facts, taken, Event.UPDATED, now_ms, comment=COMMENT))
    for group in memory.groups.values():
        group.count = count(memory.book, group.definition.members)
    return told


def _stand(memory: Memory, record: Record) -> None:
    """Let an alarm's condition be met, as if it had been since its occurrence began."""
    if record.tag == NO_TAG:
        memory.lone[record.alarm].phase = Phase.ACTIVE
        return
    rows = np.array([row_of(memory, record.tag, record.kind)])
    slots = memory.slots.of(memory.layout.rows, rows)
    memory.layout.rows.phase[rows] = Phase.ACTIVE
    memory.early.look_again()
    memory.early.moved.add(record.tag)
    memory.slots.since_ms[slots], memory.slots.until_ms[slots] = record.raised_ms, ALWAYS
