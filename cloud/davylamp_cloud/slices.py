"""How many records the monitor takes at once. Pure.

Many at once cost less each, but the first one's alarms wait for the last one's. So a slice holds what the config
allows, and in a storm only what leads to a commit's worth of transitions.
"""

MOST_TRANSITIONS = 250
"""In one commit, about: a tenth of a second's work, and a commit still costs little of it."""

FEWEST = 20


def slice_after(records: int, transitions: int, most: int) -> int:
    """Return how many records to take next, as these led to so many transitions; `most` is what the config allows."""
    if transitions <= 0:
        return most
    return min(most, max(FEWEST, MOST_TRANSITIONS * records // transitions))
