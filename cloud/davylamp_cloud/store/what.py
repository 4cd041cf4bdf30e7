"""What a transition was, as one number that the database computes and keeps in an index (schema.py).

An index serves a query only where both spell the expression alike, so there is one spelling; what changes it renames
the index, which `migrate` then makes anew.
"""

from collections.abc import Iterable

from davylamp_alarms.performance.heard import ACTS, SOUNDING
from davylamp_alarms.transition import Event, Lane

ANNUNCIATED_BIT, RAISED_BIT, ENDED_BIT, HIDDEN_BIT, ACTED_BIT = 1, 2, 4, 8, 16
PRIORITY_BIT, END_BIT = 32, 256
"""The priority, 1 to 4, stands above the bits; from `END_BIT` on there is room for something else."""

PRIORITIES = ("blue", "yellow", "orange", "red")


def _one_of(events: Iterable[Event]) -> str:
    names = ", ".join(sorted(f"'{event}'" for event in events))
    return f"event IN ({names})"


_LIVE = f"lane = '{Lane.LIVE}'"
_NEWS = _one_of((Event.RAISED, Event.RE_ALARMED))
_UNKNOWN = "(condition = 'active' OR latched) AND NOT acknowledged"
_WORDS = " ".join(f"WHEN '{word}' THEN {number * PRIORITY_BIT}" for number, word in enumerate(PRIORITIES, 1))

ANNUNCIATED = f"(suppressions = '[]' AND {_one_of(SOUNDING)} AND ({_NEWS} OR ({_UNKNOWN})))"
"""What `Heard.annunciated` says of one transition."""

WHAT = (
    f"({ANNUNCIATED_BIT} * {ANNUNCIATED}"
    f" + {RAISED_BIT} * ({_LIVE} AND event = '{Event.RAISED}')"
    f" + {ENDED_BIT} * ({_LIVE} AND {_one_of((Event.CLEARED, Event.CLOSED))})"
    f" + {HIDDEN_BIT} * (suppressions <> '[]')"
    f" + {ACTED_BIT} * ({_one_of(ACTS)})"
    f" + CASE priority {_WORDS} ELSE 0 END)"
)
